//! Generations, interfaces and the audit trail: what is read is what was written.

use super::*;

#[test]
fn a_generation_comes_back_as_it_was_recorded() {
    let fixture = Fixture::new();
    let number = fixture.built("dmz", 3);
    let fixture = fixture.reopen();
    let expected = Generation {
        number,
        zone: "dmz".parse().unwrap(),
        revision: 3,
        state: GenerationState::Built,
        ipv4_entries: 120,
        ipv6_entries: 4,
        default: DefaultVerdict::Drop,
        malformed: MalformedPolicy::Pass,
        object_sha256: [7; 32],
        time: at(200),
    };
    let store = &fixture.store;
    assert_eq!(store.generation(number).unwrap(), Some(expected.clone()));
    assert_eq!(store.open_generations().unwrap(), [expected]);
    assert_eq!(store.generation_classes(number).unwrap(), classes());
    assert_eq!(
        store.live_generation(&"dmz".parse().unwrap()).unwrap(),
        None
    );
}

#[test]
fn only_a_generation_that_was_never_live_can_be_discarded() {
    let fixture = Fixture::new();
    let (built, live) = (fixture.built("dmz", 1), fixture.live("default", 1));
    assert!(fixture.store.discard_built(built).unwrap());
    assert!(!fixture.store.discard_built(built).unwrap());
    assert!(!fixture.store.discard_built(live).unwrap());
    assert!(matches!(
        fixture.store.generation_classes(built),
        Err(StoreError::NoSuchGeneration(1))
    ));
    let zone = ZoneName::default();
    let found = fixture.store.live_generation(&zone).unwrap().unwrap();
    assert_eq!(found.number, live);
}

#[test]
fn interfaces_are_remembered_until_they_are_removed() {
    let fixture = Fixture::new();
    let interface = |name: &str, mode, zone: &str| Interface {
        name: name.to_owned(),
        mode,
        zone: zone.parse().unwrap(),
    };
    let (first, second) = (
        interface("eth0", None, "default"),
        interface("eth1", Some(Mode::Generic), "dmz"),
    );
    fixture.store.add_interface(&second).unwrap();
    fixture.store.add_interface(&first).unwrap();
    let fixture = fixture.reopen();
    assert_eq!(fixture.store.interfaces().unwrap(), [first, second.clone()]);

    let moved = interface("eth0", Some(Mode::Native), "dmz");
    fixture.store.add_interface(&moved).unwrap();
    assert!(fixture.store.remove_interface("eth1").unwrap());
    assert!(!fixture.store.remove_interface("eth1").unwrap());
    assert_eq!(fixture.store.interfaces().unwrap(), [moved]);
}

#[test]
fn the_audit_trail_lists_the_newest_first_and_forgets_the_oldest() {
    let mut fixture = Fixture::new();
    fixture.store.limits.audit_entries = 3;
    fixture.store.limits.audit_slack = 1;
    let entry = |second| AuditEntry {
        time: at(second),
        author: root(),
        what: "deploy".to_owned(),
        detail: format!("revision {second}"),
    };
    for second in 1..=5 {
        fixture.store.audit(&entry(second)).unwrap();
    }
    assert_eq!(fixture.store.audit_list(2).unwrap(), [entry(5), entry(4)]);
    assert_eq!(
        fixture.store.audit_list(100).unwrap(),
        [entry(5), entry(4), entry(3)]
    );
}

#[test]
fn a_stream_of_bans_displaces_nothing_else_in_the_audit_trail() {
    let mut fixture = Fixture::new();
    fixture.store.limits.audit_stream = 2;
    fixture.store.limits.audit_slack = 1;
    for (second, what) in [
        (1, "deploy"),
        (2, "ban"),
        (3, "ban"),
        (4, "unban"),
        (5, "ban"),
    ] {
        let entry = AuditEntry {
            time: at(second),
            author: root(),
            what: what.to_owned(),
            detail: String::new(),
        };
        fixture.store.audit(&entry).unwrap();
    }
    let kept = fixture.store.audit_list(100).unwrap();
    let kept: Vec<_> = kept.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(kept, ["ban", "unban", "deploy"]);
}

