//! Compiles a ruleset to the entries and classes of one zone.
//!
//! A kernel trie returns only the longest prefix, so overlap is resolved here. Each prefix gets
//! tags for its meanings (`tag`). A walk in address order combines the tags of nested prefixes into
//! states, and each state has one class (`class`). Finally the entries are reduced to the fewest
//! with the same result (`minimal`).

mod class;
mod minimal;
mod tag;
#[cfg(test)]
mod tests;
mod walk;

use std::{net::IpAddr, sync::Arc};

pub use ipblock_common::limits::DEFAULT_CAPACITY;
use ipblock_common::{ClassId, ClassVerdict, class::NO_CLASS};
use ipnet::{Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::{class::Classes, tag::Tags, walk::States};
use super::{
    action::Action,
    name::ZoneName,
    prefix::{Bits, Prefix, longest_cover},
    ruleset::{DefaultVerdict, MalformedPolicy, RuleId, Ruleset},
};
use crate::{Classified, ErrorKind, Hinted};

/// Maximum of rules in all classes of all zones together. Each takes some bytes of memory, and a
/// ruleset with denser overlap is a mistake.
pub const MAX_CLASS_MEMBERS: usize = 1 << 24;

/// The part of [`MAX_CLASS_MEMBERS`] that the zones of one ruleset have used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    members: usize,
}

/// The input of the datapath for one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledZone {
    /// The verdict on an address without a class.
    pub default: DefaultVerdict,
    /// The verdict on a packet whose source cannot be read.
    pub malformed: MalformedPolicy,
    /// Longest-prefix-match entries, sorted by address, then by length. Their number is minimal.
    pub ipv4: Vec<(Ipv4Net, ClassId)>,
    /// As `ipv4`.
    pub ipv6: Vec<(Ipv6Net, ClassId)>,
    /// Indexed by class id. Element 0 means "no rule matches" and is not a class. Shared with the
    /// code that counts per class, because they may be by far the largest part.
    pub classes: Arc<[CompiledClass]>,
}

/// A part of the address space: its matching and excepted rules, and the class that follows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CompiledClass {
    /// The verdict of the rules; as a number when serialised.
    #[serde(with = "verdict_number")]
    pub verdict: ClassVerdict,
    /// Whether a matching rule alerts.
    #[serde(default)]
    pub alert: bool,
    /// The matching rules, sorted. Empty for an allow class. A rule without an identity has its own
    /// element with the number 0.
    pub matched: Vec<RuleId>,
    /// The rules that do not match because of an exception, sorted. Empty for an allow class.
    pub excepted: Vec<RuleId>,
    /// The end of the first of these rules.
    pub valid_until: Option<Timestamp>,
    /// The class from then on; `NO_CLASS` if no rule is left.
    pub next: ClassId,
}

mod verdict_number {
    use ipblock_common::ClassVerdict;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(v: &ClassVerdict, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u16(v.number())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<ClassVerdict, D::Error> {
        u16::deserialize(d).map(ClassVerdict::from_number)
    }
}

/// Why a ruleset cannot be compiled.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompileError {
    /// The ruleset does not have this zone.
    #[error("there is no zone `{zone}`")]
    UnknownZone {
        /// The requested zone.
        zone: ZoneName,
        /// The existing zones.
        known: Vec<String>,
    },
    /// More rules over the same address end at different times than the kernel can follow.
    #[error(
        "rules over {address} end at {count} different times, and at most {limit} are possible \
         over one address"
    )]
    TooManyEnds {
        /// The first such address.
        address: IpAddr,
        /// Number of different times at which rules over it end.
        count: usize,
        /// The maximum.
        limit: usize,
    },
    /// More combinations of rules than the kernel has classes.
    #[error("rules overlap in more than {limit} combinations (at {address})")]
    TooManyClasses {
        /// The first address that does not fit.
        address: IpAddr,
        /// The maximum.
        limit: usize,
    },
    /// The rules over the same addresses have more combinations than the memory limit allows.
    #[error(
        "rules overlap too densely (at {address}): their combinations, over all zones, list more \
         than {MAX_CLASS_MEMBERS} rules"
    )]
    TooDense {
        /// The first address that does not fit.
        address: IpAddr,
    },
    /// The error of one among several zones.
    #[error("zone `{zone}`: {source}")]
    InZone {
        /// The zone.
        zone: ZoneName,
        /// The error.
        source: Box<CompileError>,
    },
}

impl Classified for CompileError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl Hinted for CompileError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownZone { known, .. } => format!("zones are {}", known.join(", ")),
            Self::TooManyEnds { .. } => {
                "let some of them end together, or narrow their `match`".to_owned()
            }
            Self::TooManyClasses { .. } => "unite rules that hold the same addresses".to_owned(),
            Self::TooDense { .. } => "unite rules that hold the same addresses, or let rules hold \
                                      in fewer zones (`zones`)"
                .to_owned(),
            Self::InZone { source, .. } => return source.hint(),
        })
    }
}

/// Compiles every zone at a moment, one after the other. Only the result of a zone is kept when the
/// next starts, and one limit applies to the classes of all zones.
pub fn compile_all(
    ruleset: &Ruleset,
    now: Timestamp,
) -> Result<Vec<(ZoneName, CompiledZone)>, CompileError> {
    let names = ruleset.zone_names();
    let several = names.len() > 1;
    let mut taken = Taken::default();
    let zones =
        names.into_iter().map(
            |zone| match compile_within(ruleset, &zone, now, &mut taken) {
                Ok(compiled) => Ok((zone, compiled)),
                Err(source) if several => Err(CompileError::InZone {
                    zone,
                    source: Box::new(source),
                }),
                Err(error) => Err(error),
            },
        );
    zones.collect()
}

