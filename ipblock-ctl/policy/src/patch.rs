//! The changes of one person to a ruleset, separate from the rest, so that they can be applied to a
//! ruleset that another person has changed meanwhile.
//!
//! A ruleset is treated as facts: one for each rule, for each element of an allow list or a named
//! list, and for each zone's settings. A patch contains the old and the new value of each changed
//! fact. It can be applied to a ruleset that has the old or the new value of every one. Otherwise
//! two people changed the same fact, which is a conflict. The order of facts and duplicate elements
//! have no meaning.

mod part;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, hash::Hash};

use ipnet::IpNet;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    name::{ListName, RuleName, ZoneName},
    ruleset::{
        At, DefaultVerdict, Element, List, ListElement, MalformedPolicy, Rule, RuleId, Ruleset,
        Zone,
    },
    shared_vec::SharedVec,
    source::Source,
};

/// The differences between two rulesets. Rules are paired by identity, which all of them need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    rules: Vec<FactChange<RuleId, Rule>>,
    allow: Vec<FactChange<At, Box<str>>>,
    zones: Vec<FactChange<ZoneName, ZoneSettings>>,
    zone_allow: BTreeMap<ZoneName, Vec<FactChange<At, Box<str>>>>,
    lists: Vec<FactChange<ListName, Source>>,
    list_elements: BTreeMap<ListName, Vec<FactChange<IpNet, Box<str>>>>,
    /// Lists that follow a source on either side: their whole content is one fact.
    list_contents: BTreeMap<ListName, (List, List)>,
}

type ZoneSettings = (DefaultVerdict, MalformedPolicy);

/// A changed fact: `before` is absent for a new one, `after` for a removed one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FactChange<K, V> {
    key: K,
    before: Option<V>,
    after: Option<V>,
}

/// A fact that both sides changed differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchConflict {
    /// The subject: `rule abuse`, `the allow list`, `zone dmz`, `list office`.
    pub subject: String,
    /// The conflict in words.
    pub problem: String,
    /// The rule after the patch; `None` if the patch removes it or the subject is not a rule.
    pub wanted: Option<Box<Rule>>,
    /// The rule of the other side; `None` if it has none or the subject is not a rule.
    pub found: Option<Box<Rule>>,
}

