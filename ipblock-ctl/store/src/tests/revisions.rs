use std::time::Instant;

use super::*;

#[test]
fn a_revision_comes_back_as_it_was_recorded() {
    let fixture = Fixture::new();
    let text = "[[rule]]\nname = \"abuse\"\nnote = \"ünï\\u0000\"\n";
    let stored = ruleset(text, &[("abuse", 1), ("seen", u64::from(u32::MAX))]);
    let number = fixture.revision(&stored, RevisionState::Deployed);
    let fixture = fixture.reopen();

    assert_eq!(number, 1);
    assert_eq!(fixture.store.ruleset(1).unwrap(), stored);
    let expected = Revision {
        number: 1,
        time: at(100),
        author: root(),
        comment: "ticket 42".to_owned(),
        rules: 1,
        entries: 2,
        state: RevisionState::Deployed,
    };
    assert_eq!(fixture.store.revision(1).unwrap(), Some(expected.clone()));
    assert_eq!(
        fixture.store.deployed_revision().unwrap(),
        Some(expected.clone())
    );
    assert_eq!(fixture.store.revisions().unwrap(), [expected]);
}

#[test]
fn what_is_not_there_is_told_apart_from_what_is() {
    let store = Fixture::new().store;
    assert_eq!(store.revision(9).unwrap(), None);
    assert_eq!(store.deployed_revision().unwrap(), None);
    assert!(matches!(
        store.ruleset(9),
        Err(StoreError::NoSuchRevision(9))
    ));
    assert!(matches!(
        store.confirm(9),
        Err(StoreError::NoSuchRevision(9))
    ));
}

#[test]
fn a_prepared_revision_is_no_history_until_it_is_deployed() {
    let fixture = Fixture::new();
    let first = fixture.revision(&ruleset("a", &[]), RevisionState::Deployed);
    let second = fixture.revision(&ruleset("b", &[]), RevisionState::Prepared);
    let listed = |revisions: Vec<Revision>| -> Vec<u64> {
        revisions.iter().map(|revision| revision.number).collect()
    };
    assert_eq!(listed(fixture.store.revisions().unwrap()), [first]);
    assert_eq!(
        listed(fixture.store.prepared_revisions().unwrap()),
        [second]
    );

    let switch = Switch {
        deploy: Some(deploy(second)),
        ..Switch::default()
    };
    fixture.store.commit_switch(&switch).unwrap();
    assert_eq!(listed(fixture.store.revisions().unwrap()), [second, first]);
    assert_eq!(fixture.revision_state(first), RevisionState::Superseded);
    assert_eq!(fixture.revision_state(second), RevisionState::Deployed);
}

#[test]
fn discarding_a_prepared_revision_takes_its_built_generations_along_and_keeps_the_number() {
    let fixture = Fixture::new();
    let first = fixture.revision(&ruleset("a", &[]), RevisionState::Deployed);
    let second = fixture.revision(&ruleset("b", &[]), RevisionState::Prepared);
    let generation = fixture.built("default", second);
    fixture.store.discard_prepared(second).unwrap();

    assert_eq!(fixture.store.revision(second).unwrap(), None);
    assert_eq!(fixture.store.generation(generation).unwrap(), None);
    assert!(matches!(
        fixture.store.discard_prepared(first),
        Err(StoreError::NoSuchRevision(1))
    ));
    assert_eq!(
        fixture.revision(&ruleset("c", &[]), RevisionState::Prepared),
        3
    );
}

fn trial(previous: u64) -> Trial {
    let boot = BootEnd {
        boot_id: "a boot".to_owned(),
        deadline_ns: 60_000_000_000,
    };
    Trial {
        previous,
        end: End {
            wall: at(160),
            boot: Some(boot),
        },
    }
}

/// Records a first revision and, in its place, a second one on trial.
fn on_trial(fixture: &Fixture) -> (u64, u64) {
    let first = fixture.revision(&ruleset("a", &[]), RevisionState::Deployed);
    let second = fixture.revision(&ruleset("b", &[]), RevisionState::Prepared);
    let switch = Switch {
        deploy: Some(Deploy {
            trial: Some(trial(first)),
            ..deploy(second)
        }),
        ..Switch::default()
    };
    fixture.store.commit_switch(&switch).unwrap();
    (first, second)
}

#[test]
fn a_revision_on_trial_is_in_force_and_stands_there_after_a_restart() {
    let fixture = Fixture::new();
    let (first, second) = on_trial(&fixture);
    let fixture = fixture.reopen();
    let deployed = fixture.store.deployed_revision().unwrap().unwrap();
    assert_eq!(deployed.number, second);
    assert_eq!(deployed.state, RevisionState::AwaitingConfirmation);
    let expected = Confirmation {
        revision: second,
        trial: trial(first),
    };
    assert_eq!(fixture.store.confirmation().unwrap(), Some(expected));
}

