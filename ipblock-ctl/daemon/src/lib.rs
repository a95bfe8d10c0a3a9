//! The service behind `ipblockd`: staging, deploys, interfaces, counters, and the socket.
//!
//! It decides what is in force and records it; `datapath` implements that in the kernel.

mod addresses;
mod alerts;
mod answers;
mod attach;
mod authorise;
mod backup;
mod bans;
mod bodies;
mod caller;
mod changes;
mod changing;
mod check;
pub mod config;
mod connections;
#[cfg(test)]
mod documented;
mod drift;
mod end_times;
mod error;
mod feeds;
mod flags;
mod generations;
mod guard;
mod http;
mod invariants;
mod kernel_log;
pub mod log;
mod manual;
mod metrics;
mod person;
mod principal;
mod privileges;
mod rulesets;
mod run;
pub mod settings;
mod sinks;
mod start;
mod state;
mod summary;
mod transport;
mod views;

pub use caller::Caller;
pub use config::ConfigFile;
pub use flags::Flags;
pub use manual::manual;
pub use privileges::keep_only_what_is_needed;
pub use run::{RunError, run};
pub use settings::Settings;
pub use start::error::StartError;
pub use state::Service;
pub use transport::unix::SocketError;
