//! Ended bans that may become live again, because a wrong clock can end a ban with a wall-clock
//! end.
//!
//! They are in the store and here, not in the kernel. The daemon forgets them after [`KEPT_NS`]
//! without a step of the clock, or if live bans need their room.

use std::sync::Arc;

use ipblock_datapath::clock::Now;
use ipblock_policy::{Origin, bans::Ban};
use ipnet::IpNet;
use rustc_hash::FxHashMap;

use super::stored::{BanId, with_deadline};
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
    pub(super) ban: Arc<ipblock_store::Ban>,
    /// When the end was noticed, on the boot clock.
    noticed_ns: u64,
}

/// Ended bans that may become live again.
#[derive(Debug)]
pub(super) struct EndedBans {
    /// By prefix, at least one for each.
    bans: FxHashMap<IpNet, Vec<Ended>>,
    count: usize,
    /// The last step of the wall clock, on the boot clock. A start counts as a step: the clock of a
    /// machine that boots is often wrong for a while.
    steady_since_ns: u64,
    looked_ns: u64,
}

impl EndedBans {
    pub(super) fn new(now: &Now) -> Self {
        Self {
            bans: FxHashMap::default(),
            count: 0,
            steady_since_ns: now.boot_ns,
            looked_ns: now.boot_ns,
        }
    }

    /// Whether a step of the clock can make an ended ban live again.
    pub(super) fn can_come_back(ban: &ipblock_store::Ban) -> bool {
        ban.end.as_ref().is_some_and(end_times::follows_wall)
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn of(&self, prefix: IpNet) -> impl Iterator<Item = &Arc<ipblock_store::Ban>> {
        let ended = self.bans.get(&prefix).map_or(&[][..], Vec::as_slice);
        ended.iter().map(|ended| &ended.ban)
    }

    pub(super) fn get(&self, prefix: IpNet, origin: &Origin) -> Option<&ipblock_store::Ban> {
        let mut of_it = self.of(prefix).map(Arc::as_ref);
        of_it.find(|ban| ban.origin == *origin)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (IpNet, &Ended)> {
        let all = self.bans.iter();
        all.flat_map(|(prefix, ended)| ended.iter().map(|ended| (*prefix, ended)))
    }

    /// Returns those prefixes that are inside one of `prefixes`.
    pub(super) fn inside(&self, prefixes: &[IpNet]) -> impl Iterator<Item = IpNet> {
        let kept = self.bans.keys().copied();
        kept.filter(|kept| prefixes.iter().any(|prefix| prefix.contains(kept)))
    }

    pub(super) fn keep(&mut self, prefix: IpNet, ban: Arc<ipblock_store::Ban>, now: &Now) {
        let noticed_ns = now.boot_ns;
        let id = (prefix, ban.origin.clone());
        self.put_back(vec![(id, Ended { ban, noticed_ns })]);
    }

    /// Takes those of `ids` out; [`EndedBans::put_back`] undoes it.
    pub(super) fn take(&mut self, ids: &[BanId]) -> Vec<(BanId, Ended)> {
        if self.bans.is_empty() {
            return Vec::new();
        }
        let taken = ids.iter().filter_map(|id| {
            let (prefix, origin) = id;
            let of_it = self.bans.get_mut(prefix)?;
            let place = of_it.iter().position(|ended| ended.ban.origin == *origin)?;
            let ended = of_it.swap_remove(place);
            if of_it.is_empty() {
                self.bans.remove(prefix);
            }
            Some((id.clone(), ended))
        });
        let taken: Vec<_> = taken.collect();
        self.count -= taken.len();
        taken
    }

    pub(super) fn put_back(&mut self, taken: Vec<(BanId, Ended)>) {
        self.count += taken.len();
        for ((prefix, _), ended) in taken {
            self.bans.entry(prefix).or_default().push(ended);
        }
    }

    /// After a step of the clock: removes and returns those that have not ended by it, at most
    /// `room` of them.
    pub(super) fn back(
        &mut self,
        room: usize,
        now: &Now,
    ) -> Vec<(IpNet, Ban<Arc<ipblock_store::Ban>>)> {
        self.steady_since_ns = now.boot_ns;
        let all = self.iter();
        let live = all.map(|(prefix, ended)| (prefix, with_deadline(Arc::clone(&ended.ban), now)));
        let live = live.filter(|(_, ban)| now.boot_ns < ban.deadline);
        let live: Vec<_> = live.take(room).collect();
        let ids: Vec<BanId> = live
            .iter()
            .map(|(prefix, ban)| (*prefix, ban.info.origin.clone()))
            .collect();
        self.take(&ids);
        live
    }

    /// Returns those that were kept long enough. Most calls return early.
    pub(super) fn too_old(&mut self, now: &Now) -> Vec<BanId> {
        if now.boot_ns.saturating_sub(self.looked_ns) < LOOK_NS {
            return Vec::new();
        }
        self.looked_ns = now.boot_ns;
        let is_old = |ended: &Ended| {
            let since = ended.noticed_ns.max(self.steady_since_ns);
            now.boot_ns.saturating_sub(since) >= KEPT_NS
        };
        let old = self.iter().filter(|(_, ended)| is_old(ended));
        old.map(|(prefix, ended)| (prefix, ended.ban.origin.clone()))
            .collect()
    }

    /// Returns those to forget so that `wanted` others have room: the first that ended, and some
    /// more, so that not every request has to search.
    pub(super) fn to_make_room(&self, wanted: usize) -> Vec<BanId> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by_key(|(prefix, ended)| {
            let end = ended.ban.end.as_ref().map(|end| end.wall);
            (end, *prefix)
        });
        let all = all.into_iter();
        let all = all.map(|(prefix, ended)| (prefix, ended.ban.origin.clone()));
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
            origin: Origin::default(),
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

    fn id(text: &str) -> BanId {
        (net(text), Origin::default())
    }

    #[test]
    fn an_ended_ban_is_kept_for_a_day_after_the_last_step_of_the_clock() {
        let mut kept = EndedBans::new(&later(0));
        kept.keep(net("192.0.2.1/32"), ban("2026-01-01T00:30:00Z"), &later(1));
        assert_eq!(kept.too_old(&later(24)), []);
        // Steps that do not make it live again.
        assert_eq!(kept.back(9, &later(20)), []);
        assert_eq!(kept.too_old(&later(43)), []);
        assert_eq!(kept.too_old(&later(44)), [id("192.0.2.1/32")]);
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
        assert!(kept.get(net("192.0.2.1/32"), &Origin::default()).is_some());
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
        assert_eq!((first.len(), first[0].clone()), (ROOM, id("192.0.2.1/32")));
        assert_eq!(kept.to_make_room(ROOM + 1).len(), ROOM + 1);
        let taken = kept.take(&first);
        assert_eq!(kept.len(), 2);
        kept.put_back(taken);
        assert_eq!(kept.len(), ROOM + 2);
    }
}
