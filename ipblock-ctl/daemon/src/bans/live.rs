//! All bans, and the kernel's tables, kept in sync.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use ipblock_common::limits::MAX_BANS;
use ipblock_datapath::{BanTables, DatapathError, clock::Now};
use ipblock_policy::bans::{Change, Write};
use ipblock_store::{BanCounts, BanRow, Store, StoreError};
use ipnet::IpNet;
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use tracing::{error, info};

use super::{
    amount::Unasked,
    ended::EndedBans,
    origins::Labels,
    stored::{BanId, BanUpdate, StoredBans, covering, live_prefixes, stored_bans, with_deadline},
};
use crate::end_times;

/// All bans, and the kernel's tables.
pub(crate) struct LiveBans {
    pub(super) bans: StoredBans,
    /// Ended ones that a step of the clock can make live again. Together with `bans` they are the
    /// store's rows.
    pub(super) ended: EndedBans,
    pub(super) tables: BanTables,
    /// What the store has of counts.
    pub(super) saved: FxHashMap<IpNet, BanCounts>,
    /// Difference between wall clock and boot clock, in nanoseconds, when the wall-clock ends were
    /// computed.
    wall_offset: i128,
    /// Whether the kernel has rejected a necessary write.
    pub(super) out_of_step: bool,
    /// Where another process had changed the tables.
    pub(super) disagreed_at: Option<String>,
    /// What was banned without confirmation.
    pub(super) unasked: Unasked,
    /// The origins that have a series of their own in metrics.
    pub(super) labels: Labels,
}

impl LiveBans {
    /// Loads the bans of the store; the tables do not change.
    pub(crate) fn load(tables: BanTables, store: &Store) -> Result<Self, StoreError> {
        let now = Now::read();
        Ok(Self {
            bans: stored_bans(store, &now)?,
            ended: EndedBans::new(&now),
            tables,
            saved: store.ban_counts()?.into_iter().collect(),
            wall_offset: end_times::wall_offset(&now),
            out_of_step: true,
            disagreed_at: None,
            unasked: Unasked::default(),
            labels: Labels::default(),
        })
    }

    /// Returns all bans, including ended ones.
    pub(crate) fn all(&self) -> &StoredBans {
        &self.bans
    }

    /// Returns a problem for the operator.
    pub(crate) fn problem(&self) -> Option<String> {
        let problem = "not every ban is in force: the kernel refused some (see ipblockd's log); \
                       it is tried again every second";
        self.out_of_step.then(|| problem.to_owned())
    }

    /// Returns the prefixes of live bans.
    pub(crate) fn live(&self, now: &Now) -> Vec<IpNet> {
        live_prefixes(&self.bans, now)
    }

    /// Returns the number of live bans.
    pub(crate) fn count_live(&self) -> usize {
        self.bans.count_live(Now::read().boot_ns)
    }

    /// Returns the number of live bans of each origin that has a series, and of all others.
    pub(crate) fn count_by_origin(&mut self) -> Vec<(String, u64)> {
        let counts = self.bans.count_by_origin(Now::read().boot_ns);
        self.labels.of(counts.into_iter().collect())
    }

    /// Returns the ban that covers all of `prefix` and ends last, with its end.
    pub(crate) fn covering(&self, prefix: IpNet, now: &Now) -> Option<(IpNet, Option<Timestamp>)> {
        covering(&self.bans, prefix, now)
    }

    /// Returns the prefixes inside `prefix` at which [`LiveBans::covering`] changes; `None` if
    /// there are more than `limit`.
    pub(crate) fn borders(&self, prefix: IpNet, now: &Now, limit: usize) -> Option<Vec<IpNet>> {
        let covering = |inner: IpNet| self.bans.covering(inner, now.boot_ns);
        let inside = self.bans.inside(prefix).map(|(inner, _)| inner);
        let borders = inside.filter(|&inner| covering(inner).is_some_and(|(by, _)| by == inner));
        let borders: Vec<IpNet> = borders.take(limit + 1).collect();
        (borders.len() <= limit).then_some(borders)
    }

