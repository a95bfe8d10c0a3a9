//! Collects the entries of all readers: parses addresses, joins duplicates, separates sets, and
//! limits the result.

mod ends;
mod positions;
mod sets;

use ipnet::IpNet;
use rustc_hash::FxHashMap;

use super::{FileFormat, PassedOver, ReadError, Refusal};
use crate::{
    address::{self, AddressError, End, Written, excerpt},
    ruleset::ListElement,
};
use ends::Ends;
use positions::Positions;

pub(super) use sets::are_families_of_one;

/// Maximum of recorded rejections.
pub const MAX_REFUSED: usize = 1_000;

/// Maximum of prefixes in one file: the default capacity of a zone.
pub const MAX_PREFIXES: usize = 4_000_000;

/// Maximum of kinds of skipped addresses.
const MAX_PASSED: usize = 50;

/// Maximum of sets in one file: the limit of the kernel's ipset.
const MAX_SETS: usize = 65_534;

/// Notes of duplicates are joined up to this length in bytes.
const MAX_JOINED: usize = 500;

/// An entry: one address, prefix or range with its data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    /// Line number, from 1.
    pub(super) line: u64,
    /// The address, prefix or range.
    pub(super) text: &'a str,
    /// Free text; may be empty.
    pub(super) note: &'a str,
    /// When it expires in its source.
    pub(super) end: End,
}

impl<'a> Entry<'a> {
    /// An entry without an end.
    pub(super) const fn new(line: u64, text: &'a str, note: &'a str) -> Self {
        Self {
            line,
            text,
            note,
            end: End::None,
        }
    }
}

/// The entries of one set of the file, or those outside of sets.
#[derive(Default)]
struct Bucket {
    /// Its name in the file; empty for entries outside of sets.
    name: String,
    elements: Vec<ListElement>,
    positions: Positions,
    read: u64,
    duplicates: u64,
    ends: Ends,
    mapped: u64,
    refused: Vec<Refusal>,
    more_refused: u64,
    /// Whether none of its entries may be used.
    is_spoilt: bool,
}

impl Bucket {
    /// Adds a prefix; `None` if it is new and there is no room.
    fn put(&mut self, prefix: IpNet, note: &str, end: End, has_room: bool) -> Option<Put> {
        if let Some(index) = self.positions.find_or_put(prefix, self.elements.len()) {
            self.duplicates += 1;
            if let Some(held) = self.elements.get_mut(index) {
                join_note(&mut held.note, note);
            }
            self.ends.repeat(index, end);
            return Some(Put::Again);
        }
        if !has_room {
            return None;
        }
        self.ends.put(self.elements.len(), end);
        self.elements.push(ListElement {
            prefix,
            note: note.into(),
        });
        Some(Put::New)
    }
}

/// The result of adding a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    New,
    Again,
}

/// All entries so far.
pub(super) struct Collector {
    format: FileFormat,
    /// The requested sets; empty means the only one.
    wanted: Vec<String>,
    /// Whether all sets are used if none is requested.
    are_joined: bool,
    /// The entries outside of sets.
    unnamed: Bucket,
    sets: Vec<Bucket>,
    /// The index in `sets` of each name.
    names: FxHashMap<String, usize>,
    /// The set of the next entries.
    current: Option<usize>,
    /// Prefixes in all sets.
    held: usize,
    /// Recorded rejections in all sets.
    kept: usize,
    passed_over: Vec<PassedOver>,
    /// The places that the reader of a document chose.
    at: Vec<String>,
}

impl Collector {
    pub(super) fn new(format: FileFormat, wanted: &[String]) -> Self {
        Self {
            format,
            wanted: wanted.to_vec(),
            are_joined: false,
            unnamed: Bucket::default(),
            sets: Vec::new(),
            names: FxHashMap::default(),
            current: None,
            held: 0,
            kept: 0,
            passed_over: Vec::new(),
            at: Vec::new(),
        }
    }

    /// Adds an entry, or rejects it.
    pub(super) fn add(&mut self, entry: Entry<'_>) -> Result<(), ReadError> {
        match address::parse_written(entry.text) {
            Ok(written) => self.add_written(entry, &written),
            Err(error) => {
                self.refuse_address(entry.line, error);
                Ok(())
            }
        }
    }

