//! The guard against lock-out: collects the addresses that must not be cut off, and refuses what
//! would newly drop one.
//!
//! What counts as newly dropped is `policy::guard`'s.

mod peers;
mod resolvers;
mod sources;
mod sshd;
mod text;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use ipnet::IpNet;
use jiff::Timestamp;
use tracing::warn;

use self::sources::SSH_PEER;
pub(super) use self::sources::Sources;
use super::{
    bans::{StoredBans, covering},
    plan::Plan,
    state::{AttachedState, Service, State},
};
use crate::{
    api::{
        error::{ApiError, ErrorKind},
        types::Diff,
    },
    datapath::clock::Now,
    policy::{
        Ruleset, ZoneName,
        compile::CompiledZone,
        explain::{Explainer, Reason, Verdict},
        guard::{
            Cause, CutOff, Protected, ZoneSides, cut_by_bans, lines, newly_dropped, refusal,
            refusal_hint,
        },
    },
    store::Author,
};

/// Who asks for a change, and from where.
#[derive(Clone, Debug)]
pub struct Caller {
    /// For the revision and the audit trail.
    pub author: Author,
    /// Where the operator's SSH session comes from, as the client told it.
    pub ssh_peers: Vec<IpAddr>,
}

impl Service {
    /// Refuses a plan that would newly drop a protected address in a zone with an interface. What
    /// was forced comes back as warnings. Without a caller nobody's SSH session is looked at.
    pub(super) fn guard_plan(
        &self,
        plan: &Plan,
        caller: Option<&Caller>,
        force: bool,
    ) -> Result<Vec<String>, ApiError> {
        self.guard_plan_and_bans(plan, None, caller, force)
    }

    /// As [`Service::guard_plan`], with the bans that take the place of those in force.
    pub(super) fn guard_plan_and_bans(
        &self,
        plan: &Plan,
        bans: Option<&StoredBans>,
        caller: Option<&Caller>,
        force: bool,
    ) -> Result<Vec<String>, ApiError> {
        let protected = match self.guard.look() {
            Ok(seen) => with_caller(seen.protected.clone(), caller),
            Err(error) => return unseen(error, force),
        };
        let cut = self.cut_by(plan, bans, &protected);
        refuse(&cut, false, force)
    }

    /// Refuses bans of prefixes that hold a protected address which passes in a zone with an
    /// interface, and is not on its allow list. What was forced comes back as warnings.
    pub fn guard_prefixes(
        &self,
        prefixes: &[IpNet],
        caller: &Caller,
        force: bool,
    ) -> Result<Vec<String>, ApiError> {
        let protected = match self.guard.look_recently() {
            Ok(seen) => with_caller(seen.protected.clone(), Some(caller)),
            Err(error) => return unseen(error, force),
        };
        let addresses = protected.addresses();
        let hits = |prefix: &IpNet| addresses.iter().any(|address| prefix.contains(address));
        let prefixes: Vec<_> = prefixes.iter().copied().filter(hits).collect();
        // Nearly every ban: the rules need not be indexed.
        if prefixes.is_empty() {
            return Ok(Vec::new());
        }
        let banned = self.banned(&addresses);
        let (zones, deployed) = {
            let state = self.read();
            (zones_with_interfaces(&state), Arc::clone(&state.deployed))
        };
        let now = Timestamp::now();
        let mut cut = Vec::new();
        for zone in zones {
            let asked = addresses.iter().copied().map(IpNet::from);
            let explainer = Explainer::about(&deployed, &zone, now, asked);
            cut.extend(cut_by_bans(&protected, &prefixes, &zone, &explainer));
        }
        // Another end for a ban that holds drops nobody newly.
        cut.retain(|one| !banned.contains_key(&one.address));
        refuse(&cut, true, force)
    }

