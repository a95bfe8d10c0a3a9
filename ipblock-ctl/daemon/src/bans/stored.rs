//! Bans of the store, with their deadlines on this boot's clock.

use std::sync::Arc;

use ipblock_datapath::clock::Now;
use ipblock_policy::{
    Origin,
    bans::{Ban, Bans, Change, NEVER},
};
use ipblock_store::{End, Store, StoreError};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::end_times;

/// A change of one ban.
pub(super) type BanUpdate = Change<Arc<ipblock_store::Ban>>;

/// Which ban of all.
pub(super) type BanId = (IpNet, Origin);

/// The bans of a store, with their deadlines on this boot's clock.
pub(crate) type StoredBans = Bans<Arc<ipblock_store::Ban>>;

/// Returns the prefixes with live bans.
pub(crate) fn live_prefixes(bans: &StoredBans, now: &Now) -> Vec<IpNet> {
    let is_live = |ban: &Ban<_>| now.boot_ns < ban.deadline;
    let holding = bans.iter().filter(|(_, owners)| owners.iter().any(is_live));
    holding.map(|(prefix, _)| prefix).collect()
}

/// Returns the ban that covers all of `prefix` and ends last, with its end.
pub(crate) fn covering(
    bans: &StoredBans,
    prefix: IpNet,
    now: &Now,
) -> Option<(IpNet, Option<Timestamp>)> {
    let (by, ban) = bans.covering(prefix, now.boot_ns)?;
    Some((by, until(&ban.info, now)))
}

/// Returns the bans of a store.
pub(crate) fn stored_bans(store: &Store, now: &Now) -> Result<StoredBans, StoreError> {
    let mut bans = Bans::default();
    let stored = store.bans()?.into_iter();
    bans.change(stored.map(|(prefix, ban)| Change::Set(prefix, with_deadline(ban, now))));
    Ok(bans)
}

/// Returns a stored ban with its deadline on this boot's clock.
pub(super) fn with_deadline(
    ban: Arc<ipblock_store::Ban>,
    now: &Now,
) -> Ban<Arc<ipblock_store::Ban>> {
    Ban {
        deadline: deadline(ban.end.as_ref(), now),
        info: ban,
    }
}

fn deadline(end: Option<&End>, now: &Now) -> u64 {
    end.map_or(NEVER, |end| end_times::deadline_ns(end, now))
}

/// Returns when a ban ends, for people.
pub(super) fn until(ban: &ipblock_store::Ban, now: &Now) -> Option<Timestamp> {
    ban.end.as_ref().map(|end| end_times::displayed(end, now))
}

/// Returns when a ban has ended whose time is over; not after the present.
pub(super) fn ended_at(ban: &ipblock_store::Ban, now: &Now) -> Timestamp {
    until(ban, now).map_or(now.wall, |end| end.min(now.wall))
}
