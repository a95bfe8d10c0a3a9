//! Views: status, zones, rules, allow lists, counters.

mod lists;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow,
    sync::Arc,
};

use serde::{Serialize, Serializer};

use ipblock_api::{
    error::ApiError,
    types::{
        AlertStatus, AllowInfo, Count, Counters, Entries, EntryState, InterfaceState,
        InterfaceStatus, RuleCount, RuleInfo, RulesQuery, SinkState, Status, Totals, ZoneInfo,
        ZoneStatus,
    },
};
use ipblock_common::Outcome;
use ipblock_datapath::{Interface, clock::Now, object::object_sha256_hex};
use ipblock_policy::{
    At, Element, Rule, RuleId, Ruleset, SharedVec, Zone, ZoneName, edit::no_such_rule,
};
use ipblock_store::ZoneCounts;
use jiff::Timestamp;

use crate::{
    answers::{Array, ElementTexts, Refusal, Sink},
    attach::moved_problems,
    connections::Room,
    end_times, feeds,
    generations::counts::Counts,
    state::{Service, State},
};

/// Memory of a list of rules in bytes per rule, without the elements: counts, references, a row.
pub(crate) const RULE_ROOM: usize = 256;
/// Memory of a comparison of two lists in bytes per element.
const ELEMENT_ROOM: usize = 48;

impl Service {
    /// `GET /v1/status`.
    pub fn status(&self) -> Result<Status, ApiError> {
        let state = self.read();
        self.status_from(&state, &state.generations.counts()?)
    }

    /// Returns the status with counts that were read already.
    pub(crate) fn status_from(&self, state: &State, counts: &Counts) -> Result<Status, ApiError> {
        let present = Interface::list();
        let interfaces = state.shown_interfaces(present.as_deref());
        let zones = state
            .generations
            .zones()
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
                totals: as_totals(&zone_counts(counts, name).totals),
            })
            .collect();
        let alerts = self.alerts.status()?;
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
            revision: state.rulesets.revision(),
            staged: state.rulesets.staged_edits(),
            confirm_deadline: state
                .rulesets
                .confirmation()
                .map(|trial| end_times::displayed(&trial.trial.end, &Now::read())),
            zones,
            bans: bans.count_live() as u64,
            problems: problems.chain(sink_problems(&alerts)).collect(),
            alerts,
            object_sha256: object_sha256_hex(),
            bpffs: self.settings.bpffs.display().to_string(),
            lists_dir: self.settings.lists_dir.display().to_string(),
        })
    }

    /// Reports that an operator has disabled all dropping.
    fn called_off(&self) -> Option<String> {
        let until = self.called_off_until(&Now::read())?;
        Some(format!(
            "nothing is dropped until {until:.0}: `panic-off` was called"
        ))
    }

    /// Returns until when an operator has disabled all dropping.
    pub(crate) fn called_off_until(&self, now: &Now) -> Option<Timestamp> {
        let until = self.panic_off.until_ns().ok()?;
        (until > now.boot_ns).then(|| end_times::to_millisecond(now.wall_at(until)))
    }

    /// `GET /v1/counters`.
    pub(crate) fn counters(&self, room: &mut Room) -> Result<Counters, Refusal> {
        room.need(self.rule_count() * RULE_ROOM)?;
        let state = self.read();
        Ok(state.counters_from(&state.generations.counts()?))
    }

    /// `GET /v1/zones`.
    pub(crate) fn zones(&self) -> Vec<ZoneInfo<ElementTexts>> {
        let state = self.read();
        let (before, after) = (state.rulesets.deployed(), state.rulesets.edited());
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
                        .records()
                        .filter(|(_, record)| record.zone == name)
                        .map(|(interface, _)| interface.clone())
                        .collect(),
                    name: name.to_string(),
                    default,
                    malformed,
                    allow: ElementTexts::all(&allow),
                    state: entry_state,
                }
            })
            .collect()
    }

    /// `GET /v1/rules`: those with staged edits applied, then those with a staged removal.
    pub(crate) fn rules(&self, query: RulesQuery, room: &mut Room) -> Result<ShownRules, Refusal> {
        room.need(self.rule_count() * RULE_ROOM)?;
        Ok(self.read().show_rules(query)?)
    }

    /// `GET /v1/rules/{name}`.
    pub(crate) fn rule(
        &self,
        name: &str,
        query: RulesQuery,
        room: &mut Room,
    ) -> Result<RuleInfo<ElementTexts>, Refusal> {
        let rules = self.rules(query, room)?;
        let shown = rules.shown();
        let found = shown.iter().find(|(rule, _)| rule.name.as_str() == name);
        let (rule, entry) = found.ok_or_else(|| {
            let names = shown.iter().map(|(rule, _)| rule.name.as_str());
            ApiError::from(no_such_rule(name, names))
        })?;
        Ok(rules.info(rule, *entry))
    }

    /// Returns the number of rules of both sides, which determines the memory of a list of them.
    pub(crate) fn rule_count(&self) -> usize {
        let state = self.read();
        state.rulesets.deployed().rules.len() + state.rulesets.edited().rules.len()
    }

    /// Returns the memory of `GET /v1/diff` in bytes: ranges of both sides, and a line per rule.
    pub(crate) fn room_of_a_diff(&self) -> usize {
        let entries: u64 = {
            let state = self.read();
            let zones = state.generations.zones().values();
            zones
                .map(|zone| zone.ipv4_entries + zone.ipv6_entries)
                .sum()
        };
        let entries = usize::try_from(entries).unwrap_or(usize::MAX);
        entries.saturating_mul(2 * ELEMENT_ROOM) + self.rule_count() * RULE_ROOM
    }

    /// `GET /v1/allow`: the global list, then those of zones.
    pub(crate) fn allow(&self, room: &mut Room) -> Result<impl Serialize + use<>, Refusal> {
        let lists = {
            let state = self.read();
            let (before, after) = (state.rulesets.deployed(), state.rulesets.edited());
            let global = (None, before.allow.clone(), after.allow.clone());
            let of_zones = zone_names(before, after).into_iter().map(|name| {
                let list = |ruleset: &Ruleset| ruleset.zone(&name).unwrap_or_default().allow;
                let (old, new) = (list(before), list(after));
                (Some(name.to_string()), old, new)
            });
            let lists: Vec<_> = [global].into_iter().chain(of_zones).collect();
            lists
        };
        room.need(room_to_compare(
            lists.iter().map(|(_, old, new)| (old, new)),
        ))?;
        Ok(Array::new(move |sink: Sink<'_, AllowInfo>| {
            for (zone, before, after) in &lists {
                let gone_on = each_changed(before, after, |address, note, state| {
                    sink(AllowInfo {
                        address,
                        zone: zone.clone(),
                        note,
                        state,
                    })
                });
                if gone_on.is_break() {
                    break;
                }
            }
            Ok(())
        }))
    }
}