    /// Whether the kernel finds the right entry for an address.
    pub(crate) fn kernel_agrees(&self, address: IpAddr) -> Result<bool, DatapathError> {
        self.tables.agree(address, self.bans.entry_for(address))
    }

    /// Requests that the next check of bans refills the tables, because they are wrong at an
    /// address.
    pub(crate) fn put_right_soon(&mut self, address: &str) {
        if !self.out_of_step {
            self.out_of_step = true;
            self.disagreed_at = Some(address.to_owned());
        }
    }

    /// Returns at most `count` banned prefixes, evenly spaced from a position that `chance`
    /// determines.
    pub(crate) fn some(&self, count: usize, chance: usize) -> impl Iterator<Item = IpNet> {
        let distance = self.bans.len().div_ceil(count.max(1)).max(1);
        let prefixes = self.bans.iter().map(|(prefix, _)| prefix);
        prefixes.skip(chance % distance).step_by(distance)
    }

    /// Reduces the tables to what these and other bans have in common, until
    /// [`LiveBans::put_all_in_force`]. So with neither the old nor the new ruleset does a ban drop
    /// what both sides pass.
    pub(crate) fn narrow_to(&mut self, bans: &StoredBans) {
        let new: HashMap<IpNet, u64> = bans.entries().collect();
        let both = self.bans.entries().filter_map(|(prefix, old)| {
            let new = new.get(&prefix)?;
            Some((prefix, old.min(*new)))
        });
        let saved = &self.saved;
        let dropped = |prefix| saved.get(&prefix).map_or(0, |counts| counts.packets);
        if let Err(error) = self.tables.make_hold(both, dropped) {
            error!(%error, "bans that a backup does not have are still in the kernel");
        }
        self.out_of_step = true;
    }

    /// Replaces the bans and their counts; the entries of the tables do not change.
    pub(crate) fn take_up(&mut self, bans: StoredBans, counts: Vec<(IpNet, BanCounts)>) {
        self.bans = bans;
        self.saved = counts.into_iter().collect();
        self.tables.forget_counts();
        self.ended = EndedBans::new(&Now::read());
        self.out_of_step = true;
    }

    /// Writes every ban to the tables. What the kernel rejects is tried again every second, and
    /// `status` reports it meanwhile.
    pub(crate) fn put_all_in_force(&mut self) {
        if let Err(error) = self.fill_tables() {
            error!(%error, "bans could not be put into the kernel");
        }
    }

    /// Returns every ban inside one of these prefixes, including ended ones.
    pub(super) fn inside(&self, prefixes: &[IpNet]) -> Vec<IpNet> {
        let live = prefixes.iter().flat_map(|prefix| self.bans.inside(*prefix));
        let live = live.map(|(prefix, _)| prefix);
        live.chain(self.ended.inside(prefixes)).collect()
    }

    /// Returns what the store must contain for these bans.
    pub(super) fn stored<'a>(&'a self, ids: &'a [BanId]) -> impl Iterator<Item = BanRow<'a>> {
        ids.iter().map(|(prefix, origin)| {
            let live = self.bans.get(*prefix, origin).map(|ban| ban.info.as_ref());
            match live.or_else(|| self.ended.get(*prefix, origin)) {
                Some(ban) => BanRow::Put(*prefix, ban),
                None => BanRow::Remove(*prefix, origin),
            }
        })
    }

    /// Makes the tables match the bans.
    pub(super) fn fill_tables(&mut self) -> Result<usize, DatapathError> {
        let saved = &self.saved;
        let dropped = |prefix| saved.get(&prefix).map_or(0, |counts| counts.packets);
        let writes = self.tables.make_hold(self.bans.entries(), dropped)?;
        self.out_of_step = false;
        self.end_counts_of_gone();
        Ok(writes)
    }

    /// Writes an irreversible change to the kernel; what it rejects is repaired later.
    pub(super) fn write_or_retry(&mut self, writes: &[Write]) {
        let entries = || self.bans.entries().map(|(prefix, _)| prefix);
        let written = self.tables.write(writes);
        let tidied = written.and_then(|()| self.tables.tidy(self.bans.prefixes(), entries));
        if let Err(error) = tidied {
            error!(%error, "a ban table is not as it should be; trying again");
            self.out_of_step = true;
        }
    }

