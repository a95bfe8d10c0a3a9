//! Bans: kept until they are taken away, all of a request or none.

use std::sync::Arc;

use super::*;

fn ban(reason: &str, end: Option<End>) -> Ban {
    Ban {
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
    let changes = bans.iter().map(|(prefix, ban)| (*prefix, Some(ban)));
    fixture.store.change_bans(changes, None).unwrap();
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
            .change_bans([(prefix, Some(ban))], None)
            .unwrap();
    }
    assert_eq!(all(&fixture), [(prefix, Arc::new(second))]);
    for _ in 0..2 {
        fixture.store.change_bans([(prefix, None)], None).unwrap();
        assert_eq!(all(&fixture), []);
    }
}

#[test]
fn bans_with_the_same_particulars_share_them() {
    let fixture = Fixture::new();
    let same = ban("scan", Some(end(true)));
    let prefixes = ["192.0.2.1/32", "192.0.2.2/32"].map(net);
    let changes = prefixes.map(|prefix| (prefix, Some(&same)));
    fixture.store.change_bans(changes, None).unwrap();
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
    let change = [(net("192.0.2.7/32"), Some(&new))];
    fixture.store.change_bans(change, Some(&entry)).unwrap();
    let fixture = fixture.after_power_loss();
    assert_eq!(fixture.store.audit_list(10).unwrap(), [entry]);
    assert_eq!(all(&fixture).len(), 1);
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
    assert_eq!(fixture.zone("dmz").totals.dropped, dropped(10));
}
