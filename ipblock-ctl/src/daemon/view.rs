//! What the daemon shows: status, zones, rules, allow lists, counters.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    attach::moved_problems,
    counts::Counts,
    ends, feeds,
    state::{Service, State},
};
use crate::{
    api::{
        error::ApiError,
        types::{
            AlertStatus, AllowInfo, Count, Counters, Entries, EntryState, InterfaceState,
            InterfaceStatus, RuleCount, RuleInfo, RulesQuery, SinkState, Status, Totals, ZoneInfo,
            ZoneStatus,
        },
    },
    datapath::{Interface, clock::Now, object::object_sha256_hex},
    policy::{At, Element, Rule, RuleId, Ruleset, Zone, ZoneName, edit::no_such_rule},
    store::ZoneCounts,
};

impl Service {
    /// `GET /v1/status`.
    pub fn status(&self) -> Result<Status, ApiError> {
        let state = self.read();
        self.status_from(&state, &state.counts()?)
    }

    /// The status by counts that were read already.
    pub(super) fn status_from(&self, state: &State, counts: &Counts) -> Result<Status, ApiError> {
        let present = Interface::list();
        let interfaces = state.shown_interfaces(present.as_deref());
        let zones = state
            .zones
            .iter()
            .map(|(name, zone)| ZoneStatus {
                name: name.to_string(),
                default: zone.default,
                generation: zone.generation.number(),
                interfaces: interfaces
                    .iter()
                    .filter(|(zone, _)| zone == name)
                    .map(|(_, interface)| interface.clone())
                    .collect(),
                entries: Entries {
                    ipv4: zone.ipv4_entries,
                    ipv6: zone.ipv6_entries,
                    capacity: self.settings.capacity.into(),
                },
                totals: zone_counts(counts, name).totals.into(),
            })
            .collect();
        let alerts = self.alert_status()?;
        let bans = self.bans();
        let moved = moved_problems(state, present.as_deref().unwrap_or_default());
        let problems = problems(state, &interfaces)
            .into_iter()
            .chain(moved)
            .chain(self.called_off())
            .chain(bans.problem());
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            revision: state.revision,
            staged: state.staged.as_ref().map_or(0, |staged| staged.edits),
            confirm_deadline: state
                .confirmation
                .as_ref()
                .map(|trial| trial.deadline(&Now::read())),
            zones,
            bans: bans.count_live() as u64,
            problems: problems.chain(sink_problems(&alerts)).collect(),
            alerts,
            object_sha256: object_sha256_hex(),
        })
    }

    /// Says so when an operator has called off all dropping.
    fn called_off(&self) -> Option<String> {
        let now = Now::read();
        let until = self.panic_off.until_ns().ok()?;
        (until > now.boot_ns).then(|| {
            let until = ends::to_millisecond(now.wall_at(until));
            format!("nothing is dropped until {until}: `panic-off` was called")
        })
    }

    /// `GET /v1/counters`.
    pub fn counters(&self) -> Result<Counters, ApiError> {
        let state = self.read();
        Ok(state.counters_from(&state.counts()?))
    }

    /// `GET /v1/zones`.
    #[must_use]
    pub fn zones(&self) -> Vec<ZoneInfo> {
        let state = self.read();
        let (before, after) = (&state.deployed, state.edited());
        zone_names(before, after)
            .into_iter()
            .map(|name| {
                let (old, new) = (before.zone(&name), after.zone(&name));
                let entry_state = entry_state(old.as_ref(), new.as_ref());
                let zone = new.or(old).unwrap_or_default();
                let Zone {
                    default,
                    malformed,
                    allow,
                } = zone;
                ZoneInfo {
                    interfaces: state
                        .interfaces
                        .iter()
                        .filter(|(_, record)| record.zone == name)
                        .map(|(interface, _)| interface.clone())
                        .collect(),
                    name: name.to_string(),
                    default,
                    malformed,
                    allow: texts(&allow),
                    state: entry_state,
                }
            })
            .collect()
    }

    /// `GET /v1/rules`: those with staged edits applied, then those staged to go.
    pub fn rules(&self, query: RulesQuery) -> Result<Vec<RuleInfo>, ApiError> {
        let state = self.read();
        let counts = state.counts()?;
        let rules = state.shown_rules().into_iter();
        let rules = rules.map(|(rule, entry)| rule_info(&state, rule, entry, &counts, query));
        Ok(rules.collect())
    }

    /// `GET /v1/rules/{name}`.
    pub fn rule(&self, name: &str, query: RulesQuery) -> Result<RuleInfo, ApiError> {
        let state = self.read();
        let rules = state.shown_rules();
        let found = rules.iter().find(|(rule, _)| rule.name.as_str() == name);
        let (rule, entry) =
            found.ok_or_else(|| no_such_rule(name, rules.iter().map(|(r, _)| r.name.as_str())))?;
        Ok(rule_info(&state, rule, *entry, &state.counts()?, query))
    }

    /// `GET /v1/allow`: the global list, then those of zones.
    #[must_use]
    pub fn allow(&self) -> Vec<AllowInfo> {
        let state = self.read();
        let (before, after) = (&state.deployed, state.edited());
        let mut entries: Vec<_> = allow_entries(None, &before.allow, &after.allow).collect();
        for name in zone_names(before, after) {
            let list = |ruleset: &Ruleset| ruleset.zone(&name).unwrap_or_default().allow;
            let (old, new) = (list(before), list(after));
            entries.extend(allow_entries(Some(name.as_str()), &old, &new));
        }
        entries
    }
}

