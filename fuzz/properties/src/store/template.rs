//! A database with rows of every kind.

use std::{fs, sync::OnceLock, time::Duration};

use ipblock_common::{ClassVerdict, Count, Outcome, Totals};
use ipblock_policy::{
    Action, AlertKind, DefaultVerdict, MalformedPolicy, RuleId, compile::CompiledClass,
};
use ipblock_store::{
    Alert, AlertEpoch, AlertRetention, AlertTotals, AuditEntry, Author, Ban, BanRow, BootEnd, End,
    GenerationCounts, GoneBan, Interface, NewGeneration, NewRevision, RevisionState, RuleCounts,
    StagedEdit, Store, StoredRuleset, Switch, Trial, ZoneSwitch,
};
use jiff::Timestamp;

use super::database;
use crate::rulesets::{NOW, at};

pub(super) fn author() -> Author {
    Author::user(0, "root")
}

fn end() -> End {
    let boot = BootEnd {
        boot_id: "boot".to_owned(),
        deadline_ns: 7,
    };
    End {
        wall: at(NOW),
        boot: Some(boot),
    }
}

/// One rule, whatever the text says.
pub(super) fn ruleset(toml: &str) -> StoredRuleset {
    StoredRuleset {
        toml: toml.to_owned(),
        ids: [("abuse".parse().unwrap(), RuleId(1))].into(),
    }
}

pub(super) fn ban() -> Ban {
    Ban {
        origin: "fail2ban/sshd".parse().unwrap(),
        end: Some(end()),
        reason: "scans".to_owned(),
        time: at(NOW),
        author: author(),
    }
}

/// One that is no longer in force.
pub(super) fn revision(ruleset: &StoredRuleset) -> NewRevision<'_> {
    NewRevision {
        time: at(NOW),
        author: author(),
        comment: "ticket 42".to_owned(),
        ruleset: Some(ruleset),
        rules: 1,
        entries: 2,
        state: RevisionState::Superseded,
        trial: None,
    }
}

pub(super) fn interface() -> Interface {
    Interface {
        name: "eth0".to_owned(),
        mode: None,
        zone: "default".parse().unwrap(),
    }
}

/// The bytes of the database.
pub(super) fn template() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let dir = super::directory();
        let store = Store::open(dir.path()).unwrap();
        fill(&store);
        drop(store);
        fs::read(database(dir.path())).unwrap()
    })
}

fn fill(store: &Store) {
    store.allocate_rule_ids(3).unwrap();
    let small = ruleset("[[rule]]\nname = \"abuse\"\n");
    // Long enough for pieces.
    let long = ruleset(&"match = [\"192.0.2.1\"]\n".repeat(2_000));
    store.insert_revision(&revision(&small)).unwrap();
    let trial = Some(Trial {
        previous: 1,
        end: end(),
    });
    let state = RevisionState::AwaitingConfirmation;
    let deployed = NewRevision {
        state,
        trial,
        ..revision(&long)
    };
    let number = store.insert_revision(&deployed).unwrap();
    let state = RevisionState::Prepared;
    store
        .insert_revision(&NewRevision {
            state,
            ..revision(&small)
        })
        .unwrap();
    let edit = StagedEdit {
        time: at(NOW),
        author: author(),
        summary: vec!["rule abuse: added".to_owned()],
        edit: serde_json::json!({ "edit": "remove_rules", "names": ["abuse"] }),
    };
    store.stage(number, &long, &[edit]).unwrap();
    for is_live in [true, false] {
        generation(store, number, is_live);
    }
    let prefix = "198.51.100.0/24".parse().unwrap();
    let owned = ban();
    let manual = Ban {
        origin: ipblock_policy::Origin::default(),
        ..ban()
    };
    let gone = GoneBan {
        prefix,
        ban: &owned,
        ended: at(NOW),
        by: Some(&owned.author),
    };
    let both = [&manual, &owned].map(|ban| BanRow::Put(prefix, ban));
    store.change_bans(both, &[gone], None).unwrap();
    store.set_rule_durations([(RuleId(1), end())]).unwrap();
    store.add_interface(&interface()).unwrap();
    let entry = AuditEntry {
        time: at(NOW),
        author: author(),
        what: "deploy".to_owned(),
        detail: "revision 2".to_owned(),
    };
    store.audit(&entry).unwrap();
    alerts(store);
}

fn generation(store: &Store, revision: u64, is_live: bool) {
    let number = store.allocate_generation().unwrap();
    let class = CompiledClass {
        verdict: ClassVerdict::Block,
        alert: false,
        matched: vec![RuleId(1)],
        excepted: vec![RuleId(2)],
        valid_until: Some(at(NOW)),
        next: 0,
    };
    let new = NewGeneration {
        number,
        zone: "default".parse().unwrap(),
        revision,
        classes: &[class],
        ipv4_entries: 1,
        ipv6_entries: 1,
        default: DefaultVerdict::Drop,
        malformed: MalformedPolicy::Pass,
        object_sha256: [7; 32],
        time: at(NOW),
    };
    store.record_built(&new).unwrap();
    let zones = vec![ZoneSwitch {
        retired: None,
        live: Some(number),
    }];
    if is_live {
        store
            .commit_switch(&Switch {
                zones,
                ..Switch::default()
            })
            .unwrap();
    }
    let of_rule = RuleCounts {
        packets: 3,
        bytes: 180,
        excepted: 1,
        last_hit: Some(at(NOW)),
    };
    let mut totals = Totals::default();
    totals[Outcome::Dropped] = Count {
        packets: 3,
        bytes: 180,
    };
    let counts = GenerationCounts {
        rules: [(RuleId(1), of_rule)].into(),
        totals,
        bans: Count::default(),
    };
    store.checkpoint(number, &counts).unwrap();
}

fn alerts(store: &Store) {
    let alert = Alert {
        id: 1,
        time: at(NOW),
        kind: AlertKind::First,
        zone: "default".to_owned(),
        interface: "eth0".to_owned(),
        rules: vec!["abuse".to_owned()],
        action: Action::Warn,
        source: "192.0.2.1".parse().unwrap(),
        destination: "2001:db8::1".parse().unwrap(),
        protocol: 6,
        destination_port: Some(22),
        packets: 1,
    };
    let epoch = AlertEpoch {
        boot_id: "boot".to_owned(),
        map: 7,
    };
    let retention = AlertRetention {
        count: 10,
        time: Duration::from_secs(1_000_000_000),
    };
    let now: Timestamp = at(NOW);
    store
        .add_alerts(&[alert], &epoch, AlertTotals::default(), retention, now)
        .unwrap();
}
