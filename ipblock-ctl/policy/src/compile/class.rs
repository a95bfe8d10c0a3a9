//! Builds the class of an address from its rules, and the classes that follow as rules end.

use std::net::IpAddr;

use ipblock_common::{ClassId, ClassVerdict, class::NO_CLASS, limits};
use jiff::Timestamp;
use rustc_hash::FxHashMap;

use super::{
    CompileError, CompiledClass, MAX_CLASS_MEMBERS,
    tag::{Meaning, Tag},
};
use crate::{action::Action, ruleset::Rule};

const MAX_CLASSES: usize = limits::MAX_CLASSES as usize;
const MAX_EXPIRY_CHAIN: usize = limits::MAX_EXPIRY_CHAIN as usize;

/// All classes; equal ones are created once.
pub(super) struct Classes<'a> {
    rules: &'a [&'a Rule],
    ids: FxHashMap<Members, ClassId>,
    made: Vec<CompiledClass>,
    /// Number of listed rules, including those in classes of other zones.
    members: usize,
}

/// What defines a class: positions of rules, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Members {
    allowed: bool,
    matched: Vec<u32>,
    excepted: Vec<u32>,
}

impl<'a> Classes<'a> {
    /// Returns a table without classes. Tags refer to these rules by position. Other zones have
    /// used `members`.
    pub(super) fn new(rules: &'a [&'a Rule], members: usize) -> Self {
        let nothing = CompiledClass {
            verdict: ClassVerdict::Default,
            alert: false,
            matched: Vec::new(),
            excepted: Vec::new(),
            valid_until: None,
            next: NO_CLASS,
        };
        Self {
            rules,
            ids: FxHashMap::from_iter([(Members::default(), NO_CLASS)]),
            made: vec![nothing],
            members,
        }
    }

    /// Returns the number of rules in its classes, including those of other zones.
    pub(super) const fn members(&self) -> usize {
        self.members
    }

    pub(super) fn into_vec(self) -> Vec<CompiledClass> {
        self.made
    }

    /// Returns the class of addresses with exactly these `tags` (sorted, without duplicates).
    /// `address` is one of them, for messages.
    pub(super) fn of(&mut self, tags: &[Tag], address: IpAddr) -> Result<ClassId, CompileError> {
        let members = Members::of(tags);
        if let Some(id) = self.ids.get(&members) {
            return Ok(*id);
        }
        let ends = self.ends(&members);
        if ends.len() > MAX_EXPIRY_CHAIN {
            return Err(CompileError::TooManyEnds {
                address,
                count: ends.len(),
                limit: MAX_EXPIRY_CHAIN,
            });
        }
        // From the last end backwards, so that the next class exists already.
        let mut next = NO_CLASS;
        let mut valid_until = None;
        for end in ends.into_iter().rev() {
            let survivors = self.survivors(&members, end);
            next = self.intern(survivors, valid_until, next, address)?;
            valid_until = Some(end);
        }
        self.intern(members, valid_until, next, address)
    }

    fn intern(
        &mut self,
        members: Members,
        valid_until: Option<Timestamp>,
        next: ClassId,
        address: IpAddr,
    ) -> Result<ClassId, CompileError> {
        if let Some(id) = self.ids.get(&members) {
            return Ok(*id);
        }
        let too_many = CompileError::TooManyClasses {
            address,
            limit: MAX_CLASSES,
        };
        let id = match ClassId::try_from(self.made.len()) {
            Ok(id) if self.made.len() < MAX_CLASSES => id,
            _ => return Err(too_many),
        };
        self.members += members.matched.len() + members.excepted.len();
        if self.members > MAX_CLASS_MEMBERS {
            return Err(CompileError::TooDense { address });
        }
        let alert = self.rules(&members.matched).any(Rule::alerts);
        self.made.push(CompiledClass {
            verdict: self.verdict(&members),
            alert,
            matched: self.rules(&members.matched).map(|r| r.id).collect(),
            excepted: self.rules(&members.excepted).map(|r| r.id).collect(),
            valid_until,
            next,
        });
        self.ids.insert(members, id);
        Ok(id)
    }

    fn verdict(&self, members: &Members) -> ClassVerdict {
        if members.allowed {
            return ClassVerdict::Allow;
        }
        let actions = self.rules(&members.matched).map(|rule| rule.action);
        Action::strongest(actions).map_or(ClassVerdict::Default, Action::verdict)
    }

    /// Returns the end times of members, sorted, without duplicates.
    fn ends(&self, members: &Members) -> Vec<Timestamp> {
        let matched = self.rules(&members.matched);
        let all = matched.chain(self.rules(&members.excepted));
        let mut ends: Vec<_> = all.filter_map(|rule| rule.expires).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// Returns the members that are left from `end` on.
    fn survivors(&self, members: &Members, end: Timestamp) -> Members {
        let surviving = |positions: &[u32]| {
            let rules = positions.iter().copied().zip(self.rules(positions));
            rules
                .filter(|(_, rule)| rule.expires.is_none_or(|at| end < at))
                .map(|(position, _)| position)
                .collect()
        };
        Members {
            allowed: members.allowed,
            matched: surviving(&members.matched),
            excepted: surviving(&members.excepted),
        }
    }

    fn rules(&self, positions: &[u32]) -> impl Iterator<Item = &'a Rule> {
        let rules = self.rules;
        positions
            .iter()
            .filter_map(move |position| rules.get(*position as usize).copied())
    }
}

impl Members {
    fn of(tags: &[Tag]) -> Self {
        let mut members = Self::default();
        for tag in tags {
            match tag.meaning() {
                None => {
                    return Self {
                        allowed: true,
                        ..Self::default()
                    };
                }
                Some(Meaning::Match(rule)) => members.matched.push(rule),
                // A rule's match tag, if there is one, comes directly before.
                Some(Meaning::Except(rule)) => {
                    if members.matched.pop_if(|last| *last == rule).is_some() {
                        members.excepted.push(rule);
                    }
                }
            }
        }
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::rule;

    #[test]
    fn more_classes_than_the_kernel_has_are_refused() {
        let rules = [1, 2].map(|id| rule(id, &format!("r{id}"), Action::Block, &[]));
        let rules: Vec<&Rule> = rules.iter().collect();
        let mut classes = Classes::new(&rules, 0);
        let nothing = classes.made[0].clone();
        classes.made.resize(MAX_CLASSES - 1, nothing);
        let address = IpAddr::from([192, 0, 2, 7]);
        let mut class_of = |rule| {
            let members = Members {
                matched: vec![rule],
                ..Members::default()
            };
            classes.intern(members, None, NO_CLASS, address)
        };
        let last = ClassId::try_from(MAX_CLASSES - 1).unwrap();
        assert_eq!(class_of(0), Ok(last));
        assert_eq!(class_of(0), Ok(last), "a class that is there is no new one");
        let refused = class_of(1).unwrap_err();
        assert!(
            matches!(
                refused,
                CompileError::TooManyClasses {
                    limit: MAX_CLASSES,
                    ..
                }
            ),
            "{refused}"
        );
    }
}
