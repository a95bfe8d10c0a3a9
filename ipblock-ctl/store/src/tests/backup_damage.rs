//! Damaged backups: each is rejected, or can be read and used without an error. The tests cover
//! every column of every table that a restore replaces, including future tables.

use std::thread;

use rusqlite::types::Value;

use super::*;
use crate::backup::TABLES;

/// A directory in memory if possible, because the tests create hundreds of stores.
fn directory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn empty() -> Fixture {
    let dir = directory();
    let store = Store::open(dir.path()).unwrap();
    Fixture { store, dir }
}

/// Returns a store with rows in every table that a restore replaces.
fn full() -> Fixture {
    let fixture = empty();
    let store = &fixture.store;
    store.allocate_rule_ids(2).unwrap();
    // Longer than the largest piece.
    let long: Vec<_> = (0..25_000).map(|line| format!("line {line}\n")).collect();
    let long = long.concat();
    fixture.revision(&ruleset(&long, &[("a", 1)]), RevisionState::Deployed);
    let live = fixture.live("default", 1);
    let trial = Trial {
        previous: 1,
        end: end(),
    };
    let second = fixture.revision(
        &ruleset("b", &[("a", 1), ("b", 2)]),
        RevisionState::Prepared,
    );
    let deploy = Deploy {
        revision: second,
        trial: Some(trial),
        previous: RevisionState::Superseded,
    };
    let retired = FinalCounts {
        generation: live,
        counts: counts(1, 7, Some(50)),
    };
    store
        .commit_switch(&Switch {
            deploy: Some(deploy),
            ..Switch::retiring(retired)
        })
        .unwrap();
    let edit = StagedEdit {
        time: at(300),
        author: root(),
        summary: vec!["rule a: changed".to_owned()],
        edit: serde_json::json!({ "edit": "remove_rules", "names": ["a"] }),
    };
    store
        .stage(second, &ruleset("c", &[("a", 1)]), &[edit])
        .unwrap();
    let ban = Ban {
        origin: ipblock_policy::Origin::default(),
        end: Some(end()),
        reason: "scans".to_owned(),
        time: at(400),
        author: root(),
    };
    let prefix = "198.51.100.0/24".parse().unwrap();
    let owned = Ban {
        origin: "fail2ban/sshd".parse().unwrap(),
        ..ban.clone()
    };
    let both = [&ban, &owned].map(|ban| BanRow::Put(prefix, ban));
    store.change_bans(both, &[], None).unwrap();
    let counts = BanCounts {
        packets: 7,
        last_hit: Some(at(500)),
    };
    store.save_ban_counts(&[(prefix, counts)]).unwrap();
    store.set_rule_durations([(RuleId(1), end())]).unwrap();
    fixture
}

fn end() -> End {
    End {
        wall: at(5_000),
        boot: Some(BootEnd {
            boot_id: "boot".to_owned(),
            deadline_ns: 7,
        }),
    }
}

/// Returns the bytes of a store's backup.
fn backup_of(fixture: &Fixture) -> Vec<u8> {
    let dir = directory();
    let path = dir.path().join(DATABASE);
    fixture.store.back_up(&path).unwrap();
    fs::read(path).unwrap()
}

