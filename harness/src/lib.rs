//! A host for proxy-wasm modules that behaves as Envoy does, for tests, replays and measurements.
//!
//! [`Module::load`] compiles a module and links it against exactly what Envoy offers;
//! [`Module::configure`] starts a [`Vm`] and configures its plugin; [`Vm::stream`] opens HTTP streams,
//! as many side by side as one likes, and [`Stream`] has the callbacks in Envoy's order. What the guest
//! did comes back as plain data: [`Metrics`], log lines, filter state, actions, fuel. Clocks stand still
//! until [`Vm::advance`], random numbers are the same in every run, so everything is reproducible.
//!
//! The model keeps Envoy's rules, each beside the name of the Envoy function that makes it: headers and
//! bodies can be read inside their own callback only, and headers once more in the log phase; a stat
//! gets a fresh id from every definition; a trap ends the VM. [`Fault`] makes any host call answer any
//! status. It models one VM with one plugin in an Envoy without clusters: HTTP and gRPC calls of the
//! guest's own, shared queues and foreign functions are answered as such an Envoy answers them.

mod abi;
mod calls;
mod context;
mod error;
pub mod exchange;
mod fault;
mod headers;
mod memory;
mod metrics;
mod module;
pub mod replay;
pub mod split;
mod state;
mod stream;
mod vm;
mod wasi;

pub use abi::{Action, End, LogLevel, Status};
pub use calls::HOST_CALLS;
pub use context::LocalResponse;
pub use error::VmError;
pub use fault::Fault;
pub use headers::HeaderMap;
pub use metrics::{Metrics, TaggedStat, Value};
pub use module::{Inspection, Module, inspect};
pub use state::LogLine;
pub use stream::{Callback, Finished, Stream};
pub use vm::{Options, Vm};