impl State {
    /// The rules with staged edits applied, then those staged to go.
    fn shown_rules(&self) -> Vec<(&Rule, EntryState)> {
        let deployed = self.deployed.rules.iter();
        let deployed: BTreeMap<RuleId, &Rule> = deployed.map(|rule| (rule.id, rule)).collect();
        let edited = &self.edited().rules;
        let kept: BTreeSet<_> = edited.iter().map(|rule| rule.id).collect();
        let held = edited.iter().map(|rule| {
            let before = deployed.get(&rule.id).copied();
            (rule, entry_state(before, Some(rule)))
        });
        let gone = self.deployed.rules.iter();
        let gone = gone.filter(|rule| !kept.contains(&rule.id));
        held.chain(gone.map(|rule| (rule, EntryState::Removed)))
            .collect()
    }

    /// The counters of deployed rules, by counts that were read already.
    pub(super) fn counters_from(&self, counts: &Counts) -> Counters {
        let ZoneCounts { totals, bans } = counts.all_zones();
        let rules = self.deployed.rules.iter().map(|rule| {
            let count = counts.rule(rule.id);
            RuleCount {
                name: rule.name.to_string(),
                action: rule.action,
                packets: count.packets,
                bytes: count.bytes,
                excepted: count.excepted,
                last_hit: count.last_hit,
            }
        });
        Counters {
            rules: rules.collect(),
            bans: bans.into(),
            allow: totals.allowed.into(),
            totals: totals.into(),
        }
    }
}

fn zone_counts(counts: &Counts, zone: &ZoneName) -> ZoneCounts {
    counts.zones.get(zone).copied().unwrap_or_default()
}

/// Zones of either ruleset.
fn zone_names(before: &Ruleset, after: &Ruleset) -> BTreeSet<ZoneName> {
    let names = before.zone_names().into_iter();
    names.chain(after.zone_names()).collect()
}

fn problems(state: &State, interfaces: &[(ZoneName, InterfaceStatus)]) -> Vec<String> {
    let mut problems = state.start_problems.clone();
    problems.extend(state.rollback_problem.clone());
    problems.extend(state.metrics_problem.clone());
    problems.extend(state.drift.problems());
    if state.interfaces.is_empty() {
        problems.push("no interface is attached: nothing is filtered".to_owned());
    }
    problems.extend(feeds::problems(&state.feeds));
    for (_, interface) in interfaces {
        let name = &interface.name;
        match interface.state {
            InterfaceState::Attached => {}
            InterfaceState::Absent => problems.push(format!(
                "interface {name} does not exist; it is attached when it appears"
            )),
            InterfaceState::Failed => {
                let why = interface
                    .detail
                    .as_deref()
                    .unwrap_or("it could not be attached");
                problems.push(format!("interface {name} is not filtered: {why}"));
            }
        }
    }
    problems
}

