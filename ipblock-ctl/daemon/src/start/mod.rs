//! The start: examines the present state, adopts it, and finishes what was interrupted.

pub(crate) mod error;
mod examine;
mod takeover;
mod unfinished;
