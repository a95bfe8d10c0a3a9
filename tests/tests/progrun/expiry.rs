//! Classes that end, on the clock that includes suspend.

use ipblock_common::{
    Class, ClassId, ClassVerdict, Outcome, class::NO_CLASS, limits::MAX_EXPIRY_CHAIN,
};
use ipblock_tests::{
    DEADLINE, Privileged,
    packet::{Frame, Ipv4},
    require_privileged, wait_for,
};
use nix::time::ClockId;

use crate::{
    fixture::Fixture,
    zone::{Expected, Zone, nanoseconds},
};

const SECOND: u64 = 1_000_000_000;

fn boot_now() -> u64 {
    nanoseconds(ClockId::CLOCK_BOOTTIME)
}

/// A deadline in the past.
fn past() -> u64 {
    boot_now() - SECOND
}

/// A deadline after the end of this test.
fn future() -> u64 {
    boot_now() + 3600 * SECOND
}

/// Returns a zone in which one source has a chain of these classes: verdict and deadline. The first
/// has id 1, the next 2, and so on; nothing follows the last.
fn zone_with_chain(root: Privileged, default_drop: bool, chain: &[(ClassVerdict, u64)]) -> Zone {
    let mut fixture = Fixture::empty();
    fixture.default_drop = default_drop;
    let last = ClassId::try_from(chain.len()).unwrap();
    for (id, &(verdict, valid_until)) in (1..).zip(chain) {
        fixture.class(Class {
            valid_until,
            next: if id == last { NO_CLASS } else { id + 1 },
            verdict: verdict.number(),
            ..Class::default()
        });
    }
    fixture.entry("203.0.113.7/32", 1).load(root)
}

fn frame() -> Frame {
    Frame::carrying(&Ipv4::from("203.0.113.7"))
}

#[test]
fn a_class_holds_until_its_deadline_and_its_successor_from_then_on() {
    let root = require_privileged!();
    let warned = Expected::pass(Outcome::Warned);
    for (deadline, expected) in [
        (0, Expected::DROPPED.class(1)),
        (future(), Expected::DROPPED.class(1)),
        (past(), warned.class(2)),
        // Any time since boot, however long ago.
        (1, warned.class(2)),
    ] {
        let chain = [(ClassVerdict::Block, deadline), (ClassVerdict::Warn, 0)];
        zone_with_chain(root, false, &chain).expect(&frame(), expected);
    }
}

#[test]
fn every_verdict_can_follow_every_other() {
    let root = require_privileged!();
    let verdicts = [
        (ClassVerdict::Default, Expected::PASSED),
        (ClassVerdict::Allow, Expected::pass(Outcome::Allowed)),
        (ClassVerdict::Block, Expected::DROPPED),
        (ClassVerdict::Warn, Expected::pass(Outcome::Warned)),
    ];
    for (before, _) in verdicts {
        for (after, expected) in verdicts {
            let chain = [(before, past()), (after, future())];
            zone_with_chain(root, false, &chain).expect(&frame(), expected.class(2));
        }
    }
}

#[test]
fn the_default_decides_after_the_last_deadline() {
    let root = require_privileged!();
    for (default_drop, expected) in [(false, Expected::PASSED), (true, Expected::DROPPED)] {
        for verdict in [ClassVerdict::Block, ClassVerdict::Allow, ClassVerdict::Warn] {
            let chain = [(verdict, past()), (verdict, past())];
            zone_with_chain(root, default_drop, &chain).expect(&frame(), expected);
        }
    }
}

#[test]
fn a_class_ends_while_packets_come() {
    let root = require_privileged!();
    let deadline = boot_now() + 2 * SECOND;
    let chain = [(ClassVerdict::Block, deadline), (ClassVerdict::Allow, 0)];
    let mut zone = zone_with_chain(root, false, &chain);
    let mut dropped = 0;
    // A machine so busy that a run takes a second must not fail the test.
    while boot_now() + SECOND < deadline {
        zone.expect(&frame(), Expected::DROPPED.class(1));
        dropped += 1;
    }
    wait_for(DEADLINE, "the deadline", || {
        (boot_now() > deadline).then_some(())
    })
    .unwrap();
    zone.expect(&frame(), Expected::pass(Outcome::Allowed).class(2));
    assert_eq!(zone.counters().classes[1].count.packets, dropped);
}

#[test]
fn the_longest_chain_is_walked_to_its_end() {
    let root = require_privileged!();
    let longest = MAX_EXPIRY_CHAIN as usize;
    let expired = vec![(ClassVerdict::Block, past()); longest];
    for length in [longest - 1, longest] {
        let mut chain = expired[..length].to_vec();
        zone_with_chain(root, false, &chain).expect(&frame(), Expected::PASSED);
        zone_with_chain(root, true, &chain).expect(&frame(), Expected::DROPPED);

        chain.push((ClassVerdict::Warn, 0));
        let last = ClassId::try_from(chain.len()).unwrap();
        let expected = Expected::pass(Outcome::Warned).class(last);
        zone_with_chain(root, false, &chain).expect(&frame(), expected);
    }
}

#[test]
fn a_chain_longer_than_the_limit_is_not_held_by_a_class_that_has_ended() {
    let root = require_privileged!();
    let chain = vec![(ClassVerdict::Block, past()); MAX_EXPIRY_CHAIN as usize + 8];
    zone_with_chain(root, false, &chain).expect(&frame(), Expected::PASSED);
}

#[test]
fn a_chain_that_leads_in_a_circle_ends_in_the_default() {
    let root = require_privileged!();
    let mut fixture = Fixture::empty();
    let id = fixture.class(Class {
        valid_until: past(),
        next: 1,
        verdict: ClassVerdict::Block.number(),
        ..Class::default()
    });
    let mut zone = fixture.entry("203.0.113.7/32", id).load(root);
    zone.expect(&frame(), Expected::PASSED);
}

#[test]
fn a_successor_that_does_not_exist_leaves_it_to_the_default() {
    let root = require_privileged!();
    let mut fixture = Fixture::empty();
    let id = fixture.class(Class {
        valid_until: past(),
        next: 1000,
        verdict: ClassVerdict::Block.number(),
        ..Class::default()
    });
    let mut zone = fixture.entry("203.0.113.7/32", id).load(root);
    zone.expect(&frame(), Expected::PASSED);
}
