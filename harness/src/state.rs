//! What the host knows besides the guest itself: plain data, one per VM, no globals.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use wasmtime::{Memory, StoreLimits, StoreLimitsBuilder, TypedFunc};

use crate::abi::LogLevel;
use crate::context::Context;
use crate::fault::Faults;
use crate::metrics::Metrics;
use crate::vm::Options;

/// The root context's id: Envoy gives the first id after the VM's own 0 to it.
pub(crate) const ROOT: u32 = 1;

/// Log lines kept; older ones are dropped, so that a guest that logs per chunk cannot fill memory.
const MAX_LOG_LINES: usize = 10_000;

/// Bytes kept of one log line.
pub(crate) const MAX_LOG_LINE_BYTES: usize = 64 << 10;

/// One line that the guest has logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its severity.
    pub level: LogLevel,
    /// Its text, up to 64 KiB of it; bytes that are not UTF-8 are replaced.
    pub message: String,
}

/// What the host's clocks show. They move only when the caller moves them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Since an unknown start, never 0: a guest that takes 0 for "not set" would else pass.
    pub monotonic: Duration,
    /// Since the Unix epoch.
    pub wall: Duration,
    /// Hosts before the monotonic clock answer ENOTSUP to it.
    pub has_monotonic: bool,
}

impl Clock {
    pub(crate) const fn new(has_monotonic: bool) -> Self {
        // 2026-01-01T00:00:00Z.
        let wall = Duration::from_secs(1_767_225_600);
        Self { monotonic: Duration::from_secs(3600), wall, has_monotonic }
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.monotonic = self.monotonic.saturating_add(by);
        self.wall = self.wall.saturating_add(by);
    }
}

/// Everything that a host call can reach.
pub(crate) struct HostState {
    pub limits: StoreLimits,
    pub memory: Option<Memory>,
    pub allocate: Option<TypedFunc<u32, u32>>,
    /// `setRestrictedCallback` (proxy-wasm-cpp-host `startVm`): while constructors run.
    pub starting: bool,
    pub clock: Clock,
    pub metrics: Metrics,
    pub logs: VecDeque<LogLine>,
    pub log_level: LogLevel,
    pub faults: Faults,
    pub plugin_config: Vec<u8>,
    /// `temp_plugin_`: set while the root context is created and configured.
    pub config_open: bool,
    pub contexts: BTreeMap<u32, Context>,
    /// The context of the running callback, and the one that the guest has put in its place.
    pub current: u32,
    pub effective: Option<u32>,
    /// `stopNextIteration`: this callback has sent a local response.
    pub stop_iteration: bool,
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    pub shared_data: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    pub tick_period: Duration,
    /// State of the generator behind `random_get`: the same in every run.
    pub random: u64,
}

impl HostState {
    pub(crate) fn new(options: &Options, plugin_config: &[u8]) -> Self {
        Self {
            limits: StoreLimitsBuilder::new().memory_size(options.memory_limit).build(),
            memory: None,
            allocate: None,
            starting: true,
            clock: Clock::new(options.monotonic_clock),
            metrics: Metrics::default(),
            logs: VecDeque::new(),
            log_level: options.log_level,
            faults: Faults::default(),
            plugin_config: plugin_config.to_owned(),
            config_open: false,
            contexts: BTreeMap::new(),
            current: ROOT,
            effective: None,
            stop_iteration: false,
            properties: BTreeMap::new(),
            shared_data: BTreeMap::new(),
            tick_period: Duration::ZERO,
            random: 0,
        }
    }

    pub(crate) const fn context_id(&self) -> u32 {
        match self.effective {
            Some(id) => id,
            None => self.current,
        }
    }

    /// The stream that calls belong to; `None` in the root context (`ContextOrEffectiveContext`).
    pub(crate) fn stream(&mut self) -> Option<&mut Context> {
        self.contexts.get_mut(&self.context_id())
    }

    pub(crate) fn log(&mut self, level: LogLevel, message: &[u8]) {
        if self.logs.len() == MAX_LOG_LINES {
            self.logs.pop_front();
        }
        let message = message.get(..MAX_LOG_LINE_BYTES).unwrap_or(message);
        let message = String::from_utf8_lossy(message).into_owned();
        self.logs.push_back(LogLine { level, message });
    }
}
