//! `unban`.

use std::sync::Arc;

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{OriginCount, RemovedBan, StillBanned, UnbanRequest, Unbanned},
};
use ipblock_datapath::clock::Now;
use ipblock_policy::{
    Origin,
    bans::{Ban, Change},
};
use ipblock_store::Author;
use ipnet::IpNet;
use rustc_hash::FxHashMap;
use tracing::info;

use super::{
    LiveBans,
    filter::Filter,
    record::{audit, removed},
    requests::{SHOWN, prefixes},
    stored::BanUpdate,
    until,
};
use crate::state::Service;

impl Service {
    /// Removes bans, all or none: stored and in force when this returns.
    pub fn unban(&self, request: &UnbanRequest, author: &Author) -> Result<Unbanned, ApiError> {
        let filter = Filter::new(request.only.clone());
        let mut prefixes = if request.all {
            require_filter(request)?;
            Vec::new()
        } else {
            let deployed = Arc::clone(self.read().rulesets.deployed());
            prefixes(&deployed, &request.addresses)?
        };
        let mut live = self.bans();
        let now = Now::read();
        if request.inside {
            let inside = live.inside(&prefixes);
            prefixes.extend(inside);
        }
        prefixes.sort_unstable();
        prefixes.dedup();
        let mut selected = if request.all {
            live.select_all(&filter, &now)
        } else {
            live.select(&prefixes, &filter, &now)
        };
        if !selected.changes.is_empty() && !request.dry_run {
            let detail = removed(&selected.changes, &request.only.to_string());
            let entry = audit(author, "unban", &detail, &now);
            let changes = std::mem::take(&mut selected.changes);
            live.carry_out(&self.store, changes, Some(&entry), &now)?;
            let count = selected.unbanned.removed;
            info!(author = %author.name, uid = author.uid, removed = count, "unbanned {detail}");
        }
        let mut unbanned = selected.answer();
        let mut still_banned = prefixes
            .iter()
            .flat_map(|&prefix| live.still_banned(prefix, &now))
            .fuse();
        unbanned.still_banned = still_banned.by_ref().take(SHOWN).collect();
        unbanned.more_still_banned = still_banned.count() as u64;
        Ok(unbanned)
    }
}

/// The bans that a request removes.
#[derive(Default)]
struct Selected {
    changes: Vec<BanUpdate>,
    origins: FxHashMap<Origin, u64>,
    unbanned: Unbanned,
}

impl Selected {
    fn answer(self) -> Unbanned {
        let counts = self.origins.into_iter();
        let counts = counts.map(|(origin, bans)| OriginCount { origin, bans });
        let mut origins: Vec<_> = counts.collect();
        origins.sort_by(|a, b| (b.bans, &a.origin).cmp(&(a.bans, &b.origin)));
        origins.truncate(SHOWN);
        Unbanned {
            origins,
            ..self.unbanned
        }
    }

    fn add(&mut self, prefix: IpNet, ban: &Ban<Arc<ipblock_store::Ban>>, now: &Now) {
        let info = &ban.info;
        self.changes.push(Change::End(prefix, info.origin.clone()));
        if ban.deadline <= now.boot_ns {
            return;
        }
        self.unbanned.removed += 1;
        if let Some(count) = self.origins.get_mut(&info.origin) {
            *count += 1;
        } else {
            self.origins.insert(info.origin.clone(), 1);
        }
        if self.unbanned.bans.len() < SHOWN {
            self.unbanned.bans.push(RemovedBan {
                prefix,
                origin: info.origin.clone(),
                until: until(info, now),
                reason: info.reason.clone(),
            });
        }
    }
}

impl LiveBans {
    /// Selects the bans of these prefixes that fit. An ended one is selected too: it must not become
    /// live again after a step of the clock.
    fn select(&self, prefixes: &[IpNet], filter: &Filter, now: &Now) -> Selected {
        let mut selected = Selected::default();
        for &prefix in prefixes {
            let before = selected.unbanned.removed;
            let bans = self.bans.of(prefix).iter();
            for ban in bans.filter(|ban| filter.fits(&ban.info)) {
                selected.add(prefix, ban, now);
            }
            if before == selected.unbanned.removed {
                selected.unbanned.not_banned.push(prefix);
            }
            let ended = self.ended.of(prefix).filter(|ban| filter.fits(ban));
            let ended = ended.map(|ban| Change::End(prefix, ban.origin.clone()));
            selected.changes.extend(ended);
        }
        selected
    }

    /// Selects every ban that fits.
    fn select_all(&self, filter: &Filter, now: &Now) -> Selected {
        let mut selected = Selected::default();
        for (prefix, ban) in self.bans.each() {
            if filter.fits(&ban.info) {
                selected.add(prefix, ban, now);
            }
        }
        let ended = self
            .ended
            .iter()
            .filter(|(_, ended)| filter.fits(&ended.ban));
        let ended = ended.map(|(prefix, ended)| Change::End(prefix, ended.ban.origin.clone()));
        selected.changes.extend(ended);
        selected
    }

    /// Returns the bans that still cover a prefix: that which ends last, and those inside of it.
    fn still_banned(&self, prefix: IpNet, now: &Now) -> impl Iterator<Item = StillBanned> {
        let around = self.bans.covering(prefix, now.boot_ns);
        let around = around.map(|(by, ban)| (prefix, by, ban));
        let inside = self.bans.inside(prefix).filter_map(|(inner, owners)| {
            let last = owners.iter().max_by_key(|ban| ban.deadline)?;
            (now.boot_ns < last.deadline).then_some((inner, inner, last))
        });
        let found = around.into_iter().chain(inside);
        found.map(|(prefix, by, ban)| StillBanned {
            prefix,
            by,
            origin: ban.info.origin.clone(),
        })
    }
}

/// Refuses to end the bans of all owners at once, and addresses next to `all`.
fn require_filter(request: &UnbanRequest) -> Result<(), ApiError> {
    let refused =
        |message: &str, hint: &str| Err(ApiError::new(ErrorKind::Invalid, message).with_hint(hint));
    if request.only.is_empty() {
        return refused(
            "this would end every ban of every owner",
            "name whose: `ipblock-ctl unban --all --origin ORIGIN`; for all of them name the \
             prefixes, `ipblock-ctl unban 0.0.0.0/0 ::/0 --inside`",
        );
    }
    if !request.addresses.is_empty() || request.inside {
        return refused(
            "`all` stands for every address, and there are addresses too",
            "leave --all out to end the bans of these addresses, or the addresses",
        );
    }
    Ok(())
}
