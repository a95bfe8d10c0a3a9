use super::*;

#[test]
fn counts_add_up_and_the_later_hit_is_the_last() {
    let mut sum = counts(1, 3, Some(20)).rules[&RuleId(1)];
    sum += counts(1, 4, Some(10)).rules[&RuleId(1)];
    sum += RuleCounts::default();
    let expected = RuleCounts {
        packets: 7,
        bytes: 420,
        excepted: 2,
        last_hit: Some(at(20)),
    };
    assert_eq!(sum, expected);
    sum += RuleCounts {
        packets: u64::MAX,
        ..RuleCounts::default()
    };
    assert_eq!(sum.packets, u64::MAX);
}

#[test]
fn a_switch_adds_the_final_counts_of_every_zone_and_records_all_of_it() {
    let fixture = Fixture::new();
    let first = fixture.revision(&ruleset("a", &[("r", 1)]), RevisionState::Deployed);
    let old = [fixture.live("default", first), fixture.live("dmz", first)];
    let kept = fixture.live("kept", first);
    let gone = fixture.live("gone", first);
    let second = fixture.revision(&ruleset("b", &[("r", 1)]), RevisionState::Prepared);
    let new = [
        fixture.built("default", second),
        fixture.built("dmz", second),
    ];
    fixture.store.stage(first, &ruleset("b", &[]), &[]).unwrap();
    fixture
        .store
        .checkpoint(old[0], &counts(1, 2, None))
        .unwrap();

    let switch = Switch {
        zones: vec![
            zone(Some((old[0], counts(1, 10, Some(5)))), Some(new[0])),
            zone(Some((old[1], counts(1, 20, Some(9)))), Some(new[1])),
            zone(None, Some(kept)),
            zone(Some((gone, counts(2, 1, None))), None),
        ],
        deploy: Some(deploy(second)),
        clear_staged: true,
    };
    // The second pass simulates a daemon that died before it saw the result of the first.
    for _ in 0..2 {
        fixture.store.commit_switch(&switch).unwrap();
        let expected = RuleCounts {
            packets: 30,
            bytes: 1_800,
            excepted: 2,
            last_hit: Some(at(9)),
        };
        assert_eq!(fixture.rule(1), expected);
        assert_eq!(fixture.rule(2).packets, 1);
        assert_eq!(fixture.totals("default"), counts(1, 10, None).totals);
        assert_eq!(fixture.totals("dmz"), counts(1, 20, None).totals);
        assert_eq!(fixture.totals("gone"), counts(1, 1, None).totals);
        assert_eq!(fixture.totals("kept"), Totals::default());
        for folded in [old[0], old[1], gone] {
            assert_eq!(fixture.generation_state(folded), GenerationState::Folded);
            assert!(fixture.store.generation_classes(folded).is_err());
        }
        for live in [new[0], new[1], kept] {
            assert_eq!(fixture.generation_state(live), GenerationState::Live);
        }
        let empty = GenerationCounts::default();
        assert_eq!(fixture.store.checkpoint_of(old[0]).unwrap(), empty);
        assert_eq!(fixture.store.staged().unwrap(), None);
        assert_eq!(fixture.revision_state(second), RevisionState::Deployed);
        assert_eq!(fixture.revision_state(first), RevisionState::Superseded);
    }
}

#[test]
fn a_switch_that_cannot_be_recorded_changes_nothing() {
    let fixture = Fixture::new();
    let first = fixture.revision(&ruleset("a", &[("r", 1)]), RevisionState::Deployed);
    let old = fixture.live("default", first);
    let new = fixture.built("default", first);
    fixture.store.checkpoint(old, &counts(1, 2, None)).unwrap();

    let switch = |zones, revision| Switch {
        zones,
        deploy: Some(deploy(revision)),
        clear_staged: true,
    };
    let retire = zone(Some((old, counts(1, 10, None))), Some(new));
    let refused = [
        switch(vec![retire.clone(), zone(None, Some(99))], first),
        switch(
            vec![
                retire.clone(),
                zone(Some((99, GenerationCounts::default())), None),
            ],
            first,
        ),
        switch(vec![retire.clone()], 77),
        switch(vec![zone(None, Some(new))], first),
        switch(vec![retire, zone(None, Some(old))], first),
    ];
    let messages: Vec<_> = refused
        .iter()
        .map(|switch| {
            let error = fixture.store.commit_switch(switch).unwrap_err();
            assert_eq!(fixture.rule(1), RuleCounts::default());
            assert_eq!(fixture.generation_state(old), GenerationState::Live);
            assert_eq!(fixture.generation_state(new), GenerationState::Built);
            assert_eq!(fixture.revision_state(first), RevisionState::Deployed);
            let kept = fixture.store.checkpoint_of(old).unwrap();
            assert_eq!(kept, counts(1, 2, None));
            error.to_string()
        })
        .collect();
    assert_eq!(
        messages,
        [
            "generation 99 is not recorded in the state store",
            "generation 99 is not recorded in the state store",
            "there is no revision 77",
            "zone `default` still has generation 1 in force, so 2 cannot be",
            "generation 1 was folded already and cannot be put in force",
        ]
    );
}

