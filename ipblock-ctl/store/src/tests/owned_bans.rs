//! Bans of several origins, and stores from before there were any.

use ipblock_policy::Origin;

use super::*;

const PREFIX: &str = "203.0.113.7/32";

fn ban(origin: &str, reason: &str) -> Ban {
    Ban {
        origin: origin.parse().unwrap(),
        end: None,
        reason: reason.to_owned(),
        time: at(300),
        author: root(),
    }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn put(fixture: &Fixture, bans: &[Ban]) {
    let rows = bans.iter().map(|ban| BanRow::Put(net(PREFIX), ban));
    fixture.store.change_bans(rows, &[], None).unwrap();
}

fn all(store: &Store) -> Vec<(String, String, String)> {
    let bans = store.bans().unwrap().into_iter();
    let mut bans: Vec<_> = bans
        .map(|(prefix, ban)| {
            (
                prefix.to_string(),
                ban.origin.to_string(),
                ban.reason.clone(),
            )
        })
        .collect();
    bans.sort();
    bans
}

fn version(fixture: &Fixture) -> i64 {
    fixture
        .store
        .connection()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

fn expected(bans: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let of = |(origin, reason): &(&str, &str)| {
        (
            PREFIX.to_owned(),
            (*origin).to_owned(),
            (*reason).to_owned(),
        )
    };
    bans.iter().map(of).collect()
}

#[test]
fn a_prefix_has_a_ban_of_each_origin() {
    let fixture = Fixture::new();
    put(
        &fixture,
        &[
            ban("manual", "one"),
            ban("crowdsec", "two"),
            ban("a/b", "three"),
        ],
    );
    put(&fixture, &[ban("crowdsec", "four")]);
    let fixture = fixture.reopen();
    let three = expected(&[("a/b", "three"), ("crowdsec", "four"), ("manual", "one")]);
    assert_eq!(all(&fixture.store), three);
    for (origin, left) in [("crowdsec", 2), ("manual", 1), ("crowdsec", 1), ("a/b", 0)] {
        let origin: Origin = origin.parse().unwrap();
        let gone = [BanRow::Remove(net(PREFIX), &origin)];
        fixture.store.change_bans(gone, &[], None).unwrap();
        assert_eq!(all(&fixture.store).len(), left);
    }
}

/// Builds that know one ban of a prefix can open a store until it has one of another origin.
#[test]
fn the_version_is_raised_by_the_first_ban_of_another_origin() {
    let fixture = Fixture::new();
    put(&fixture, &[ban("manual", "one")]);
    assert_eq!(version(&fixture), 3);
    put(&fixture, &[ban("crowdsec", "two")]);
    assert_eq!(version(&fixture), 5);
    assert_eq!(version(&fixture.reopen()), 5);
}

/// Returns a directory with a store as a build of version 3 has it, with one ban.
fn of_version_3() -> TempDir {
    let Fixture { store, dir } = Fixture::new();
    let path = store.path().to_owned();
    drop(store);
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "DROP TABLE owned_ban; DROP TABLE past_ban;
             INSERT INTO ban VALUES ('203.0.113.7/32', NULL, NULL, NULL, 'old', 300000000, 0, 'root');",
        )
        .unwrap();
    dir
}

#[test]
fn bans_of_an_older_store_are_manual() {
    let dir = of_version_3();
    let view = Store::look(dir.path()).unwrap();
    assert_eq!(all(view.store().unwrap()), expected(&[("manual", "old")]));
    let store = view.open().unwrap();
    let fixture = Fixture { store, dir };
    assert_eq!(all(&fixture.store), expected(&[("manual", "old")]));
    assert_eq!(version(&fixture), 3);
    put(&fixture, &[ban("crowdsec", "new")]);
    let both = expected(&[("crowdsec", "new"), ("manual", "old")]);
    assert_eq!(all(&fixture.reopen().store), both);
}

#[test]
fn a_backup_of_an_older_store_is_restored_over_owned_bans() {
    let target = Fixture::new();
    put(&target, &[ban("crowdsec", "new")]);
    let dir = of_version_3();
    let aside = tempfile::tempdir().unwrap();
    let accepted = Store::accept(Store::open(dir.path()).unwrap(), aside.path()).unwrap();
    let replace = |with| {
        target
            .store
            .replace_with(with, &[], || Ok::<_, StoreError>(()))
    };
    replace(accepted).unwrap();
    assert_eq!(all(&target.store), expected(&[("manual", "old")]));
    // And a backup with owned bans over a store without any.
    let original = Fixture::new();
    put(&original, &[ban("crowdsec", "new"), ban("manual", "one")]);
    let target = Fixture::new();
    let replace = |with| {
        target
            .store
            .replace_with(with, &[], || Ok::<_, StoreError>(()))
    };
    replace(original.store).unwrap();
    assert_eq!(version(&target), 5);
    let both = expected(&[("crowdsec", "new"), ("manual", "one")]);
    assert_eq!(all(&target.store), both);
}

#[test]
fn a_corrupt_origin_is_refused() {
    for origin in ["", "a b", "-x", "\u{1b}[2J", &"a".repeat(97)] {
        let Fixture { store, dir } = Fixture::new();
        let sql =
            "INSERT INTO owned_ban VALUES ('192.0.2.1/32', NULL, NULL, NULL, '', 0, 0, '', ?1)";
        store.connection().execute(sql, [origin]).unwrap();
        let error = store.bans().unwrap_err();
        assert!(!error.to_string().contains(char::is_control), "{error}");
        let aside = tempfile::tempdir().unwrap();
        let error = Store::accept(store, aside.path()).unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        drop(dir);
    }
    // The bans of people have one place.
    let fixture = Fixture::new();
    let sql =
        "INSERT INTO owned_ban VALUES ('192.0.2.1/32', NULL, NULL, NULL, '', 0, 0, '', 'manual')";
    fixture.store.connection().execute(sql, []).unwrap_err();
}

#[test]
fn a_count_stays_until_the_last_owner_of_its_prefix_is_gone() {
    let fixture = Fixture::new();
    let (ours, theirs) = (ban("manual", ""), ban("crowdsec", ""));
    put(&fixture, &[ours.clone(), theirs.clone()]);
    let counts = BanCounts {
        packets: 7,
        last_hit: Some(at(500)),
    };
    let store = &fixture.store;
    store.save_ban_counts(&[(net(PREFIX), counts)]).unwrap();
    let remove = |ban: &Ban| {
        let row = BanRow::Remove(net(PREFIX), &ban.origin);
        store.change_bans([row], &[], None).unwrap();
    };
    remove(&ours);
    assert_eq!(store.ban_counts().unwrap(), [(net(PREFIX), counts)]);
    remove(&theirs);
    // Another ban begins without it.
    put(&fixture, &[ours]);
    assert_eq!(store.ban_counts().unwrap(), []);
    assert_eq!(store.forget_counts_of_gone_bans().unwrap(), 0);
}
