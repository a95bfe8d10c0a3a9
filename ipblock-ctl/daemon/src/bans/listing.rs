//! `GET /v1/bans`, page by page: a slow client keeps neither a lock on the bans nor a copy of them.

use std::sync::Arc;

use ipblock_api::types::{BanInfo, BansQuery};
use ipblock_datapath::clock::Now;
use ipblock_policy::bans::Ban;
use ipnet::IpNet;
use serde::Serialize;

use super::{LiveBans, until};
use crate::{
    answers::{Array, Refusal, Sink},
    connections::Room,
    end_times,
    state::Service,
};

/// Bans per page: with the longest reasons about 100 KiB, computed in less than a millisecond.
const PAGE: usize = 256;

/// The bans that are not listed yet.
enum Left<'a> {
    /// All after this one, by address.
    After(Option<IpNet>),
    /// These, in this order.
    These(&'a [IpNet]),
}

impl Service {
    /// Lists live bans by address; or those that end next, the first to end first.
    ///
    /// Each has its state at the time when it is written, so not all states are of the same moment.
    pub(crate) fn list_bans(
        self: &Arc<Self>,
        query: BansQuery,
        room: &mut Room,
    ) -> Result<impl Serialize + use<>, Refusal> {
        let limit = query.limit.map(|limit| limit as usize);
        let mut next: Vec<IpNet> = match limit {
            None => Vec::new(),
            Some(limit) => {
                let most = limit.min(self.bans().bans.len());
                // Both families are sorted together, as references.
                room.need(most * 4 * size_of::<(IpNet, &())>())?;
                let live = self.bans();
                let next = live.bans.ending_next(Now::read().boot_ns, most);
                next.into_iter().map(|(prefix, _)| prefix).collect()
            }
        };
        next.shrink_to_fit();
        room.keep(size_of_val(next.as_slice()));
        let service = Arc::clone(self);
        Ok(Array::new(move |sink: Sink<'_, BanInfo>| {
            let mut left = match limit {
                None => Left::After(None),
                Some(_) => Left::These(&next),
            };
            loop {
                let page = service.bans().page(&mut left);
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
    /// Returns the next page, without ended bans; `None` at the end.
    fn page(&self, left: &mut Left<'_>) -> Option<Vec<BanInfo>> {
        let now = Now::read();
        let holds = |ban: &Ban<Arc<ipblock_store::Ban>>| now.boot_ns < ban.deadline;
        match left {
            Left::After(last) => {
                let page: Vec<_> = self.bans.after(*last).take(PAGE).collect();
                *last = Some(page.last()?.0);
                let held = page.into_iter().filter(|(_, ban)| holds(ban));
                Some(held.map(|(at, ban)| ban_info(at, ban, &now)).collect())
            }
            Left::These(prefixes) => {
                let (page, rest) = prefixes.split_at(prefixes.len().min(PAGE));
                page.first()?;
                *prefixes = rest;
                let found = page.iter().map(|at| (*at, self.bans.get(*at)));
                let held = found.filter_map(|(at, ban)| Some((at, ban.filter(|ban| holds(ban))?)));
                Some(held.map(|(at, ban)| ban_info(at, ban, &now)).collect())
            }
        }
    }
}

fn ban_info(prefix: IpNet, ban: &Ban<Arc<ipblock_store::Ban>>, now: &Now) -> BanInfo {
    const SECOND: u64 = 1_000_000_000;
    let left = ban.deadline.saturating_sub(now.boot_ns).div_ceil(SECOND);
    BanInfo {
        prefix,
        until: until(&ban.info, now),
        seconds_left: ban.info.end.as_ref().map(|_| left),
        reason: ban.info.reason.clone(),
        packets: None,
        author: ban.info.author.to_string(),
        time: end_times::to_millisecond(ban.info.time),
    }
}