#[test]
fn a_switch_that_was_undone_half_way_keeps_what_the_new_generation_counted() {
    let fixture = Fixture::new();
    let old = fixture.live("default", 1);
    let new = fixture.built("default", 2);
    let undone = Switch {
        zones: vec![zone(Some((new, counts(1, 3, None))), Some(old))],
        ..Switch::default()
    };
    fixture.store.commit_switch(&undone).unwrap();
    assert_eq!(fixture.rule(1).packets, 3);
    assert_eq!(fixture.generation_state(old), GenerationState::Live);
    assert_eq!(fixture.generation_state(new), GenerationState::Folded);
}

#[test]
fn a_checkpoint_replaces_the_one_before() {
    let fixture = Fixture::new();
    let live = fixture.live("default", 1);
    let mut before = counts(1, 3, Some(5));
    before.rules.insert(RuleId(2), RuleCounts::default());
    assert!(fixture.store.checkpoint(live, &before).unwrap());
    let after = counts(1, 4, Some(6));
    assert!(fixture.store.checkpoint(live, &after).unwrap());
    let fixture = fixture.after_power_loss();
    assert_eq!(fixture.store.checkpoint_of(live).unwrap(), after);
    assert_eq!(fixture.rule(1), RuleCounts::default());
    assert!(matches!(
        fixture.store.checkpoint(99, &after),
        Err(StoreError::NoSuchGeneration(99))
    ));
}

#[test]
fn after_a_reboot_the_last_checkpoint_is_added_once() {
    let fixture = Fixture::new();
    let live = fixture.live("default", 1);
    fixture
        .store
        .checkpoint(live, &counts(1, 4, Some(6)))
        .unwrap();
    let fixture = fixture.after_power_loss();
    assert!(fixture.store.fold_checkpoint(live).unwrap());
    assert!(!fixture.store.fold_checkpoint(live).unwrap());
    assert_eq!(fixture.rule(1), counts(1, 4, Some(6)).rules[&RuleId(1)]);
    assert_eq!(fixture.totals("default"), counts(1, 4, None).totals);
    assert_eq!(fixture.store.open_generations().unwrap(), []);
    assert!(matches!(
        fixture.store.fold_checkpoint(99),
        Err(StoreError::NoSuchGeneration(99))
    ));
}

#[test]
fn a_checkpoint_that_comes_after_the_fold_is_not_kept() {
    let fixture = Fixture::new();
    let live = fixture.live("default", 1);
    assert!(fixture.store.fold_checkpoint(live).unwrap());
    assert!(!fixture.store.checkpoint(live, &counts(1, 4, None)).unwrap());
    let empty = GenerationCounts::default();
    assert_eq!(fixture.store.checkpoint_of(live).unwrap(), empty);
}

#[test]
fn a_counter_stops_at_the_largest_number_that_the_store_holds() {
    let fixture = Fixture::new();
    let most = i64::MAX.cast_unsigned();
    for packets in [u64::MAX, most - 5, 10, u64::MAX] {
        let live = fixture.live("default", 1);
        let mut last = counts(1, 1, None);
        last.totals[Outcome::Dropped].bytes = packets;
        last.rules.get_mut(&RuleId(1)).unwrap().packets = packets;
        let switch = Switch {
            zones: vec![zone(Some((live, last)), None)],
            ..Switch::default()
        };
        fixture.store.commit_switch(&switch).unwrap();
        assert_eq!(fixture.rule(1).packets, most);
        assert_eq!(fixture.totals("default")[Outcome::Dropped].bytes, most);
    }
    assert_eq!(fixture.rule(1).bytes, 240);
}

#[test]
fn folded_generations_are_forgotten_in_the_end_and_open_ones_never() {
    let mut fixture = Fixture::new();
    fixture.store.limits.folded_generations = 2;
    let open = fixture.live("dmz", 1);
    let folded: Vec<_> = (0..4)
        .map(|_| {
            let live = fixture.live("default", 1);
            fixture.store.fold_checkpoint(live).unwrap();
            live
        })
        .collect();
    assert_eq!(fixture.store.generation(folded[1]).unwrap(), None);
    assert_eq!(fixture.generation_state(folded[2]), GenerationState::Folded);
    assert_eq!(fixture.generation_state(open), GenerationState::Live);
}
