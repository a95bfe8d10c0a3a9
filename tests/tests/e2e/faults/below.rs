//! `kill -9` while the daemon attaches below a filtered bridge, whose filter is off for that moment.

use std::{collections::BTreeMap, fs, net::UdpSocket};

use ipblock_fault::Step;
use ipblock_tests::{DEADLINE, FrameSender, report_not_run, require_privileged, wait_for};

use super::{
    ledger::{Entry, record},
    stage::Flow,
};
use crate::bridged::{BRIDGE, BlockedFlood, Bridged, OTHER, drain, to_bridge};

/// Steps at which the filter of the bridge is on, off or about to change.
pub(crate) const BELOW: [Step; 4] = [
    Step::UpperHeld,
    Step::UpperOff,
    Step::LowerAttached,
    Step::UpperBack,
];
/// The steps of a start after it.
const AGAIN: [Step; 3] = [Step::LinkMade, Step::LinkPinned, Step::StartCovered];

/// A bridge that is filtered and has two ports without filters; `None` where it cannot be held.
fn filtered_bridge(
    root: ipblock_tests::Privileged,
) -> anyhow::Result<Option<(Bridged, UdpSocket)>> {
    let Some(bridged) = Bridged::new(root)? else {
        return Ok(None);
    };
    let socket = bridged.listen()?;
    bridged.attach(BRIDGE)?;
    Ok(Some((bridged, socket)))
}

fn can_hold(bridged: &Bridged) -> bool {
    let can = !bridged
        .daemon
        .log()
        .contains("this kernel cannot hold them");
    if !can {
        report_not_run("a kill below a held bridge: this kernel is older than 6.6");
    }
    can
}

/// Attaches `host0` by a daemon that is killed at a step.
fn attach_killed(bridged: &mut Bridged, step: &str, time: u64) -> anyhow::Result<()> {
    let fault = bridged.daemon.fault();
    fault.kill_at(step, time)?;
    let output = bridged.daemon.ctl("attach host0")?;
    assert_ne!(output.code, 0, "{output:?}");
    assert!(fault.is_reached(), "{step}, time {time}");
    wait_for(DEADLINE, "the daemon to be killed", || {
        bridged.daemon.ended().transpose()
    })??;
    fault.clear()
}

fn holds(bridged: &Bridged) -> usize {
    fs::read_dir(bridged.daemon.bpffs().join("ipblock/holds")).map_or(0, Iterator::count)
}

fn wait_until_other_passes(bridged: &Bridged, socket: &UdpSocket) -> anyhow::Result<()> {
    let sender = FrameSender::new(&bridged.peer, "peer1")?;
    wait_for(DEADLINE, "another source to pass", || {
        sender.send(&to_bridge(OTHER)).ok()?;
        (drain(socket).ok()? > 0).then_some(())
    })?;
    drain(socket).map(drop)
}

#[test]
fn a_blocked_source_passes_no_bridge_that_a_killed_daemon_left_without_its_filter()
-> anyhow::Result<()> {
    let root = require_privileged!();
    let Some((mut bridged, socket)) = filtered_bridge(root)? else {
        return Ok(());
    };
    let fault = bridged.daemon.fault();
    fault.trace()?;
    bridged.attach("host0")?;
    let mut times: BTreeMap<String, u64> = BTreeMap::new();
    for step in fault.traced()? {
        *times.entry(step).or_default() += 1;
    }
    if !can_hold(&bridged) {
        return Ok(());
    }
    assert!(
        BELOW.iter().all(|step| times.contains_key(step.name())),
        "{times:?}"
    );
    bridged.daemon.ctl("detach host0")?.ok()?;

    let flood = BlockedFlood::start(&bridged)?;
    let mut injected = 0;
    let mut check = |bridged: &mut Bridged, at: &str| -> anyhow::Result<()> {
        bridged.wait_until_attached(&[BRIDGE])?;
        assert_eq!(holds(bridged), 0, "killed at {at}");
        // It may have been remembered: a second request is not an error.
        bridged.attach("host0")?;
        bridged.wait_until_attached(&["host0", BRIDGE])?;
        assert_eq!(
            drain(&socket)?,
            0,
            "a blocked source passed, killed at {at}"
        );
        bridged.daemon.ctl("detach host0")?.ok()?;
        injected += 1;
        Ok(())
    };
    let steps = times.iter().filter(|(step, _)| !step.starts_with("store"));
    for (step, times) in steps {
        for time in 1..=*times {
            attach_killed(&mut bridged, step, time)?;
            flood.wait_for_more(2000)?;
            bridged.daemon.start()?;
            check(&mut bridged, step)?;
        }
    }
    for step in AGAIN.map(Step::name) {
        attach_killed(&mut bridged, Step::UpperOff.name(), 1)?;
        fault.kill_at(step, 1)?;
        assert!(bridged.daemon.start().is_err(), "killed at {step}");
        assert!(fault.is_reached(), "{step}");
        fault.clear()?;
        flood.wait_for_more(2000)?;
        bridged.daemon.start()?;
        check(&mut bridged, &format!("upper-off, then {step}"))?;
    }
    let packets = flood.stop()?;
    wait_until_other_passes(&bridged, &socket)?;
    assert!(injected >= (BELOW.len() + AGAIN.len()) as u64, "{injected}");
    let entry = Entry {
        part: "kill -9 at every step",
        fault: "attach below a filtered bridge",
        injected,
        outcome: "nothing blocked passes the bridge, which is held until the next start filters it",
    };
    let flow = Flow {
        packets,
        blocked: packets,
    };
    record(entry, &flow)
}

#[test]
fn a_bridge_is_held_for_seconds_only_when_no_daemon_comes_back() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some((mut bridged, socket)) = filtered_bridge(root)? else {
        return Ok(());
    };
    attach_killed(&mut bridged, Step::UpperOff.name(), 1)?;
    if !can_hold(&bridged) {
        return Ok(());
    }
    assert_eq!(holds(&bridged), 1);
    let sender = FrameSender::new(&bridged.peer, "peer1")?;
    for _ in 0..10 {
        sender.send(&to_bridge(OTHER))?;
    }
    assert_eq!(drain(&socket)?, 0, "it is not held");
    // Its pin is still there.
    wait_until_other_passes(&bridged, &socket)?;
    assert_eq!(holds(&bridged), 1);
    bridged.daemon.start()?;
    bridged.wait_until_attached(&["host0", BRIDGE])?;
    assert_eq!(holds(&bridged), 0);
    wait_until_other_passes(&bridged, &socket)
}
