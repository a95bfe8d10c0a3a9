//! Reads addresses from a file.

mod accepted;
mod apache;
mod binary;
mod collect;
mod crowdsec;
mod csf;
mod csv;
mod detect;
mod extract;
mod fail2ban;
mod filters;
mod firewalld;
mod gzip;
mod hosts_deny;
mod ignored;
mod ipfilter;
mod ipset;
mod iptables;
mod items;
mod json;
mod keys;
mod lines;
mod list;
mod mikrotik;
mod nft;
mod nginx;
mod opposite;
mod options;
mod p2p;
mod partial;
mod plain;
mod rir;
mod ruleset;
mod spamhaus;
mod stix;
mod words;

use std::io::{self, BufRead, BufReader, Read as _};

use thiserror::Error;

use crate::{Classified, ErrorKind, Hinted, address::End, ruleset::ListElement, word::words};
use collect::Collector;
use gzip::Unpacked;

pub use extract::extract;
pub use gzip::{is_packed, unpack_error, unpacked};
pub use list::{read_list, refuse_binary};

pub use collect::{MAX_PREFIXES, MAX_REFUSED};
pub use json::JsonPath;
pub use options::{
    Column, Columns, Delimiter, FORMAT, Filter, Joint, KEYS, ReadOption, ReadOptions, is_repeated,
};
pub use ruleset::ruleset_toml;

/// Size of the beginning of a file that determines its format, in bytes.
const SNIFFED: usize = 64 << 10;

/// Some editors write it at the start of UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Maximum size of a ruleset file in bytes, which is read as a whole: the daemon's limit.
const MAX_DOCUMENT: u64 = 64 << 20;

words! {
    /// The format of a file with addresses.
    pub enum FileFormat {
        /// One address, prefix or range per line.
        Plain = "plain",
        /// Records, with or without a header.
        Csv = "csv",
        /// One JSON document.
        Json = "json",
        /// The output of `ipset save`.
        Ipset = "ipset",
        /// The output of `nft list set` and `nft list ruleset`.
        Nft = "nft",
        /// Spamhaus DROP: one JSON object per line.
        Spamhaus = "spamhaus",
        /// Statistics of a regional registry.
        Rir = "rir",
        /// A ruleset file.
        Toml = "toml",
        /// Decisions of CrowdSec.
        Crowdsec = "crowdsec",
        /// What `fail2ban-client` prints about bans.
        Fail2ban = "fail2ban",
        /// The output of `iptables-save` and `ip6tables-save`, and the rule files of ufw.
        Iptables = "iptables",
        /// The files of firewalld.
        Firewalld = "firewalld",
        /// `csf.deny`.
        Csf = "csf",
        /// `hosts.deny`.
        HostsDeny = "hosts-deny",
        /// Access rules of nginx.
        Nginx = "nginx",
        /// Access rules of Apache.
        Apache = "apache",
        /// Address lists of MikroTik RouterOS.
        Mikrotik = "mikrotik",
        /// Lists of PeerGuardian.
        P2p = "p2p",
        /// `ipfilter.dat`.
        Ipfilter = "ipfilter",
        /// JSON documents, one a line.
        Ndjson = "ndjson",
        /// Indicators of STIX.
        Stix = "stix",
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
            Self::Rir => "What a registry publishes as delegated or delegated-extended",
            Self::Toml => "A ruleset file",
            Self::Crowdsec => {
                "What `cscli decisions list` prints with -o json or -o raw, or the local API"
            }
            Self::Fail2ban => "What `fail2ban-client banned` or `status JAIL` prints",
            Self::Iptables => "What `iptables-save` prints, or a rule file of ufw",
            Self::Firewalld => "An ipset or a zone of firewalld",
            Self::Csf => "csf.deny",
            Self::HostsDeny => "hosts.deny of TCP wrappers",
            Self::Nginx => "`deny` rules of nginx",
            Self::Apache => "`Require not ip` and `Deny from` of Apache",
            Self::Mikrotik => "An address list that RouterOS exports",
            Self::P2p => "PeerGuardian, `note:FROM-TO`",
            Self::Ipfilter => "ipfilter.dat, `FROM - TO , LEVEL , NOTE`",
            Self::Ndjson => "A JSON object a line",
            Self::Stix => "Indicators of STIX 2",
        }
    }
}

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The format.
    pub format: FileFormat,
    /// Every prefix once, in the order of the file; ranges as their minimal prefixes. Notes of
    /// equal prefixes are joined.
    pub elements: Vec<ListElement>,
    /// Number of entries: addresses, prefixes and ranges, including rejected ones.
    pub read: u64,
    /// Number of repeated prefixes.
    pub duplicates: u64,
    /// The end of each element; shorter than `elements` or empty if the others have none. Lists and
    /// rules do not keep them.
    pub ends: Vec<End>,
    /// Number of entries with an end.
    pub timed: u64,
    /// Number of IPv4-mapped addresses that were read as IPv4.
    pub mapped: u64,
    /// Whether none of the entries may be used, not even the good ones: the file is truncated,
    /// removes entries, or has several sets. Then there are no elements.
    pub is_spoilt: bool,
    /// The sets of the file that have entries.
    pub sets: Vec<SetSize>,
    /// Addresses at positions where none are read, by position.
    pub passed_over: Vec<PassedOver>,
    /// The places in a JSON document that the addresses come from, if the reader chose them.
    pub at: Vec<String>,
    /// The first [`MAX_REFUSED`] rejections.
    pub refused: Vec<Refusal>,
    /// Number of further rejections.
    pub more_refused: u64,
}

