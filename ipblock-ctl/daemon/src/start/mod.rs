//! A start: examine what is there, take it over, finish what was interrupted.

pub(crate) mod error;
mod examine;
mod takeover;
mod unfinished;
