//! The service behind `ipblockd`: staging, deploys, interfaces, counters, and the socket.
//!
//! It decides what is in force and records it; how the kernel is made to do it is `datapath`'s.

mod addresses;
mod alerts;
mod amounts;
mod answers;
mod applied;
mod attach;
mod backup;
mod bans;
mod bodies;
mod check;
mod compiled;
pub mod config;
mod connections;
mod counts;
mod credentials;
mod deploy;
#[cfg(test)]
mod documented;
mod drift;
mod durations;
mod ends;
mod error;
mod examine;
mod execute;
mod feeds;
mod flags;
mod guard;
mod history;
mod http;
mod kept;
mod kernel_log;
mod lists;
pub mod log;
mod manual;
mod metrics;
mod peer;
mod plan;
mod privileges;
mod rebase;
mod restore;
mod run;
pub mod settings;
mod sinks;
mod socket;
mod staging;
mod state;
mod summary;
mod switch;
mod takeover;
mod unfinished;
mod view;
mod view_lists;

pub use config::ConfigFile;
pub use flags::Flags;
pub use guard::Caller;
pub use manual::manual;
pub use privileges::keep_only_what_is_needed;
pub use run::{RunError, run};
pub use settings::Settings;
pub use socket::SocketError;
pub use state::Service;
pub use takeover::StartError;