#[test]
fn a_long_audit_detail_is_cut_between_characters() {
    let fixture = Fixture::new();
    let entry = AuditEntry {
        time: at(1),
        author: root(),
        what: "rule add".to_owned(),
        detail: format!("x{}", "ü".repeat(4_000)),
    };
    fixture.store.audit(&entry).unwrap();
    let kept = fixture.store.audit_list(1).unwrap().remove(0).detail;
    assert_eq!(kept, format!("x{}…", "ü".repeat(2_047)));
}

#[test]
fn the_last_duration_of_a_rule_is_kept_over_a_restart() {
    let fixture = Fixture::new();
    let end = |second| End {
        wall: at(second),
        boot: Some(BootEnd {
            boot_id: "a boot".to_owned(),
            deadline_ns: 60_000_000_000,
        }),
    };
    let by_time = End {
        wall: at(5),
        boot: None,
    };
    let ends = [(RuleId(1), end(1)), (RuleId(2), by_time)];
    fixture.store.set_rule_durations(ends).unwrap();
    let again = [(RuleId(1), end(2))];
    fixture.store.set_rule_durations(again.clone()).unwrap();
    let fixture = fixture.reopen();
    assert_eq!(fixture.store.rule_durations().unwrap(), again.into());
}

/// Returns rules with these ids, each with a duration.
fn ends_of(ids: std::ops::RangeInclusive<u64>) -> Vec<(RuleId, End)> {
    let end = End {
        wall: at(1),
        boot: Some(BootEnd {
            boot_id: "a boot".to_owned(),
            deadline_ns: 60_000_000_000,
        }),
    };
    ids.map(|id| (RuleId(id), end.clone())).collect()
}

#[test]
fn durations_go_with_the_last_ruleset_that_has_their_rule() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let rows = || store.rule_durations().unwrap().into_keys().map(|id| id.0);
    let rows = || rows().collect::<Vec<_>>();
    let deployed = ruleset("a", &[("kept", 1)]);
    store.set_rule_durations(ends_of(1..=1)).unwrap();
    fixture.revision(&deployed, RevisionState::Deployed);
    // Staged and discarded, a thousand times.
    for id in 2..=1_001 {
        store.set_rule_durations(ends_of(id..=id)).unwrap();
        let staged = ruleset("b", &[("kept", 1), ("new", id)]);
        store.stage(1, &staged, &[]).unwrap();
        assert_eq!(rows(), [1, id]);
        store.clear_staged().unwrap();
    }
    assert_eq!(rows(), [1]);
    // Staged, and removed by a later edit.
    store.set_rule_durations(ends_of(2..=3)).unwrap();
    let two = ruleset("c", &[("kept", 1), ("x", 2), ("y", 3)]);
    store.stage(1, &two, &[]).unwrap();
    store
        .stage(1, &ruleset("d", &[("kept", 1), ("y", 3)]), &[])
        .unwrap();
    assert_eq!(rows(), [1, 3]);
    // Staged and prepared, but not deployed.
    let prepared = fixture.revision(
        &ruleset("d", &[("kept", 1), ("y", 3)]),
        RevisionState::Prepared,
    );
    store.clear_staged().unwrap();
    assert_eq!(rows(), [1, 3]);
    store.discard_prepared(prepared).unwrap();
    assert_eq!(rows(), [1]);
}

#[test]
fn durations_that_an_older_release_left_are_cleared_and_others_stay() {
    let fixture = Fixture::new();
    fixture.revision(&ruleset("a", &[("kept", 1)]), RevisionState::Deployed);
    fixture.store.set_rule_durations(ends_of(1..=500)).unwrap();
    let fixture = fixture.reopen();
    assert_eq!(fixture.store.forget_unused_durations().unwrap(), 499);
    assert_eq!(fixture.store.forget_unused_durations().unwrap(), 0);
    let kept = fixture.store.rule_durations().unwrap().into_keys();
    assert_eq!(kept.collect::<Vec<_>>(), [RuleId(1)]);
}
