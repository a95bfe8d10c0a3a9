//! Bans: kept until they are removed; all bans of a request or none.

use std::sync::{Arc, LazyLock};

use ipblock_policy::Origin;

use super::*;

static MANUAL: LazyLock<Origin> = LazyLock::new(Origin::default);

fn put((prefix, ban): &(IpNet, Ban)) -> BanRow<'_> {
    BanRow::Put(*prefix, ban)
}

fn remove(prefix: IpNet) -> BanRow<'static> {
    BanRow::Remove(prefix, &MANUAL)
}

fn ban(reason: &str, end: Option<End>) -> Ban {
    Ban {
        origin: Origin::default(),
        end,
        reason: reason.to_owned(),
        time: at(300),
        author: root(),
    }
}

fn end(boot: bool) -> End {
    End {
        wall: at(400),
        boot: boot.then(|| BootEnd {
            boot_id: "this boot".to_owned(),
            deadline_ns: 5_000_000_000,
        }),
    }
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn all(fixture: &Fixture) -> Vec<(IpNet, Arc<Ban>)> {
    let mut bans = fixture.store.bans().unwrap();
    bans.sort_by_key(|(prefix, _)| *prefix);
    bans
}

#[test]
fn bans_come_back_as_they_were_made() {
    let fixture = Fixture::new();
    let bans = [
        (net("192.0.2.7/32"), ban("never ends", None)),
        (net("198.51.100.0/24"), ban("for 100 s", Some(end(true)))),
        (net("2001:db8::/64"), ban("until then", Some(end(false)))),
    ];
    let changes = bans.iter().map(put);
    fixture.store.change_bans(changes, &[], None).unwrap();
    let fixture = fixture.after_power_loss();
    let found = all(&fixture);
    let found: Vec<_> = found
        .iter()
        .map(|(prefix, ban)| (*prefix, ban.as_ref().clone()))
        .collect();
    assert_eq!(found, bans);
}

#[test]
fn repeating_a_ban_replaces_it_and_removing_it_takes_it_away() {
    let fixture = Fixture::new();
    let (first, second) = (ban("first", None), ban("second", Some(end(true))));
    let prefix = net("192.0.2.7/32");
    for ban in [&first, &second] {
        fixture
            .store
            .change_bans([BanRow::Put(prefix, ban)], &[], None)
            .unwrap();
    }
    assert_eq!(all(&fixture), [(prefix, Arc::new(second))]);
    for _ in 0..2 {
        fixture
            .store
            .change_bans([remove(prefix)], &[], None)
            .unwrap();
        assert_eq!(all(&fixture), []);
    }
}

#[test]
fn bans_with_the_same_particulars_share_them() {
    let fixture = Fixture::new();
    let same = ban("scan", Some(end(true)));
    let prefixes = ["192.0.2.1/32", "192.0.2.2/32"].map(net);
    let changes = prefixes.map(|prefix| BanRow::Put(prefix, &same));
    fixture.store.change_bans(changes, &[], None).unwrap();
    let found = all(&fixture);
    assert!(Arc::ptr_eq(&found[0].1, &found[1].1));
}

#[test]
fn a_change_and_its_audit_entry_are_one() {
    let fixture = Fixture::new();
    let entry = AuditEntry {
        time: at(300),
        author: root(),
        what: "ban".to_owned(),
        detail: "192.0.2.7/32".to_owned(),
    };
    let new = ban("", None);
    let change = [BanRow::Put(net("192.0.2.7/32"), &new)];
    fixture
        .store
        .change_bans(change, &[], Some(&entry))
        .unwrap();
    let fixture = fixture.after_power_loss();
    assert_eq!(fixture.store.audit_list(10).unwrap(), [entry]);
    assert_eq!(all(&fixture).len(), 1);
}

fn entry(what: &str, detail: &str) -> AuditEntry {
    AuditEntry {
        time: at(300),
        author: root(),
        what: what.to_owned(),
        detail: detail.to_owned(),
    }
}

fn about(fixture: &Fixture, prefix: &str) -> Vec<(String, Vec<IpNet>)> {
    let page = fixture.store.audit_about(&[net(prefix)], None, 10);
    let found = page.unwrap().entries.into_iter();
    found
        .map(|found| (found.entry.detail, found.prefixes))
        .collect()
}

#[test]
fn every_prefix_of_a_change_is_found_in_the_audit_trail() {
    let fixture = Fixture::new();
    let new = ban("", None);
    let prefixes = ["192.0.2.7/32", "203.0.113.0/24", "2001:db8::/64"].map(net);
    let set = prefixes.map(|prefix| BanRow::Put(prefix, &new));
    let removed = prefixes.map(remove);
    let store = &fixture.store;
    store
        .change_bans(set, &[], Some(&entry("ban", "three")))
        .unwrap();
    store
        .change_bans(removed, &[], Some(&entry("unban", "gone")))
        .unwrap();
    store
        .audit(&entry("stage", "match: +203.0.113.7/32"))
        .unwrap();
    let fixture = fixture.after_power_loss();
    let both = |prefix: &str| {
        let one = |detail: &str| (detail.to_owned(), vec![net(prefix)]);
        vec![one("gone"), one("three")]
    };
    assert_eq!(about(&fixture, "192.0.2.0/24"), both("192.0.2.7/32"));
    assert_eq!(about(&fixture, "2001:db8::1/128"), both("2001:db8::/64"));
    let found = about(&fixture, "203.0.113.7/32");
    assert_eq!(found[0].0, "match: +203.0.113.7/32");
    assert_eq!(found[1..], both("203.0.113.0/24"));
    assert_eq!(about(&fixture, "192.0.2.8/32"), []);
    let newest = fixture.store.audit_about(&prefixes, None, 1).unwrap();
    assert_eq!(newest.entries.len(), 1);
    let others = fixture.store.audit_about(&prefixes, newest.last, 10);
    assert_eq!(others.unwrap().entries.len(), 2);
}

#[test]
fn the_prefixes_of_the_audit_trail_are_bounded_and_the_oldest_go_first() {
    let mut fixture = Fixture::new();
    // Room for three entries of two IPv4 prefixes.
    fixture.store.limits.audit_prefix_bytes = 30;
    fixture.store.limits.audit_slack = 1;
    for number in 1..=5 {
        let prefixes = [1, 2].map(|last| net(&format!("192.0.{number}.{last}/32")));
        let removed = prefixes.map(remove);
        let entry = entry("unban", &number.to_string());
        fixture
            .store
            .change_bans(removed, &[], Some(&entry))
            .unwrap();
    }
    let found = fixture.store.audit_about(&[net("192.0.0.0/16")], None, 10);
    let found = found.unwrap().entries;
    let found: Vec<_> = found
        .iter()
        .map(|found| found.entry.detail.as_str())
        .collect();
    assert_eq!(found, ["5", "4", "3"]);
    assert_eq!(fixture.store.audit_list(10).unwrap().len(), 5);
    // They are deleted with their entries.
    fixture.store.limits.audit_stream = 1;
    fixture.store.audit(&entry("ban", "")).unwrap();
    assert_eq!(about(&fixture, "192.0.5.1/32"), []);
    let rows: i64 = fixture
        .store
        .connection()
        .query_row("SELECT count(*) FROM audit_prefixes", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 0);
}

#[test]
fn a_store_without_the_prefixes_of_its_audit_trail_gets_a_table_for_them() {
    let fixture = Fixture::new();
    fixture
        .store
        .audit(&entry("ban", "192.0.2.7/32 until then"))
        .unwrap();
    let connection = fixture.store.connection();
    connection
        .execute_batch("DROP TABLE audit_prefixes")
        .unwrap();
    drop(connection);
    let fixture = fixture.reopen();
    assert_eq!(about(&fixture, "192.0.2.7/32").len(), 1);
    let removed = [remove(net("192.0.2.8/32"))];
    fixture
        .store
        .change_bans(removed, &[], Some(&entry("unban", "")))
        .unwrap();
    assert_eq!(about(&fixture, "192.0.2.8/32").len(), 1);
}

#[test]
fn what_bans_dropped_goes_through_checkpoint_and_base() {
    let fixture = Fixture::new();
    let dropped = |packets| Count {
        packets,
        bytes: packets * 60,
    };
    let with_bans = |packets| GenerationCounts {
        bans: dropped(packets),
        ..counts(1, 10, None)
    };
    let (first, second) = (fixture.live("default", 1), fixture.live("dmz", 1));
    fixture.store.checkpoint(first, &with_bans(3)).unwrap();
    assert_eq!(fixture.store.checkpoint_of(first).unwrap(), with_bans(3));
    fixture.store.fold_checkpoint(first).unwrap();
    let retired = zone(Some((second, with_bans(4))), None);
    fixture
        .store
        .commit_switch(&Switch {
            zones: vec![retired],
            ..Switch::default()
        })
        .unwrap();
    let fixture = fixture.reopen();
    assert_eq!(fixture.zone("default").bans, dropped(3));
    assert_eq!(fixture.zone("dmz").bans, dropped(4));
    assert_eq!(fixture.zone("dmz").totals[Outcome::Dropped], dropped(10));
}
