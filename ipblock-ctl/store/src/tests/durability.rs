//! Power loss at every step of a deploy, and a process that dies inside a transaction.

use super::*;

/// Returns the sum that a daemon would show: the base and, for open generations, the checkpoint in
/// place of the kernel's counters.
fn shown(fixture: &Fixture) -> u64 {
    let open = fixture.store.open_generations().unwrap();
    let checkpoints = open.iter().map(|generation| {
        let counts = fixture.store.checkpoint_of(generation.number).unwrap();
        counts.rules.values().map(|rule| rule.packets).sum::<u64>()
    });
    fixture.rule(1).packets + checkpoints.sum::<u64>()
}

#[test]
fn power_loss_after_any_step_of_a_deploy_loses_nothing_that_was_reported() {
    let fixture = Fixture::new();
    let first = ruleset("a", &[("r", 1)]);
    let second = ruleset("b", &[("r", 1)]);
    assert_eq!(
        fixture.store.allocate_rule_ids(1).unwrap(),
        [RuleId(1)].as_slice()
    );
    let one = fixture.revision(&first, RevisionState::Deployed);
    let old = fixture.live("default", one);

    fixture.store.checkpoint(old, &counts(1, 5, None)).unwrap();
    assert_eq!(shown(&fixture.after_power_loss()), 5);

    fixture.store.stage(one, &second, &[]).unwrap();
    let staged = fixture.after_power_loss().store.staged().unwrap();
    assert_eq!(staged.unwrap().ruleset, second);

    let two = fixture.revision(&second, RevisionState::Prepared);
    let after = fixture.after_power_loss();
    assert_eq!(after.store.ruleset(two).unwrap(), second);
    let deployed = after.store.deployed_revision().unwrap().unwrap();
    assert_eq!(deployed.number, one);

    let new = fixture.built("default", two);
    let after = fixture.after_power_loss();
    assert_eq!(after.generation_state(new), GenerationState::Built);
    assert_eq!(after.store.generation_classes(new).unwrap(), classes());

    let switch = Switch {
        zones: vec![zone(Some((old, counts(1, 8, None))), Some(new))],
        deploy: Some(deploy(two)),
        clear_staged: true,
    };
    fixture.store.commit_switch(&switch).unwrap();
    let after = fixture.after_power_loss();
    assert_eq!(shown(&after), 8);
    assert_eq!(
        after.store.deployed_revision().unwrap().unwrap().number,
        two
    );
    assert_eq!(after.store.staged().unwrap(), None);
    // The retired generation's pins may still exist: a second commit adds nothing.
    after.store.commit_switch(&switch).unwrap();
    assert_eq!(shown(&after), 8);
}

#[test]
fn a_process_that_dies_inside_a_transaction_leaves_the_state_before_it() {
    let fixture = Fixture::new();
    let one = fixture.revision(&ruleset("a", &[("r", 1)]), RevisionState::Deployed);
    let old = fixture.live("default", one);
    fixture.store.checkpoint(old, &counts(1, 5, None)).unwrap();

    let mut seen = None;
    let died = fixture.store.write(|transaction| {
        // Enough to spill uncommitted pages from SQLite's cache into the log.
        transaction.execute("DELETE FROM checkpoint_rule", [])?;
        transaction.execute("UPDATE revision SET state = 'superseded'", [])?;
        transaction.pragma_update(None, "cache_size", 1)?;
        for number in 0..200 {
            transaction.execute(
                "INSERT INTO ruleset (sha256, size, toml) VALUES (?1, 0, ?2)",
                ([number; 32], "x".repeat(50_000)),
            )?;
        }
        seen = Some(fixture.after_power_loss());
        Err::<(), _>(TransactionError::Damaged("the process died".to_owned()))
    });
    assert!(died.is_err());
    for after in [seen.unwrap(), fixture.reopen()] {
        assert_eq!(shown(&after), 5);
        assert_eq!(after.revision_state(one), RevisionState::Deployed);
        assert_eq!(after.store.ruleset(one).unwrap().toml, "a");
    }
}

#[test]
fn threads_can_share_a_store() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&Fixture::new().store);
}

#[test]
fn a_panic_inside_a_transaction_leaves_a_store_that_works() {
    let fixture = Fixture::new();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        fixture
            .store
            .write(|transaction| -> Result<(), TransactionError> {
                transaction.execute("DELETE FROM sequence", [])?;
                panic!("in a test");
            })
    }));
    assert!(panicked.is_err());
    assert_eq!(
        fixture.store.allocate_rule_ids(1).unwrap(),
        [RuleId(1)].as_slice()
    );
}

#[test]
fn a_torn_log_gives_the_last_whole_transaction() {
    let fixture = Fixture::new();
    fixture.store.allocate_rule_ids(1).unwrap();
    let log = fixture.dir.path().join("ipblock.db-wal");
    let whole = fs::metadata(&log).unwrap().len();
    fixture.store.allocate_rule_ids(1).unwrap();
    let torn = fs::metadata(&log).unwrap().len();
    assert!(torn > whole);

    let dir = tempfile::tempdir().unwrap();
    for name in ["ipblock.db", "ipblock.db-wal"] {
        fs::copy(fixture.dir.path().join(name), dir.path().join(name)).unwrap();
    }
    let file = fs::OpenOptions::new()
        .write(true)
        .open(dir.path().join("ipblock.db-wal"))
        .unwrap();
    file.set_len(torn - 100).unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(
        store.allocate_rule_ids(1).unwrap(),
        [RuleId(2)].as_slice(),
        "the transaction whose end never reached the disk was never reported"
    );
}

#[test]
fn commits_sync_the_log() {
    let fixture = Fixture::new();
    let connection = fixture.store.connection();
    let pragma = |name: &str| -> String {
        let sql = format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(pragma("journal_mode"), "wal");
    assert_eq!(pragma("synchronous"), "2", "FULL");
    assert_eq!(pragma("locking_mode"), "exclusive");
    assert_eq!(pragma("foreign_keys"), "1");
}

#[test]
fn a_store_of_version_1_is_brought_up_to_date_and_keeps_what_it_holds() {
    let fixture = Fixture::new();
    let number = fixture.revision(
        &ruleset("name = \"a\"", &[("a", 1)]),
        RevisionState::Deployed,
    );
    let path = fixture.store.path().to_owned();
    let Fixture { store, dir } = fixture;
    drop(store);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "DROP TABLE ban; DROP TABLE confirmation; DROP TABLE rule_duration;
             DROP TABLE alert; DROP TABLE alert_kept; DROP TABLE alert_total;",
        )
        .unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    drop(connection);

    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.deployed_revision().unwrap().unwrap().number, number);
    let version: i64 = store
        .connection()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 3);
    let bans: i64 = store
        .connection()
        .query_row("SELECT count(*) FROM ban", [], |row| row.get(0))
        .unwrap();
    assert_eq!(bans, 0);
}