/// The data of a list of rules. Elements are shared with the rulesets.
pub(crate) struct ShownRules {
    before: Arc<Ruleset>,
    after: Arc<Ruleset>,
    counts: Counts,
    /// Kernel entries of each rule, over all zones.
    entries: HashMap<RuleId, u64>,
    query: RulesQuery,
}

impl Serialize for ShownRules {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = self.shown().into_iter();
        serializer.collect_seq(shown.map(|(rule, entry)| self.info(rule, entry)))
    }
}

impl ShownRules {
    /// Returns the rules with staged edits applied, then those with a staged removal.
    fn shown(&self) -> Vec<(&Rule, EntryState)> {
        let deployed = self.before.rules.iter();
        let deployed: BTreeMap<RuleId, &Rule> = deployed.map(|rule| (rule.id, rule)).collect();
        let edited = &self.after.rules;
        let kept: BTreeSet<_> = edited.iter().map(|rule| rule.id).collect();
        let held = edited.iter().map(|rule| {
            let before = deployed.get(&rule.id).copied();
            (rule, entry_state(before, Some(rule)))
        });
        let gone = self.before.rules.iter();
        let gone = gone.filter(|rule| !kept.contains(&rule.id));
        held.chain(gone.map(|rule| (rule, EntryState::Removed)))
            .collect()
    }

    fn info(&self, rule: &Rule, entry: EntryState) -> RuleInfo<ElementTexts> {
        let count = self.counts.rule(rule.id);
        let most = self.query.elements.map_or(usize::MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        });
        let matches = ElementTexts::first(&rule.matches, most);
        let except = ElementTexts::first(&rule.except, most);
        RuleInfo {
            name: rule.name.to_string(),
            action: rule.action,
            enabled: rule.enabled,
            more_match: matches.left_out(),
            matches,
            more_except: except.left_out(),
            except,
            expires: rule.expires,
            note: rule.note.clone(),
            alert: rule.alert,
            zones: rule.zones.iter().map(ToString::to_string).collect(),
            entries: self.entries.get(&rule.id).copied().unwrap_or_default(),
            packets: count.packets,
            bytes: count.bytes,
            excepted: count.excepted,
            last_hit: count.last_hit,
            state: entry,
        }
    }
}

