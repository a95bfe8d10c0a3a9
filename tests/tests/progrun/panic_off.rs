//! Disabled dropping: everything passes, and is counted by what it matched.

use aya::maps::Array;
use ipblock_common::{Outcome, names};
use ipblock_tests::{
    packet::{CTAG, Frame},
    require_privileged,
};

use crate::{
    fixture::{Fixture, Kind},
    zone::{Expected, Zone},
};

/// In nanoseconds of the boot clock.
fn call_off_until(zone: &mut Zone, until: u64) {
    let map = zone.ebpf_mut().map_mut(names::PANIC_OFF).unwrap();
    let mut map: Array<_, u64> = Array::try_from(map).unwrap();
    map.set(0, until, 0).unwrap();
}

fn not_dropped(expected: Expected) -> Expected {
    match expected.outcome {
        Outcome::Dropped => Expected {
            drop: false,
            outcome: Outcome::Passed,
            ..expected
        },
        _ => Expected {
            drop: false,
            ..expected
        },
    }
}

#[test]
fn what_has_too_many_tags_passes_only_while_dropping_is_called_off() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    let frame = Frame::carrying(&Kind::Blocked.v4()).tagged(&[CTAG; 9]);
    zone.expect(&frame, Expected::MALFORMED_DROPPED);
    call_off_until(&mut zone, u64::MAX);
    zone.expect(&frame, Expected::MALFORMED_PASSED);
    call_off_until(&mut zone, 0);
    zone.expect(&frame, Expected::MALFORMED_DROPPED);
}

#[test]
fn while_dropping_is_called_off_everything_passes_and_afterwards_nothing_has_changed() {
    let root = require_privileged!();
    let where_default_passes: fn(Kind) -> Expected = Kind::where_default_passes;
    for (fixture, usual) in [
        (Fixture::denylist(), where_default_passes),
        (Fixture::allow_only(), Kind::where_default_drops),
    ] {
        let banned = "198.51.100.99";
        let fixture = fixture.malformed_drop().ban("198.51.100.99/32", u64::MAX);
        let mut zone = fixture.load(root);
        for (until, is_off) in [(u64::MAX, true), (1, false), (u64::MAX, true), (0, false)] {
            call_off_until(&mut zone, until);
            let expected = |usual| if is_off { not_dropped(usual) } else { usual };
            for kind in Kind::ALL {
                zone.expect(&Frame::carrying(&kind.v4()), expected(usual(kind)));
                zone.expect(&Frame::carrying(&kind.v6()), expected(usual(kind)));
            }
            let malformed = Frame::carrying(&Kind::Blocked.v4()).truncated(29);
            zone.expect(&malformed, expected(Expected::MALFORMED_DROPPED));
            let too_many_tags = Frame::carrying(&Kind::Blocked.v4()).tagged(&[CTAG; 9]);
            zone.expect(&too_many_tags, expected(Expected::MALFORMED_DROPPED));
            let banned = Frame::carrying(&ipblock_tests::packet::Ipv4::from(banned));
            zone.expect(&banned, expected(Expected::BANNED));
        }
    }
}
