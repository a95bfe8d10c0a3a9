//! Bans: after allow lists, before everything else, until their deadline.

use ipblock_common::{Outcome, ban::NEVER};
use ipblock_tests::{
    DEADLINE,
    packet::{CTAG, Frame, Ipv4, Ipv6, STAG},
    require_privileged, wait_for,
};
use nix::time::ClockId;

use crate::{
    essential::discovery,
    fixture::{Fixture, Kind},
    zone::{Expected, nanoseconds},
};

const SECOND: u64 = 1_000_000_000;

fn boot_now() -> u64 {
    nanoseconds(ClockId::CLOCK_BOOTTIME)
}

fn past() -> u64 {
    boot_now() - SECOND
}

fn future() -> u64 {
    boot_now() + 3600 * SECOND
}

fn v4(source: &str) -> Frame {
    Frame::carrying(&Ipv4::from(source))
}

fn v6(source: &str) -> Frame {
    Frame::carrying(&Ipv6::from(source))
}

/// Bans everything of both families.
fn banning_all(fixture: Fixture, deadline: u64) -> Fixture {
    fixture.ban("0.0.0.0/0", deadline).ban("::/0", deadline)
}

#[test]
fn a_ban_drops_whatever_the_rules_say_and_counts_for_nothing_else() {
    let root = require_privileged!();
    for fixture in [Fixture::denylist(), Fixture::allow_only()] {
        for deadline in [future(), NEVER, NEVER - 1] {
            let mut zone = banning_all(fixture.clone(), deadline).load(root);
            for kind in Kind::ALL {
                let expected = match kind {
                    Kind::Allowed => kind.where_default_passes(),
                    _ => Expected::BANNED,
                };
                zone.expect_of(&format!("{kind:?}"), &Frame::carrying(&kind.v4()), expected);
                zone.expect_of(&format!("{kind:?}"), &Frame::carrying(&kind.v6()), expected);
            }
        }
    }
}

#[test]
fn a_ban_that_has_ended_does_nothing() {
    let root = require_privileged!();
    for deadline in [0, 1, past()] {
        let mut denylist = banning_all(Fixture::denylist(), deadline).load(root);
        let mut allow_only = banning_all(Fixture::allow_only(), deadline).load(root);
        for kind in Kind::ALL {
            for frame in [Frame::carrying(&kind.v4()), Frame::carrying(&kind.v6())] {
                denylist.expect(&frame, kind.where_default_passes());
                allow_only.expect(&frame, kind.where_default_drops());
            }
        }
    }
}

#[test]
fn a_ban_holds_from_the_first_to_the_last_address_of_its_prefix() {
    let fixture = Fixture::empty()
        .ban("192.0.2.64/26", future())
        .ban("2001:db8:1::/48", future());
    let mut zone = fixture.load(require_privileged!());
    for inside in ["192.0.2.64", "192.0.2.127"] {
        zone.expect(&v4(inside), Expected::BANNED);
    }
    for outside in ["192.0.2.63", "192.0.2.128"] {
        zone.expect(&v4(outside), Expected::PASSED);
    }
    for inside in ["2001:db8:1::", "2001:db8:1:ffff:ffff:ffff:ffff:ffff"] {
        zone.expect(&v6(inside), Expected::BANNED);
    }
    for outside in ["2001:db8:0:ffff:ffff:ffff:ffff:ffff", "2001:db8:2::"] {
        zone.expect(&v6(outside), Expected::PASSED);
    }
}

#[test]
fn the_longest_entry_alone_decides() {
    let fixture = Fixture::empty()
        .ban("192.0.2.0/24", future())
        .ban("192.0.2.0/25", past())
        .ban("192.0.2.7/32", NEVER);
    let mut zone = fixture.load(require_privileged!());
    zone.expect(&v4("192.0.2.7"), Expected::BANNED);
    zone.expect(&v4("192.0.2.8"), Expected::PASSED);
    zone.expect(&v4("192.0.2.200"), Expected::BANNED);
}

