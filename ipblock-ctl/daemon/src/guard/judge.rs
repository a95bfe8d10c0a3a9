//! Judges what a change would newly drop, compared with what is in force.
//!
//! Every function takes the state and the bans, so its caller has locked both: while `bans` is
//! locked no ban is made and no ruleset is put in force (decision 0017).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipblock_api::error::{ApiError, ErrorKind};
use ipblock_datapath::clock::Now;
use ipblock_policy::{
    Ruleset, ZoneName,
    compile::CompiledZone,
    explain::{Explainer, Reason},
    guard::{
        Cause, CutOff, Protected, ZoneSides, cut_by_bans, lines, newly_dropped, refusal,
        refusal_hint,
    },
};
use ipnet::IpNet;
use jiff::Timestamp;

use super::Guarded;
use crate::changes::plan::Plan;
use crate::{
    attach::interfaces::{AttachedState, InterfaceRecord},
    bans::{LiveBans, StoredBans, covering},
    state::State,
};

/// A ruleset that is in force, or will be after a rollback.
struct Possible<'a> {
    ruleset: &'a Ruleset,
    /// The revision on trial, if this is the ruleset after its rollback.
    once_back: Option<u64>,
}

impl Guarded {
    /// Refuses a plan that would newly drop a protected address in a zone with an interface.
    /// `after` are the bans from then on (`None`: the present ones). Returns warnings about what
    /// was forced.
    pub(crate) fn judge_plan(
        &self,
        plan: &Plan,
        after: Option<&StoredBans>,
        state: &State,
        bans: &LiveBans,
    ) -> Result<Vec<String>, ApiError> {
        let addresses = self.protected.addresses();
        let moment = Moment::of(&addresses, after, state, bans);
        self.refuse(&moment.cut_by(plan, &self.protected), false)
    }

    /// Returns the prefixes with a protected address: nearly always none.
    pub(crate) fn held_in(&self, prefixes: &[IpNet]) -> Vec<IpNet> {
        let addresses = self.protected.addresses();
        let holds = |prefix: &IpNet| addresses.iter().any(|address| prefix.contains(address));
        prefixes.iter().copied().filter(holds).collect()
    }

    /// Refuses bans of prefixes with a protected address that passes in a zone with an interface
    /// and is not on its allow list. Returns warnings about what was forced.
    pub(crate) fn judge_bans(
        &self,
        prefixes: &[IpNet],
        state: &State,
        bans: &LiveBans,
    ) -> Result<Vec<String>, ApiError> {
        if prefixes.is_empty() {
            return self.refuse(&[], true);
        }
        let addresses = self.protected.addresses();
        let banned = banned(bans.all(), &addresses);
        let now = Timestamp::now();
        let mut cut: Vec<CutOff> = Vec::new();
        for possible in possible(state) {
            for zone in state.interfaces.zones() {
                // Interfaces of a removed zone are not filtered.
                if possible.ruleset.zone(&zone).is_none() {
                    continue;
                }
                let asked = addresses.iter().copied().map(IpNet::from);
                let explainer = Explainer::about(possible.ruleset, &zone, now, asked);
                let found = cut_by_bans(&self.protected, prefixes, &zone, &explainer);
                add_new(&mut cut, found, possible.once_back);
            }
        }
        // A new end of a live ban newly drops no address.
        cut.retain(|one| !banned.contains_key(&one.address));
        self.refuse(&cut, true)
    }

    /// Refuses to move an interface into a zone that drops a protected address which now passes on
    /// this interface. Returns warnings about what was forced.
    pub(crate) fn judge_attach(
        &self,
        interface: &str,
        zone: &ZoneName,
        state: &State,
        bans: &LiveBans,
    ) -> Result<Vec<String>, ApiError> {
        let addresses = self.protected.addresses();
        let banned = banned(bans.all(), &addresses);
        let now = Timestamp::now();
        let filtered = state
            .interfaces
            .get(interface)
            .filter(|record| is_on(record));
        let mut cut = Vec::new();
        for possible in possible(state) {
            let ruleset = possible.ruleset;
            if ruleset.zone(zone).is_none() {
                continue;
            }
            let asked = || addresses.iter().copied().map(IpNet::from);
            let about = |zone| Explainer::about(ruleset, zone, now, asked());
            let before = filtered.filter(|record| ruleset.zone(&record.zone).is_some());
            let before = before.map(|record| about(&record.zone));
            let after = about(zone);
            let drops = |explainer: &Explainer<'_>, address| {
                let found = explainer.explain(address);
                found.drops() || (banned.contains_key(&address) && found.reason != Reason::Allow)
            };
            let sides = ZoneSides {
                name: zone,
                before: &|address| before.as_ref().is_some_and(|before| drops(before, address)),
                after: &|address| drops(&after, address),
            };
            let found = newly_dropped(&addresses, [sides]);
            let found = explained(found, &self.protected, ruleset, &banned, now);
            add_new(&mut cut, found, possible.once_back);
        }
        self.refuse(&cut, true)
    }

    /// Returns a refusal, or warnings about what was forced. `deploy` if an allow list must be
    /// deployed first.
    fn refuse(&self, cut: &[CutOff], deploy: bool) -> Result<Vec<String>, ApiError> {
        let mut warnings: Vec<String> = self.blind.iter().cloned().collect();
        if !cut.is_empty() && !self.force {
            return Err(ApiError::new(ErrorKind::Conflict, refusal(cut))
                .with_hint(refusal_hint(cut, deploy)));
        }
        warnings.extend(lines(cut));
        let warnings = warnings.into_iter();
        Ok(warnings.map(|line| format!("forced: {line}")).collect())
    }
}