impl Patch {
    /// Returns the differences from `before` to `after`.
    #[must_use]
    pub fn between(before: &Ruleset, after: &Ruleset) -> Self {
        let zone_allow = |ruleset: &Ruleset, name: &ZoneName| -> SharedVec<Element> {
            ruleset.zone(name).unwrap_or_default().allow
        };
        let listed = |ruleset: &Ruleset, name: &ListName| -> List {
            ruleset.lists.get(name).cloned().unwrap_or_default()
        };
        let zone_names = before.zones.keys().chain(after.zones.keys());
        let list_names = before.lists.keys().chain(after.lists.keys());
        let changed_lists: BTreeMap<_, _> = list_names
            .filter(|name| before.lists.get(*name) != after.lists.get(*name))
            .map(|name| (name.clone(), (listed(before, name), listed(after, name))))
            .collect();
        let (followed, by_hand): (BTreeMap<_, _>, BTreeMap<_, _>) = changed_lists
            .into_iter()
            .partition(|(_, (old, new))| old.is_followed() || new.is_followed());
        Self {
            rules: changes(&before.rules, &after.rules),
            allow: changes(&before.allow, &after.allow),
            zones: changes(&pairs(&before.zones), &pairs(&after.zones)),
            zone_allow: zone_names
                .map(|name| {
                    let (old, new) = (zone_allow(before, name), zone_allow(after, name));
                    (name.clone(), changes(&old, &new))
                })
                .filter(|(_, changes)| !changes.is_empty())
                .collect(),
            lists: changes(&pairs(&before.lists), &pairs(&after.lists)),
            list_elements: by_hand
                .into_iter()
                .map(|(name, (old, new))| (name, changes(&old.elements, &new.elements)))
                .filter(|(_, changes)| !changes.is_empty())
                .collect(),
            list_contents: followed,
        }
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Applies the change to another ruleset, or returns all conflicts.
    pub fn apply(&self, onto: &Ruleset) -> Result<Ruleset, Vec<PatchConflict>> {
        let mut conflicts = Vec::new();
        let mut rules = onto.rules.clone();
        for (change, found) in carry(&self.rules, &mut rules) {
            conflicts.push(rule_conflict(change, found));
        }
        let mut allow = onto.allow.clone();
        if !carry(&self.allow, &mut allow).is_empty() {
            conflicts.push(entries_conflict("the allow list"));
        }
        let zones = carry_nested(
            &self.zones,
            &self.zone_allow,
            pairs(&onto.zones),
            |zone| &mut zone.allow,
            |name| conflicts.push(entries_conflict(&format!("zone {name}"))),
        );
        let lists = carry_nested(
            &self.lists,
            &self.list_elements,
            self.without_gone_contents(&onto.lists),
            |list| &mut list.elements,
            |name| conflicts.push(entries_conflict(&format!("list {name}"))),
        );
        let mut lists: BTreeMap<_, _> = lists.into_iter().collect();
        for (name, (old, new)) in &self.list_contents {
            if let Some(list) = lists.get_mut(name)
                && !carry_content(old, new, onto.lists.get(name), list)
            {
                conflicts.push(entries_conflict(&format!("list {name}")));
            }
        }
        let ruleset = Ruleset {
            rules,
            allow,
            zones: zones.into_iter().collect(),
            lists,
        };
        if conflicts.is_empty() {
            conflicts = broken_references(&ruleset);
        }
        if conflicts.is_empty() {
            Ok(ruleset)
        } else {
            conflicts.dedup();
            Err(conflicts)
        }
    }

    /// Returns the lists to apply changes to. If the patch removes a list that still follows the
    /// same source, the list is empty: content that was read meanwhile is not an edit.
    fn without_gone_contents(&self, onto: &BTreeMap<ListName, List>) -> Vec<(ListName, List)> {
        let mut lists = onto.clone();
        for gone in self.lists.iter().filter(|change| change.after.is_none()) {
            let followed = self.list_contents.get(&gone.key);
            if let Some((old, _)) = followed
                && let Some(list) = lists.get_mut(&gone.key)
                && (list.follows_as(old) || list.elements == old.elements)
            {
                list.elements.clear();
            }
        }
        lists.into_iter().collect()
    }
}

/// A type that a patch treats as a fact: its key, and the value that may change.
trait Fact {
    type Key: Clone + Eq + Hash;
    type Value: Clone + PartialEq;

    fn key(&self) -> Self::Key;
    fn value(&self) -> Self::Value;
    fn new(key: Self::Key, value: Self::Value) -> Self;
    fn set(&mut self, value: Self::Value);
}

impl Fact for Rule {
    type Key = RuleId;
    type Value = Self;

    fn key(&self) -> RuleId {
        self.id
    }

    fn value(&self) -> Self {
        self.clone()
    }

    fn new(_id: RuleId, rule: Self) -> Self {
        rule
    }

    fn set(&mut self, rule: Self) {
        *self = rule;
    }
}

impl Fact for Element {
    type Key = At;
    type Value = Box<str>;

    fn key(&self) -> At {
        self.at.clone()
    }

    fn value(&self) -> Box<str> {
        self.note.clone()
    }

    fn new(at: At, note: Box<str>) -> Self {
        Self { at, note }
    }

    fn set(&mut self, note: Box<str>) {
        self.note = note;
    }
}

impl Fact for ListElement {
    type Key = IpNet;
    type Value = Box<str>;

    fn key(&self) -> IpNet {
        self.prefix
    }

    fn value(&self) -> Box<str> {
        self.note.clone()
    }

    fn new(prefix: IpNet, note: Box<str>) -> Self {
        Self { prefix, note }
    }

    fn set(&mut self, note: Box<str>) {
        self.note = note;
    }
}

impl Fact for (ZoneName, Zone) {
    type Key = ZoneName;
    type Value = ZoneSettings;