fn sink_problems(alerts: &AlertStatus) -> impl Iterator<Item = String> {
    let failing = alerts
        .sinks
        .iter()
        .filter(|sink| sink.state == SinkState::Failing);
    failing.map(|sink| {
        let why = sink.detail.as_deref().unwrap_or("it fails");
        format!("alerts do not reach sink {}: {why}", sink.name)
    })
}

pub(super) fn entry_state<T: PartialEq>(before: Option<&T>, after: Option<&T>) -> EntryState {
    match (before, after) {
        (Some(before), Some(after)) if before == after => EntryState::Deployed,
        (Some(_), Some(_)) => EntryState::Changed,
        (None, _) => EntryState::Added,
        (Some(_), None) => EntryState::Removed,
    }
}

fn rule_info(
    state: &State,
    rule: &Rule,
    entry: EntryState,
    counts: &Counts,
    query: RulesQuery,
) -> RuleInfo {
    let count = counts.rule(rule.id);
    let entries = state.zones.values();
    let most = query.elements.map_or(usize::MAX, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    });
    let listed = |elements: &[Element]| {
        let (listed, more) = elements.split_at(elements.len().min(most));
        (texts(listed), more.len() as u64)
    };
    let (matches, more_match) = listed(&rule.matches);
    let (except, more_except) = listed(&rule.except);
    RuleInfo {
        name: rule.name.to_string(),
        action: rule.action,
        enabled: rule.enabled,
        matches,
        more_match,
        except,
        more_except,
        expires: state.durations.end_of(rule, &Now::read()),
        note: rule.note.clone(),
        alert: rule.alert,
        zones: rule.zones.iter().map(ToString::to_string).collect(),
        entries: entries
            .filter_map(|zone| zone.rule_entries.get(&rule.id))
            .sum(),
        packets: count.packets,
        bytes: count.bytes,
        excepted: count.excepted,
        last_hit: count.last_hit,
        state: entry,
    }
}

fn texts(elements: &[Element]) -> Vec<String> {
    elements.iter().map(|element| text(&element.at)).collect()
}

fn text(at: &At) -> String {
    match at {
        At::Prefix(prefix) => prefix.to_string(),
        At::List(name) => format!("@{name}"),
    }
}

fn allow_entries<'a>(
    zone: Option<&'a str>,
    before: &'a [Element],
    after: &'a [Element],
) -> impl Iterator<Item = AllowInfo> + 'a {
    changed_elements(before, after).map(move |(address, note, state)| AllowInfo {
        address,
        zone: zone.map(str::to_owned),
        note,
        state,
    })
}

/// Address, note and state of each element: those of `after`, then those that are gone.
pub(super) fn changed_elements<'a>(
    before: &'a [Element],
    after: &'a [Element],
) -> impl Iterator<Item = (String, String, EntryState)> + 'a {
    fn by_address(elements: &[Element]) -> HashMap<&At, &Element> {
        elements
            .iter()
            .map(|element| (&element.at, element))
            .collect()
    }
    let info = |element: &Element, state| (text(&element.at), element.note.to_string(), state);
    let (old, new) = (by_address(before), by_address(after));
    let held = after.iter().map(move |element| {
        let state = entry_state(old.get(&element.at).copied(), Some(element));
        info(element, state)
    });
    let gone = before
        .iter()
        .filter(move |element| !new.contains_key(&element.at));
    held.chain(gone.map(move |element| info(element, EntryState::Removed)))
}

impl From<ipblock_common::Count> for Count {
    fn from(count: ipblock_common::Count) -> Self {
        Self {
            packets: count.packets,
            bytes: count.bytes,
        }
    }
}

impl From<ipblock_common::Totals> for Totals {
    fn from(totals: ipblock_common::Totals) -> Self {
        Self {
            passed: totals.passed.into(),
            dropped: totals.dropped.into(),
            warned: totals.warned.into(),
            allowed: totals.allowed.into(),
            non_ip: totals.non_ip.into(),
            malformed: totals.malformed.into(),
        }
    }
}
