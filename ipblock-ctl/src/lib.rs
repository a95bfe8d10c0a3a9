//! ipblock: blocks IP addresses at the network interface.
//!
//! The library behind `ipblockd` and `ipblock-ctl`. Imports run downwards only, as
//! docs/architecture.md says and `cargo xtask check` enforces.

pub mod api;
pub mod cli;
pub mod daemon;
pub mod datapath;
pub mod fault;
pub mod output;
pub mod policy;
pub mod store;