#[test]
fn a_confirmed_revision_stays() {
    let fixture = Fixture::new();
    let (first, second) = on_trial(&fixture);
    fixture.store.confirm(second).unwrap();
    assert_eq!(fixture.store.confirmation().unwrap(), None);
    assert_eq!(fixture.revision_state(second), RevisionState::Deployed);
    assert_eq!(fixture.revision_state(first), RevisionState::Superseded);
}

#[test]
fn going_back_ends_the_trial_and_tells_what_was_rolled_back() {
    let fixture = Fixture::new();
    let (first, second) = on_trial(&fixture);
    let switch = Switch {
        deploy: Some(Deploy {
            previous: RevisionState::RolledBack,
            ..deploy(first)
        }),
        ..Switch::default()
    };
    fixture.store.commit_switch(&switch).unwrap();
    assert_eq!(fixture.store.confirmation().unwrap(), None);
    assert_eq!(fixture.revision_state(first), RevisionState::Deployed);
    assert_eq!(fixture.revision_state(second), RevisionState::RolledBack);
}

#[test]
fn going_back_before_the_first_deploy_leaves_no_revision_in_force() {
    let fixture = Fixture::new();
    let first = fixture.revision(&ruleset("a", &[]), RevisionState::Deployed);
    let switch = Switch {
        deploy: Some(Deploy {
            previous: RevisionState::RolledBack,
            ..deploy(0)
        }),
        ..Switch::default()
    };
    fixture.store.commit_switch(&switch).unwrap();
    assert_eq!(fixture.store.deployed_revision().unwrap(), None);
    assert_eq!(fixture.revision_state(first), RevisionState::RolledBack);
}

#[test]
fn a_trial_whose_deploy_came_to_nothing_is_forgotten_with_it() {
    let fixture = Fixture::new();
    let new = NewRevision {
        time: at(100),
        author: root(),
        comment: String::new(),
        ruleset: Some(&ruleset("a", &[])),
        rules: 1,
        entries: 1,
        state: RevisionState::Prepared,
        trial: Some(trial(0)),
    };
    let number = fixture.store.insert_revision(&new).unwrap();
    assert_eq!(
        fixture.store.confirmation().unwrap().unwrap().revision,
        number
    );
    fixture.store.discard_prepared(number).unwrap();
    assert_eq!(fixture.store.confirmation().unwrap(), None);
}

#[test]
fn two_revisions_are_never_in_force_at_once() {
    let fixture = Fixture::new();
    fixture.revision(&ruleset("a", &[]), RevisionState::Deployed);
    let second = fixture.revision(&ruleset("b", &[]), RevisionState::Superseded);
    let both = fixture.store.confirm(second);
    assert!(matches!(both, Err(StoreError::Sqlite { .. })));
    assert_eq!(fixture.revision_state(second), RevisionState::Superseded);
}