    fn key(&self) -> ZoneName {
        self.0.clone()
    }

    fn value(&self) -> ZoneSettings {
        (self.1.default, self.1.malformed)
    }

    fn new(name: ZoneName, (default, malformed): ZoneSettings) -> Self {
        let zone = Zone {
            default,
            malformed,
            allow: SharedVec::default(),
        };
        (name, zone)
    }

    fn set(&mut self, (default, malformed): ZoneSettings) {
        self.1.default = default;
        self.1.malformed = malformed;
    }
}

impl Fact for (ListName, List) {
    type Key = ListName;
    type Value = Source;

    fn key(&self) -> ListName {
        self.0.clone()
    }

    fn value(&self) -> Source {
        self.1.source.clone()
    }

    fn new(name: ListName, source: Source) -> Self {
        let list = List {
            source,
            elements: SharedVec::default(),
        };
        (name, list)
    }

    fn set(&mut self, source: Source) {
        self.1.source = source;
    }
}

fn pairs<K: Clone, V: Clone>(map: &BTreeMap<K, V>) -> Vec<(K, V)> {
    let pairs = map.iter();
    pairs
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

type ChangeOf<F> = FactChange<<F as Fact>::Key, <F as Fact>::Value>;

/// A change that cannot be applied, and the value that was found instead.
type Refused<'c, F> = (&'c ChangeOf<F>, Option<<F as Fact>::Value>);

/// Returns the facts that differ, removed ones first.
fn changes<F: Fact>(before: &[F], after: &[F]) -> Vec<ChangeOf<F>> {
    let values = |facts: &[F]| -> FxHashMap<F::Key, F::Value> {
        let facts = facts.iter();
        facts.map(|fact| (fact.key(), fact.value())).collect()
    };
    let (old, new) = (values(before), values(after));
    let mut seen = FxHashSet::default();
    let gone = before.iter().filter(|fact| !new.contains_key(&fact.key()));
    gone.chain(after)
        .map(Fact::key)
        .filter(|key| old.get(key) != new.get(key) && seen.insert(key.clone()))
        .map(|key| FactChange {
            before: old.get(&key).cloned(),
            after: new.get(&key).cloned(),
            key,
        })
        .collect()
}

/// Applies changes to `facts`. Returns those that cannot be applied, with the value found instead.
fn carry<'c, F: Fact>(changes: &'c [ChangeOf<F>], facts: &mut Vec<F>) -> Vec<Refused<'c, F>> {
    let wanted: FxHashSet<_> = changes.iter().map(|change| &change.key).collect();
    let mut places = FxHashMap::default();
    for (place, fact) in facts.iter().enumerate() {
        let key = fact.key();
        if wanted.contains(&key) {
            places.entry(key).or_insert(place);
        }
    }
    let mut conflicts = Vec::new();
    let mut gone = FxHashSet::default();
    for change in changes {
        let place = places.get(&change.key).copied();
        let fact = place.and_then(|place| facts.get_mut(place));
        let found = fact.as_ref().map(|fact| fact.value());
        if found == change.after {
            continue;
        }
        if found != change.before {
            conflicts.push((change, found));
            continue;
        }
        match (fact, change.after.clone()) {
            (Some(fact), Some(value)) => fact.set(value),
            (None, Some(value)) => facts.push(F::new(change.key.clone(), value)),
            (_, None) => drop(gone.insert(change.key.clone())),
        }
    }
    facts.retain(|fact| !gone.contains(&fact.key()));
    conflicts
}

