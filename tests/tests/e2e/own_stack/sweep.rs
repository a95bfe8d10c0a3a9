//! Every `EtherType`, followed by IP in the common layouts of protocols.

use ipblock_tests::{
    Daemon,
    own_stack::OwnStack,
    packet::{CTAG, Frame, IPV4, IPV6, STAG},
    require_privileged,
};

use super::{
    Counting, Host, RULESET,
    craft::{behind, bytes},
    kinds::{udp_v4, udp_v6},
    stay_on_this_cpu,
};
use crate::answers::apply;

/// Frames between two checks, fewer than the length of a device's queue.
const CHUNK: usize = 128;

/// The layout after an `EtherType`, and the types for which Linux finds an IP packet there.
struct Variant {
    name: &'static str,
    before: &'static [u8],
    packet: Vec<u8>,
    accepted: &'static [u16],
}

fn variants() -> [Variant; 4] {
    let [v4, v6] = [bytes(&udp_v4()), bytes(&udp_v6())];
    [
        Variant {
            name: "IPv4",
            before: &[],
            packet: v4.clone(),
            accepted: &[IPV4],
        },
        Variant {
            name: "IPv6",
            before: &[],
            packet: v6.clone(),
            accepted: &[IPV6],
        },
        Variant {
            name: "a tag of no id, and IPv4",
            before: &[0, 0, 0x08, 0x00],
            packet: v4,
            accepted: &[CTAG, STAG],
        },
        Variant {
            name: "SNAP, and IPv6",
            before: &[0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd],
            packet: v6,
            accepted: &[],
        },
    ]
}

/// Sends a frame of every `EtherType`, and returns those whose packet the stack accepts. Calls
/// `judged` after each chunk, with its number of frames.
fn sweep(
    host: &Host,
    variant: &Variant,
    mut judged: impl FnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<u16>> {
    let mut stack = OwnStack::listen(&host.pair.host)?;
    let mut accepted = Vec::new();
    let ether_types: Vec<u16> = (0..=u16::MAX).collect();
    let frame =
        |ether_type: &u16| -> Frame { behind(*ether_type, variant.before, &variant.packet) };
    for chunk in ether_types.chunks(CHUNK) {
        let frames: Vec<Frame> = chunk.iter().map(frame).collect();
        host.send(&frames)?;
        let found = stack.accepted(&host.sender)?;
        judged(frames.len() as u64)?;
        if found.is_nothing() {
            continue;
        }
        for (ether_type, frame) in chunk.iter().zip(frames) {
            host.send(&[frame])?;
            if !stack.accepted(&host.sender)?.is_nothing() {
                accepted.push(*ether_type);
            }
            judged(1)?;
        }
    }
    Ok(accepted)
}

#[test]
fn linux_finds_ip_behind_four_ether_types_alone() -> anyhow::Result<()> {
    let host = Host::new(require_privileged!())?;
    stay_on_this_cpu()?;
    for variant in variants() {
        let accepted = sweep(&host, &variant, |_| Ok(()))?;
        assert_eq!(accepted, variant.accepted, "{}", variant.name);
    }
    Ok(())
}

fn expect_no_ether_type_to_hide_a_source(mode: &str) -> anyhow::Result<()> {
    let root = require_privileged!();
    let host = Host::new(root)?;
    stay_on_this_cpu()?;
    let interface = format!("{}={mode}", host.pair.host.interface);
    let daemon = Daemon::in_netns(root, &host.pair.host.netns);
    let daemon = daemon.interface(interface).start()?;
    apply(&daemon, RULESET)?;
    let mut counting = Counting::of(&daemon)?;
    for variant in variants() {
        let accepted = sweep(&host, &variant, |frames| {
            let [passed, dropped, non_ip, malformed, others] = counting.since_last()?;
            // One packet of the test's own passes.
            let unseen = (passed, others);
            assert_eq!(unseen, (1, 0), "{}", variant.name);
            assert_eq!(dropped + non_ip + malformed, frames, "{}", variant.name);
            Ok(())
        })?;
        assert_eq!(accepted, [0; 0], "{}", variant.name);
    }
    Ok(())
}

#[test]
fn in_native_mode_no_ether_type_hides_a_source() -> anyhow::Result<()> {
    expect_no_ether_type_to_hide_a_source("native")
}

#[test]
fn in_generic_mode_no_ether_type_hides_a_source() -> anyhow::Result<()> {
    expect_no_ether_type_to_hide_a_source("generic")
}
