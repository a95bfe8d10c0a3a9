//! `ban`.

use std::sync::Arc;

use ipblock_api::{
    error::{ApiError, ErrorKind},
    types::{BanChange, BanRequest, Banned, BannedPrefix},
};
use ipblock_common::limits::MAX_BANS;
use ipblock_datapath::clock::Now;
use ipblock_fault::{Step, reach};
use ipblock_policy::{
    Ruleset,
    address::{covered_family, every_address},
    bans::Change,
    edit::Expiry,
    special,
    text::printable,
};
use ipblock_store::End;
use ipnet::{IpNet, Ipv6Net};
use tracing::info;

use super::{
    BanUpdate,
    outcome::Wanted,
    record::{Done, audit, summary},
    until, warnings, with_deadline,
};
use crate::changes::asked::Asked;
use crate::{addresses, caller::Caller, end_times, guard::log_forced, state::Service};

/// Maximum of bans in an answer.
pub(super) const SHOWN: usize = 100;
/// Maximum of owners of one prefix: each change copies the list.
const MAX_OWNERS: usize = 64;
/// Maximum length of a reason in bytes.
const MAX_REASON: usize = 256;

impl Service {
    /// Bans addresses, all or none: stored and in force when this returns.
    pub fn ban(&self, request: &BanRequest, caller: &Caller) -> Result<Banned, ApiError> {
        let author = &caller.author;
        let now = Now::read();
        let origin = &request.origin;
        let ban = ipblock_store::Ban {
            origin: origin.clone(),
            end: end(request.expires, &now)?,
            reason: reason(&request.reason)?,
            time: now.wall,
            author: author.clone(),
        };
        let mut wanted = Wanted::new(ban, request.shorten);
        let deployed = Arc::clone(self.read().rulesets.deployed());
        let mut prefixes = prefixes(&deployed, &request.addresses)?;
        let mut warnings = Vec::new();
        match request.v6_prefix {
            Some(length) => widen(&mut prefixes, length)?,
            None => warnings.extend(warnings::part_of_a_64(&prefixes)),
        }
        prefixes.sort_unstable();
        prefixes.dedup();
        refuse_wide(&prefixes, request.force)?;
        let guarded = self.guarded_quickly(caller, request.force)?;
        let held = guarded.held_in(&prefixes);

        // Judged while no other change can newly drop: the result is valid until the ban is in
        // force.
        let state = self.read();
        let mut live = self.bans();
        let mut forced = guarded.judge_bans(&held, &state, &live)?;
        let deployed = Arc::clone(state.rulesets.deployed());
        drop(state);
        let asked = Asked {
            wide: request.wide,
            force: request.force,
        };
        let (unasked, much) = live.unasked.judge(&prefixes, &live.bans, &now, asked)?;
        forced.extend(much);
        reach(Step::Judged);
        let (mut changes, mut done) = (Vec::<BanUpdate>::new(), Vec::new());
        let mut banned = Banned::default();
        let mut new = 0;
        for &prefix in &prefixes {
            let held = live.bans.get(prefix, origin);
            if held.is_none() {
                new += 1;
                refuse_many_owners(prefix, live.bans.of(prefix).len())?;
            }
            let held = held.filter(|held| now.boot_ns < held.deadline);
            let (change, ban) = wanted.of(held, &now);
            let was = held.and_then(|held| until(&held.info, &now));
            if banned.bans.len() < SHOWN {
                let until = until(&ban, &now);
                banned.bans.push(BannedPrefix {
                    prefix,
                    origin: origin.clone(),
                    until,
                    change,
                    was,
                    reason: ban.reason.clone(),
                });
            }
            match change {
                BanChange::Unchanged => {
                    banned.unchanged += 1;
                    continue;
                }
                BanChange::Added => banned.added += 1,
                BanChange::Prolonged | BanChange::Shortened | BanChange::Reason => {
                    banned.moved += 1;
                }
            }
            changes.push(Change::Set(prefix, with_deadline(ban, &now)));
            done.push(Done {
                prefix,
                change,
                was,
            });
        }
        let bans = live.bans.len() + new;
        refuse_too_many(bans)?;
        if !changes.is_empty() {
            live.make_room(&self.store, bans, &now)?;
            let summary = summary(&done, &wanted.ban);
            let entry = audit(author, "ban", &summary, &now);
            live.carry_out(&self.store, changes, Some(&entry), &now)?;
            live.unasked = unasked;
            log_forced(&forced);
            let (added, moved) = (banned.added, banned.moved);
            let summary = printable(&summary);
            info!(author = %author.name, uid = author.uid, added, moved, "banned {summary}");
        }
        warnings.extend(warnings::others_last_longer(&banned.bans, &live.bans, &now));
        drop(live);
        warnings.extend(forced);
        warnings.extend(warnings::allowed(&deployed, &prefixes));
        warnings.extend(special::banned(&prefixes));
        banned.warnings = warnings;
        Ok(banned)
    }
}