/// Applies changes of objects with elements: first of the elements, then of the objects. Calls
/// `conflict` with the name of each that both sides changed differently.
fn carry_nested<N, T, E>(
    things: &[ChangeOf<(N, T)>],
    elements: &BTreeMap<N, Vec<ChangeOf<E>>>,
    mut onto: Vec<(N, T)>,
    elements_of: impl Fn(&mut T) -> &mut Vec<E>,
    mut conflict: impl FnMut(&N),
) -> Vec<(N, T)>
where
    N: Clone + Ord + Hash,
    (N, T): Fact<Key = N>,
    E: Fact,
{
    let (gone, kept): (Vec<_>, Vec<_>) = things
        .iter()
        .cloned()
        .partition(|change| change.after.is_none());
    for (change, _) in carry(&kept, &mut onto) {
        conflict(&change.key);
    }
    for (name, changes) in elements {
        let found = onto.iter_mut().find(|(held, _)| held == name);
        let agrees = match found {
            Some((_, thing)) => carry(changes, elements_of(thing)).is_empty(),
            // The removal of the object includes every removal from it.
            None => changes.iter().all(|change| change.after.is_none()),
        };
        if !agrees {
            conflict(name);
        }
    }
    // What the other side added to an object must not be removed with it.
    for change in &gone {
        let found = onto.iter_mut().find(|(held, _)| *held == change.key);
        if found.is_some_and(|(_, thing)| !elements_of(thing).is_empty()) {
            conflict(&change.key);
        }
    }
    for (change, _) in carry(&gone, &mut onto) {
        conflict(&change.key);
    }
    onto
}

/// Applies the change of the content of a list that follows a source on at least one side: `list`
/// gets it. Returns whether that was possible.
fn carry_content(old: &List, new: &List, onto: Option<&List>, list: &mut List) -> bool {
    let nothing = List::default();
    let onto = onto.unwrap_or(&nothing);
    if onto.elements == new.elements || new.follows_as(onto) && onto.elements != old.elements {
        // The other side has read the same source later.
        return true;
    }
    // If the other side has only read the old source again, no other person changed the list.
    if onto.elements == old.elements || old.follows_as(onto) {
        list.elements.clone_from(&new.elements);
        return true;
    }
    false
}

fn rule_conflict(change: &FactChange<RuleId, Rule>, found: Option<Rule>) -> PatchConflict {
    let name = [&change.after, &change.before, &found]
        .into_iter()
        .find_map(|rule| rule.as_ref().map(|rule| &rule.name));
    let problem = match (&change.after, &found) {
        (None, _) => "removed on this side, changed on the other",
        (_, None) => "changed on this side, removed on the other",
        _ => "changed on both sides",
    };
    PatchConflict {
        subject: format!("rule {}", name.map_or("", RuleName::as_str)),
        problem: problem.to_owned(),
        wanted: change.after.clone().map(Box::new),
        found: found.map(Box::new),
    }
}

fn entries_conflict(subject: &str) -> PatchConflict {
    PatchConflict {
        subject: subject.to_owned(),
        problem: "changed on both sides".to_owned(),
        wanted: None,
        found: None,
    }
}

/// Returns problems that only the combination of both sides has: two rules with the same name, and
/// lists and zones that are used but removed.
fn broken_references(ruleset: &Ruleset) -> Vec<PatchConflict> {
    let mut conflicts = Vec::new();
    let mut names = FxHashMap::<&RuleName, &Rule>::default();
    for rule in &ruleset.rules {
        let subject = format!("rule {}", rule.name);
        if let Some(other) = names.insert(&rule.name, rule) {
            conflicts.push(PatchConflict {
                subject: subject.clone(),
                problem: "each side has another rule of this name".to_owned(),
                wanted: Some(Box::new(rule.clone())),
                found: Some(Box::new(other.clone())),
            });
        }
        let gone = rule.zones.iter().find(|zone| ruleset.zone(zone).is_none());
        if let Some(zone) = gone {
            conflicts.push(PatchConflict {
                problem: format!("it holds in zone {zone}, which would not exist"),
                ..entries_conflict(&subject)
            });
        }
    }
    for (user, elements) in ruleset.users_of_elements() {
        for element in elements {
            if let At::List(name) = &element.at
                && !ruleset.lists.contains_key(name)
            {
                conflicts.push(PatchConflict {
                    problem: format!("it uses list @{name}, which would not exist"),
                    ..entries_conflict(&user)
                });
            }
        }
    }
    conflicts
}
