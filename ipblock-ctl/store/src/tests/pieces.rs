//! Large rulesets, which share pieces.

use std::fmt::Write as _;

use super::*;

/// Returns a rule with many addresses, without those in `left_out`.
fn large(left_out: &[u32]) -> StoredRuleset {
    let mut lines = String::new();
    for number in (0..50_000_u32).filter(|number| !left_out.contains(number)) {
        let address = std::net::Ipv4Addr::from(number.wrapping_mul(0x9e37_79b1));
        writeln!(lines, "    \"{address}/32\",").unwrap();
    }
    let text = format!("[[rule]]\nname = \"feed\"\nmatch = [\n{lines}]\n");
    ruleset(&text, &[("feed", 1)])
}

fn number(fixture: &Fixture, sql: &str) -> i64 {
    let connection = fixture.store.connection();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn version(fixture: &Fixture) -> i64 {
    number(fixture, "SELECT user_version FROM pragma_user_version")
}

fn pieces(fixture: &Fixture) -> i64 {
    number(fixture, "SELECT count(*) FROM piece")
}

#[test]
fn an_edit_of_a_large_ruleset_stores_the_pieces_that_it_changes() {
    let fixture = Fixture::new();
    let first = fixture.revision(&large(&[]), RevisionState::Deployed);
    let before = pieces(&fixture);
    assert!(before > 10, "{before}");
    fixture.store.stage(first, &large(&[7]), &[]).unwrap();
    let after = pieces(&fixture);
    assert!(
        (before + 1..before + 4).contains(&after),
        "{before}, {after}"
    );

    let fixture = fixture.reopen();
    assert_eq!(fixture.store.ruleset(first).unwrap(), large(&[]));
    let staged = fixture.store.staged().unwrap().unwrap();
    assert_eq!(staged.ruleset, large(&[7]));
    // Pieces that the next edit replaces are deleted, and so are all unused ones.
    fixture.store.stage(first, &large(&[7, 8]), &[]).unwrap();
    fixture.store.clear_staged().unwrap();
    assert_eq!(pieces(&fixture), before);
    assert_eq!(fixture.store.ruleset(first).unwrap(), large(&[]));
}

#[test]
fn a_build_that_knows_no_pieces_can_open_a_store_until_there_are_some() {
    let fixture = Fixture::new().reopen();
    fixture.revision(&ruleset("small", &[]), RevisionState::Superseded);
    assert_eq!((pieces(&fixture), version(&fixture)), (0, 3));
    fixture.revision(&large(&[]), RevisionState::Superseded);
    assert_eq!(version(&fixture), 4);
    assert_eq!(version(&fixture.reopen()), 4);
}

#[test]
fn the_last_ruleset_takes_its_pieces_along() {
    let fixture = Fixture::new();
    let only = fixture.revision(&large(&[]), RevisionState::Prepared);
    fixture.store.discard_prepared(only).unwrap();
    assert_eq!(pieces(&fixture), 0);
    assert_eq!(number(&fixture, "SELECT count(*) FROM ruleset_piece"), 0);
}

#[test]
fn pieces_count_once_in_the_bytes_that_revisions_may_take() {
    let mut fixture = Fixture::new();
    let size = large(&[]).toml.len();
    fixture.store.limits.spared_revisions = 1;
    fixture.store.limits.ruleset_bytes = size as u64 * 3 / 2;
    let mut last = 0;
    for left_out in 0..5 {
        last = fixture.revision(&large(&[left_out]), RevisionState::Superseded);
    }
    assert_eq!(fixture.store.revisions().unwrap().len(), 5);
    assert_eq!(fixture.store.ruleset(last).unwrap(), large(&[4]));
    fixture.revision(&ruleset(&"x".repeat(size), &[]), RevisionState::Superseded);
    assert_eq!(fixture.store.revisions().unwrap().len(), 1);
    assert_eq!(pieces(&fixture), 0);
}

#[test]
fn a_piece_that_is_not_what_was_written_is_damage() {
    let fixture = Fixture::new();
    let only = fixture.revision(&large(&[]), RevisionState::Deployed);
    for sql in [
        "UPDATE piece SET text = replace(text, '/32', '/31') WHERE id = 2",
        "DELETE FROM ruleset_piece WHERE place = 1",
    ] {
        fixture.store.connection().execute(sql, []).unwrap();
        let error = fixture.store.ruleset(only).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    }
}

#[test]
fn a_large_ruleset_of_version_3_is_read_and_its_successor_is_in_pieces() {
    let fixture = Fixture::new();
    let path = fixture.store.path().to_owned();
    let Fixture { store, dir } = fixture;
    drop(store);
    let connection = Connection::open(&path).unwrap();
    let old = large(&[]);
    let id = 1_u64.to_le_bytes();
    let sha256 = value::digest([old.toml.as_bytes(), b"feed", &id]);
    connection
        .execute_batch("DROP TABLE ruleset_piece; DROP TABLE piece; PRAGMA user_version = 3;")
        .unwrap();
    connection
        .execute(
            "INSERT INTO ruleset VALUES (1, ?1, 1000, ?2)",
            (sha256, &old.toml),
        )
        .unwrap();
    connection
        .execute_batch(
            "INSERT INTO ruleset_rule VALUES (1, 'feed', 1);
             INSERT INTO revision VALUES (1, 0, 0, '', '', 1, 1, 'deployed', 1);
             UPDATE sequence SET last = 1 WHERE name = 'revision';",
        )
        .unwrap();
    drop(connection);

    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.ruleset(1).unwrap(), old);
    let fixture = Fixture { store, dir };
    assert_eq!(version(&fixture), 3);
    let second = fixture.revision(&large(&[3]), RevisionState::Prepared);
    assert!(pieces(&fixture) > 10);
    assert_eq!(fixture.store.ruleset(second).unwrap(), large(&[3]));
    assert_eq!(fixture.store.ruleset(1).unwrap(), old);
}

#[test]
fn a_backup_holds_the_pieces() {
    let fixture = Fixture::new();
    let only = fixture.revision(&large(&[]), RevisionState::Deployed);
    let aside = TempDir::new().unwrap();
    fixture.store.back_up(&aside.path().join(DATABASE)).unwrap();
    let other = Fixture::new();
    other.revision(&ruleset("small", &[]), RevisionState::Deployed);
    let backup = Store::open(aside.path()).unwrap();
    other
        .store
        .replace_with(backup, &[], || Ok::<_, StoreError>(()))
        .unwrap();
    assert_eq!(other.store.ruleset(only).unwrap(), large(&[]));
    assert_eq!(pieces(&other), pieces(&fixture));
    assert_eq!(version(&other), 4);
}
