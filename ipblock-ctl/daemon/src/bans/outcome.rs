//! The effect of a ban on a prefix that is banned already.

use std::{cmp::Ordering, sync::Arc};

use ipblock_api::types::BanChange;
use ipblock_datapath::clock::Now;
use ipblock_policy::bans::Ban;
use ipblock_store::End;
use rustc_hash::FxHashSet;

use crate::end_times;

/// A requested ban of any number of prefixes.
pub(super) struct Wanted {
    /// The ban for a prefix that is not banned.
    pub(super) ban: Arc<ipblock_store::Ban>,
    /// Whether bans that end later may be shortened.
    pub(super) shorten: bool,
    /// Bans that were merged with earlier ones: many prefixes share the same.
    merged: FxHashSet<Arc<ipblock_store::Ban>>,
}

impl Wanted {
    pub(super) fn new(ban: ipblock_store::Ban, shorten: bool) -> Self {
        Self {
            ban: Arc::new(ban),
            shorten,
            merged: FxHashSet::default(),
        }
    }

    /// Returns the ban of a prefix with the live ban `held` of the same origin. The first author and time stay, and so
    /// does the reason unless a new one is given. A ban with an earlier end changes nothing.
    pub(super) fn of(
        &mut self,
        held: Option<&Ban<Arc<ipblock_store::Ban>>>,
        now: &Now,
    ) -> (BanChange, Arc<ipblock_store::Ban>) {
        let Some(held) = held else {
            return (BanChange::Added, Arc::clone(&self.ban));
        };
        let held = &held.info;
        let other_reason = !self.ban.reason.is_empty() && self.ban.reason != held.reason;
        let change = match compare(self.ban.end.as_ref(), held.end.as_ref(), now) {
            Ordering::Greater => BanChange::Prolonged,
            Ordering::Less if self.shorten => BanChange::Shortened,
            Ordering::Equal if other_reason => BanChange::Reason,
            Ordering::Less | Ordering::Equal => {
                return (BanChange::Unchanged, Arc::clone(held));
            }
        };
        let reason = if other_reason {
            &self.ban.reason
        } else {
            &held.reason
        };
        let merged = ipblock_store::Ban {
            end: self.ban.end.clone(),
            reason: reason.clone(),
            ..ipblock_store::Ban::clone(held)
        };
        if let Some(same) = self.merged.get(&merged) {
            return (change, Arc::clone(same));
        }
        let merged = Arc::new(merged);
        self.merged.insert(Arc::clone(&merged));
        (change, merged)
    }
}

/// Compares two ends. Times are compared as they were given: on the boot clock they differ between
/// two readings.
fn compare(one: Option<&End>, other: Option<&End>, now: &Now) -> Ordering {
    match (one, other) {
        (Some(one), Some(other))
            if end_times::follows_wall(one) && end_times::follows_wall(other) =>
        {
            one.wall.cmp(&other.wall)
        }
        (Some(one), Some(other)) => {
            end_times::deadline_ns(one, now).cmp(&end_times::deadline_ns(other, now))
        }
        // Permanent is later than the latest time on the boot clock.
        (one, other) => one.is_none().cmp(&other.is_none()),
    }
}

#[cfg(test)]
mod tests {
    use ipblock_store::Author;

    use super::*;
    use crate::bans::with_deadline;
    use crate::end_times::some_moment as now;

    fn ban(end: Option<End>, reason: &str, author: &str) -> ipblock_store::Ban {
        ipblock_store::Ban {
            origin: ipblock_policy::Origin::default(),
            end,
            reason: reason.to_owned(),
            time: now().wall,
            author: Author::user(0, author),
        }
    }

    fn after(seconds: u64) -> Option<End> {
        end_times::after(seconds, &now())
    }

    fn at(time: &str) -> End {
        End {
            wall: time.parse().unwrap(),
            boot: None,
        }
    }

    /// Returns the effect on ada's ban for `first` if nils requests `second`.
    fn outcome(
        first: Option<End>,
        second: Option<End>,
        reason: &str,
        shorten: bool,
    ) -> (BanChange, Arc<ipblock_store::Ban>) {
        let held = with_deadline(Arc::new(ban(first, "first", "ada")), &now());
        let mut wanted = Wanted::new(ban(second, reason, "nils"), shorten);
        let (change, result) = wanted.of(Some(&held), &now());
        // The first author stays in every case.
        assert_eq!(result.author.name, "ada");
        (change, result)
    }

    #[test]
    fn a_ban_that_would_end_earlier_changes_nothing() {
        for (first, second) in [
            (None, after(60)),
            (None, Some(at("2999-01-01T00:00:00Z"))),
            (after(600), after(60)),
            (after(600), Some(at("2026-01-01T00:09:59Z"))),
            (
                Some(at("2026-01-02T00:00:00Z")),
                Some(at("2026-01-01T00:09:59Z")),
            ),
        ] {
            let (change, kept) = outcome(first.clone(), second.clone(), "other", false);
            assert_eq!(change, BanChange::Unchanged);
            assert_eq!((&kept.end, kept.reason.as_str()), (&first, "first"));
            let (change, kept) = outcome(first, second.clone(), "other", true);
            assert_eq!(change, BanChange::Shortened);
            assert_eq!((&kept.end, kept.reason.as_str()), (&second, "other"));
        }
    }

    #[test]
    fn a_ban_that_ends_later_prolongs_and_keeps_the_reason_unless_one_is_given() {
        for (first, second) in [
            (after(60), None),
            (after(60), after(61)),
            (after(60), Some(at("2026-01-01T00:01:01Z"))),
            (
                Some(at("2026-01-01T00:01:00Z")),
                Some(at("2026-01-01T00:01:01Z")),
            ),
        ] {
            for (given, expected) in [("", "first"), ("second", "second")] {
                let (change, kept) = outcome(first.clone(), second.clone(), given, false);
                assert_eq!(change, BanChange::Prolonged);
                assert_eq!((&kept.end, kept.reason.as_str()), (&second, expected));
            }
        }
    }

    #[test]
    fn the_same_end_changes_the_reason_alone() {
        for end in [None, Some(at("2026-01-01T00:01:00Z"))] {
            let (change, kept) = outcome(end.clone(), end.clone(), "", true);
            assert_eq!(
                (change, kept.reason.as_str()),
                (BanChange::Unchanged, "first")
            );
            let (change, kept) = outcome(end.clone(), end.clone(), "second", false);
            assert_eq!(
                (change, kept.reason.as_str()),
                (BanChange::Reason, "second")
            );
        }
    }

    #[test]
    fn bans_of_one_request_share_what_they_become() {
        let held = with_deadline(Arc::new(ban(after(60), "first", "ada")), &now());
        let mut wanted = Wanted::new(ban(None, "", "nils"), false);
        let (_, one) = wanted.of(Some(&held), &now());
        let (_, other) = wanted.of(Some(&held), &now());
        assert!(Arc::ptr_eq(&one, &other));
    }
}