    /// Refuses to put an interface into a zone that drops a protected address which the interface
    /// lets through. What was forced comes back as warnings.
    pub(super) fn guard_attach(
        &self,
        interface: &str,
        zone: &ZoneName,
        caller: &Caller,
        force: bool,
    ) -> Result<Vec<String>, ApiError> {
        let protected = match self.guard.look() {
            Ok(seen) => with_caller(seen.protected.clone(), Some(caller)),
            Err(error) => return unseen(error, force),
        };
        let addresses = protected.addresses();
        let banned = self.banned(&addresses);
        let state = self.read();
        let now = Timestamp::now();
        let filtered = state.interfaces.get(interface).filter(|record| {
            matches!(&record.attached, AttachedState::Attached { link, .. } if link.is_alive())
        });
        let asked = || addresses.iter().copied().map(IpNet::from);
        let about = |zone| Explainer::about(&state.deployed, zone, now, asked());
        let before = filtered.map(|record| about(&record.zone));
        let after = about(zone);
        let drops = |explainer: &Explainer<'_>, address| {
            let found = explainer.explain(address);
            found.verdict == Verdict::Block
                || (banned.contains_key(&address) && found.reason != Reason::Allow)
        };
        let sides = ZoneSides {
            name: zone,
            before: &|address| before.as_ref().is_some_and(|before| drops(before, address)),
            after: &|address| drops(&after, address),
        };
        let found = newly_dropped(&addresses, [sides]);
        let cut = explained(found, &protected, &state.deployed, &banned, now);
        drop(state);
        refuse(&cut, true, force)
    }

    /// Adds to a diff which connections would be cut and, for a caller who has only asked what
    /// would be, what would be refused.
    pub(super) fn show_cut(&self, plan: &Plan, caller: Option<&Caller>, diff: &mut Diff) {
        self.show_cut_with_bans(plan, None, caller, diff);
    }

    /// As [`Service::show_cut`], with the bans that take the place of those in force.
    pub(super) fn show_cut_with_bans(
        &self,
        plan: &Plan,
        bans: Option<&StoredBans>,
        caller: Option<&Caller>,
        diff: &mut Diff,
    ) {
        let seen = match self.guard.look() {
            Ok(seen) => seen,
            Err(error) => {
                diff.warnings
                    .push(format!("the guard is blind: {}", error.message));
                return;
            }
        };
        let peers = self.dropped_by(plan, bans, &seen.connections.peers());
        let peers: BTreeSet<_> = peers.into_iter().map(|(_, address)| address).collect();
        diff.cut_peers = seen.connections.describe(&peers);
        if caller.is_none() {
            return;
        }
        let cut = self.cut_by(plan, bans, &with_caller(seen.protected.clone(), caller));
        let refused = lines(&cut).into_iter();
        let refused = refused.map(|line| format!("refused without --force: {line}"));
        diff.warnings.extend(refused);
    }

    /// Where a plan would newly drop protected addresses.
    fn cut_by(&self, plan: &Plan, bans: Option<&StoredBans>, protected: &Protected) -> Vec<CutOff> {
        let addresses = protected.addresses();
        let found = self.dropped_by(plan, bans, &addresses);
        let banned = self.banned_after(bans, &addresses);
        explained(found, protected, &plan.after, &banned, plan.now)
    }

    /// Where a plan would newly drop addresses, in zones with an interface. An interface that is
    /// absent or failed counts: it is attached as soon as that is possible.
    fn dropped_by(
        &self,
        plan: &Plan,
        bans: Option<&StoredBans>,
        addresses: &[IpAddr],
    ) -> Vec<(ZoneName, IpAddr)> {
        let guarded = zones_with_interfaces(&self.read());
        let banned_before = self.banned(addresses);
        let banned_after = self.banned_after(bans, addresses);
        let drops = |zone: &CompiledZone, banned: &BTreeMap<IpAddr, IpNet>, address| {
            zone.drops(address, plan.now)
                || (banned.contains_key(&address) && !zone.allows(address))
        };
        let mut found = Vec::new();
        for (name, before, after) in plan.zones() {
            let Some(after) = after.filter(|_| guarded.contains(name)) else {
                continue;
            };
            let sides = ZoneSides {
                name,
                before: &|address| {
                    before.is_some_and(|before| drops(before, &banned_before, address))
                },
                after: &|address| drops(after, &banned_after, address),
            };
            found.extend(newly_dropped(addresses, [sides]));
        }
        found
    }

    /// Which of the addresses a live ban covers, and the ban.
    fn banned(&self, addresses: &[IpAddr]) -> BTreeMap<IpAddr, IpNet> {
        let now = Now::read();
        let bans = self.bans();
        let covering = addresses.iter().filter_map(|&address| {
            let (by, _) = bans.covering(IpNet::from(address), &now)?;
            Some((address, by))
        });
        covering.collect()
    }

    /// The same once other bans have taken the place of those in force.
    fn banned_after(
        &self,
        bans: Option<&StoredBans>,
        addresses: &[IpAddr],
    ) -> BTreeMap<IpAddr, IpNet> {
        let Some(bans) = bans else {
            return self.banned(addresses);
        };
        let now = Now::read();
        let covering = addresses.iter().filter_map(|&address| {
            let (by, _) = covering(bans, IpNet::from(address), &now)?;
            Some((address, by))
        });
        covering.collect()
    }
}

