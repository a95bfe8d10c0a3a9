//! What travels over the unix socket: routes, request and response types, the client.
//!
//! docs/api.md documents the same routes. Field names are stable.

pub mod client;
pub mod error;
pub mod routes;
pub mod types;

pub use ipblock_policy::text::{counted, grouped, printable, printable_json};

/// Header of a request: the addresses that the operator's SSH session comes from, separated by
/// commas. The daemon cuts none of them off unless it is forced.
pub const SSH_PEER_HEADER: &str = "ipblock-ssh-peer";
