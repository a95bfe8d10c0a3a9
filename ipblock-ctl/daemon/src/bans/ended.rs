//! Ended bans that may become live again, because a wrong clock can end a ban with a wall-clock
//! end.
//!
//! They are in the store and here, not in the kernel. The daemon forgets them after [`KEPT_NS`]
//! without a step of the clock, or if live bans need their room.

use std::sync::Arc;

use ipblock_datapath::clock::Now;
use ipblock_policy::bans::Ban;
use ipnet::IpNet;
use rustc_hash::FxHashMap;

use super::stored::with_deadline;
use crate::end_times;

/// How long they are kept, in nanoseconds: one day.
const KEPT_NS: u64 = 24 * 3_600 * 1_000_000_000;
/// Interval of the check for old ones, in nanoseconds.
const LOOK_NS: u64 = 60 * 1_000_000_000;
/// Number that is forgotten at once if live bans need room.
const ROOM: usize = 10_000;

/// An ended ban.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    ban: Arc<ipblock_store::Ban>,
    /// When the end was noticed, on the boot clock.
    noticed_ns: u64,
}

/// Ended bans that may become live again.
#[derive(Debug)]
pub(super) struct EndedBans {
    bans: FxHashMap<IpNet, Ended>,
    /// The last step of the wall clock, on the boot clock. A start counts as a step: the clock of a
    /// machine that boots is often wrong for a while.
    steady_since_ns: u64,
    looked_ns: u64,
}

impl EndedBans {
    pub(super) fn new(now: &Now) -> Self {
        Self {
            bans: FxHashMap::default(),
            steady_since_ns: now.boot_ns,
            looked_ns: now.boot_ns,
        }
    }

    /// Whether a step of the clock can make an ended ban live again.
    pub(super) fn can_come_back(ban: &ipblock_store::Ban) -> bool {
        ban.end.as_ref().is_some_and(end_times::follows_wall)
    }

    pub(super) fn len(&self) -> usize {
        self.bans.len()
    }

    pub(super) fn get(&self, prefix: IpNet) -> Option<&ipblock_store::Ban> {
        self.bans.get(&prefix).map(|ended| ended.ban.as_ref())
    }

    /// Returns those inside one of `prefixes`.
    pub(super) fn inside(&self, prefixes: &[IpNet]) -> impl Iterator<Item = IpNet> {
        let kept = self.bans.keys().copied();
        kept.filter(|kept| prefixes.iter().any(|prefix| prefix.contains(kept)))
    }

    pub(super) fn keep(&mut self, prefix: IpNet, ban: Arc<ipblock_store::Ban>, now: &Now) {
        let noticed_ns = now.boot_ns;
        self.bans.insert(prefix, Ended { ban, noticed_ns });
    }

    /// Takes those of `prefixes` out; [`EndedBans::put_back`] undoes it.
    pub(super) fn take(&mut self, prefixes: &[IpNet]) -> Vec<(IpNet, Ended)> {
        if self.bans.is_empty() {
            return Vec::new();
        }
        let taken = prefixes
            .iter()
            .filter_map(|prefix| self.bans.remove_entry(prefix));
        taken.collect()
    }

    pub(super) fn put_back(&mut self, taken: Vec<(IpNet, Ended)>) {
        self.bans.extend(taken);
    }

    /// After a step of the clock: removes and returns those that have not ended by it, at most
    /// `room` of them.
    pub(super) fn back(
        &mut self,
        room: usize,
        now: &Now,
    ) -> Vec<(IpNet, Ban<Arc<ipblock_store::Ban>>)> {
        self.steady_since_ns = now.boot_ns;
        let all = self.bans.iter();
        let live = all.map(|(prefix, ended)| (*prefix, with_deadline(Arc::clone(&ended.ban), now)));
        let live = live.filter(|(_, ban)| now.boot_ns < ban.deadline);
        let live: Vec<_> = live.take(room).collect();
        for (prefix, _) in &live {
            self.bans.remove(prefix);
        }
        live
    }

