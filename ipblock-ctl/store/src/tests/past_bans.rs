//! Bans that are gone: found by prefix, bounded by age and number.

use ipblock_policy::Origin;

use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn ban(origin: &str) -> Ban {
    Ban {
        origin: origin.parse().unwrap(),
        end: Some(End {
            wall: at(900),
            boot: None,
        }),
        reason: "scan".to_owned(),
        time: at(300),
        author: root(),
    }
}

fn end(fixture: &Fixture, prefix: &str, ended: i64, by: Option<&Author>) {
    let (ban, prefix) = (ban("crowdsec"), net(prefix));
    let gone = GoneBan {
        prefix,
        ban: &ban,
        ended: at(ended),
        by,
    };
    let rows = [BanRow::Remove(prefix, &ban.origin)];
    fixture.store.change_bans(rows, &[gone], None).unwrap();
}

fn found(fixture: &Fixture, prefix: &str) -> Vec<String> {
    let past = fixture.store.past_bans(net(prefix), at(0), 9).unwrap();
    past.iter().map(|past| past.prefix.to_string()).collect()
}

#[test]
fn a_past_ban_says_who_made_and_who_ended_it() {
    let fixture = Fixture::new();
    let nils = Author::user(1_000, "nils");
    end(&fixture, "192.0.2.7/32", 500, Some(&nils));
    end(&fixture, "192.0.2.7/32", 900, None);
    let fixture = fixture.after_power_loss();
    let past = fixture.store.past_bans(net("192.0.2.7/32"), at(0), 9);
    let expected = |ended, by| PastBan {
        prefix: net("192.0.2.7/32"),
        origin: "crowdsec".parse::<Origin>().unwrap(),
        reason: "scan".to_owned(),
        time: at(300),
        author: root(),
        until: Some(at(900)),
        ended: at(ended),
        by,
    };
    assert_eq!(
        past.unwrap(),
        [expected(900, None), expected(500, Some(nils))]
    );
    let last = fixture.store.past_bans(net("192.0.2.7/32"), at(500), 9);
    assert_eq!(last.unwrap().len(), 1);
    let newest = fixture.store.past_bans(net("192.0.2.7/32"), at(0), 1);
    assert_eq!(newest.unwrap()[0].ended, at(900));
}

#[test]
fn past_bans_that_cover_a_prefix_or_lie_in_it_are_found() {
    let fixture = Fixture::new();
    let all = [
        "0.0.0.0/0",
        "192.0.2.0/24",
        "192.0.2.0/25",
        "192.0.2.7/32",
        "192.0.2.255/32",
        "192.0.3.0/24",
        "2001:db8::/32",
        "2001:db8::/64",
        "c000:200::/128",
    ];
    for (number, prefix) in (1..).zip(all) {
        end(&fixture, prefix, number, None);
    }
    for (asked, expected) in [
        (
            "192.0.2.7/32",
            &["192.0.2.7/32", "192.0.2.0/25", "192.0.2.0/24", "0.0.0.0/0"][..],
        ),
        (
            "192.0.2.128/25",
            &["192.0.2.255/32", "192.0.2.0/24", "0.0.0.0/0"],
        ),
        (
            "192.0.2.0/25",
            &["192.0.2.7/32", "192.0.2.0/25", "192.0.2.0/24", "0.0.0.0/0"],
        ),
        ("203.0.113.1/32", &["0.0.0.0/0"]),
        ("2001:db8::1/128", &["2001:db8::/64", "2001:db8::/32"]),
        ("2001:db8::/48", &["2001:db8::/64", "2001:db8::/32"]),
        (
            "::/0",
            &["c000:200::/128", "2001:db8::/64", "2001:db8::/32"],
        ),
        ("2001:db9::/32", &[]),
    ] {
        assert_eq!(found(&fixture, asked), expected, "{asked}");
    }
    assert_eq!(found(&fixture, "0.0.0.0/0").len(), 6);
}

#[test]
fn past_bans_are_bounded_and_the_first_that_ended_go() {
    let mut fixture = Fixture::new();
    fixture.store.limits.past_bans = 3;
    for last in 1..=5 {
        end(&fixture, &format!("192.0.2.{last}/32"), last, None);
    }
    let three = ["192.0.2.5/32", "192.0.2.4/32", "192.0.2.3/32"];
    assert_eq!(found(&fixture, "192.0.2.0/24"), three);
    // More at once than there may be.
    let ban = ban("crowdsec");
    let gone: Vec<_> = (10..20)
        .map(|last| GoneBan {
            prefix: net(&format!("192.0.2.{last}/32")),
            ban: &ban,
            ended: at(last),
            by: None,
        })
        .collect();
    fixture.store.change_bans([], &gone, None).unwrap();
    let last = ["192.0.2.19/32", "192.0.2.18/32", "192.0.2.17/32"];
    assert_eq!(found(&fixture, "192.0.2.0/24"), last);
    // And after 30 days, when another one ends.
    let month = 24 * 3_600 * PAST_BAN_DAYS;
    end(&fixture, "198.51.100.1/32", 18 + month, None);
    assert_eq!(
        found(&fixture, "0.0.0.0/0"),
        ["198.51.100.1/32", "192.0.2.19/32", "192.0.2.18/32"]
    );
    end(&fixture, "198.51.100.2/32", 20 + month, None);
    assert_eq!(
        found(&fixture, "0.0.0.0/0"),
        ["198.51.100.2/32", "198.51.100.1/32"]
    );
}

#[test]
fn a_change_that_is_undone_ended_nothing() {
    let fixture = Fixture::new();
    end(&fixture, "192.0.2.1/32", 1, None);
    end(&fixture, "192.0.2.2/32", 2, None);
    let ban = ban("crowdsec");
    let back = [BanRow::Put(net("192.0.2.2/32"), &ban)];
    fixture.store.undo_ban_changes(back, 1, None).unwrap();
    assert_eq!(found(&fixture, "192.0.2.0/24"), ["192.0.2.1/32"]);
    assert_eq!(fixture.store.bans().unwrap().len(), 1);
}
