//! Bans of the store, with their deadlines on this boot's clock.

use std::sync::Arc;

use ipblock_datapath::clock::Now;
use ipblock_policy::bans::{Ban, Bans, NEVER};
use ipblock_store::{End, Store, StoreError};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::end_times;

/// A change of one prefix's ban.
pub(super) type BanUpdate = (IpNet, Option<Ban<Arc<ipblock_store::Ban>>>);

/// The bans of a store, with their deadlines on this boot's clock.
pub(crate) type StoredBans = Bans<Arc<ipblock_store::Ban>>;

/// Returns the prefixes of live bans.
pub(crate) fn live_prefixes(bans: &StoredBans, now: &Now) -> Vec<IpNet> {
    let holding = bans.iter().filter(|(_, ban)| now.boot_ns < ban.deadline);
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
    bans.change(stored.map(|(prefix, ban)| (prefix, Some(with_deadline(ban, now)))));
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
