//! The meanings of a prefix.

use ipnet::IpNet;

use crate::{
    prefix::{Bits, Prefix},
    ruleset::{Rule, Ruleset, Zone},
};

/// A meaning of a prefix: part of an allow list, or of a rule's `match` or `except`.
///
/// A rule is identified by its position among the compiled rules. A rule's match sorts directly
/// before its exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Tag(u32);

/// A decoded [`Tag`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Match(u32),
    Except(u32),
}

impl Tag {
    /// Part of an allow list. Sorts after every other tag.
    pub(super) const ALLOW: Self = Self(u32::MAX);

    fn of_match(rule: u32) -> Self {
        Self(rule << 1)
    }

    fn of_except(rule: u32) -> Self {
        Self(rule << 1 | 1)
    }

    /// Returns its meaning for a rule; `None` for [`Tag::ALLOW`].
    pub(super) fn meaning(self) -> Option<Meaning> {
        if self == Self::ALLOW {
            return None;
        }
        let rule = self.0 >> 1;
        Some(if self.0 & 1 == 0 {
            Meaning::Match(rule)
        } else {
            Meaning::Except(rule)
        })
    }
}

/// A prefix with one meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tagged<B> {
    pub(super) prefix: Prefix<B>,
    pub(super) tag: Tag,
}

/// Every prefix of a zone, once per meaning, unordered.
pub(super) struct Tags {
    pub(super) ipv4: Vec<Tagged<u32>>,
    pub(super) ipv6: Vec<Tagged<u128>>,
}

impl Tags {
    pub(super) fn collect(ruleset: &Ruleset, rules: &[&Rule], zone: &Zone) -> Self {
        let mut tags = Self {
            ipv4: Vec::new(),
            ipv6: Vec::new(),
        };
        for (index, rule) in (0_u32..).zip(rules) {
            tags.add(ruleset.prefixes(&rule.matches), Tag::of_match(index));
            tags.add(ruleset.prefixes(&rule.except), Tag::of_except(index));
        }
        tags.add(ruleset.prefixes(&ruleset.allow), Tag::ALLOW);
        tags.add(ruleset.prefixes(&zone.allow), Tag::ALLOW);
        tags
    }

    fn add(&mut self, nets: impl Iterator<Item = IpNet>, tag: Tag) {
        for net in nets {
            match net {
                IpNet::V4(net) => self.ipv4.push(Tagged {
                    prefix: u32::prefix(net),
                    tag,
                }),
                IpNet::V6(net) => self.ipv6.push(Tagged {
                    prefix: u128::prefix(net),
                    tag,
                }),
            }
        }
    }
}
