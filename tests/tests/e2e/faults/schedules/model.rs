//! What was reported to clients, and the possible states afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

/// The address that the guard protects: a default gateway.
pub(super) const GUARDED: &str = "192.0.2.2";
/// Prefixes that are banned and contain it.
pub(super) const OF_GUARDED: [&str; 2] = ["192.0.2.2/32", "192.0.2.0/29"];
/// An address for each client to ban.
pub(super) const BANNED: [&str; 4] = [
    "198.51.100.1/32",
    "198.51.100.2/32",
    "198.51.100.3/32",
    "198.51.100.4/32",
];
/// A rule for each client.
pub(super) const RULES: [&str; 4] = ["own-1", "own-2", "own-3", "own-4"];
/// The rule that blocks the protected address.
pub(super) const CUT: &str = "cut";
/// Both zones. The first interface is always in `default`.
pub(super) const ZONES: [&str; 2] = ["default", "dmz"];

/// A fact that a change decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// Whether this prefix is banned.
    Ban(&'static str),
    /// Whether the protected address is on the allow list of this zone, or on the global one.
    Allow(Option<&'static str>),
    /// Whether there is a rule of this name.
    Rule(&'static str),
    /// The default of the zone `dmz`: `on` is drop.
    DropsByDefault,
    /// Whether the second interface is attached to this zone; it is in no other then.
    Attached(&'static str),
}

impl Key {
    /// Every key of a ruleset.
    pub(super) fn of_rulesets() -> Vec<Self> {
        let rules = RULES.into_iter().chain([CUT]).map(Self::Rule);
        let others = [
            Self::Allow(None),
            Self::Allow(Some("default")),
            Self::DropsByDefault,
        ];
        rules.chain(others).collect()
    }
}

/// The state; an absent key is off.
pub(super) type Facts = BTreeSet<Key>;

/// A change that was reported as done, with the times of its request and its answer.
#[derive(Clone, Copy, Debug)]
struct Event {
    on: bool,
    begun: Instant,
    answered: Instant,
}

/// The changes reported as done in one schedule.
#[derive(Debug, Default)]
pub(super) struct Told {
    events: BTreeMap<Key, Vec<Event>>,
    /// Times of answered edits, and of the requests for deploys that were reported as done.
    edited: Option<Instant>,
    deploy_begun: Option<Instant>,
}

impl Told {
    /// Records that a request at this time has set this fact.
    pub(super) fn add(&mut self, key: Key, on: bool, begun: Instant) {
        let answered = Instant::now();
        let event = Event {
            on,
            begun,
            answered,
        };
        self.events.entry(key).or_default().push(event);
    }

    /// Records that an edit was staged.
    pub(super) fn staged(&mut self) {
        self.edited = Some(Instant::now());
    }

    /// Records that a deploy requested at this time is done.
    pub(super) fn deployed(&mut self, begun: Instant) {
        self.deploy_begun = self.deploy_begun.max(Some(begun));
    }

    /// Whether there may be a staged edit that was not deployed.
    pub(super) fn may_be_staged(&self, before: bool) -> bool {
        match (self.edited, self.deploy_begun) {
            (edited, Some(begun)) => edited.is_some_and(|edited| edited > begun),
            (edited, None) => before || edited.is_some(),
        }
    }

    /// Returns where `after` contradicts the reports. The last report decides; of concurrent
    /// reports, either may.
    pub(super) fn contradictions(&self, before: &Facts, after: &Facts) -> Vec<String> {
        let keys: BTreeSet<Key> = before
            .iter()
            .chain(after)
            .chain(self.events.keys())
            .copied()
            .collect();
        let wrong = keys.into_iter().filter_map(|key| {
            let is = after.contains(&key);
            let may_be = self.may_be(key, before.contains(&key));
            (!may_be.contains(&is)).then(|| {
                let events = self.events.get(&key);
                format!(
                    "{key:?} is {is}, was {}, told {events:?}",
                    before.contains(&key)
                )
            })
        });
        wrong.collect()
    }

    fn may_be(&self, key: Key, before: bool) -> BTreeSet<bool> {
        let Some(events) = self.events.get(&key) else {
            return [before].into();
        };
        let last = events.iter().filter(|event| {
            let is_overwritten = |other: &Event| other.begun > event.answered;
            !events.iter().any(is_overwritten)
        });
        last.map(|event| event.on).collect()
    }
}

/// Whether a zone drops the protected address, by a naive evaluation of the state.
pub(super) fn drops_guarded(facts: &Facts, zone: &'static str) -> bool {
    let is_allowed = facts.contains(&Key::Allow(None)) || facts.contains(&Key::Allow(Some(zone)));
    let is_banned = OF_GUARDED
        .into_iter()
        .any(|prefix| facts.contains(&Key::Ban(prefix)));
    let is_blocked = facts.contains(&Key::Rule(CUT));
    let by_default = zone == "dmz" && facts.contains(&Key::DropsByDefault);
    !is_allowed && (is_banned || is_blocked || by_default)
}

#[test]
fn what_was_told_last_decides_and_of_two_at_once_either_may() {
    let key = Key::Rule(CUT);
    let (off, on) = (Facts::new(), Facts::from([key]));
    let mut told = Told::default();
    assert!(told.contradictions(&off, &off).is_empty());
    assert_eq!(told.contradictions(&off, &on).len(), 1);
    let begun = Instant::now();
    told.add(key, true, begun);
    assert_eq!(told.contradictions(&off, &off).len(), 1);
    assert!(told.contradictions(&off, &on).is_empty());
    // Requested before the other was answered.
    told.add(key, false, begun);
    for after in [&on, &off] {
        assert!(told.contradictions(&off, after).is_empty());
    }
    told.add(key, true, Instant::now());
    assert_eq!(told.contradictions(&off, &off).len(), 1);
}

#[test]
fn nothing_is_staged_after_a_deploy_that_began_behind_the_last_edit() {
    let mut told = Told::default();
    assert!(!told.may_be_staged(false) && told.may_be_staged(true));
    let begun = Instant::now();
    told.staged();
    assert!(told.may_be_staged(false));
    told.deployed(begun);
    assert!(told.may_be_staged(false));
    told.deployed(Instant::now());
    assert!(!told.may_be_staged(true));
}

#[test]
fn the_guarded_address_is_dropped_as_the_rules_say() {
    let ban = Key::Ban(OF_GUARDED[1]);
    let drops =
        |facts: &[Key]| ZONES.map(|zone| drops_guarded(&facts.iter().copied().collect(), zone));
    assert_eq!(drops(&[]), [false, false]);
    assert_eq!(drops(&[ban]), [true, true]);
    assert_eq!(drops(&[ban, Key::Allow(None)]), [false, false]);
    assert_eq!(drops(&[ban, Key::Allow(Some("default"))]), [false, true]);
    assert_eq!(drops(&[Key::DropsByDefault]), [false, true]);
    assert_eq!(drops(&[Key::Rule(CUT)]), [true, true]);
}
