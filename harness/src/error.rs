//! What can go wrong with a guest. A trap is a value like any other: tests assert on it.

use crate::state::LogLine;

/// Why a module or a VM did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// The bytes are no valid WebAssembly module.
    #[error("not a WebAssembly module that can be compiled: {0}")]
    Invalid(String),
    /// The module is not for the ABI that the harness speaks.
    #[error(
        "the module does not export proxy_abi_version_0_2_1, the ABI that this harness speaks; {found}"
    )]
    AbiVersion {
        /// What it says instead.
        found: String,
    },
    /// Envoy would not link the module.
    #[error("imports that Envoy does not offer (name, parameters and results must match): {}", imports.join(", "))]
    MissingImports {
        /// `module.name` of each.
        imports: Vec<String>,
    },
    /// An export is missing or has another type than the ABI says.
    #[error("the export {0} is missing or has another type than proxy-wasm ABI 0.2.1 gives it")]
    Export(&'static str),
    /// The module needs more than the limits of [`crate::Options`] allow at its very start.
    #[error("the module could not be instantiated: {0}")]
    Instantiate(String),
    /// `proxy_on_vm_start` or `proxy_on_configure` answered false.
    #[error("the guest refused: {callback} returned false{}", last(logs))]
    Refused {
        /// Which of the two.
        callback: &'static str,
        /// All that the guest has logged.
        logs: Vec<LogLine>,
    },
    /// The guest trapped: a panic, a bad access, a hang that was cut, or the memory limit. In Envoy
    /// this resets every stream in flight on the worker.
    #[error("the guest trapped in {callback}: {backtrace}{}", last(logs))]
    Trap {
        /// The callback that was running.
        callback: &'static str,
        /// The reason and the guest's stack, with function names where the module has a name section.
        backtrace: String,
        /// All that the guest has logged.
        logs: Vec<LogLine>,
    },
    /// The VM has trapped earlier. Envoy calls into it no more.
    #[error("the VM has trapped before and is not called any more")]
    Dead,
    /// A fault names no host call.
    #[error("{0} is no host call; gaugeway_harness::HOST_CALLS lists them")]
    UnknownCall(&'static str),
}

impl VmError {
    /// What the guest had logged when it refused or trapped.
    pub fn logs(&self) -> &[LogLine] {
        match self {
            Self::Refused { logs, .. } | Self::Trap { logs, .. } => logs,
            _ => &[],
        }
    }
}

/// The last log line, in which SDKs say why.
fn last(logs: &[LogLine]) -> String {
    logs.last().map_or_else(String::new, |line| format!("; its last log line: {}", line.message))
}