/// Writes a backup into a directory of its own.
fn placed(bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = directory();
    let path = dir.path().join(DATABASE);
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

/// Whether the backup is accepted. Checks that a daemon can start and continue with an accepted
/// one.
fn is_taken(dir: &TempDir) -> Result<bool, StoreError> {
    let aside = directory();
    let accepted = Store::open(dir.path()).and_then(|backup| Store::accept(backup, aside.path()));
    let accepted = match accepted {
        Ok(accepted) => accepted,
        Err(error) => {
            let is_damage = matches!(
                error,
                StoreError::Corrupt { .. } | StoreError::TooNew { .. }
            );
            return if is_damage { Ok(false) } else { Err(error) };
        }
    };
    let target = empty();
    target.revision(&ruleset("x", &[("x", 1)]), RevisionState::Deployed);
    target
        .store
        .replace_with(accepted, &[], || Ok::<_, StoreError>(()))?;
    let target = target.reopen();
    let store = &target.store;
    store.bans()?;
    store.confirmation()?;
    store.base_rules()?;
    store.base_zones()?;
    store.rule_durations()?;
    store.deployed_revision()?;
    store.staged()?;
    store.staged_edits()?;
    for revision in store.revisions()? {
        store.ruleset(revision.number)?;
    }
    // Later data gets new numbers, and is kept.
    let known = store.allocate_rule_ids(1)?;
    assert!(known[0].0 < u64::MAX / 2, "{known:?}");
    let base = store.deployed_revision()?.map_or(0, |found| found.number);
    store.clear_staged()?;
    store.stage(base, &ruleset("staged", &[]), &[])?;
    let next = ruleset("next", &[("a", 1)]);
    let number = target.revision(&next, RevisionState::Prepared);
    assert!(number > base);
    assert_eq!(store.ruleset(number)?, next);
    Ok(true)
}

/// Values that a database editor or a bad disk may write into a column.
fn values() -> Vec<Value> {
    let texts = [
        "",
        "nonsense",
        "default",
        "-1",
        "10.0.0.1/8",
        "1970-01-01",
        "\u{1b}[2J",
        "{}",
    ];
    let mut values = vec![Value::Null, Value::Real(0.5), Value::Blob(vec![0; 32])];
    values.extend(
        [
            0,
            1,
            -1,
            -5,
            1 << 31,
            1 << 53,
            i64::MAX - 1,
            i64::MAX,
            i64::MIN,
        ]
        .map(Value::Integer),
    );
    values.extend(texts.map(|text| Value::Text(text.to_owned())));
    values
}

/// Returns every column of every table in a backup, with its table.
fn columns(sound: &[u8]) -> Vec<(&'static str, String)> {
    let (_dir, path) = placed(sound);
    let connection = Connection::open(path).unwrap();
    let of_table = |table: &'static str| {
        let count = format!("SELECT count(*) FROM {table}");
        let rows: i64 = connection.query_row(&count, [], |row| row.get(0)).unwrap();
        assert!(rows > 0, "nothing in {table}: add something to `full`");
        let names = "SELECT name FROM pragma_table_info(?1)";
        let mut statement = connection.prepare(names).unwrap();
        let names = statement.query_map([table], |row| row.get(0)).unwrap();
        let names: Vec<String> = names.map(Result::unwrap).collect();
        names.into_iter().map(move |name| (table, name))
    };
    let tables = TABLES.into_iter().chain(["sequence", "store"]);
    tables.flat_map(of_table).collect()
}

/// Counts how often the backup is rejected and accepted with each value in this column.
fn with_any_value(sound: &[u8], table: &str, column: &str) -> [usize; 2] {
    let mut refused_and_taken = [0, 0];
    for value in values() {
        let (dir, path) = placed(sound);
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch("PRAGMA ignore_check_constraints = 1; PRAGMA foreign_keys = 0")
            .unwrap();
        let sql = format!("UPDATE OR REPLACE {table} SET {column} = ?1");
        // SQLite itself rejected the value, so nothing was damaged.
        let changed = connection.execute(&sql, [&value]);
        connection.close().unwrap();
        if changed.is_ok() {
            let is_taken = is_taken(&dir)
                .unwrap_or_else(|error| panic!("{table}.{column} = {value:?}: {error}"));
            refused_and_taken[usize::from(is_taken)] += 1;
        }
    }
    refused_and_taken
}

#[test]
fn a_backup_with_any_value_in_any_column_is_refused_or_can_be_started_from() {
    let sound = backup_of(&full());
    assert!(is_taken(&placed(&sound).0).unwrap(), "a sound one is taken");
    let columns = columns(&sound);
    // Most of the time is spent waiting for the disk.
    let parts: Vec<[usize; 2]> = thread::scope(|scope| {
        let part = |columns: &[(&str, String)]| -> Vec<[usize; 2]> {
            let all = columns.iter();
            all.map(|(table, column)| with_any_value(&sound, table, column))
                .collect()
        };
        let parts = columns.chunks(columns.len().div_ceil(4));
        let parts: Vec<_> = parts
            .map(|columns| scope.spawn(move || part(columns)))
            .collect();
        let ended = parts.into_iter().map(|part| part.join().unwrap());
        ended.flatten().collect()
    });
    let [refused, taken] = [0, 1].map(|place| parts.iter().map(|part| part[place]).sum::<usize>());
    assert!(refused > 200, "{refused} refused, {taken} taken");
    assert!(taken > 50, "{refused} refused, {taken} taken");
}

