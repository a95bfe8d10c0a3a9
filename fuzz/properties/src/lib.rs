//! Properties that must be true for every input, as functions over bytes that panic otherwise.
//!
//! `cargo fuzz run NAME` (`fuzz/fuzz_targets`) calls one of them with inputs from libFuzzer.
//! `tests/short.rs` calls all of them with the committed seeds, with every input that once caused a
//! failure, and with mutations of both. Each states a property beyond "it does not panic".
#![forbid(unsafe_code)]
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a property that does not hold is told by a panic"
)]

mod addresses;
mod bans;
mod compile;
mod difference;
mod document;
mod edits;
mod explain;
mod import;
mod line_formats;
mod naive;
mod requests;
mod rulesets;
mod second_reading;
mod span;
mod store;
mod tables;

pub use addresses::addresses;
pub use bans::bans;
pub use compile::compile;
pub use document::document;
pub use edits::edits;
pub use import::import;
pub use requests::requests;
pub use store::store;
pub use tables::tables;

/// Runs a property on one input.
pub type Property = fn(&[u8]);

/// Every property by its name, which is that of its binary and of its directories.
pub const ALL: [(&str, Property); 9] = [
    ("addresses", addresses),
    ("bans", bans),
    ("compile", compile),
    ("document", document),
    ("edits", edits),
    ("import", import),
    ("requests", requests),
    ("store", store),
    ("tables", tables),
];