#[test]
fn a_ban_counts_in_the_slot_of_the_longest_entry() {
    let fixture = Fixture::empty()
        .counted_ban("192.0.2.0/24", future(), 1)
        .counted_ban("192.0.2.64/26", NEVER, 2)
        .counted_ban("192.0.2.65/32", future(), 15)
        .counted_ban("2001:db8:1::/48", future(), 3)
        .counted_ban("2001:db8:1:2::/64", NEVER, 4)
        .counted_ban("198.51.100.7/32", past(), 5)
        .ban("203.0.113.7/32", NEVER);
    let mut zone = fixture.load(require_privileged!());
    for (source, slot) in [
        ("192.0.2.63", 1),
        ("192.0.2.64", 2),
        ("192.0.2.65", 15),
        ("192.0.2.65", 15),
        ("192.0.2.128", 1),
        ("203.0.113.7", 0),
    ] {
        zone.expect(&v4(source), Expected::BANNED.slot(slot));
    }
    zone.expect(&v6("2001:db8:1:1::7"), Expected::BANNED.slot(3));
    zone.expect(&v6("2001:db8:1:2::7"), Expected::BANNED.slot(4));
    // An ended ban counts nothing.
    zone.expect(&v4("198.51.100.7"), Expected::PASSED);
}

#[test]
fn a_ban_whose_slot_is_not_in_the_map_drops_uncounted() {
    let fixture = Fixture::empty().counted_ban("192.0.2.7/32", NEVER, u32::MAX);
    let zone = fixture.load(require_privileged!());
    zone.run(&v4("192.0.2.7"), None).unwrap();
    let counters = zone.counters();
    assert_eq!(counters.totals[Outcome::Dropped].packets, 1);
    assert!(counters.bans.iter().all(|hit| hit.packets == 0));
}

#[test]
fn an_allowed_address_passes_a_ban_of_exactly_that_address() {
    let fixture = Fixture::denylist()
        .ban("203.0.113.135/32", NEVER)
        .ban("2001:db8:a::7/128", NEVER);
    let mut zone = fixture.load(require_privileged!());
    let expected = Kind::Allowed.where_default_passes();
    assert_eq!(expected.outcome, Outcome::Allowed);
    zone.expect(&Frame::carrying(&Kind::Allowed.v4()), expected);
    zone.expect(&Frame::carrying(&Kind::Allowed.v6()), expected);
}

#[test]
fn a_banned_source_is_dropped_behind_vlan_tags() {
    let mut zone = banning_all(Fixture::empty(), future()).load(require_privileged!());
    for tags in [&[CTAG][..], &[STAG, CTAG]] {
        zone.expect(&v4("192.0.2.7").tagged(tags), Expected::BANNED);
        zone.expect(&v6("2001:db8::7").tagged(tags), Expected::BANNED);
    }
}

#[test]
fn a_ban_cuts_even_what_a_default_spares() {
    let mut fixture = Fixture::empty().ban("::/0", future());
    fixture.default_drop = true;
    let mut zone = fixture.load(require_privileged!());
    let solicitation = Frame::carrying(&discovery(Kind::Unlisted.v6(), 135));
    zone.expect(&solicitation, Expected::BANNED);
}

#[test]
fn a_ban_ends_while_packets_come() {
    let root = require_privileged!();
    let deadline = boot_now() + 2 * SECOND;
    let mut zone = Fixture::empty().ban("192.0.2.7/32", deadline).load(root);
    let mut dropped = 0;
    // A machine so busy that a run takes a second must not fail the test.
    while boot_now() + SECOND < deadline {
        zone.expect(&v4("192.0.2.7"), Expected::BANNED);
        dropped += 1;
    }
    wait_for(DEADLINE, "the deadline", || {
        (boot_now() > deadline).then_some(())
    })
    .unwrap();
    zone.expect(&v4("192.0.2.7"), Expected::PASSED);
    assert_eq!(zone.counters().classes[0].count.packets, dropped);
}
