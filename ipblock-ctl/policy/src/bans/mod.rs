//! Bans: which prefixes are banned until when and by whom, and the entries that the kernel needs.
//!
//! A prefix has one ban of each origin. The kernel finds only the longest prefix, so the entry of a
//! banned prefix has the latest end of all its bans and of all that cover it. The cost of a change depends on the bans inside and around it; nothing
//! is rebuilt. Deadlines are nanoseconds of a clock that never steps back; [`NEVER`] is later than
//! all.

mod allow;
mod family;
mod owners;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::IpAddr, ops::Bound, sync::Arc};

use ipnet::IpNet;

pub use allow::allow_entries;
pub use ipblock_common::ban::NEVER;

use self::family::{Edit, Family};
use super::{
    Origin,
    prefix::{Bits, Prefix},
};

/// What has an origin.
pub trait Owned {
    /// Returns the origin.
    fn origin(&self) -> &Origin;
}

impl Owned for Origin {
    fn origin(&self) -> &Origin {
        self
    }
}

impl<T: Owned> Owned for Arc<T> {
    fn origin(&self) -> &Origin {
        (**self).origin()
    }
}

/// A ban of one prefix by one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban<T> {
    /// The ban ends at this time.
    pub deadline: u64,
    /// Origin, author, reason and other data of the ban.
    pub info: T,
}

/// A change of one ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// Makes the ban of a prefix by its origin, or replaces it.
    Set(IpNet, Ban<T>),
    /// Ends the ban of a prefix by an origin.
    End(IpNet, Origin),
}

impl<T: Owned> Change<T> {
    /// Returns the prefix.
    #[must_use]
    pub fn prefix(&self) -> IpNet {
        match self {
            Self::Set(prefix, _) | Self::End(prefix, _) => *prefix,
        }
    }

    /// Returns the origin.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Set(_, ban) => ban.info.origin(),
            Self::End(_, origin) => origin,
        }
    }
}

/// A write to the kernel's ban table of the prefix's family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Adds or replaces an entry.
    Set(IpNet, u64),
    /// Removes an entry.
    Remove(IpNet),
}

/// The result of a change.
#[derive(Debug)]
pub struct Changed<T> {
    /// The writes to the kernel's tables. Their order ensures that an address that is banned before
    /// and after the change is banned at every moment in between.
    pub writes: Vec<Write>,
    /// What [`Bans::change`] needs to undo the change.
    pub before: Vec<Change<T>>,
}

/// Every ban, including those that have ended but were not removed yet.
#[derive(Debug)]
pub struct Bans<T> {
    ipv4: Family<u32, T>,
    ipv6: Family<u128, T>,
}

impl<T> Default for Bans<T> {
    fn default() -> Self {
        Self {
            ipv4: Family::default(),
            ipv6: Family::default(),
        }
    }
}

impl<T: Owned> Bans<T> {
    /// Makes changes in their order.
    pub fn change(&mut self, changes: impl IntoIterator<Item = Change<T>>) -> Changed<T> {
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        for change in changes {
            let (prefix, edit) = match change {
                Change::Set(prefix, ban) => (prefix, Edit::Set(ban)),
                Change::End(prefix, origin) => (prefix, Edit::End(origin)),
            };
            match prefix {
                IpNet::V4(net) => ipv4.push((u32::prefix(net), edit)),
                IpNet::V6(net) => ipv6.push((u128::prefix(net), edit)),
            }
        }
        let (mut writes, mut before) = (Vec::new(), Vec::new());
        self.ipv4.change(ipv4, &mut writes, &mut before);
        self.ipv6.change(ipv6, &mut writes, &mut before);
        // First the sets, longest first: an address goes directly from its old entry to its new
        // one, and not through a wider one that is shortened. Then the removals, widest first: an
        // address that loses an entry falls back to an entry that stays, never to one that is
        // removed next.
        writes.sort_by_key(|write| match write {
            Write::Set(prefix, _) => (false, prefix.max_prefix_len() - prefix.prefix_len()),
            Write::Remove(prefix) => (true, prefix.prefix_len()),
        });
        Changed { writes, before }
    }

    /// Returns the number of bans, including ended ones; the capacity limits this number.
    #[must_use]
    pub fn len(&self) -> usize {
        let counts = self.ipv4.origins().values();
        counts.chain(self.ipv6.origins().values()).sum()
    }

