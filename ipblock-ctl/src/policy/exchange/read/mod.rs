//! Reading addresses out of a file.

mod collect;
mod csv;
mod detect;
mod ipset;
mod json;
mod lines;
mod list;
mod nft;
mod plain;
mod ruleset;
mod spamhaus;

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read as _},
};

use thiserror::Error;

use crate::policy::ruleset::ListElement;
use collect::Collector;

pub use list::{ContentError, read_list};

pub use collect::{MAX_PREFIXES, MAX_REFUSED};
pub use ruleset::ruleset_toml;

/// How much of the beginning decides about the format, in bytes.
const SNIFFED: usize = 64 << 10;

/// A ruleset file is read as a whole: at most so many bytes, which is what the daemon takes.
const MAX_DOCUMENT: u64 = 64 << 20;

/// What a file's addresses are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// An address, prefix or range a line.
    Plain,
    /// Records, with or without a header.
    Csv,
    /// One JSON document.
    Json,
    /// What `ipset save` prints.
    Ipset,
    /// What `nft list set` and `nft list ruleset` print.
    Nft,
    /// Spamhaus DROP: a JSON object a line.
    Spamhaus,
    /// A ruleset file.
    Toml,
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ipset => "ipset",
            Self::Nft => "nft",
            Self::Spamhaus => "spamhaus",
            Self::Toml => "toml",
        })
    }
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// How it was read.
    pub format: FileFormat,
    /// Every prefix once, in the order in which they came; ranges as their fewest prefixes.
    /// Notes of one prefix are joined.
    pub elements: Vec<ListElement>,
    /// Entries: addresses, prefixes and ranges, refused ones too.
    pub read: u64,
    /// Prefixes that came again.
    pub duplicates: u64,
    /// Entries with a timeout, which is not kept.
    pub timed: u64,
    /// What was refused, the first [`MAX_REFUSED`].
    pub refused: Vec<Refusal>,
    /// How many more were refused.
    pub more_refused: u64,
}

/// An entry that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// From 1.
    pub line: u64,
    /// The offending text, clipped and with control characters escaped.
    pub text: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead, where that can be said.
    pub hint: Option<String>,
}

/// Why a file cannot be read to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The input failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// More than a filter holds.
    #[error("line {line}: more than {MAX_PREFIXES} prefixes")]
    TooMany {
        /// Where the first one too many stands.
        line: u64,
    },
    /// A ruleset file that the daemon would refuse.
    #[error("the ruleset file is larger than {MAX_DOCUMENT} bytes")]
    TooLarge,
}

/// Reads every address of `input`; without a format, finds out which it is.
pub fn read(mut input: impl BufRead, format: Option<FileFormat>) -> Result<Parsed, ReadError> {
    let mut head = Vec::new();
    let format = if let Some(format) = format {
        format
    } else {
        input.by_ref().take(SNIFFED as u64).read_to_end(&mut head)?;
        detect::format(&head)
    };
    // Readers take a byte or a line at a time, and what they read from may be slow at that.
    let mut input = BufReader::with_capacity(SNIFFED, head.as_slice().chain(input));
    let mut out = Collector::new(format);
    match format {
        FileFormat::Plain => plain::read(input, &mut out)?,
        FileFormat::Csv => csv::read(input, &mut out)?,
        FileFormat::Json => json::read(input, &mut out)?,
        FileFormat::Ipset => ipset::read(input, &mut out)?,
        FileFormat::Nft => nft::read(input, &mut out)?,
        FileFormat::Spamhaus => spamhaus::read(input, &mut out)?,
        FileFormat::Toml => {
            let mut text = Vec::new();
            let read = input
                .by_ref()
                .take(MAX_DOCUMENT + 1)
                .read_to_end(&mut text)?;
            if read as u64 > MAX_DOCUMENT {
                return Err(ReadError::TooLarge);
            }
            ruleset::read(&String::from_utf8_lossy(&text), &mut out)?;
        }
    }
    Ok(out.finish())
}
