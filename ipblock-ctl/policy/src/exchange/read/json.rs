//! One JSON document, read as a stream: an array of addresses or of objects with addresses,
//! `{"prefixes": [...]}` of cloud providers, a ruleset from `export --format json`, and `nft -j
//! list ruleset`.

mod address;
pub(super) mod ndjson;
mod nft;
mod path;
mod places;
mod tee;

use std::{
    cell::{Cell, RefCell},
    fmt,
    io::{self, BufRead, Read},
};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::{
    ReadError,
    collect::{Collector, Entry},
    ignored::Addresses,
    keys::{self, snake},
    opposite,
    ruleset::{self, Use},
};
use crate::address::{End, is_address};
use address::{Address, AddressSeed};
use places::{Places, Scan};
use tee::Tee;

pub use path::JsonPath;

const FORM: &str = "write [\"192.0.2.0/24\"], [{\"address\": \"192.0.2.0/24\", \"note\": \"why\"}] \
                    or {\"prefixes\": [...]}";

/// Names of arrays of addresses in the outermost object, without the part for the family.
const ARRAYS: [&str; 13] = [
    "",
    "addresses",
    "address",
    "prefixes",
    "ips",
    "ip",
    "cidrs",
    "elements",
    "networks",
    "subnets",
    "ranges",
    "ip_addresses",
    "ip_ranges",
];

/// Parts of such a name for the family, before or after it: `ipv6_addresses`.
const FAMILIES: [&str; 6] = ["ipv4", "ipv6", "ip4", "ip6", "v4", "v6"];

/// Whether a key of the outermost object denotes an array of addresses.
fn names_addresses(key: &str) -> bool {
    let key = snake(key);
    let is_known = |name: &str| ARRAYS.contains(&name);
    let marked = FAMILIES.iter().any(|family| {
        let before = key.strip_prefix(family);
        let after = key.strip_suffix(family);
        let rest = before.map(|rest| rest.trim_start_matches('_'));
        rest.or(after.map(|rest| rest.trim_end_matches('_')))
            .is_some_and(is_known)
    });
    marked || !key.is_empty() && is_known(&key)
}

/// Reads the known forms of documents. If a document has none of them, reads the addresses at its
/// only place, or at the requested place.
pub(super) fn read(
    input: impl BufRead,
    at: Option<&JsonPath>,
    out: &mut Collector,
) -> Result<(), ReadError> {
    let line = Cell::new(1);
    let walk = Walk::new(&line, out);
    if at.is_some() {
        return scan(input, at, walk);
    }
    let mut input = Tee::new(input, &walk.has_some);
    let seed = Node {
        walk: &walk,
        role: Role::Top,
    };
    let read = document(&mut input, &line, seed);
    let kept = input.kept();
    if read.is_ok()
        && let Some(kept) = kept.filter(|_| !walk.has_entries())
    {
        line.set(1);
        let places = Places::new(None, false);
        // Reading it once more has the same result.
        let again = document(kept.as_slice(), &line, Scan::new(&walk, &places));
        if again.is_ok() && walk.failed.borrow().is_none() && !places.are_empty() {
            walk.out.borrow_mut().read_again();
            return places.take(&walk);
        }
    }
    walk.finish(read)
}

/// Reads the addresses at the requested place.
fn scan(input: impl BufRead, at: Option<&JsonPath>, walk: Walk<'_>) -> Result<(), ReadError> {
    let places = Places::new(at, false);
    let read = document(input, walk.line, Scan::new(&walk, &places));
    walk.found.set(true);
    if read.is_ok() {
        places.take(&walk)?;
    }
    walk.finish(read)
}

/// Reads one document and nothing after it.
fn document<'de>(
    input: impl BufRead,
    line: &Cell<u64>,
    seed: impl DeserializeSeed<'de, Value = ()>,
) -> serde_json::Result<()> {
    let mut document = serde_json::Deserializer::from_reader(Counted { input, line });
    seed.deserialize(&mut document)?;
    document.end()
}

/// The state of the walk over the document.
struct Walk<'w> {
    out: RefCell<&'w mut Collector>,
    line: &'w Cell<u64>,
    /// The error that stopped the walk, unless it is a JSON error.
    failed: RefCell<Option<ReadError>>,
    /// Whether the document has anything that could contain addresses.
    found: Cell<bool>,
    /// Whether an address was found.
    has_some: Cell<bool>,
    /// The lines of elements without an address under a known key.
    without: RefCell<Vec<u64>>,
}

impl<'w> Walk<'w> {
    const fn new(line: &'w Cell<u64>, out: &'w mut Collector) -> Self {
        Self {
            out: RefCell::new(out),
            line,
            failed: RefCell::new(None),
            found: Cell::new(false),
            has_some: Cell::new(false),
            without: RefCell::new(Vec::new()),
        }
    }

    /// Whether anything was taken or rejected.
    fn has_entries(&self) -> bool {
        self.out.borrow().entries(|_| true) > 0
    }

    /// Returns the error that stopped the walk, or rejects what is still to be rejected.
    fn finish(self, read: serde_json::Result<()>) -> Result<(), ReadError> {
        if let Some(error) = self.failed.into_inner() {
            return Err(error);
        }
        let out = self.out.into_inner();
        for line in self.without.into_inner() {
            out.refuse(line, "", address::NONE, Some(FORM));
        }
        match read {
            Ok(()) if self.found.get() => {}
            Ok(()) => out.refuse(1, "", "no addresses are found in it", Some(FORM)),
            Err(error) if error.is_io() => return Err(ReadError::Io(error.into())),
            Err(error) => {
                // The rest was not read: the document may be truncated.
                let line = u64::try_from(error.line()).unwrap_or(u64::MAX).max(1);
                out.leave();
                let hint = "copy the whole document again, or correct it";
                out.spoil(line, "", &format!("not JSON: {error}"), hint);
            }
        }
        Ok(())
    }
}

