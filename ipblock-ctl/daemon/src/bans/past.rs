//! What `check` says of bans: those that cover a prefix, and those that did.

use std::cmp::Reverse;

use ipblock_api::{
    error::ApiError,
    types::{BanEnd, CheckBan, Past, PastBan},
};
use ipblock_datapath::clock::Now;
use ipblock_store::PAST_BAN_DAYS;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use super::{LiveBans, stored::ended_at, until};
use crate::{end_times::to_millisecond, state::Service};

/// Maximum of past bans of one prefix in an answer.
const SHOWN: u32 = 20;

impl LiveBans {
    /// Returns every live ban that covers all of `prefix`, the last to end first.
    pub(crate) fn all_covering(&self, prefix: IpNet, now: &Now) -> Vec<CheckBan> {
        let around = self.bans.around(prefix);
        let bans = around.flat_map(|(at, owners)| owners.iter().map(move |ban| (at, ban)));
        let mut bans: Vec<_> = bans.filter(|(_, ban)| now.boot_ns < ban.deadline).collect();
        bans.sort_by_key(|(_, ban)| Reverse(ban.deadline));
        let shown = bans.into_iter().map(|(at, ban)| {
            let counts = self.counts(at, now);
            CheckBan {
                prefix: at.to_string(),
                origin: ban.info.origin.clone(),
                reason: ban.info.reason.clone(),
                author: ban.info.author.to_string(),
                time: to_millisecond(ban.info.time),
                until: until(&ban.info, now),
                packets: counts.map(|counts| counts.packets),
                last_hit: counts.and_then(|counts| counts.last_hit),
            }
        });
        shown.collect()
    }
}

impl Service {
    /// Returns the last bans that covered all of `prefix` or a part of it and ended in the last 30
    /// days, the last to end first.
    pub(crate) fn past_bans(&self, prefix: IpNet, now: &Now) -> Result<Vec<Past>, ApiError> {
        let since = now
            .wall
            .saturating_sub(SignedDuration::from_hours(24 * PAST_BAN_DAYS))
            .unwrap_or(Timestamp::MIN);
        // Those that a step of the clock can make live again are not recorded yet.
        let aside = self.bans().past_aside(prefix, now);
        let recorded = self.store.past_bans(prefix, since, SHOWN)?.into_iter();
        let recorded = recorded.map(|past| PastBan {
            prefix: past.prefix.to_string(),
            origin: past.origin,
            reason: past.reason,
            author: past.author.to_string(),
            since: to_millisecond(past.time),
            ended: to_millisecond(past.ended),
            how: match past.by {
                Some(_) => BanEnd::Unbanned,
                None => BanEnd::Expired,
            },
            by: past.by.map(|by| by.to_string()),
        });
        let mut past: Vec<Past> = aside.into_iter().chain(recorded).map(Past::Ban).collect();
        past.sort_by_key(|past| Reverse(past.ended()));
        past.truncate(SHOWN as usize);
        Ok(past)
    }
}

impl LiveBans {
    fn past_aside(&self, prefix: IpNet, now: &Now) -> Vec<PastBan> {
        let touches = |at: &IpNet| at.contains(&prefix) || prefix.contains(at);
        let aside = self.ended.iter().map(|(at, ended)| (at, &ended.ban));
        let ended = self
            .bans
            .ended(now.boot_ns)
            .map(|(at, ban)| (at, &ban.info));
        let found = aside.chain(ended).filter(|(at, _)| touches(at));
        let found = found.map(|(at, ban)| PastBan {
            prefix: at.to_string(),
            origin: ban.origin.clone(),
            reason: ban.reason.clone(),
            author: ban.author.to_string(),
            since: to_millisecond(ban.time),
            ended: to_millisecond(ended_at(ban, now)),
            how: BanEnd::Expired,
            by: None,
        });
        let mut found: Vec<PastBan> = found.collect();
        found.sort_by_key(|ban| Reverse(ban.ended));
        found.truncate(SHOWN as usize);
        found
    }
}
