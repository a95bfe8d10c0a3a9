//! `ban` and `unban`.

use std::sync::Arc;

use ipblock_common::limits::MAX_BANS;
use ipnet::{IpNet, Ipv6Net};
use tracing::info;

use super::{Change, reckoned, until, warnings};
use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::{BanRequest, Banned, BannedPrefix, StillBanned, UnbanRequest, Unbanned},
    },
    daemon::{
        addresses,
        amounts::Asked,
        ends,
        guard::{Caller, log_forced},
        state::Service,
    },
    datapath::clock::Now,
    fault::{Step, reach},
    policy::{
        Ruleset,
        address::{covered_family, every_address},
        edit::Expiry,
        special,
        text::printable,
    },
    store::{self, AuditEntry, Author, End},
};

/// Prefixes that an answer shows.
const SHOWN: usize = 100;
/// Prefixes that a line of the log or of the audit trail names.
const NAMED: usize = 20;
/// Bytes that a reason may have.
const MAX_REASON: usize = 256;

impl Service {
    /// Bans addresses, all of them or none: stored and in force when this returns.
    pub fn ban(&self, request: &BanRequest, caller: &Caller) -> Result<Banned, ApiError> {
        let author = &caller.author;
        let now = Now::read();
        let ban = Arc::new(store::Ban {
            end: end(request.expires, &now)?,
            reason: reason(&request.reason)?,
            time: now.wall,
            author: author.clone(),
        });
        let deployed = Arc::clone(&self.read().deployed);
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

        // Judged while nothing else can newly drop: it holds until the ban does.
        let state = self.read();
        let mut live = self.bans();
        let mut forced = guarded.judge_bans(&held, &state, &live)?;
        let deployed = Arc::clone(&state.deployed);
        drop(state);
        let asked = Asked {
            wide: request.wide,
            force: request.force,
        };
        let (unasked, much) = live.unasked.judge(&prefixes, &live.bans, &now, asked)?;
        forced.extend(much);
        reach(Step::Judged);
        let held = prefixes.iter().map(|prefix| live.bans.get(*prefix));
        let (mut known, mut moved) = (0, 0);
        for ban in held.flatten() {
            known += 1;
            moved += u64::from(now.boot_ns < ban.deadline);
        }
        refuse_too_many(live.bans.len() + prefixes.len() - known)?;
        let changes: Vec<Change> = prefixes
            .iter()
            .map(|prefix| (*prefix, Some(reckoned(Arc::clone(&ban), &now))))
            .collect();
        let summary = summary(&prefixes, &ban);
        let entry = audit(author, "ban", &summary, &now);
        self.carry_out(&mut live, changes, Some(&entry))?;
        live.unasked = unasked;
        drop(live);

        log_forced(&forced);
        warnings.extend(forced);
        warnings.extend(warnings::allowed(&deployed, &prefixes));
        warnings.extend(special::banned(&prefixes));
        let added = prefixes.len() as u64 - moved;
        info!(author = %author.name, uid = author.uid, added, moved, "banned {summary}");
        let until = until(&ban, &now);
        Ok(Banned {
            added,
            moved,
            warnings,
            bans: prefixes
                .into_iter()
                .take(SHOWN)
                .map(|prefix| BannedPrefix { prefix, until })
                .collect(),
        })
    }

    /// Takes bans away, all of them or none: so stored and in force when this returns.
    pub fn unban(&self, request: &UnbanRequest, author: &Author) -> Result<Unbanned, ApiError> {
        let deployed = Arc::clone(&self.read().deployed);
        let mut prefixes = prefixes(&deployed, &request.addresses)?;
        prefixes.sort_unstable();
        prefixes.dedup();

        let mut live = self.bans();
        let now = Now::read();
        let (mut changes, mut not_banned) = (Vec::new(), Vec::new());
        for prefix in &prefixes {
            match live.bans.get(*prefix) {
                // One that has ended goes by itself.
                Some(ban) if now.boot_ns < ban.deadline => changes.push((*prefix, None)),
                _ => not_banned.push(*prefix),
            }
        }
        let gone: Vec<IpNet> = changes.iter().map(|(prefix, _): &Change| *prefix).collect();
        if !changes.is_empty() {
            let entry = audit(author, "unban", &warnings::named(&gone, NAMED), &now);
            self.carry_out(&mut live, changes, Some(&entry))?;
            let named = warnings::named(&gone, NAMED);
            info!(author = %author.name, uid = author.uid, removed = gone.len(), "unbanned {named}");
        }
        let still_banned = prefixes.iter().flat_map(|&prefix| {
            let wider = live.bans.covering(prefix, now.boot_ns);
            let wider = wider.map(|(by, _)| StillBanned { prefix, by });
            let inside = live.bans.inside(prefix);
            let inside = inside.filter(|(_, ban)| now.boot_ns < ban.deadline);
            wider
                .into_iter()
                .chain(inside.map(|(prefix, _)| StillBanned { prefix, by: prefix }))
        });
        Ok(Unbanned {
            removed: gone.len() as u64,
            still_banned: still_banned.take(SHOWN).collect(),
            not_banned,
        })
    }
}

fn prefixes(deployed: &Ruleset, arguments: &[String]) -> Result<Vec<IpNet>, ApiError> {
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
        Expiry::After(seconds) => ends::after(seconds, now).map(Some).ok_or_else(|| {
            refused(format!("a ban of {seconds} seconds is too long"))
                .with_hint("ban for ever instead: --permanent")
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

/// Makes every longer IPv6 prefix this short.
fn widen(prefixes: &mut [IpNet], length: u8) -> Result<(), ApiError> {
    for prefix in prefixes {
        let IpNet::V6(net) = *prefix else { continue };
        let wide = Ipv6Net::new(net.addr(), length.min(net.prefix_len()));
        let wide = wide.ok().filter(|_| (1..=128).contains(&length));
        *prefix = wide.map(|wide| wide.trunc().into()).ok_or_else(|| {
            let message = format!("`{length}` is no length to widen an IPv6 prefix to");
            ApiError::new(ErrorKind::Invalid, message)
                .with_hint("write 64, or another from 1 to 128")
        })?;
    }
    Ok(())
}

fn summary(prefixes: &[IpNet], ban: &store::Ban) -> String {
    let named = warnings::named(prefixes, NAMED);
    let end = match &ban.end {
        Some(end) => format!("until {:.0}", end.wall),
        None => "for ever".to_owned(),
    };
    match &*printable(&ban.reason) {
        "" => format!("{named} {end}"),
        reason => format!("{named} {end}: {reason}"),
    }
}

fn audit(author: &Author, what: &str, detail: &str, now: &Now) -> AuditEntry {
    AuditEntry {
        time: now.wall,
        author: author.clone(),
        what: what.to_owned(),
        detail: detail.to_owned(),
    }
}
