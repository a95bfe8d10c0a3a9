mod alerts;
mod backup;
mod backup_damage;
mod bans;
mod counters;
mod damage;
mod durability;
mod owned_bans;
mod past_bans;
mod pieces;
mod records;
mod revisions;
mod staged;

use std::fs;

use ipblock_common::{ClassVerdict, Count, Outcome, Totals};
use ipblock_policy::{
    AlertKind, DefaultVerdict, MalformedPolicy, Mode, RuleId, ZoneName, compile::CompiledClass,
};
use ipnet::IpNet;
use jiff::Timestamp;
use tempfile::TempDir;

use super::*;

struct Fixture {
    store: Store,
    dir: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        Self { store, dir }
    }

    fn reopen(self) -> Self {
        let Self { store, dir } = self;
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        Self { store, dir }
    }

    /// Returns the store after a power loss: the present database and log, without SQLite's orderly
    /// shutdown.
    fn after_power_loss(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["ipblock.db", "ipblock.db-wal"] {
            fs::copy(self.dir.path().join(name), dir.path().join(name)).unwrap();
        }
        let store = Store::open(dir.path()).unwrap();
        Self { store, dir }
    }

    fn revision(&self, ruleset: &StoredRuleset, state: RevisionState) -> u64 {
        let new = NewRevision {
            time: at(100),
            author: root(),
            comment: "ticket 42".to_owned(),
            ruleset: Some(ruleset),
            rules: 1,
            entries: 2,
            state,
            trial: None,
        };
        self.store.insert_revision(&new).unwrap()
    }

    fn built(&self, zone: &str, revision: u64) -> u64 {
        let number = self.store.allocate_generation().unwrap();
        let new = NewGeneration {
            number,
            zone: zone.parse().unwrap(),
            revision,
            classes: &classes(),
            ipv4_entries: 120,
            ipv6_entries: 4,
            default: DefaultVerdict::Drop,
            malformed: MalformedPolicy::Pass,
            object_sha256: [7; 32],
            time: at(200),
        };
        self.store.record_built(&new).unwrap();
        number
    }

    fn live(&self, zone: &str, revision: u64) -> u64 {
        let number = self.built(zone, revision);
        let zones = vec![ZoneSwitch {
            retired: None,
            live: Some(number),
        }];
        self.store
            .commit_switch(&Switch {
                zones,
                ..Switch::default()
            })
            .unwrap();
        number
    }

    fn generation_state(&self, number: u64) -> GenerationState {
        self.store.generation(number).unwrap().unwrap().state
    }

    fn revision_state(&self, number: u64) -> RevisionState {
        self.store.revision(number).unwrap().unwrap().state
    }

    fn rule(&self, id: u64) -> RuleCounts {
        let base = self.store.base_rules().unwrap();
        base.get(&RuleId(id)).copied().unwrap_or_default()
    }

    fn zone(&self, name: &str) -> ZoneCounts {
        let base = self.store.base_zones().unwrap();
        let name: ZoneName = name.parse().unwrap();
        base.get(&name).copied().unwrap_or_default()
    }

    fn totals(&self, zone: &str) -> Totals {
        self.zone(zone).totals
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn root() -> Author {
    Author::user(0, "root")
}

fn ruleset(toml: &str, ids: &[(&str, u64)]) -> StoredRuleset {
    StoredRuleset {
        toml: toml.to_owned(),
        ids: ids
            .iter()
            .map(|(name, id)| (name.parse().unwrap(), RuleId(*id)))
            .collect(),
    }
}

fn classes() -> Vec<CompiledClass> {
    let class = |verdict, matched: &[u64], excepted: &[u64]| CompiledClass {
        verdict,
        alert: false,
        matched: matched.iter().copied().map(RuleId).collect(),
        excepted: excepted.iter().copied().map(RuleId).collect(),
        valid_until: Some(at(1_000)),
        next: 1,
    };
    vec![
        class(ClassVerdict::Default, &[], &[]),
        class(ClassVerdict::Block, &[1, 2], &[3]),
        class(ClassVerdict::Allow, &[], &[]),
    ]
}

/// Counts of one rule with `packets`, and the same number dropped in the zone.
fn counts(rule: u64, packets: u64, last_hit: Option<i64>) -> GenerationCounts {
    let count = RuleCounts {
        packets,
        bytes: packets * 60,
        excepted: 1,
        last_hit: last_hit.map(at),
    };
    let mut totals = Totals::default();
    totals[Outcome::Dropped] = Count {
        packets,
        bytes: packets * 60,
    };
    GenerationCounts {
        rules: [(RuleId(rule), count)].into(),
        totals,
        bans: Count::default(),
    }
}

fn zone(retired: Option<(u64, GenerationCounts)>, live: Option<u64>) -> ZoneSwitch {
    let retired = retired.map(|(generation, counts)| FinalCounts { generation, counts });
    ZoneSwitch { retired, live }
}

fn deploy(revision: u64) -> Deploy {
    Deploy {
        revision,
        trial: None,
        previous: RevisionState::Superseded,
    }
}
