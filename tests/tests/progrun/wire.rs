//! The same program on a real device: arrivals match the counters.

use aya::programs::XdpMode;
use ipblock_tests::{
    DEADLINE, VethOptions, VethPair,
    packet::{CTAG, Frame, Payload, STAG},
    require_privileged,
};

use crate::{
    fixture::{Fixture, Kind},
    zone::Expected,
};

/// Sends every kind of source, plain and tagged, in frames of at least `length` bytes, and asserts
/// arrivals and counters.
fn expect_filtered(mtu: u16, length: usize, mode: XdpMode) -> anyhow::Result<()> {
    let root = require_privileged!();
    let options = VethOptions {
        mtu,
        ..VethOptions::default()
    };
    let pair = VethPair::new(root, options)?;
    let mut zone = Fixture::denylist().load(root);
    let (sender, receiver) = (pair.sender()?, pair.receiver()?);
    zone.attach(&pair.host, mode);

    let mut sent: Vec<(Frame, Expected)> = Vec::new();
    for kind in Kind::ALL {
        let expected = kind.where_default_passes();
        for stack in [&[][..], &[CTAG], &[STAG], &[STAG, CTAG]] {
            let marker = sent.len() as u64;
            let v4 = kind.v4().with(Payload::udp(5000, 53).marked(marker));
            let v6 = kind.v6().with(Payload::tcp(5000, 22).marked(marker + 1));
            for frame in [Frame::carrying(&v4), Frame::carrying(&v6)] {
                sent.push((frame.tagged(stack).padded(length), expected));
            }
        }
    }
    // The last one must arrive; what has not arrived before it never will.
    let (_, last) = sent.last().unwrap();
    assert!(!last.drop);
    for (frame, _) in &sent {
        sender.send(frame)?;
    }
    receiver.wait_for_count(sent.len() as u64 - 1, 1, DEADLINE)?;
    for (marker, (frame, expected)) in (0..).zip(&sent) {
        let arrived = receiver.count(marker);
        assert_eq!(arrived, u64::from(!expected.drop), "{frame:?}");
    }
    let frames: Vec<_> = sent
        .iter()
        .map(|(frame, expected)| (frame, *expected))
        .collect();
    zone.expect_counted(&frames);
    Ok(())
}

#[test]
fn native_mode_filters_short_frames() -> anyhow::Result<()> {
    expect_filtered(1500, 60, XdpMode::Driver)
}

#[test]
fn native_mode_filters_frames_in_fragments() -> anyhow::Result<()> {
    expect_filtered(9000, 8000, XdpMode::Driver)
}

#[test]
fn generic_mode_filters_short_frames() -> anyhow::Result<()> {
    expect_filtered(1500, 60, XdpMode::Skb)
}

#[test]
fn generic_mode_filters_frames_in_fragments() -> anyhow::Result<()> {
    expect_filtered(9000, 8000, XdpMode::Skb)
}
