//! The output of commands: tables and paragraphs for people, JSON for scripts.
//!
//! It renders API types and its own reports only. Each renderer is a pure function from a value and
//! a [`View`] to text: it makes no requests and no decisions.
#![forbid(unsafe_code)]

pub mod alert_status;
pub mod alerts;
pub mod allow;
pub mod backup;
pub mod bans;
pub mod changes;
pub mod check;
pub mod convert;
pub mod counters;
pub mod doctor;
pub mod exceptions;
pub mod history;
pub mod import;
pub mod lint;
pub mod lists;
pub mod number;
pub mod panic_off;
pub mod rates;
pub mod restored;
pub mod rules;
pub mod status;
pub mod stream;
pub mod table;
pub mod time;
pub mod top;
pub mod view;
pub mod zones;

#[cfg(test)]
mod samples;

pub use stream::Output;
pub use view::{Tone, View};