#[test]
fn a_thousand_revisions_are_kept_and_the_deployed_one_whatever_its_age() {
    let fixture = Fixture::new();
    let deployed = fixture.revision(&ruleset("0", &[("r0", 1)]), RevisionState::Deployed);
    for number in 1..1_005u64 {
        let stored = ruleset(&number.to_string(), &[("r", number + 1)]);
        fixture.revision(&stored, RevisionState::Superseded);
    }
    let kept = fixture.store.revisions().unwrap();
    assert_eq!(kept.len(), 1_000);
    assert_eq!(kept.first().unwrap().number, 1_005);
    assert_eq!(kept.last().unwrap().number, deployed);
    assert_eq!(kept[kept.len() - 2].number, 7);
    let rows = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        fixture
            .store
            .connection()
            .query_row(&sql, [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(rows("ruleset"), 1_000);
    assert_eq!(rows("ruleset_rule"), 1_000);
}

#[test]
fn large_rulesets_leave_room_for_fewer_revisions_but_never_for_too_few() {
    let mut fixture = Fixture::new();
    fixture.store.limits.ruleset_bytes = 10_000;
    fixture.store.limits.spared_revisions = 3;
    for letter in 'a'..='z' {
        let text = letter.to_string().repeat(1_000);
        fixture.revision(&ruleset(&text, &[]), RevisionState::Superseded);
    }
    assert_eq!(fixture.store.revisions().unwrap().len(), 10);
    for letter in '0'..'6' {
        let text = letter.to_string().repeat(9_000);
        fixture.revision(&ruleset(&text, &[]), RevisionState::Superseded);
    }
    assert_eq!(fixture.store.revisions().unwrap().len(), 3);
}

#[test]
fn a_revision_whose_generation_is_in_the_kernel_is_not_pruned() {
    let mut fixture = Fixture::new();
    fixture.store.limits.revisions = 2;
    let first = fixture.revision(&ruleset("a", &[]), RevisionState::Superseded);
    fixture.live("default", first);
    for text in ["b", "c", "d"] {
        fixture.revision(&ruleset(text, &[]), RevisionState::Superseded);
    }
    let kept: Vec<_> = fixture.store.revisions().unwrap();
    let numbers: Vec<_> = kept.iter().map(|revision| revision.number).collect();
    assert_eq!(numbers, [4, 1]);
}

#[test]
fn counters_go_with_the_last_revision_that_names_their_rule() {
    let mut fixture = Fixture::new();
    fixture.store.limits.revisions = 2;
    let first = fixture.revision(&ruleset("a", &[("gone", 1)]), RevisionState::Deployed);
    let generation = fixture.live("default", first);
    let mut last = counts(1, 5, None);
    last.rules.insert(RuleId(2), RuleCounts::default());
    let second = fixture.revision(&ruleset("b", &[("stays", 2)]), RevisionState::Prepared);
    let switch = Switch {
        zones: vec![zone(Some((generation, last)), None)],
        deploy: Some(deploy(second)),
        clear_staged: false,
    };
    fixture.store.commit_switch(&switch).unwrap();
    assert_eq!(fixture.rule(1).packets, 5);

    fixture.revision(&ruleset("c", &[("stays", 2)]), RevisionState::Superseded);
    let rules: Vec<_> = fixture.store.base_rules().unwrap().into_keys().collect();
    assert_eq!(rules, [RuleId(2)]);
}

#[test]
fn rule_identities_rise_and_are_never_given_twice() {
    let fixture = Fixture::new();
    let take = |fixture: &Fixture, count| fixture.store.allocate_rule_ids(count).unwrap();
    assert_eq!(take(&fixture, 3), [1, 2, 3].map(RuleId));
    assert_eq!(take(&fixture, 0), []);
    let fixture = fixture.after_power_loss();
    assert_eq!(take(&fixture, 1), [RuleId(4)]);
    assert_eq!(fixture.store.allocate_generation().unwrap(), 1);
    assert_eq!(fixture.reopen().store.allocate_generation().unwrap(), 2);
}

#[test]
fn a_ruleset_of_seventy_thousand_prefixes_is_stored_once_and_read_back() {
    let prefixes: Vec<_> = (0..70_000u32)
        .map(|number| {
            let [_, a, b, c] = (number << 4).to_be_bytes();
            format!("    \"198.{a}.{b}.{c}/28\",\n")
        })
        .collect();
    let toml = format!(
        "[[rule]]\nname = \"country\"\naction = \"block\"\nmatch = [\n{}]\n",
        prefixes.concat()
    );
    let stored = ruleset(&toml, &[("country", 1)]);
    let fixture = Fixture::new();

    let start = Instant::now();
    fixture.store.stage(0, &stored, &[]).unwrap();
    let staged = start.elapsed();
    let start = Instant::now();
    let number = fixture.revision(&stored, RevisionState::Prepared);
    let recorded = start.elapsed();
    let start = Instant::now();
    assert_eq!(fixture.store.ruleset(number).unwrap(), stored);
    let read = start.elapsed();
    println!(
        "{} bytes: staged in {staged:?}, recorded in {recorded:?}, read in {read:?}",
        toml.len()
    );
    let rows: i64 = fixture
        .store
        .connection()
        .query_row("SELECT count(*) FROM ruleset", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1);
}

#[test]
fn revisions_of_list_files_go_before_those_of_people() {
    let fixture = Fixture::new();
    let by_hand = fixture.revision(&ruleset("by hand", &[]), RevisionState::Superseded);
    for number in 0..1_005u64 {
        let new = NewRevision {
            time: at(100),
            author: Author::daemon(),
            comment: "list feed".to_owned(),
            ruleset: Some(&ruleset(&number.to_string(), &[])),
            rules: 1,
            entries: 1,
            state: RevisionState::Superseded,
            trial: None,
        };
        fixture.store.insert_revision(&new).unwrap();
    }
    let kept = fixture.store.revisions().unwrap();
    assert_eq!(kept.len(), 1_000);
    assert_eq!(kept.last().unwrap().number, by_hand);
}

#[test]
fn what_is_staged_becomes_a_revision_without_its_text_being_stored_again() {
    let fixture = Fixture::new();
    let staged = ruleset("staged", &[("abuse", 7)]);
    fixture.store.stage(0, &staged, &[]).unwrap();
    let new = NewRevision {
        time: at(100),
        author: root(),
        comment: String::new(),
        ruleset: None,
        rules: 1,
        entries: 1,
        state: RevisionState::Prepared,
        trial: None,
    };
    let number = fixture.store.insert_revision(&new).unwrap();
    fixture.store.clear_staged().unwrap();
    assert_eq!(fixture.store.ruleset(number).unwrap(), staged);
    // Without a staged ruleset there is nothing to record.
    assert!(fixture.store.insert_revision(&new).is_err());
}
