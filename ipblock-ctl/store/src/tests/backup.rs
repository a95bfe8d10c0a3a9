//! Backup of the store to one file, and restore.

use super::*;

/// Returns a store with a history, a live generation with counts, and a staged ruleset.
fn filled() -> Fixture {
    let fixture = Fixture::new();
    let store = &fixture.store;
    fixture.revision(&ruleset("a", &[("a", 1)]), RevisionState::Superseded);
    let deployed = fixture.revision(
        &ruleset("b", &[("a", 1), ("b", 2)]),
        RevisionState::Deployed,
    );
    store.allocate_rule_ids(2).unwrap();
    let live = fixture.live("default", deployed);
    store.checkpoint(live, &counts(1, 7, Some(50))).unwrap();
    store
        .stage(deployed, &ruleset("c", &[("a", 1)]), &[])
        .unwrap();
    fixture
}

/// Replaces a store with a backup, without a switch.
fn replace(fixture: &Fixture, backup: Store) -> Result<(), StoreError> {
    fixture.store.replace_with(backup, &[], || Ok(()))
}

/// Opens a backup of the store as a store of its own.
fn backup_of(fixture: &Fixture) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    fixture.store.back_up(&dir.path().join(DATABASE)).unwrap();
    let store = Store::open(dir.path()).unwrap();
    Fixture { store, dir }
}

#[test]
fn a_backup_holds_everything_and_leaves_the_store_as_it_was() {
    let original = filled();
    let copy = backup_of(&original);
    for fixture in [&original, &copy] {
        let store = &fixture.store;
        assert_eq!(store.revisions().unwrap().len(), 2);
        assert_eq!(store.staged().unwrap().unwrap().ruleset.toml, "c");
        assert_eq!(store.open_generations().unwrap().len(), 1);
    }
}

#[test]
fn a_restored_store_has_the_history_and_the_counts_of_the_backup() {
    let Fixture { store, dir: _dir } = backup_of(&filled());
    let other = Fixture::new();
    other.revision(&ruleset("x", &[("x", 1)]), RevisionState::Deployed);
    let identity = other.store.store_id();
    let live = other.live("default", 1);
    other
        .store
        .checkpoint(live, &counts(1, 1_000, None))
        .unwrap();
    replace(&other, store).unwrap();

    let other = other.reopen();
    assert_eq!(other.store.store_id(), identity);
    assert_eq!(other.store.deployed_revision().unwrap().unwrap().number, 2);
    assert_eq!(other.store.ruleset(2).unwrap().toml, "b");
    // The base contains the counts of the backup's live generation, and none of the other store's.
    assert_eq!(other.rule(1).packets, 7);
    assert_eq!(other.totals("default")[Outcome::Dropped].packets, 7);
    assert_eq!(other.store.open_generations().unwrap(), []);
    // Numbers continue: rule identities as in the backup, generations as in this store.
    assert_eq!(other.store.allocate_rule_ids(1).unwrap(), [RuleId(3)]);
    assert_eq!(other.store.allocate_generation().unwrap(), live + 1);
    assert_eq!(
        other.revision(&ruleset("d", &[]), RevisionState::Prepared),
        3
    );
}

#[test]
fn a_restore_that_fails_changes_nothing() {
    let Fixture { store, dir } = backup_of(&filled());
    let other = Fixture::new();
    other.revision(&ruleset("x", &[("x", 1)]), RevisionState::Deployed);
    store
        .connection()
        .execute_batch("DROP TABLE rule_duration")
        .unwrap();
    assert!(replace(&other, store).is_err());
    assert_eq!(other.store.ruleset(1).unwrap().toml, "x");
    // The next one succeeds.
    let Fixture { store, dir: _next } = backup_of(&filled());
    replace(&other, store).unwrap();
    drop(dir);
}
