//! Reading addresses out of a file.

mod binary;
mod collect;
mod csv;
mod detect;
mod ignored;
mod ipset;
mod json;
mod keys;
mod lines;
mod list;
mod nft;
mod opposite;
mod plain;
mod ruleset;
mod spamhaus;

use std::io::{self, BufRead, BufReader, Read as _};

use thiserror::Error;

use crate::{Classified, ErrorKind, Hinted, ruleset::ListElement, word::words};
use collect::Collector;

pub use list::{read_list, refuse_binary};

pub use collect::{MAX_PREFIXES, MAX_REFUSED};
pub use ruleset::ruleset_toml;

/// How much of the beginning decides about the format, in bytes.
const SNIFFED: usize = 64 << 10;

/// UTF-8 texts of some editors begin with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A ruleset file is read as a whole: at most so many bytes, which is what the daemon takes.
const MAX_DOCUMENT: u64 = 64 << 20;

words! {
    /// What a file's addresses are written in.
    pub enum FileFormat {
        /// An address, prefix or range a line.
        Plain = "plain",
        /// Records, with or without a header.
        Csv = "csv",
        /// One JSON document.
        Json = "json",
        /// What `ipset save` prints.
        Ipset = "ipset",
        /// What `nft list set` and `nft list ruleset` print.
        Nft = "nft",
        /// Spamhaus DROP: a JSON object a line.
        Spamhaus = "spamhaus",
        /// A ruleset file.
        Toml = "toml",
    }
}

impl FileFormat {
    /// What it looks like, for `--help`.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::Plain => "An address, prefix or range a line, a note after it",
            Self::Csv => "Records of `,`, `;` or tabs, with or without a header",
            Self::Json => "An array of texts or objects, {\"prefixes\": [...]}, or a ruleset",
            Self::Ipset => "What `ipset save` prints",
            Self::Nft => "What `nft list set` prints",
            Self::Spamhaus => "Spamhaus DROP, an object a line",
            Self::Toml => "A ruleset file",
        }
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
    /// IPv4-mapped addresses that were read as IPv4.
    pub mapped: u64,
    /// Whether nothing of the file may be taken, not even the entries that are good: it is cut off,
    /// it takes entries away, or it holds several sets. Then there are no elements.
    pub is_spoilt: bool,
    /// The sets of the file that have entries.
    pub sets: Vec<SetSize>,
    /// Addresses that stand where none is read, by their place.
    pub passed_over: Vec<PassedOver>,
    /// What was refused, the first [`MAX_REFUSED`].
    pub refused: Vec<Refusal>,
    /// How many more were refused.
    pub more_refused: u64,
}

/// A named set of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetSize {
    /// Its name; for nft its family and table before it. Control characters are escaped.
    pub name: String,
    /// Its entries, refused ones too.
    pub entries: u64,
}

/// Addresses that were not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Where they stand, such as the key of a JSON object; clipped, control characters escaped.
    pub what: String,
    /// How many.
    pub count: u64,
}

/// How a file is read.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// What it is written in; without it the content decides.
    pub format: Option<FileFormat>,
    /// The sets that are read, where a file has several; empty for its only one.
    pub sets: Vec<String>,
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
    /// Not text.
    #[error("{what}")]
    Binary {
        /// What the file is.
        what: String,
        /// What to do with it.
        hint: String,
    },
    /// More sets than the kernel holds.
    #[error("line {line}: the file has too many sets")]
    TooManySets {
        /// Where the first one too many stands.
        line: u64,
    },
    /// More elements in the variables of an nft script than are kept.
    #[error("line {line}: the variables hold too many elements")]
    TooManyDefined {
        /// Where the first one too many stands.
        line: u64,
    },
}

impl Classified for ReadError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Io(_) => ErrorKind::Failed,
            _ => ErrorKind::Invalid,
        }
    }
}

impl Hinted for ReadError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Io(_) => return None,
            Self::TooMany { .. } | Self::TooLarge => {
                "split the file, and import the parts into several rules or lists"
            }
            Self::Binary { hint, .. } => hint,
            Self::TooManySets { .. } => "import what `ipset save NAME` prints for one set",
            Self::TooManyDefined { .. } => {
                "load the script into nft, and import what `nft list set FAMILY TABLE SET` prints"
            }
        };
        Some(hint.to_owned())
    }
}

/// Reads every address of `input`; without a format, finds out which it is.
pub fn read(input: impl BufRead, format: Option<FileFormat>) -> Result<Parsed, ReadError> {
    let options = ReadOptions {
        format,
        ..ReadOptions::default()
    };
    read_with(input, &options)
}

/// Reads every address of `input` that the options ask for.
pub fn read_with(mut input: impl BufRead, options: &ReadOptions) -> Result<Parsed, ReadError> {
    let mut head = Vec::new();
    input.by_ref().take(SNIFFED as u64).read_to_end(&mut head)?;
    binary::refuse(&head, &mut input)?;
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head);
    let format = options.format.unwrap_or_else(|| detect::format(text));
    // Readers take a byte or a line at a time, and what they read from may be slow at that.
    let mut input = BufReader::with_capacity(SNIFFED, text.chain(input));
    let mut out = Collector::new(format, &options.sets);
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
