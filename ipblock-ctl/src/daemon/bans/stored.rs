//! Bans as the store has them, with their deadlines on this boot's clock.

use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::{
    daemon::ends,
    datapath::clock::Now,
    policy::bans::{Ban, Bans, NEVER},
    store::{self, End, Store, StoreError},
};

/// A change of one prefix's ban.
pub(super) type Change = (IpNet, Option<Ban<Arc<store::Ban>>>);

/// The bans of a store, with their deadlines on this boot's clock.
pub(in crate::daemon) type StoredBans = Bans<Arc<store::Ban>>;

/// The prefixes of bans that hold.
pub(in crate::daemon) fn live_prefixes(bans: &StoredBans, now: &Now) -> Vec<IpNet> {
    let holding = bans.iter().filter(|(_, ban)| now.boot_ns < ban.deadline);
    holding.map(|(prefix, _)| prefix).collect()
}

/// The ban that covers all of `prefix` and ends last, and its end.
pub(in crate::daemon) fn covering(
    bans: &StoredBans,
    prefix: IpNet,
    now: &Now,
) -> Option<(IpNet, Option<Timestamp>)> {
    let (by, ban) = bans.covering(prefix, now.boot_ns)?;
    Some((by, until(&ban.info, now)))
}

/// The bans that a store holds.
pub(in crate::daemon) fn stored_bans(store: &Store, now: &Now) -> Result<StoredBans, StoreError> {
    let mut bans = Bans::default();
    let stored = store.bans()?.into_iter();
    bans.change(stored.map(|(prefix, ban)| (prefix, Some(with_deadline(ban, now)))));
    Ok(bans)
}

/// A stored ban with its deadline on this boot's clock.
pub(super) fn with_deadline(ban: Arc<store::Ban>, now: &Now) -> Ban<Arc<store::Ban>> {
    Ban {
        deadline: deadline(ban.end.as_ref(), now),
        info: ban,
    }
}

fn deadline(end: Option<&End>, now: &Now) -> u64 {
    end.map_or(NEVER, |end| ends::deadline_ns(end, now))
}

/// When a ban ends, for people.
pub(super) fn until(ban: &store::Ban, now: &Now) -> Option<Timestamp> {
    ban.end.as_ref().map(|end| ends::shown(end, now))
}