    /// Returns those that were kept long enough. Most calls return early.
    pub(super) fn too_old(&mut self, now: &Now) -> Vec<IpNet> {
        if now.boot_ns.saturating_sub(self.looked_ns) < LOOK_NS {
            return Vec::new();
        }
        self.looked_ns = now.boot_ns;
        let is_old = |ended: &Ended| {
            let since = ended.noticed_ns.max(self.steady_since_ns);
            now.boot_ns.saturating_sub(since) >= KEPT_NS
        };
        let old = self.bans.iter().filter(|(_, ended)| is_old(ended));
        old.map(|(prefix, _)| *prefix).collect()
    }

    /// Returns those to forget so that `wanted` others have room: the first that ended, and some
    /// more, so that not every request has to search.
    pub(super) fn to_make_room(&self, wanted: usize) -> Vec<IpNet> {
        let mut all: Vec<_> = self.bans.iter().collect();
        all.sort_unstable_by_key(|(prefix, ended)| {
            let end = ended.ban.end.as_ref().map(|end| end.wall);
            (end, **prefix)
        });
        let all = all.into_iter().map(|(prefix, _)| *prefix);
        all.take(wanted.max(ROOM)).collect()
    }
}

#[cfg(test)]
mod tests {
    use ipblock_store::{Author, End};
    use jiff::SignedDuration;

    use super::*;
    use crate::end_times::some_moment;

    fn ban(wall: &str) -> Arc<ipblock_store::Ban> {
        Arc::new(ipblock_store::Ban {
            end: Some(End {
                wall: wall.parse().unwrap(),
                boot: None,
            }),
            reason: String::new(),
            time: some_moment().wall,
            author: Author::daemon(),
        })
    }

    fn later(hours: i64) -> Now {
        let mut now = some_moment();
        now.wall += SignedDuration::from_hours(hours);
        now.boot_ns += u64::try_from(hours).unwrap() * 3_600_000_000_000;
        now
    }

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn an_ended_ban_is_kept_for_a_day_after_the_last_step_of_the_clock() {
        let mut kept = EndedBans::new(&later(0));
        kept.keep(net("192.0.2.1/32"), ban("2026-01-01T00:30:00Z"), &later(1));
        assert_eq!(kept.too_old(&later(24)), []);
        // Steps that do not make it live again.
        assert_eq!(kept.back(9, &later(20)), []);
        assert_eq!(kept.too_old(&later(43)), []);
        assert_eq!(kept.too_old(&later(44)), [net("192.0.2.1/32")]);
    }

    #[test]
    fn a_clock_that_is_set_back_brings_bans_back_while_there_is_room() {
        let mut kept = EndedBans::new(&later(0));
        for (address, end) in [
            ("192.0.2.1/32", "2026-01-01T00:30:00Z"),
            ("192.0.2.2/32", "2026-01-01T02:00:00Z"),
            ("192.0.2.3/32", "2026-01-01T02:00:00Z"),
        ] {
            kept.keep(net(address), ban(end), &later(3));
        }
        let mut now = later(3);
        now.wall -= SignedDuration::from_hours(2);
        let back = kept.back(1, &now);
        assert_eq!((back.len(), kept.len()), (1, 2));
        assert_eq!(back[0].1.deadline, now.boot_ns + 3_600_000_000_000);
        assert_eq!(kept.back(9, &now).len(), 1);
        assert!(kept.get(net("192.0.2.1/32")).is_some());
    }

    #[test]
    fn the_first_that_ended_make_room() {
        let mut kept = EndedBans::new(&later(0));
        for number in 0..=ROOM {
            let address = std::net::Ipv4Addr::from(u32::try_from(number).unwrap());
            kept.keep(
                IpNet::from(std::net::IpAddr::from(address)),
                ban("2026-01-01T02:00:00Z"),
                &later(3),
            );
        }
        kept.keep(net("192.0.2.1/32"), ban("2026-01-01T01:00:00Z"), &later(4));
        let first = kept.to_make_room(1);
        assert_eq!((first.len(), first[0]), (ROOM, net("192.0.2.1/32")));
        assert_eq!(kept.to_make_room(ROOM + 1).len(), ROOM + 1);
        let taken = kept.take(&first);
        assert_eq!(kept.len(), 2);
        kept.put_back(taken);
        assert_eq!(kept.len(), ROOM + 2);
    }
}
