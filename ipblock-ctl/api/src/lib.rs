//! The protocol of the unix socket: routes, request and response types, and the client.
//!
//! docs/api.md documents the same routes. Field names are stable.

pub mod client;
pub mod error;
pub mod routes;
pub mod types;

pub use ipblock_policy::text::{counted, grouped, printable, printable_json};

/// Header of a request: the source addresses of the operator's SSH session, separated by commas.
/// The daemon never blocks these addresses unless forced.
pub const SSH_PEER_HEADER: &str = "ipblock-ssh-peer";

/// Header of a request: the user who called sudo. The daemon reads it only from root, and only where
/// the kernel does not know who logged in.
pub const SUDO_USER_HEADER: &str = "ipblock-sudo-user";
