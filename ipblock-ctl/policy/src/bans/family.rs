//! The bans of one family.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use ipnet::IpNet;

use super::{Ban, Change, NEVER, Owned, Write, owners::Owners};
use crate::{
    Origin,
    prefix::{Bits, Prefix},
};

/// Sorted so that a covering prefix comes first: see [`Prefix`].
#[derive(Debug)]
pub(super) struct Family<B, T> {
    bans: BTreeMap<Prefix<B>, Held<T>>,
    /// Each end of a ban of the prefix, once.
    by_deadline: BTreeSet<(u64, Prefix<B>)>,
    /// The number of bans of each origin that has some.
    origins: BTreeMap<Origin, usize>,
}

/// A change of one ban of a prefix.
#[derive(Debug)]
pub(super) enum Edit<T> {
    Set(Ban<T>),
    End(Origin),
}

#[derive(Debug)]
struct Held<T> {
    owners: Owners<T>,
    /// The latest deadline of all bans of this prefix and of those that cover it: the value of the
    /// kernel's entry.
    entry: u64,
}

impl<B, T> Default for Family<B, T> {
    fn default() -> Self {
        Self {
            bans: BTreeMap::new(),
            by_deadline: BTreeSet::new(),
            origins: BTreeMap::new(),
        }
    }
}

impl<B: Bits, T: Owned> Family<B, T> {
    pub(super) fn change(
        &mut self,
        changes: Vec<(Prefix<B>, Edit<T>)>,
        writes: &mut Vec<Write>,
        before: &mut Vec<Change<T>>,
    ) {
        let first_undone_last = before.len();
        // The kernel's value for every touched prefix.
        let mut known = BTreeMap::new();
        for (prefix, edit) in changes {
            let entry = self.bans.get(&prefix).map(|held| held.entry);
            known.entry(prefix).or_insert(entry);
            before.push(self.replace(prefix, edit));
            self.settle(prefix, &mut known);
        }
        if let Some(undo) = before.get_mut(first_undone_last..) {
            undo.reverse();
        }
        for (prefix, was) in known {
            let is = self.bans.get(&prefix).map(|held| held.entry);
            match is {
                _ if is == was => {}
                Some(deadline) => writes.push(Write::Set(prefix.net(), deadline)),
                None => writes.push(Write::Remove(prefix.net())),
            }
        }
    }

    /// Sets or ends one ban, and returns what undoes it.
    fn replace(&mut self, prefix: Prefix<B>, edit: Edit<T>) -> Change<T> {
        let owners = self.bans.remove(&prefix).map(|held| held.owners);
        let (origin, deadline) = match &edit {
            Edit::Set(ban) => (ban.info.origin().clone(), Some(ban.deadline)),
            Edit::End(origin) => (origin.clone(), None),
        };
        let (owners, old) = match (owners, edit) {
            (None, Edit::Set(ban)) => (Some(Owners::One(ban)), None),
            (Some(owners), Edit::Set(ban)) => {
                let (owners, old) = owners.with(ban);
                (Some(owners), old)
            }
            (None, Edit::End(_)) => (None, None),
            (Some(owners), Edit::End(_)) => owners.without(&origin),
        };
        if let Some(old) = &old {
            let ends_so = |ban: &Ban<T>| ban.deadline == old.deadline;
            let others = owners.as_ref().map_or(&[][..], Owners::as_slice);
            if !others.iter().any(ends_so) {
                self.by_deadline.remove(&(old.deadline, prefix));
            }
        }
        if let Some(deadline) = deadline {
            self.by_deadline.insert((deadline, prefix));
        }
        if let Some(owners) = owners {
            let entry = owners.latest();
            self.bans.insert(prefix, Held { owners, entry });
        }
        self.count(&origin, deadline.is_some(), old.is_some());
        match old {
            Some(old) => Change::Set(prefix.net(), old),
            None => Change::End(prefix.net(), origin),
        }
    }

    fn count(&mut self, origin: &Origin, is: bool, was: bool) {
        match (is, was) {
            (true, false) => *self.origins.entry(origin.clone()).or_default() += 1,
            (false, true) => {
                if let Some(count) = self.origins.get_mut(origin) {
                    *count -= 1;
                    if *count == 0 {
                        self.origins.remove(origin);
                    }
                }
            }
            _ => {}
        }
    }

    /// Computes the entries of `prefix` and of all bans nested in it.
    fn settle(&mut self, prefix: Prefix<B>, known: &mut BTreeMap<Prefix<B>, Option<u64>>) {
        let above = self.above(prefix).map_or(0, |(_, held)| held.entry);
        // The bans around the current one, the innermost last, with their entries.
        let mut around: Vec<(Prefix<B>, u64)> = Vec::new();
        let nested = self.bans.range_mut(prefix..).take_while(|(inner, _)| {
            // Sorted by address: no later ban can be inside.
            inner.first <= prefix.last()
        });
        for (&inner, held) in nested {
            while around.pop_if(|(outer, _)| !outer.covers(inner)).is_some() {}
            let cover = around.last().map_or(above, |(_, entry)| *entry);
            let entry = held.owners.latest().max(cover);
            if entry != held.entry {
                known.entry(inner).or_insert(Some(held.entry));
                held.entry = entry;
            }
            around.push((inner, entry));
        }
    }