impl Walk<'_> {
    fn element(&self, purpose: Use, address: &Address) -> Result<(), ReadError> {
        let mut out = self.out.borrow_mut();
        let texts = match &address.texts {
            Ok(texts) => texts,
            Err(problem) if problem == address::NONE => {
                self.without.borrow_mut().push(address.line);
                return Ok(());
            }
            Err(problem) => {
                out.refuse(address.line, "", problem, Some(FORM));
                return Ok(());
            }
        };
        self.has_some.set(true);
        let purpose = if address.except { Use::Except } else { purpose };
        if address.is_let_through {
            for (text, line) in texts {
                opposite::refuse(*line, text, &mut out);
            }
            return Ok(());
        }
        for (text, line) in texts {
            let entry = Entry {
                line: *line,
                text,
                note: address.note.trim(),
                end: address.end,
            };
            ruleset::add(purpose, entry, &mut out)?;
        }
        Ok(())
    }

    /// Counts addresses that are not read, by their key.
    fn pass_over(&self, key: &str, count: u64) {
        self.out.borrow_mut().pass_over(key, count);
    }

    /// Stops the walk on an error outside of JSON.
    fn stop<E: serde::de::Error>(&self, result: Result<(), ReadError>) -> Result<(), E> {
        result.map_err(|error| {
            let message = E::custom(&error);
            self.failed.replace(Some(error));
            message
        })
    }
}

/// The meaning of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// The document.
    Top,
    /// An array of addresses.
    Array(Use),
    /// An address.
    Element(Use),
    /// `rule` of a ruleset, and one of its rules.
    Rules,
    Rule,
    /// An object with an array of addresses under this key.
    Keyed(&'static str, Use),
    /// Such objects under their names.
    Named(&'static str, Use),
    /// `nftables` of nft, and one of its objects.
    Nft,
    NftItem,
    /// Anything without addresses.
    Other,
}

impl Role {
    /// Returns the meaning of an element of an array.
    const fn in_array(self) -> Self {
        match self {
            Self::Top => Self::Element(Use::Match),
            Self::Array(purpose) => Self::Element(purpose),
            Self::Rules => Self::Rule,
            Self::Nft => Self::NftItem,
            _ => Self::Other,
        }
    }

    /// Returns the meaning of a value of an object.
    fn under(self, key: &str) -> Self {
        match (self, key) {
            (Self::Top, "rule") => Self::Rules,
            (Self::Top, "allow") => Self::Keyed("match", Use::Allow),
            (Self::Top, "list") => Self::Named("match", Use::Match),
            (Self::Top, "zone") => Self::Named("allow", Use::Allow),
            (Self::Top, "nftables") => Self::Nft,
            (Self::Top, key) if names_addresses(key) => Self::Array(Use::Match),
            (Self::Rule, "match") => Self::Array(Use::Match),
            (Self::Rule, "except") => Self::Array(Use::Except),
            (Self::Keyed(wanted, purpose), key) if wanted == key => Self::Array(purpose),
            (Self::Named(wanted, purpose), _) => Self::Keyed(wanted, purpose),
            _ => Self::Other,
        }
    }
}

struct Node<'n, 'w> {
    walk: &'n Walk<'w>,
    role: Role,
}

impl<'de> DeserializeSeed<'de> for Node<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        match self.role {
            Role::Other => value.deserialize_any(Addresses).map(drop),
            Role::NftItem => nft::Item(self.walk).deserialize(value),
            Role::Element(purpose) => {
                let address = AddressSeed(self.walk).deserialize(value)?;
                self.walk.stop(self.walk.element(purpose, &address))
            }
            _ => value.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Node<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.role {
            Role::Array(_) | Role::Rules | Role::Nft => "an array",
            Role::Top => "an array or an object",
            _ => "an object",
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        let walk = self.walk;
        // `{"list": [...]}` is not a ruleset.
        let role = match self.role {
            Role::Named(_, Use::Match) => Role::Element(Use::Match),
            role => role.in_array(),
        };
        if role == Role::Other {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        }
        walk.found.set(true);
        while array.next_element_seed(Node { walk, role })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        if matches!(self.role, Role::Array(_) | Role::Rules | Role::Nft) {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self));
        }
        let walk = self.walk;
        let is_rule = self.role == Role::Rule;
        let mut end = End::None;
        if is_rule {
            walk.out.borrow_mut().begin_rule();
        }
        while let Some(key) = object.next_key::<String>()? {
            if is_rule && key == "expires" {
                end = End::under(&key, &keys::text(object.next_value()?));
                continue;
            }
            if is_address(&key) {
                walk.pass_over("keys of objects", 1);
            }
            let role = self.role.under(&key);
            if role == Role::Other {
                let count = object.next_value_seed(Addresses)?;
                walk.pass_over(&key, count);
                continue;
            }
            walk.found.set(true);
            object.next_value_seed(Node { walk, role })?;
        }
        if is_rule {
            walk.out.borrow_mut().end_rule(end);
        }
        Ok(())
    }
}

/// Counts the lines that were read. `serde_json` takes one byte at a time and looks ahead at most
/// one byte, never over a line feed into the next value.
pub(super) struct Counted<'w, R> {
    pub(super) input: R,
    pub(super) line: &'w Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        let lines: u64 = bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum();
        self.line.set(self.line.get() + lines);
        Ok(read)
    }
}