    /// Adds an entry that is already parsed.
    pub(super) fn add_written(
        &mut self,
        entry: Entry<'_>,
        written: &Written,
    ) -> Result<(), ReadError> {
        match written {
            Written::Prefix(prefix) => self.prefix(*prefix, entry)?,
            Written::Range(prefixes) => {
                for prefix in prefixes {
                    self.prefix(*prefix, entry)?;
                }
            }
            Written::List(_) => {
                let problem = "a list cannot stand here";
                let hint = "write the addresses of the list";
                self.refuse(entry.line, entry.text, problem, Some(hint));
                return Ok(());
            }
        }
        let is_mapped = matches!(written, Written::Prefix(IpNet::V4(_)))
            && address::written_as_mapped(entry.text).is_some();
        let bucket = self.bucket();
        bucket.read += 1;
        bucket.ends.count(entry.end);
        bucket.mapped += u64::from(is_mapped);
        Ok(())
    }

    /// Rejects an entry.
    pub(super) fn refuse(&mut self, line: u64, text: &str, problem: &str, hint: Option<&str>) {
        self.push(|| Refusal {
            line,
            text: excerpt(text),
            problem: problem.to_owned(),
            hint: hint.map(str::to_owned),
        });
    }

    /// Rejects an entry and its whole set; outside of sets, the whole file.
    pub(super) fn spoil(&mut self, line: u64, text: &str, problem: &str, hint: &str) {
        self.refuse(line, text, problem, Some(hint));
        self.bucket().is_spoilt = true;
    }

    /// Rejects an entry because of its address.
    pub(super) fn refuse_address(&mut self, line: u64, error: AddressError) {
        self.push(|| Refusal {
            line,
            text: error.value,
            problem: error.problem,
            hint: error.hint,
        });
    }

    /// Gives this end to every entry of the current set that has no end of its own.
    pub(super) fn end_all(&mut self, end: End) {
        self.bucket().ends.end_all(end);
    }

    /// The next entries belong to a rule whose end may come after them.
    pub(super) fn begin_rule(&mut self) {
        let bucket = self.bucket();
        bucket.ends.begin_rule(bucket.elements.len(), bucket.read);
    }

    /// Gives the end of the rule to its entries without an end of their own.
    pub(super) fn end_rule(&mut self, end: End) {
        let bucket = self.bucket();
        bucket
            .ends
            .end_rule(bucket.elements.len(), bucket.read, end);
    }

    /// Counts possible addresses that are not read.
    pub(super) fn pass_over(&mut self, what: &str, count: u64) {
        if count == 0 {
            return;
        }
        let what = excerpt(what);
        let known = self.passed_over.iter_mut().find(|held| held.what == what);
        if let Some(held) = known {
            held.count += count;
        } else if self.passed_over.len() < MAX_PASSED {
            self.passed_over.push(PassedOver { what, count });
        } else if let Some(last) = self.passed_over.last_mut() {
            "other places".clone_into(&mut last.what);
            last.count += count;
        }
    }

    /// Forgets what was passed over: the document is read again.
    pub(super) fn read_again(&mut self) {
        self.passed_over.clear();
    }

    /// Records a place that the reader chose.
    pub(super) fn read_at(&mut self, place: &str) {
        self.at.push(excerpt(place));
    }

    fn push(&mut self, refusal: impl FnOnce() -> Refusal) {
        let is_kept = self.kept < MAX_REFUSED;
        self.kept += usize::from(is_kept);
        let bucket = self.bucket();
        bucket.read += 1;
        if is_kept {
            bucket.refused.push(refusal());
        } else {
            bucket.more_refused += 1;
        }
    }

    fn prefix(&mut self, prefix: IpNet, entry: Entry<'_>) -> Result<(), ReadError> {
        let has_room = self.held < MAX_PREFIXES;
        let put = self.bucket().put(prefix, entry.note, entry.end, has_room);
        let put = put.ok_or(ReadError::TooMany { line: entry.line })?;
        self.held += usize::from(put == Put::New);
        Ok(())
    }

    fn bucket(&mut self) -> &mut Bucket {
        let set = self.current.and_then(|index| self.sets.get_mut(index));
        set.unwrap_or(&mut self.unnamed)
    }
}

/// Keeps all that was said about a prefix, up to a length.
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
