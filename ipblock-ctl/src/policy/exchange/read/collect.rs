//! What readers hand their entries to: parses addresses, joins duplicates, bounds what is kept.

use std::{collections::hash_map, hash::Hash};

use ipnet::IpNet;
use rustc_hash::FxHashMap;

use super::{FileFormat, Parsed, ReadError, Refusal};
use crate::policy::{
    address::{self, AddressError, Written, shown},
    ruleset::ListElement,
};

/// Refusals that are kept.
pub const MAX_REFUSED: usize = 1_000;

/// Prefixes that one file may stand for: what a zone holds by default.
pub const MAX_PREFIXES: usize = 4_000_000;

/// Where notes of duplicates stop to be joined, in bytes.
const MAX_JOINED: usize = 500;

/// An entry: one address, prefix or range with what stands beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    /// From 1.
    pub(super) line: u64,
    /// The address, prefix or range.
    pub(super) text: &'a str,
    /// Free text; empty for none.
    pub(super) note: &'a str,
    /// Whether it ends by itself where it comes from.
    pub(super) timed: bool,
}

impl<'a> Entry<'a> {
    /// An entry without a timeout.
    pub(super) const fn new(line: u64, text: &'a str, note: &'a str) -> Self {
        Self {
            line,
            text,
            note,
            timed: false,
        }
    }
}

/// Everything that was read so far.
pub(super) struct Collector {
    parsed: Parsed,
    places: Places,
}

/// Where in `parsed.elements` a prefix stands. IPv4 apart, in numbers: nearly all there is, and so
/// a small table that is quick to fill.
#[derive(Default)]
struct Places {
    ipv4: FxHashMap<u64, u32>,
    ipv6: FxHashMap<(u128, u8), u32>,
}

impl Places {
    /// Where the prefix stands already; else it stands at `place` from now on.
    fn find_or_put(&mut self, prefix: IpNet, place: usize) -> Option<usize> {
        // `MAX_PREFIXES` is far below.
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        let before = match prefix {
            IpNet::V4(net) => {
                let key = u64::from(net.addr().to_bits()) << 8 | u64::from(net.prefix_len());
                found_or_put(&mut self.ipv4, key, place)
            }
            IpNet::V6(net) => {
                let key = (net.addr().to_bits(), net.prefix_len());
                found_or_put(&mut self.ipv6, key, place)
            }
        };
        before.map(|place| place as usize)
    }
}

fn found_or_put<K: Eq + Hash>(places: &mut FxHashMap<K, u32>, key: K, place: u32) -> Option<u32> {
    match places.entry(key) {
        hash_map::Entry::Occupied(held) => Some(*held.get()),
        hash_map::Entry::Vacant(free) => {
            free.insert(place);
            None
        }
    }
}

impl Collector {
    pub(super) fn new(format: FileFormat) -> Self {
        Self {
            parsed: Parsed {
                format,
                elements: Vec::new(),
                read: 0,
                duplicates: 0,
                timed: 0,
                refused: Vec::new(),
                more_refused: 0,
            },
            places: Places::default(),
        }
    }

    /// Takes an entry, or refuses it.
    pub(super) fn add(&mut self, entry: Entry<'_>) -> Result<(), ReadError> {
        match address::parse_written(entry.text) {
            Ok(Written::Prefix(prefix)) => self.prefix(prefix, entry)?,
            Ok(Written::Range(prefixes)) => {
                for prefix in prefixes {
                    self.prefix(prefix, entry)?;
                }
            }
            Ok(Written::List(_)) => {
                let problem = "a list cannot stand here";
                let hint = "write the addresses of the list";
                self.refuse(entry.line, entry.text, problem, Some(hint));
                return Ok(());
            }
            Err(error) => {
                self.refuse_address(entry.line, error);
                return Ok(());
            }
        }
        self.parsed.read += 1;
        self.parsed.timed += u64::from(entry.timed);
        Ok(())
    }

    /// Refuses an entry.
    pub(super) fn refuse(&mut self, line: u64, text: &str, problem: &str, hint: Option<&str>) {
        self.push(|| Refusal {
            line,
            text: shown(text),
            problem: problem.to_owned(),
            hint: hint.map(str::to_owned),
        });
    }

    /// Refuses an entry for its address.
    fn refuse_address(&mut self, line: u64, error: AddressError) {
        self.push(|| Refusal {
            line,
            text: error.value,
            problem: error.problem,
            hint: error.hint,
        });
    }

    fn push(&mut self, refusal: impl FnOnce() -> Refusal) {
        self.parsed.read += 1;
        if self.parsed.refused.len() < MAX_REFUSED {
            self.parsed.refused.push(refusal());
        } else {
            self.parsed.more_refused += 1;
        }
    }

    fn prefix(&mut self, prefix: IpNet, entry: Entry<'_>) -> Result<(), ReadError> {
        let elements = &mut self.parsed.elements;
        if let Some(index) = self.places.find_or_put(prefix, elements.len()) {
            self.parsed.duplicates += 1;
            if let Some(held) = elements.get_mut(index) {
                join_note(&mut held.note, entry.note);
            }
            return Ok(());
        }
        if elements.len() >= MAX_PREFIXES {
            return Err(ReadError::TooMany { line: entry.line });
        }
        elements.push(ListElement {
            prefix,
            note: entry.note.into(),
        });
        Ok(())
    }

    /// What was read.
    pub(super) fn finish(self) -> Parsed {
        self.parsed
    }
}

/// Nothing that was said about a prefix is lost, up to a length.
fn join_note(held: &mut Box<str>, note: &str) {
    if held.is_empty() {
        *held = note.into();
        return;
    }
    let is_said = note.is_empty() || held.split("; ").any(|part| part == note);
    if !is_said && held.len() + note.len() <= MAX_JOINED {
        *held = format!("{held}; {note}").into();
    }
}