impl Parsed {
    /// Returns the end of the element at this index.
    #[must_use]
    pub fn end_of(&self, index: usize) -> End {
        self.ends.get(index).copied().unwrap_or_default()
    }
}

/// A named set of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetSize {
    /// Its name; for nft preceded by family and table. Control characters are escaped.
    pub name: String,
    /// Number of its entries, including rejected ones.
    pub entries: u64,
}

/// Addresses that were not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Their position, such as the key of a JSON object; shortened, control characters escaped.
    pub what: String,
    /// Their number.
    pub count: u64,
}

/// A rejected entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Line number, from 1.
    pub line: u64,
    /// The rejected text, shortened and with control characters escaped.
    pub text: String,
    /// The problem.
    pub problem: String,
    /// What to write instead, if that is known.
    pub hint: Option<String>,
}

/// Why a file cannot be read to its end.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// More prefixes than a filter can contain.
    #[error("line {line}: more than {MAX_PREFIXES} prefixes")]
    TooMany {
        /// The line of the first one beyond the limit.
        line: u64,
    },
    /// A ruleset file that is too large for the daemon.
    #[error("the ruleset file is larger than {MAX_DOCUMENT} bytes")]
    TooLarge,
    /// The file is not text.
    #[error("{what}")]
    Binary {
        /// The kind of file.
        what: String,
        /// What to do with it.
        hint: String,
    },
    /// The format does not use an option.
    #[error("`{option}` is not an option of the format {format}")]
    Unused {
        /// The option.
        option: ReadOption,
        /// The format.
        format: FileFormat,
    },
    /// More sets than the kernel can contain.
    #[error("line {line}: the file has too many sets")]
    TooManySets {
        /// The line of the first one beyond the limit.
        line: u64,
    },
    /// The variables of an nft script have too many elements.
    #[error("line {line}: the variables hold too many elements")]
    TooManyDefined {
        /// The line of the first one beyond the limit.
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
            Self::Unused { option, .. } => return Some(options::unused_hint(*option)),
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

/// Reads every address of `input`. Detects the format if none is given.
pub fn read(input: impl BufRead, format: Option<FileFormat>) -> Result<Parsed, ReadError> {
    let options = ReadOptions {
        format,
        ..ReadOptions::default()
    };
    read_with(input, &options)
}

/// Reads every address of `input` that the options request. gzip data is unpacked.
pub fn read_with(mut input: impl BufRead, options: &ReadOptions) -> Result<Parsed, ReadError> {
    if !is_packed(input.fill_buf()?) {
        return read_text(&mut input, options);
    }
    let mut unpacked = BufReader::with_capacity(SNIFFED, Unpacked::new(input));
    read_text(&mut unpacked, options).map_err(gzip::unwrapped)
}

fn read_text(mut input: &mut dyn BufRead, options: &ReadOptions) -> Result<Parsed, ReadError> {
    let mut head = Vec::new();
    (&mut input).take(SNIFFED as u64).read_to_end(&mut head)?;
    binary::refuse(&head, &mut input)?;
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head);
    let format = options.format_of(detect::format(text))?;
    // Readers take a byte or a line at a time, which their source may do slowly.
    let mut input = BufReader::with_capacity(SNIFFED, text.chain(input));
    let mut out = Collector::new(format, &options.sets);
    match format {
        FileFormat::Plain => plain::read(input, &mut out)?,
        FileFormat::Csv => csv::read(input, options, &mut out)?,
        FileFormat::Json => json::read(input, options.at.as_ref(), &mut out)?,
        FileFormat::Ipset => ipset::read(input, &mut out)?,
        FileFormat::Nft => nft::read(input, &mut out)?,
        FileFormat::Spamhaus => spamhaus::read(input, &mut out)?,
        FileFormat::Rir => rir::read(input, options, &mut out)?,
        FileFormat::Crowdsec => crowdsec::read(input, &mut out)?,
        FileFormat::Fail2ban => fail2ban::read(input, &mut out)?,
        FileFormat::Iptables => iptables::read(input, &mut out)?,
        FileFormat::Firewalld => firewalld::read(input, &mut out)?,
        FileFormat::Csf => csf::read(input, &mut out)?,
        FileFormat::HostsDeny => hosts_deny::read(input, &mut out)?,
        FileFormat::Nginx => nginx::read(input, &mut out)?,
        FileFormat::Apache => apache::read(input, &mut out)?,
        FileFormat::Mikrotik => mikrotik::read(input, &mut out)?,
        FileFormat::P2p => p2p::read(input, &mut out)?,
        FileFormat::Ipfilter => ipfilter::read(input, &mut out)?,
        FileFormat::Ndjson => json::ndjson::read(input, options.at.as_ref(), &mut out)?,
        FileFormat::Stix => stix::read(input, &mut out)?,
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