    /// Returns the longest ban that covers `inner`, other than `inner` itself.
    fn above(&self, inner: Prefix<B>) -> Option<(Prefix<B>, &Held<T>)> {
        let mut bound = inner.parent()?;
        // As in `longest_cover`: a ban that does not cover `inner` limits the length of one that
        // can.
        loop {
            let (&prefix, held) = self.bans.range(..=bound).next_back()?;
            if prefix.covers(inner) {
                return Some((prefix, held));
            }
            let len = prefix.first.common_len(inner.first);
            bound = Prefix {
                first: inner.first.first(len),
                len,
            };
        }
    }

    /// Returns the longest ban that covers `inner`, including `inner` itself.
    fn longest(&self, inner: Prefix<B>) -> Option<(Prefix<B>, &Held<T>)> {
        let own = self.bans.get(&inner).map(|held| (inner, held));
        own.or_else(|| self.above(inner))
    }

    pub(super) fn prefixes(&self) -> usize {
        self.bans.len()
    }

    pub(super) fn origins(&self) -> &BTreeMap<Origin, usize> {
        &self.origins
    }

    pub(super) fn of(&self, prefix: Prefix<B>) -> &[Ban<T>] {
        let held = self.bans.get(&prefix);
        held.map_or(&[], |held| held.owners.as_slice())
    }

    pub(super) fn get(&self, prefix: Prefix<B>, origin: &Origin) -> Option<&Ban<T>> {
        self.bans.get(&prefix)?.owners.of(origin)
    }

    pub(super) fn covering(&self, prefix: Prefix<B>, now: u64) -> Option<(IpNet, &Ban<T>)> {
        let (mut at, mut held) = self.longest(prefix)?;
        let latest = held.entry;
        if latest <= now {
            return None;
        }
        while held.owners.latest() < latest {
            (at, held) = self.above(at)?;
        }
        Some((at.net(), held.owners.last_to_end()?))
    }

    pub(super) fn around(&self, prefix: Prefix<B>) -> impl Iterator<Item = (IpNet, &[Ban<T>])> {
        let outwards = std::iter::successors(self.longest(prefix), |(at, _)| self.above(*at));
        outwards.map(|(at, held)| (at.net(), held.owners.as_slice()))
    }

    pub(super) fn entry_for(&self, host: Prefix<B>) -> Option<u64> {
        self.longest(host).map(|(_, held)| held.entry)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (IpNet, &[Ban<T>])> {
        self.from(Bound::Unbounded)
    }

    pub(super) fn from(&self, start: Bound<Prefix<B>>) -> impl Iterator<Item = (IpNet, &[Ban<T>])> {
        let bans = self.bans.range((start, Bound::Unbounded));
        bans.map(|(prefix, held)| (prefix.net(), held.owners.as_slice()))
    }

    pub(super) fn inside(&self, prefix: Prefix<B>) -> impl Iterator<Item = (IpNet, &[Ban<T>])> {
        self.bans
            .range(prefix..)
            .take_while(move |(inner, _)| inner.first <= prefix.last())
            .filter(move |(inner, _)| **inner != prefix)
            .map(|(inner, held)| (inner.net(), held.owners.as_slice()))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (IpNet, u64)> + '_ {
        self.bans
            .iter()
            .map(|(prefix, held)| (prefix.net(), held.entry))
    }

    pub(super) fn ended(&self, now: u64) -> impl Iterator<Item = (IpNet, &Ban<T>)> {
        let ends = self.by_deadline.iter();
        ends.take_while(move |(deadline, _)| *deadline <= now)
            .flat_map(|end| self.ending_at(end))
    }

    /// Returns the bans that will end and have not ended yet, the first to end first.
    pub(super) fn ending(&self, now: u64) -> impl Iterator<Item = (IpNet, &Ban<T>)> {
        let ends = self.by_deadline.iter();
        ends.skip_while(move |(deadline, _)| *deadline <= now)
            .take_while(|(deadline, _)| *deadline < NEVER)
            .flat_map(|end| self.ending_at(end))
    }

    fn ending_at(
        &self,
        &(deadline, prefix): &(u64, Prefix<B>),
    ) -> impl Iterator<Item = (IpNet, &Ban<T>)> {
        let bans = self.of(prefix).iter();
        bans.filter(move |ban| ban.deadline == deadline)
            .map(move |ban| (prefix.net(), ban))
    }
}
