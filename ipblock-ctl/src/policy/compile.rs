//! From a ruleset to the entries and classes of one zone.

use std::net::IpAddr;

use ipblock_common::{ClassId, ClassVerdict};
use ipnet::{Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    name::ZoneName,
    ruleset::{DefaultVerdict, MalformedPolicy, RuleId, Ruleset},
};

/// What the datapath loads for one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledZone {
    /// What happens to an address without a class.
    pub default: DefaultVerdict,
    /// What happens to a packet whose source cannot be read.
    pub malformed: MalformedPolicy,
    /// Longest-prefix-match entries, sorted by address, then by length.
    pub ipv4: Vec<(Ipv4Net, ClassId)>,
    /// As `ipv4`.
    pub ipv6: Vec<(Ipv6Net, ClassId)>,
    /// Indexed by class id. Element 0 stands for "nothing matches" and is no class.
    pub classes: Vec<CompiledClass>,
}

/// For one part of the address space: who matches, who was spared, and what follows.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CompiledClass {
    /// What the rules ask for; [`ClassVerdict`] as a number in serialised form.
    #[serde(with = "verdict_number")]
    pub verdict: ClassVerdict,
    /// The rules that match, sorted. Empty for an allow class.
    pub matched: Vec<RuleId>,
    /// The rules that an exception keeps from matching, sorted. Empty for an allow class.
    pub excepted: Vec<RuleId>,
    /// When the first of these rules ends.
    pub valid_until: Option<Timestamp>,
    /// The class from then on; `NO_CLASS` when nothing is left.
    pub next: ClassId,
}

mod verdict_number {
    use ipblock_common::ClassVerdict;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(v: &ClassVerdict, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u32(v.number())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<ClassVerdict, D::Error> {
        u32::deserialize(d).map(ClassVerdict::from_number)
    }
}

/// Why a ruleset cannot be compiled.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CompileError {
    /// More rules end one after another over the same address than the kernel follows.
    #[error("placeholder {0}")]
    Placeholder(u32),
}

/// Compiles one zone at a moment.
pub fn compile(
    ruleset: &Ruleset,
    zone: &ZoneName,
    now: Timestamp,
) -> Result<CompiledZone, CompileError> {
    todo!("{ruleset:?} {zone} {now}")
}

impl CompiledZone {
    /// Entries of both families.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.ipv4.len() + self.ipv6.len()
    }

    /// The class of the longest entry that holds `address`, expiry not looked at.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> ClassId {
        todo!("{address}")
    }
}