/// Compiles one zone without others: see [`compile_within`].
pub fn compile(
    ruleset: &Ruleset,
    zone: &ZoneName,
    now: Timestamp,
) -> Result<CompiledZone, CompileError> {
    compile_within(ruleset, zone, now, &mut Taken::default())
}

/// Compiles one zone at a moment, with lists resolved: O(n log n) in the number of prefixes.
///
/// Omits rules that have ended at `now`; later ends become [`CompiledClass::valid_until`].
///
/// Adds the rules in its classes to what other zones have used.
pub fn compile_within(
    ruleset: &Ruleset,
    zone: &ZoneName,
    now: Timestamp,
    taken: &mut Taken,
) -> Result<CompiledZone, CompileError> {
    let Some(settings) = ruleset.zone(zone) else {
        return Err(CompileError::UnknownZone {
            zone: zone.clone(),
            known: ruleset.zone_names().into_iter().map(Into::into).collect(),
        });
    };
    let mut rules: Vec<_> = ruleset
        .rules
        .iter()
        .filter(|rule| rule.is_live(now) && rule.holds_in(zone))
        .collect();
    // By identity: what is sorted by position is then sorted by identity too.
    rules.sort_by_key(|rule| rule.id);

    let tags = Tags::collect(ruleset, &rules, &settings);
    let mut states = States::new(Classes::new(&rules, taken.members));
    let ipv4 = minimal::entries(states.walk(tags.ipv4)?);
    let ipv6 = minimal::entries(states.walk(tags.ipv6)?);
    let classes = states.into_classes();
    taken.members = classes.members();
    Ok(CompiledZone {
        default: settings.default,
        malformed: settings.malformed,
        ipv4: nets(&ipv4),
        ipv6: nets(&ipv6),
        classes: classes.into_vec().into(),
    })
}

fn nets<B: Bits>(entries: &[(Prefix<B>, ClassId)]) -> Vec<(B::Net, ClassId)> {
    entries
        .iter()
        .map(|(prefix, class)| (prefix.first.net(prefix.len), *class))
        .collect()
}

impl CompiledZone {
    /// Returns a zone without entries that passes everything.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            default: DefaultVerdict::Pass,
            malformed: MalformedPolicy::Pass,
            ipv4: Vec::new(),
            ipv6: Vec::new(),
            classes: Arc::default(),
        }
    }

    /// Returns the number of entries of both families.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.ipv4.len() + self.ipv6.len()
    }

    /// Returns the class of the longest entry that contains `address`, before any expiry;
    /// `NO_CLASS` if there is none.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> ClassId {
        match address {
            IpAddr::V4(address) => longest_entry(&self.ipv4, address.to_bits()),
            IpAddr::V6(address) => longest_entry(&self.ipv6, address.to_bits()),
        }
    }

    /// Returns the class with this id; `None` for `NO_CLASS` and for unknown ids.
    #[must_use]
    pub fn class(&self, id: ClassId) -> Option<&CompiledClass> {
        if id == NO_CLASS {
            return None;
        }
        self.classes.get(usize::try_from(id).ok()?)
    }

    /// Returns the class in force for `address` at a time, which must not be before the
    /// compilation. Follows expiry; `None` if no rule matches (any longer).
    #[must_use]
    pub fn class_at(&self, address: IpAddr, at: Timestamp) -> Option<&CompiledClass> {
        let mut class = self.class(self.lookup(address))?;
        while class.valid_until.is_some_and(|end| end <= at) {
            class = self.class(class.next)?;
        }
        Some(class)
    }

    /// Whether an allow list contains `address`.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let class = self.class(self.lookup(address));
        class.is_some_and(|class| class.verdict == ClassVerdict::Allow)
    }

    /// Whether a packet from `address` is dropped at a time, which must not be before the
    /// compilation. Ignores the packets that a default of drop exempts.
    #[must_use]
    pub fn drops(&self, address: IpAddr, at: Timestamp) -> bool {
        let class = self.class_at(address, at);
        let default_drops = self.default == DefaultVerdict::Drop;
        Action::is_dropped(class.map(|class| class.verdict), default_drops)
    }

    /// Returns for each rule the number of entries in which it matches, now or later. Omits a rule
    /// that matches nowhere because of exceptions or allow lists.
    #[must_use]
    pub fn rule_entries(&self) -> FxHashMap<RuleId, u64> {
        let mut per_class: FxHashMap<ClassId, u64> = FxHashMap::default();
        let v4 = self.ipv4.iter().map(|(_, class)| *class);
        let v6 = self.ipv6.iter().map(|(_, class)| *class);
        for class in v4.chain(v6) {
            *per_class.entry(class).or_default() += 1;
        }
        let mut per_rule = FxHashMap::default();
        for (id, entries) in per_class {
            // The classes that follow by expiry only lose rules, so the first one lists them all.
            let matched = self.class(id).map_or(&[][..], |class| &class.matched);
            for same in matched.chunk_by(|a, b| a == b) {
                if let Some(rule) = same.first() {
                    *per_rule.entry(*rule).or_default() += entries;
                }
            }
        }
        per_rule
    }
}

fn longest_entry<B: Bits>(entries: &[(B::Net, ClassId)], address: B) -> ClassId {
    longest_cover(entries, |(net, _)| B::prefix(*net), Prefix::host(address))
        .map_or(NO_CLASS, |(_, class)| *class)
}