/// A daemon accepted each of these once, and then could not start or deploy.
#[test]
fn what_no_daemon_could_go_on_with_is_refused() {
    let sound = backup_of(&full());
    for (sql, named) in [
        ("UPDATE sequence SET last = 0", "not given out"),
        (
            "UPDATE sequence SET last = -5",
            "`last` of `sequence` is -5",
        ),
        (
            "UPDATE sequence SET last = 9223372036854775807",
            "out of its range",
        ),
        ("DELETE FROM sequence", "NOT NULL"),
        (
            "UPDATE revision SET number = 9223372036854775807 WHERE number = 1",
            "out of its range",
        ),
        (
            "UPDATE confirmation SET revision = 77",
            "does not await confirmation",
        ),
        ("UPDATE confirmation SET previous = 77", "is not there"),
        ("DELETE FROM confirmation", "without an end of its trial"),
        ("UPDATE staged SET base = 77", "is not there"),
        ("UPDATE staged_edit SET edit = 'nonsense'", "a staged edit"),
        (
            "UPDATE base_rule SET rule = -1",
            "`rule` of `base_rule` is -1",
        ),
        (
            "UPDATE base_rule SET last_hit = 9223372036854775807",
            "is damaged",
        ),
        ("UPDATE base_total SET zone = 'not a zone'", "is damaged"),
        (
            "UPDATE ban SET prefix = '10.0.0.1/8'",
            "not a prefix of a ban",
        ),
        (
            "UPDATE ruleset SET toml = toml || ' ' WHERE id = 3",
            "is not what was written",
        ),
        (
            "UPDATE piece SET text = text || ' '",
            "is not what was written",
        ),
        (
            "DELETE FROM ruleset_piece WHERE place = 0",
            "is not what was written",
        ),
        ("DELETE FROM ruleset", "FOREIGN KEY"),
        (
            "UPDATE ruleset SET size = 9223372036854775807",
            "`size` of `ruleset`",
        ),
    ] {
        let (dir, path) = placed(&sound);
        let connection = Connection::open(path).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = 0").unwrap();
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
        let aside = directory();
        let accepted =
            Store::open(dir.path()).and_then(|backup| Store::accept(backup, aside.path()));
        let error = accepted.map(drop).expect_err(sql);
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{sql}: {error}"
        );
        assert!(error.to_string().contains(named), "{sql}: {error}");
    }
}

/// Fixed seeds: every run tests the same places.
#[test]
fn a_backup_with_flipped_bytes_is_refused_or_can_be_started_from() {
    let sound = backup_of(&full());
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut refused = 0;
    for _ in 0..150 {
        let mut bytes = sound.clone();
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let at = usize::try_from(random >> 33).unwrap() % bytes.len();
        bytes[at] ^= u8::try_from(random & 0xff).unwrap() | 1;
        let (dir, _) = placed(&bytes);
        match is_taken(&dir) {
            Ok(true) => {}
            Ok(false) => refused += 1,
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(refused > 10, "{refused} refused");
}

#[test]
fn what_cannot_be_put_in_force_leaves_the_store_as_it_was() {
    let (dir, _) = placed(&backup_of(&full()));
    let aside = directory();
    let accepted = Store::accept(Store::open(dir.path()).unwrap(), aside.path()).unwrap();
    let target = empty();
    target.revision(&ruleset("x", &[("x", 1)]), RevisionState::Deployed);
    let live = target.live("default", 1);
    let refused = target
        .store
        .replace_with(accepted, &[], || Err(StoreError::NoSuchRevision(77)));
    assert!(matches!(refused, Err(StoreError::NoSuchRevision(77))));
    assert_eq!(target.generation_state(live), GenerationState::Live);
    let target = target.reopen();
    assert_eq!(target.store.ruleset(1).unwrap().toml, "x");
    assert_eq!(target.generation_state(live), GenerationState::Live);
    assert_eq!(target.store.bans().unwrap(), []);
}