pub(super) fn prefixes(deployed: &Ruleset, arguments: &[String]) -> Result<Vec<IpNet>, ApiError> {
    let limit = MAX_BANS as usize;
    let prefixes = addresses::prefixes(deployed, arguments, limit, || too_many(limit + 1))?;
    if prefixes.is_empty() {
        return Err(ApiError::new(ErrorKind::Invalid, "no address was given")
            .with_hint("name addresses, prefixes, ranges FROM-TO, or @lists that hold some"));
    }
    Ok(prefixes)
}

/// Refuses to ban a whole family.
fn refuse_wide(prefixes: &[IpNet], force: bool) -> Result<(), ApiError> {
    let family = covered_family(|| prefixes.iter().copied());
    let Some(family) = family.filter(|_| !force) else {
        return Ok(());
    };
    let message = format!("this would ban {}", every_address(family));
    Err(ApiError::new(ErrorKind::Conflict, message)
        .with_hint("ban smaller prefixes, or pass --force if that is meant"))
}

fn refuse_many_owners(prefix: IpNet, owners: usize) -> Result<(), ApiError> {
    if owners < MAX_OWNERS {
        return Ok(());
    }
    let message =
        format!("{prefix} has bans of {owners} origins already, and there may be no more");
    Err(
        ApiError::new(ErrorKind::Invalid, message).with_hint(format!(
            "nothing was changed; `ipblock-ctl bans {prefix}` lists them, and `ipblock-ctl unban \
         {prefix} --origin ORIGIN` ends one"
        )),
    )
}

fn refuse_too_many(bans: usize) -> Result<(), ApiError> {
    if bans > MAX_BANS as usize {
        return Err(too_many(bans));
    }
    Ok(())
}

fn too_many(bans: usize) -> ApiError {
    let message = format!("{bans} bans are more than the {MAX_BANS} that there may be");
    ApiError::new(ErrorKind::Invalid, message)
        .with_hint("nothing was changed; ban prefixes or put the addresses into a rule")
}

fn end(expires: Expiry, now: &Now) -> Result<Option<End>, ApiError> {
    let refused = |message: String| ApiError::new(ErrorKind::Invalid, message);
    match expires {
        Expiry::Never => Ok(None),
        Expiry::At(wall) if wall <= now.wall => Err(refused(format!(
            "a ban that ends at {wall} has ended already"
        ))),
        Expiry::At(wall) => Ok(Some(End { wall, boot: None })),
        Expiry::After(0) => Err(refused("a ban of 0 seconds ends at once".to_owned())),
        Expiry::After(seconds) => end_times::after(seconds, now).map(Some).ok_or_else(|| {
            refused(format!("a ban of {seconds} seconds is too long"))
                .with_hint("ban permanently instead: --permanent")
        }),
    }
}

fn reason(text: &str) -> Result<String, ApiError> {
    if text.len() > MAX_REASON {
        let message = format!("a reason of {} bytes is too long", text.len());
        return Err(ApiError::new(ErrorKind::Invalid, message)
            .with_hint(format!("at most {MAX_REASON} bytes are kept")));
    }
    Ok(text.to_owned())
}

/// Shortens every longer IPv6 prefix to this length.
fn widen(prefixes: &mut [IpNet], length: u8) -> Result<(), ApiError> {
    for prefix in prefixes {
        let IpNet::V6(net) = *prefix else { continue };
        let wide = Ipv6Net::new(net.addr(), length.min(net.prefix_len()));
        let wide = wide.ok().filter(|_| (1..=128).contains(&length));
        *prefix = wide.map(|wide| wide.trunc().into()).ok_or_else(|| {
            let message =
                format!("`{length}` is not a length that an IPv6 prefix can be widened to");
            ApiError::new(ErrorKind::Invalid, message)
                .with_hint("write 64, or another from 1 to 128")
        })?;
    }
    Ok(())
}