    /// Whether there are no bans.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prefixes() == 0
    }

    /// Returns the number of prefixes with bans: that of the kernel's entries.
    #[must_use]
    pub fn prefixes(&self) -> usize {
        self.ipv4.prefixes() + self.ipv6.prefixes()
    }

    /// Returns the number of bans in force at `now`.
    #[must_use]
    pub fn count_live(&self, now: u64) -> usize {
        self.len() - self.ended(now).count()
    }

    /// Returns the number of bans of each origin in force at `now`; an origin whose bans have all
    /// ended may have none.
    #[must_use]
    pub fn count_by_origin(&self, now: u64) -> BTreeMap<&Origin, usize> {
        let mut counts = BTreeMap::new();
        for (origin, count) in self.ipv4.origins().iter().chain(self.ipv6.origins()) {
            *counts.entry(origin).or_default() += count;
        }
        for (_, ban) in self.ended(now) {
            if let Some(count) = counts.get_mut(ban.info.origin()) {
                *count -= 1;
            }
        }
        counts
    }

    /// Returns the bans of exactly this prefix, whether they have ended or not.
    #[must_use]
    pub fn of(&self, prefix: IpNet) -> &[Ban<T>] {
        match prefix {
            IpNet::V4(net) => self.ipv4.of(u32::prefix(net)),
            IpNet::V6(net) => self.ipv6.of(u128::prefix(net)),
        }
    }

    /// Returns the ban of exactly this prefix by this origin, whether it has ended or not.
    #[must_use]
    pub fn get(&self, prefix: IpNet, origin: &Origin) -> Option<&Ban<T>> {
        match prefix {
            IpNet::V4(net) => self.ipv4.get(u32::prefix(net), origin),
            IpNet::V6(net) => self.ipv6.get(u128::prefix(net), origin),
        }
    }

    /// Returns the ban that ends last among those that cover all of `prefix` at `now`, including
    /// its own; that of the longest prefix if several end last.
    #[must_use]
    pub fn covering(&self, prefix: IpNet, now: u64) -> Option<(IpNet, &Ban<T>)> {
        match prefix {
            IpNet::V4(net) => self.ipv4.covering(u32::prefix(net), now),
            IpNet::V6(net) => self.ipv6.covering(u128::prefix(net), now),
        }
    }

    /// Returns the bans that cover all of `prefix`, including its own and ended ones, from the
    /// longest prefix to the widest.
    #[must_use]
    pub fn around(&self, prefix: IpNet) -> Box<dyn Iterator<Item = (IpNet, &[Ban<T>])> + '_> {
        match prefix {
            IpNet::V4(net) => Box::new(self.ipv4.around(u32::prefix(net))),
            IpNet::V6(net) => Box::new(self.ipv6.around(u128::prefix(net))),
        }
    }

    /// Returns the deadline that the kernel's table must have for an address; `None` for no entry.
    #[must_use]
    pub fn entry_for(&self, address: IpAddr) -> Option<u64> {
        match address {
            IpAddr::V4(address) => self.ipv4.entry_for(Prefix::host(address.to_bits())),
            IpAddr::V6(address) => self.ipv6.entry_for(Prefix::host(address.to_bits())),
        }
    }

    /// Returns every banned prefix with its bans, IPv4 first, by address, then by length.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, &[Ban<T>])> {
        self.ipv4.iter().chain(self.ipv6.iter())
    }

    /// Returns every ban with its prefix, in the order of [`Bans::iter`].
    pub fn each(&self) -> impl Iterator<Item = (IpNet, &Ban<T>)> {
        let all = self.iter();
        all.flat_map(|(prefix, bans)| bans.iter().map(move |ban| (prefix, ban)))
    }

    /// Returns the bans of every prefix after this one, in the order of [`Bans::iter`], whether the
    /// prefix has one or not. With `None`, starts from the first.
    pub fn after(&self, prefix: Option<IpNet>) -> impl Iterator<Item = (IpNet, &[Ban<T>])> {
        let (ipv4, ipv6) = match prefix {
            None => (Bound::Unbounded, Bound::Unbounded),
            Some(IpNet::V4(net)) => (Bound::Excluded(u32::prefix(net)), Bound::Unbounded),
            // No prefix comes after the /128 of the last address.
            Some(IpNet::V6(net)) => (
                Bound::Excluded(Prefix::host(u32::MAX)),
                Bound::Excluded(u128::prefix(net)),
            ),
        };
        self.ipv4.from(ipv4).chain(self.ipv6.from(ipv6))
    }

    /// Returns the bans inside `prefix`, excluding its own, by address, then by length.
    #[must_use]
    pub fn inside(&self, prefix: IpNet) -> Box<dyn Iterator<Item = (IpNet, &[Ban<T>])> + '_> {
        match prefix {
            IpNet::V4(net) => Box::new(self.ipv4.inside(u32::prefix(net))),
            IpNet::V6(net) => Box::new(self.ipv6.inside(u128::prefix(net))),
        }
    }

    /// Returns the entries of the kernel's tables: each prefix and its deadline.
    pub fn entries(&self) -> impl Iterator<Item = (IpNet, u64)> + '_ {
        self.ipv4.entries().chain(self.ipv6.entries())
    }

    /// Returns the bans that have ended at `now`, the first to end first in each family.
    pub fn ended(&self, now: u64) -> impl Iterator<Item = (IpNet, &Ban<T>)> {
        self.ipv4.ended(now).chain(self.ipv6.ended(now))
    }

    /// Returns the `limit` bans that end next after `now` among those that `keep` accepts, the
    /// first to end first. Permanent bans are not among them.
    #[must_use]
    pub fn ending_next(
        &self,
        now: u64,
        limit: usize,
        keep: impl Fn(&Ban<T>) -> bool,
    ) -> Vec<(IpNet, &Ban<T>)> {
        let kept = |(_, ban): &(IpNet, &Ban<T>)| keep(ban);
        let ipv4 = self.ipv4.ending(now).filter(kept).take(limit);
        let ipv6 = self.ipv6.ending(now).filter(kept).take(limit);
        let mut bans: Vec<_> = ipv4.chain(ipv6).collect();
        bans.sort_by(|(one, a), (other, b)| {
            let origins = || a.info.origin().cmp(b.info.origin());
            let order = a.deadline.cmp(&b.deadline).then(one.cmp(other));
            order.then_with(origins)
        });
        bans.truncate(limit);
        bans
    }
}
