//! The bans of one family.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use ipnet::IpNet;

use super::{Ban, NEVER, Write};
use crate::prefix::{Bits, Prefix};

/// Sorted so that a covering prefix comes first: see [`Prefix`].
#[derive(Debug)]
pub(super) struct Family<B, T> {
    bans: BTreeMap<Prefix<B>, Held<T>>,
    by_deadline: BTreeSet<(u64, Prefix<B>)>,
}

#[derive(Debug)]
struct Held<T> {
    ban: Ban<T>,
    /// The latest deadline of this ban and all that cover it: the value of the kernel's entry.
    entry: u64,
}

impl<B, T> Default for Family<B, T> {
    fn default() -> Self {
        Self {
            bans: BTreeMap::new(),
            by_deadline: BTreeSet::new(),
        }
    }
}

impl<B: Bits, T> Family<B, T> {
    pub(super) fn change(
        &mut self,
        changes: Vec<(Prefix<B>, Option<Ban<T>>)>,
        writes: &mut Vec<Write>,
        before: &mut Vec<(IpNet, Option<Ban<T>>)>,
    ) {
        let first_undone_last = before.len();
        // The kernel's value for every touched prefix.
        let mut known = BTreeMap::new();
        for (prefix, ban) in changes {
            let old = self.replace(prefix, ban);
            known
                .entry(prefix)
                .or_insert(old.as_ref().map(|held| held.entry));
            before.push((prefix.net(), old.map(|held| held.ban)));
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

    fn replace(&mut self, prefix: Prefix<B>, ban: Option<Ban<T>>) -> Option<Held<T>> {
        let old = self.bans.remove(&prefix);
        if let Some(old) = &old {
            self.by_deadline.remove(&(old.ban.deadline, prefix));
        }
        if let Some(ban) = ban {
            let entry = ban.deadline;
            self.by_deadline.insert((entry, prefix));
            self.bans.insert(prefix, Held { ban, entry });
        }
        old
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
            let entry = held.ban.deadline.max(cover);
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

    pub(super) fn len(&self) -> usize {
        self.bans.len()
    }

    pub(super) fn get(&self, prefix: Prefix<B>) -> Option<&Ban<T>> {
        self.bans.get(&prefix).map(|held| &held.ban)
    }

    pub(super) fn covering(&self, prefix: Prefix<B>, now: u64) -> Option<(IpNet, &Ban<T>)> {
        let (mut at, mut held) = self.longest(prefix)?;
        let latest = held.entry;
        if latest <= now {
            return None;
        }
        while held.ban.deadline < latest {
            (at, held) = self.above(at)?;
        }
        Some((at.net(), &held.ban))
    }

    pub(super) fn entry_for(&self, host: Prefix<B>) -> Option<u64> {
        self.longest(host).map(|(_, held)| held.entry)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (IpNet, &Ban<T>)> {
        self.bans
            .iter()
            .map(|(prefix, held)| (prefix.net(), &held.ban))
    }

    pub(super) fn from(&self, start: Bound<Prefix<B>>) -> impl Iterator<Item = (IpNet, &Ban<T>)> {
        let bans = self.bans.range((start, Bound::Unbounded));
        bans.map(|(prefix, held)| (prefix.net(), &held.ban))
    }

    pub(super) fn inside(&self, prefix: Prefix<B>) -> impl Iterator<Item = (IpNet, &Ban<T>)> {
        self.bans
            .range(prefix..)
            .take_while(move |(inner, _)| inner.first <= prefix.last())
            .filter(move |(inner, _)| **inner != prefix)
            .map(|(inner, held)| (inner.net(), &held.ban))
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (IpNet, u64)> + '_ {
        self.bans
            .iter()
            .map(|(prefix, held)| (prefix.net(), held.entry))
    }

    pub(super) fn ended(&self, now: u64) -> impl Iterator<Item = IpNet> + '_ {
        self.by_deadline
            .iter()
            .take_while(move |(deadline, _)| *deadline <= now)
            .map(|(_, prefix)| prefix.net())
    }

    /// Returns the bans that will end and have not ended yet, the first to end first.
    pub(super) fn ending(&self, now: u64) -> impl Iterator<Item = (IpNet, &Ban<T>)> {
        self.by_deadline
            .iter()
            .skip_while(move |(deadline, _)| *deadline <= now)
            .take_while(|(deadline, _)| *deadline < NEVER)
            .filter_map(|(_, prefix)| Some((prefix.net(), self.get(*prefix)?)))
    }
}
