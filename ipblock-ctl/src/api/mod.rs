//! What travels over the unix socket: request and response types, the client.
//!
//! docs/api.md documents the same routes. Field names are stable.

pub mod client;
pub mod error;
pub mod types;
