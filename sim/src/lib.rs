//! The other side of the wire: an LLM server that knows what it sent, and a client that knows what it saw.
//!
//! ```text
//! load::run(LoadConfig)  ── x-sim-id, x-sim-plan ──►  (gateway under test)  ──►  Server::start(ServerConfig)
//!        │                                                                            │
//!        ▼ Observation per request                                  Served per request ▼
//!        └──────────────────────►  Truth::by_model(&served, &observed)  ◄──────────────┘
//! ```
//!
//! Nothing here is shared with the filter: not the SSE reader, not the error classes, not the definitions.
//! They are written down a second time so that each side can prove the other wrong.
//!
//! The main flow: [`plan`] says how one request shall go, [`script`] turns it into events with absolute
//! deadlines, [`wire`] writes an event as a real server does, [`server`] plays the script to a socket,
//! [`load`] times what arrives, [`truth`] joins both.

pub mod coding;
pub mod fault;
pub mod load;
mod open_files;
pub mod outcome;
pub mod plan;
pub mod profile;
pub mod script;
pub mod served;
pub mod server;
pub mod truth;
pub mod wire;

pub use coding::Coding;
pub use load::{LoadConfig, Observation, Report};
pub use outcome::{ErrorClass, Mode, Outcome, Phase};
pub use plan::{Plan, Stage};
pub use profile::{ModelProfile, Style};
pub use served::{Served, ServedEnd, Usage};
pub use server::{Server, ServerConfig};
pub use truth::Truth;