fn zones_with_interfaces(state: &State) -> BTreeSet<ZoneName> {
    let records = state.interfaces.values();
    records.map(|record| record.zone.clone()).collect()
}

fn with_caller(mut protected: Protected, caller: Option<&Caller>) -> Protected {
    for peer in caller.iter().flat_map(|caller| &caller.ssh_peers) {
        protected.add(*peer, SSH_PEER);
    }
    protected
}

/// Why each address is protected and what drops it; the ruleset is indexed for zones that drop one.
fn explained(
    found: Vec<(ZoneName, IpAddr)>,
    protected: &Protected,
    ruleset: &Ruleset,
    banned: &BTreeMap<IpAddr, IpNet>,
    now: Timestamp,
) -> Vec<CutOff> {
    let mut explainers = BTreeMap::new();
    for (zone, _) in &found {
        explainers.entry(zone.clone()).or_insert_with(|| {
            let asked = found.iter().map(|(_, address)| IpNet::from(*address));
            Explainer::about(ruleset, zone, now, asked)
        });
    }
    let cut = found.into_iter().filter_map(|(zone, address)| {
        let explanation = explainers.get(&zone)?.explain(address);
        let cause = match banned.get(&address) {
            Some(by) if explanation.reason != Reason::Allow => Cause::Ban(*by),
            _ => Cause::of(&explanation),
        };
        Some(CutOff {
            address,
            why: protected.why(address),
            zone,
            cause,
        })
    });
    cut.collect()
}

/// A refusal, or what was forced as warnings, which are logged.
fn refuse(cut: &[CutOff], deploy: bool, force: bool) -> Result<Vec<String>, ApiError> {
    if cut.is_empty() {
        return Ok(Vec::new());
    }
    if !force {
        return Err(
            ApiError::new(ErrorKind::Conflict, refusal(cut)).with_hint(refusal_hint(cut, deploy))
        );
    }
    let warnings: Vec<_> = lines(cut)
        .into_iter()
        .map(|line| format!("forced: {line}"))
        .collect();
    for warning in &warnings {
        warn!("{warning}");
    }
    Ok(warnings)
}

/// What to do when the guard cannot see: it refuses, since a lock-out is worse.
fn unseen(error: ApiError, force: bool) -> Result<Vec<String>, ApiError> {
    if !force {
        return Err(error.with_hint("--force goes ahead without looking whom it would cut off"));
    }
    let warning = format!("forced: {}", error.message);
    warn!("{warning}");
    Ok(vec![warning])
}
