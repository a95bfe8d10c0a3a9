//! Addresses from other programs' files and for them: plain text, CSV, JSON, ipset, nft, Spamhaus
//! DROP, and ruleset files.
//!
//! Reading is exact, as in `address`: an entry becomes precisely the prefixes that it stands for,
//! or it is refused with its line and what to write instead. What a format says beside addresses
//! is kept as a note or counted, never guessed at. Readers take their input piece by piece: memory
//! is bounded by the result, and the result is bounded too.

mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::{
    FileFormat, MAX_PREFIXES, MAX_REFUSED, Parsed, PassedOver, ReadError, ReadOptions, Refusal,
    SetSize, read, read_list, read_with, refuse_binary, ruleset_toml,
};
pub use write::{Selection, csv, elements, ipset, json, json_from, nft, plain};