    /// Removes ended bans that a step of the clock can make live again; the store keeps them.
    pub(super) fn set_aside(&mut self, ended: Vec<BanId>, now: &Now) {
        let gone = ended.into_iter();
        let gone = gone.map(|(prefix, origin)| Change::End(prefix, origin));
        let changed = self.bans.change(gone);
        for change in changed.before {
            if let Change::Set(prefix, ban) = change {
                self.ended.keep(prefix, ban.info, now);
            }
        }
        self.write_or_retry(&changed.writes);
    }

    /// Moves wall-clock deadlines after a step of the wall clock.
    pub(super) fn follow_wall_clock(&mut self, now: &Now) {
        let offset = end_times::wall_offset(now);
        if !end_times::is_a_step(self.wall_offset, offset) {
            return;
        }
        self.wall_offset = offset;
        let mut moved = going_by_the_wall(&self.bans, now);
        let room = (MAX_BANS as usize).saturating_sub(self.bans.len());
        let back = self.ended.back(room, now).into_iter();
        moved.extend(back.map(|(prefix, ban)| Change::Set(prefix, ban)));
        if !moved.is_empty() {
            info!(bans = moved.len(), "the clock was set: ends move with it");
            let changed = self.bans.change(moved);
            self.write_or_retry(&changed.writes);
        }
    }
}

/// Returns the bans whose deadlines a step of the wall clock moves, with the new ones.
fn going_by_the_wall(bans: &StoredBans, now: &Now) -> Vec<BanUpdate> {
    let goes_by_it =
        |ban: &ipblock_store::Ban| ban.end.as_ref().is_some_and(end_times::follows_wall);
    bans.each()
        .filter(|(_, ban)| goes_by_it(&ban.info))
        .map(|(prefix, ban)| Change::Set(prefix, with_deadline(Arc::clone(&ban.info), now)))
        .collect()
}

#[cfg(test)]
mod tests {
    use ipblock_policy::bans::Bans;
    use ipblock_store::End;
    use jiff::SignedDuration;

    use super::*;
    use crate::end_times::some_moment as now;

    fn ban(end: Option<End>) -> Arc<ipblock_store::Ban> {
        Arc::new(ipblock_store::Ban {
            origin: ipblock_policy::Origin::default(),
            end,
            reason: String::new(),
            time: now().wall,
            author: ipblock_store::Author::user(0, "root"),
        })
    }

    #[test]
    fn a_step_of_the_wall_clock_moves_ends_given_as_times_alone() {
        let until = End {
            wall: "2026-01-01T00:01:00Z".parse().unwrap(),
            boot: None,
        };
        let mut duration_of_another_boot = end_times::after(60, &now()).unwrap();
        duration_of_another_boot.boot.as_mut().unwrap().boot_id = "another boot".to_owned();
        let all = [
            ("192.0.2.1/32", None),
            ("192.0.2.2/32", end_times::after(60, &now())),
            ("192.0.2.3/32", Some(until)),
            ("192.0.2.4/32", Some(duration_of_another_boot)),
        ];
        let mut bans = Bans::default();
        bans.change(all.map(|(prefix, end)| {
            Change::Set(prefix.parse().unwrap(), with_deadline(ban(end), &now()))
        }));
        let mut stepped = now();
        stepped.wall += SignedDuration::from_secs(20);
        let moved = going_by_the_wall(&bans, &stepped);
        let moved: Vec<_> = moved
            .into_iter()
            .map(|change| match change {
                Change::Set(prefix, ban) => (prefix.to_string(), ban.deadline),
                Change::End(..) => panic!("{change:?}"),
            })
            .collect();
        let in_40_s = 45_000_000_000;
        assert_eq!(
            moved,
            [
                ("192.0.2.3/32".to_owned(), in_40_s),
                ("192.0.2.4/32".to_owned(), in_40_s),
            ]
        );
        assert!(end_times::is_a_step(
            end_times::wall_offset(&now()),
            end_times::wall_offset(&stepped)
        ));
    }
}
