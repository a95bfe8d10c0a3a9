//! Frames in several buffers: nothing can hide behind the first.

use aya::programs::ProgramError;
use ipblock_tests::{
    packet::{CTAG, ETHERNET, Extension, Frame, Payload, STAG},
    report_not_run, require_privileged,
};

use crate::{
    fixture::{Fixture, Kind},
    zone::{Expected, Zone},
};

/// Whether this kernel's `BPF_PROG_TEST_RUN` puts only a part of a frame into the first buffer if
/// the context requests it. If not, reports on stderr that frames can only be split at the end of
/// the first page.
pub(crate) fn can_split(zone: &Zone) -> bool {
    let frame = Frame::carrying(&Kind::Unlisted.v4());
    match zone.run(&frame, Some(ETHERNET)) {
        Ok(_) => true,
        Err(ProgramError::SyscallError(error)) => {
            report_not_run(&format!(
                "{}: this kernel's BPF_PROG_TEST_RUN does not split frames (Linux 6.18 does): {error}",
                std::thread::current().name().unwrap_or_default()
            ));
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// Asserts the same for a frame split at every position.
#[track_caller]
fn expect_at_every_split(zone: &mut Zone, frame: &Frame, expected: Expected) {
    for linear in ETHERNET..=frame.len() {
        zone.expect_split(frame, linear, expected);
    }
}

#[test]
fn a_source_beyond_the_first_buffer_is_classified() {
    let root = require_privileged!();
    if !can_split(&Fixture::empty().load(root)) {
        return;
    }
    let mut zone = Fixture::denylist().load(root);
    for stack in [&[][..], &[CTAG], &[STAG, CTAG], &[CTAG; 3], &[STAG; 8]] {
        for kind in Kind::ALL {
            let expected = kind.where_default_passes();
            for frame in [
                Frame::carrying(&kind.v4().options(1).with(Payload::tcp(5000, 22))),
                Frame::carrying(&kind.v6().extensions(&[Extension::HopByHop])),
            ] {
                expect_at_every_split(&mut zone, &frame.tagged(stack), expected);
            }
        }
    }
}

#[test]
fn a_split_frame_is_malformed_exactly_when_the_whole_one_is() {
    let root = require_privileged!();
    if !can_split(&Fixture::empty().load(root)) {
        return;
    }
    let mut zone = Fixture::denylist().malformed_drop().load(root);
    let frames = [
        (Frame::carrying(&Kind::Blocked.v4()), ETHERNET + 16),
        (
            Frame::carrying(&Kind::Blocked.v4()).tagged(&[CTAG]),
            ETHERNET + 4 + 16,
        ),
        (Frame::carrying(&Kind::Blocked.v6()), ETHERNET + 24),
    ];
    for (frame, needed) in frames {
        for length in ETHERNET..needed + 4 {
            let expected = if length < needed {
                Expected::MALFORMED_DROPPED
            } else {
                Kind::Blocked.where_default_passes()
            };
            expect_at_every_split(&mut zone, &frame.clone().truncated(length), expected);
        }
    }
    let cut_tag = Frame::carrying(&Kind::Blocked.v4()).tagged(&[CTAG; 8]);
    let cut_tag = cut_tag.truncated(ETHERNET + 8 * 4 - 1);
    expect_at_every_split(&mut zone, &cut_tag, Expected::MALFORMED_DROPPED);
    let short_header = Frame::carrying(&Kind::Blocked.v4().claimed_ihl(4));
    expect_at_every_split(&mut zone, &short_header, Expected::MALFORMED_DROPPED);
    let not_ip = Frame::of_type(0x88cc, &[0; 30]).tagged(&[CTAG]);
    expect_at_every_split(&mut zone, &not_ip, Expected::NON_IP);
}

#[test]
fn tags_beyond_the_first_buffer_are_skipped_or_too_many() {
    let root = require_privileged!();
    if !can_split(&Fixture::empty().load(root)) {
        return;
    }
    let mut zone = Fixture::denylist().load(root);
    for tags in 0..=10 {
        let stack = [(CTAG, 0), (STAG, 0xe000)].repeat(5);
        for frame in [
            Frame::carrying(&Kind::Blocked.v4()),
            Frame::carrying(&Kind::Blocked.v6()),
        ] {
            let expected = if tags <= 8 {
                Kind::Blocked.where_default_passes()
            } else {
                Expected::MALFORMED_DROPPED
            };
            expect_at_every_split(&mut zone, &frame.behind(&stack[..tags]), expected);
        }
    }
}

#[test]
fn essentials_beyond_the_first_buffer_are_spared() {
    let root = require_privileged!();
    if !can_split(&Fixture::empty().load(root)) {
        return;
    }
    let mut zone = Fixture::allow_only().load(root);
    let offer = Kind::Unlisted.v4().options(10).with(Payload::udp(67, 68));
    let reply = Kind::Unlisted.v6().with(Payload::udp(547, 546));
    let solicitation = Kind::Unlisted
        .v6()
        .hop_limit(255)
        .with(Payload::icmpv6(135));
    for frame in [
        Frame::carrying(&offer),
        Frame::carrying(&reply),
        Frame::carrying(&solicitation),
        Frame::carrying(&offer).tagged(&[STAG, CTAG]),
        Frame::carrying(&solicitation).tagged(&[CTAG; 8]),
    ] {
        expect_at_every_split(&mut zone, &frame, Expected::PASSED);
    }
    let forwarded = Frame::carrying(&solicitation.hop_limit(254));
    expect_at_every_split(&mut zone, &forwarded, Expected::DROPPED);
}

#[test]
fn frames_longer_than_a_page_are_classified_and_counted_whole() {
    let mut zone = Fixture::denylist().load(require_privileged!());
    for length in [3000, 4096, 4097, 8000, 9018, 20_000] {
        for kind in Kind::ALL {
            let expected = kind.where_default_passes();
            let v4 = Frame::carrying(&kind.v4()).padded(length);
            let v6 = Frame::carrying(&kind.v6()).tagged(&[STAG]).padded(length);
            zone.expect(&v4, expected);
            zone.expect(&v6, expected);
        }
    }
}

#[test]
fn long_frames_with_a_short_first_buffer_are_counted_whole() {
    let root = require_privileged!();
    if !can_split(&Fixture::empty().load(root)) {
        return;
    }
    let mut zone = Fixture::denylist().load(root);
    for kind in Kind::ALL {
        let frame = Frame::carrying(&kind.v6()).padded(9018);
        for linear in [14, 15, 37, 38, 39, 128] {
            zone.expect_split(&frame, linear, kind.where_default_passes());
        }
    }
}