/// The basis for judging a plan, at one moment.
pub(super) struct Moment {
    /// Zones with an interface. A missing or failed interface counts: it is attached as soon as
    /// possible.
    zones: BTreeSet<ZoneName>,
    /// The addresses in question that a live ban covers, with the ban.
    before: BTreeMap<IpAddr, IpNet>,
    /// The same afterwards.
    after: BTreeMap<IpAddr, IpNet>,
}

impl Moment {
    /// Returns the present state; `after` are the bans from then on, `None` means the present ones.
    pub(super) fn of(
        addresses: &[IpAddr],
        after: Option<&StoredBans>,
        state: &State,
        bans: &LiveBans,
    ) -> Self {
        Self {
            zones: state.interfaces.zones(),
            before: banned(bans.all(), addresses),
            after: banned(after.unwrap_or(bans.all()), addresses),
        }
    }

    /// Returns where a plan would newly drop protected addresses.
    pub(super) fn cut_by(&self, plan: &Plan, protected: &Protected) -> Vec<CutOff> {
        let found = self.dropped_by(plan, &protected.addresses());
        explained(found, protected, &plan.after, &self.after, plan.now)
    }

    /// Returns where a plan would newly drop addresses.
    pub(super) fn dropped_by(&self, plan: &Plan, addresses: &[IpAddr]) -> Vec<(ZoneName, IpAddr)> {
        let drops = |zone: &CompiledZone, banned: &BTreeMap<IpAddr, IpNet>, address| {
            zone.drops(address, plan.now)
                || (banned.contains_key(&address) && !zone.allows(address))
        };
        let mut found = Vec::new();
        for (name, before, after) in plan.zones() {
            let Some(after) = after.filter(|_| self.zones.contains(name)) else {
                continue;
            };
            let sides = ZoneSides {
                name,
                before: &|address| before.is_some_and(|zone| drops(zone, &self.before, address)),
                after: &|address| drops(after, &self.after, address),
            };
            found.extend(newly_dropped(addresses, [sides]));
        }
        found
    }
}

/// Returns the deployed ruleset, and the one after a rollback.
fn possible(state: &State) -> Vec<Possible<'_>> {
    let mut possible = vec![Possible {
        ruleset: state.rulesets.deployed(),
        once_back: None,
    }];
    if let Some((revision, previous)) = state.rulesets.comes_back() {
        possible.push(Possible {
            ruleset: previous,
            once_back: Some(revision),
        });
    }
    possible
}

/// Adds entries for addresses that are not cut off at the same place already.
fn add_new(cut: &mut Vec<CutOff>, found: Vec<CutOff>, once_back: Option<u64>) {
    for one in found {
        let is_known = |known: &CutOff| (known.address, &known.zone) == (one.address, &one.zone);
        if !cut.iter().any(is_known) {
            cut.push(CutOff { once_back, ..one });
        }
    }
}

fn is_on(record: &InterfaceRecord) -> bool {
    matches!(&record.attached, AttachedState::Attached { link, .. } if link.is_alive())
}

/// Returns the addresses that a live ban covers, with the ban.
fn banned(bans: &StoredBans, addresses: &[IpAddr]) -> BTreeMap<IpAddr, IpNet> {
    let now = Now::read();
    let covering = addresses.iter().filter_map(|&address| {
        let (by, _) = covering(bans, IpNet::from(address), &now)?;
        Some((address, by))
    });
    covering.collect()
}

/// Explains why each address is protected and what drops it. Indexes the ruleset only for zones
/// that drop one.
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
            once_back: None,
        })
    });
    cut.collect()
}
