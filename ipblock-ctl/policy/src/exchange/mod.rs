//! Reads and writes addresses in other programs' formats, which docs/formats.md lists.
//!
//! Reading is exact, as in `address`: an entry becomes precisely the prefixes that it denotes, or
//! it is rejected with its line and a hint. Other data of a format is kept as a note or counted,
//! never guessed at. Readers process their input piece by piece, and the size of the result is
//! limited, so memory is too.

mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::{
    Column, Columns, Delimiter, FORMAT, FileFormat, Filter, Joint, JsonPath, KEYS, MAX_PREFIXES,
    MAX_REFUSED, Parsed, PassedOver, ReadError, ReadOption, ReadOptions, Refusal, SetSize, extract,
    is_packed, is_repeated, read, read_list, read_with, refuse_binary, ruleset_toml, unpack_error,
    unpacked,
};
pub use write::{Selection, csv, elements, ipset, json, json_from, nft, plain};
