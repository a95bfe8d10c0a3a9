//! `GET /v1/bans`, page by page: a slow client keeps neither a lock on the bans nor a copy of them.

use std::sync::Arc;

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{BanInfo, BansQuery},
};
use ipblock_common::limits::MAX_BANS;
use ipblock_datapath::clock::Now;
use ipblock_policy::bans::Ban;
use ipnet::IpNet;
use serde::Serialize;

use super::{LiveBans, filter::Filter, requests::prefixes, stored::BanId, until};
use crate::{
    answers::{Array, Refusal, Sink},
    connections::Room,
    end_times,
    state::Service,
};

/// Bans per page: with the longest reasons about 100 KiB, computed in less than a millisecond. The
/// last prefix may have more.
const PAGE: usize = 256;

/// Bans that a page looks at, so that a filter that few fit does not hold the lock for long.
const LOOKED_AT: usize = 8_192;

/// The order and extent of a list.
enum Extent {
    /// All, by address.
    All,
    /// Those of these prefixes.
    At(Vec<IpNet>),
    /// These, in this order.
    These(Vec<BanId>),
}

/// The part that is not listed yet.
enum Left<'a> {
    /// All after this prefix.
    After(Option<IpNet>),
    At(&'a [IpNet]),
    These(&'a [BanId]),
}

impl Service {
    /// Lists live bans by address; or those that end next, the first to end first.
    ///
    /// Each has its state at the time when it is written, so not all states are of the same moment.
    pub(crate) fn list_bans(
        self: &Arc<Self>,
        query: &BansQuery,
        room: &mut Room,
    ) -> Result<impl Serialize + use<>, Refusal> {
        let filter = Filter::of_query(query);
        let extent = match (query.limit, &query.addresses) {
            (Some(_), Some(_)) => {
                let message = "the bans that end next cannot be limited to addresses";
                let error = ApiError::new(ErrorKind::Invalid, message);
                return Err(error.with_hint("leave `limit` or `addresses` out").into());
            }
            (Some(limit), None) => {
                let most = (limit as usize).min(self.bans().bans.len());
                // Both families are sorted together, as references.
                room.need(most * 4 * size_of::<(IpNet, &())>() + most * size_of::<BanId>())?;
                Extent::These(self.bans().ending_next(most, &filter))
            }
            (None, Some(addresses)) => {
                let deployed = Arc::clone(self.read().rulesets.deployed());
                let texts: Vec<String> = addresses.split(',').map(str::to_owned).collect();
                let asked = prefixes(&deployed, &texts)?;
                let live = self.bans();
                let count: usize = asked
                    .iter()
                    .map(|asked| live.around_and_inside(*asked).count())
                    .sum();
                drop(live);
                // Between the two looks there may be some more.
                room.need(count.min(MAX_BANS as usize) * 2 * size_of::<IpNet>())?;
                let live = self.bans();
                let found = asked
                    .iter()
                    .flat_map(|asked| live.around_and_inside(*asked));
                let mut found: Vec<IpNet> = found.collect();
                drop(live);
                found.sort_unstable();
                found.dedup();
                found.shrink_to_fit();
                Extent::At(found)
            }
            (None, None) => Extent::All,
        };
        room.keep(match &extent {
            Extent::All => 0,
            Extent::At(prefixes) => size_of_val(prefixes.as_slice()),
            Extent::These(ids) => size_of_val(ids.as_slice()),
        });
        let service = Arc::clone(self);
        Ok(Array::new(move |sink: Sink<'_, BanInfo>| {
            let mut left = match &extent {
                Extent::All => Left::After(None),
                Extent::At(prefixes) => Left::At(prefixes),
                Extent::These(ids) => Left::These(ids),
            };
            loop {
                let page = service.bans().page(&mut left, &filter);
                let Some(page) = page else { return Ok(()) };
                for ban in page {
                    if sink(ban).is_break() {
                        return Ok(());
                    }
                }
            }
        }))
    }
}

impl LiveBans {
    fn ending_next(&self, most: usize, filter: &Filter) -> Vec<BanId> {
        let fits = |ban: &Ban<Arc<ipblock_store::Ban>>| filter.fits(&ban.info);
        let next = self.bans.ending_next(Now::read().boot_ns, most, fits);
        let next = next.into_iter();
        next.map(|(prefix, ban)| (prefix, ban.info.origin.clone()))
            .collect()
    }

    /// Returns the banned prefixes that cover `prefix` or lie inside of it.
    fn around_and_inside(&self, prefix: IpNet) -> impl Iterator<Item = IpNet> {
        let found = self.bans.around(prefix).chain(self.bans.inside(prefix));
        found.map(|(at, _)| at)
    }

    /// Returns the next page, without ended bans and those that do not fit; `None` at the end.
    fn page(&self, left: &mut Left<'_>, filter: &Filter) -> Option<Vec<BanInfo>> {
        let now = Now::read();
        let mut page = Vec::new();
        let mut add = |at, ban: &Ban<Arc<ipblock_store::Ban>>| {
            if now.boot_ns < ban.deadline && filter.fits(&ban.info) {
                page.push(self.ban_info(at, ban, &now));
            }
            page.len()
        };
        match left {
            Left::After(last) => {
                let start = *last;
                for (looked_at, (at, owners)) in self.bans.after(start).enumerate() {
                    *last = Some(at);
                    let found = owners.iter().map(|ban| add(at, ban)).max();
                    if found >= Some(PAGE) || looked_at >= LOOKED_AT {
                        break;
                    }
                }
                (*last != start).then_some(page)
            }
            Left::At(prefixes) => {
                let (these, rest) = prefixes.split_at(prefixes.len().min(PAGE));
                these.first()?;
                *prefixes = rest;
                for at in these {
                    for ban in self.bans.of(*at) {
                        add(*at, ban);
                    }
                }
                Some(page)
            }
            Left::These(ids) => {
                let (these, rest) = ids.split_at(ids.len().min(PAGE));
                these.first()?;
                *ids = rest;
                for (at, origin) in these {
                    if let Some(ban) = self.bans.get(*at, origin) {
                        add(*at, ban);
                    }
                }
                Some(page)
            }
        }
    }

    fn ban_info(&self, prefix: IpNet, ban: &Ban<Arc<ipblock_store::Ban>>, now: &Now) -> BanInfo {
        const SECOND: u64 = 1_000_000_000;
        let left = ban.deadline.saturating_sub(now.boot_ns).div_ceil(SECOND);
        let counts = self.counts(prefix, now);
        BanInfo {
            prefix,
            origin: ban.info.origin.clone(),
            until: until(&ban.info, now),
            seconds_left: ban.info.end.as_ref().map(|_| left),
            reason: ban.info.reason.clone(),
            packets: counts.map(|counts| counts.packets),
            last_hit: counts.and_then(|counts| counts.last_hit),
            author: ban.info.author.to_string(),
            time: end_times::to_millisecond(ban.info.time),
        }
    }
}