impl State {
    /// Returns the data of a list of rules, with each end in present wall time.
    fn show_rules(&self, query: RulesQuery) -> Result<ShownRules, ApiError> {
        let now = Now::read();
        let mut entries: HashMap<RuleId, u64> = HashMap::new();
        for zone in self.generations.zones().values() {
            for (id, count) in &zone.rule_entries {
                *entries.entry(*id).or_default() += count;
            }
        }
        Ok(ShownRules {
            before: self.rulesets.as_of(self.rulesets.deployed(), &now),
            after: self.rulesets.as_of(self.rulesets.edited(), &now),
            counts: self.generations.counts()?,
            entries,
            query,
        })
    }

    /// Returns the counters of deployed rules, with counts that were read already.
    pub(crate) fn counters_from(&self, counts: &Counts) -> Counters {
        let ZoneCounts { totals, bans } = counts.all_zones();
        let rules = self.rulesets.deployed().rules.iter().map(|rule| {
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
            bans: as_count(bans),
            allow: as_count(totals[Outcome::Allowed]),
            totals: as_totals(&totals),
        }
    }
}

fn zone_counts(counts: &Counts, zone: &ZoneName) -> ZoneCounts {
    counts.zones.get(zone).copied().unwrap_or_default()
}

/// Returns the zones of either ruleset.
fn zone_names(before: &Ruleset, after: &Ruleset) -> BTreeSet<ZoneName> {
    let names = before.zone_names().into_iter();
    names.chain(after.zone_names()).collect()
}

fn problems(state: &State, interfaces: &[(ZoneName, InterfaceStatus)]) -> Vec<String> {
    let mut problems = Vec::new();
    problems.extend(state.rulesets.trial_problem().cloned());
    problems.extend(state.metrics_problem.clone());
    problems.extend(state.drift.problems());
    if state.interfaces.is_empty() {
        problems.push("no interface is attached: nothing is filtered".to_owned());
    }
    problems.extend(feeds::problems(&state.followed));
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

pub(crate) fn entry_state<T: PartialEq>(before: Option<&T>, after: Option<&T>) -> EntryState {
    match (before, after) {
        (Some(before), Some(after)) if before == after => EntryState::Deployed,
        (Some(_), Some(_)) => EntryState::Changed,
        (None, _) => EntryState::Added,
        (Some(_), None) => EntryState::Removed,
    }
}

/// Passes on address, note and state of each element: those of `after`, then removed ones.
pub(crate) fn each_changed(
    before: &SharedVec<Element>,
    after: &SharedVec<Element>,
    mut take: impl FnMut(String, String, EntryState) -> ControlFlow<()>,
) -> ControlFlow<()> {
    fn by_address(elements: &[Element]) -> HashMap<&At, &Element> {
        elements
            .iter()
            .map(|element| (&element.at, element))
            .collect()
    }
    let mut take =
        |element: &Element, state| take(text(&element.at), element.note.to_string(), state);
    if before.is_same(after) {
        let mut all = after.iter();
        return all.try_for_each(|element| take(element, EntryState::Deployed));
    }
    let (old, new) = (by_address(before), by_address(after));
    for element in after {
        take(
            element,
            entry_state(old.get(&element.at).copied(), Some(element)),
        )?;
    }
    let mut gone = before
        .iter()
        .filter(|element| !new.contains_key(&element.at));
    gone.try_for_each(|element| take(element, EntryState::Removed))
}

/// Returns the memory of [`each_changed`] for the largest of these pairs, in bytes.
pub(crate) fn room_to_compare<'a>(
    pairs: impl IntoIterator<Item = (&'a SharedVec<Element>, &'a SharedVec<Element>)>,
) -> usize {
    let differing = pairs.into_iter().filter(|(old, new)| !old.is_same(new));
    let elements = differing.map(|(old, new)| old.len() + new.len());
    elements.max().unwrap_or_default() * ELEMENT_ROOM
}

fn text(at: &At) -> String {
    match at {
        At::Prefix(prefix) => prefix.to_string(),
        At::List(name) => format!("@{name}"),
    }
}

/// Converts a count to its API type.
fn as_count(count: ipblock_common::Count) -> Count {
    Count {
        packets: count.packets,
        bytes: count.bytes,
    }
}

/// Converts totals to their API type.
fn as_totals(totals: &ipblock_common::Totals) -> Totals {
    Totals {
        passed: as_count(totals[Outcome::Passed]),
        dropped: as_count(totals[Outcome::Dropped]),
        warned: as_count(totals[Outcome::Warned]),
        allowed: as_count(totals[Outcome::Allowed]),
        non_ip: as_count(totals[Outcome::NonIp]),
        malformed: as_count(totals[Outcome::Malformed]),
    }
}
