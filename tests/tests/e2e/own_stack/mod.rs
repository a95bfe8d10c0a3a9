//! A second opinion on what hides a source: the host's own stack.
//!
//! Each kind of frame is sent through a veth pair to real sockets of a namespace without a filter,
//! to see what the kernel accepts as IP. Then it is sent to one whose filter blocks the source,
//! with the default configuration. What was accepted without the filter must be dropped, and with
//! the filter no packet of the source may be accepted. So these tests fail if a future kernel
//! accepts more.

mod craft;
mod ip;
mod kinds;
mod link;
mod sweep;

use ipblock_api::{client::Client, types::Totals};
use ipblock_tests::{
    Daemon, FrameSender, Privileged, VethOptions, VethPair,
    own_stack::{Accepted, OwnStack},
    packet::Frame,
    report_not_run, require_privileged,
};
use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    unistd::Pid,
};
use tokio::runtime::Runtime;

use crate::{
    answers::apply,
    own_stack::kinds::{Kind, Stack},
};

/// The sources of all kinds, and those of fragments.
const RULESET: &str = r#"
[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.7", "2001:db8:b::/48"]
"#;

/// A host that listens in every way, and a peer.
struct Host {
    pair: VethPair,
    sender: FrameSender,
}

impl Host {
    fn new(root: Privileged) -> anyhow::Result<Self> {
        let pair = VethPair::new(root, VethOptions::default())?;
        let host = &pair.host;
        for (family, source, gateway) in [
            ("-4", "203.0.113.0/24", pair.peer.ipv4.to_string()),
            ("-6", "2001:db8:b::/48", pair.peer.ipv6.to_string()),
        ] {
            let route = ["ip", family, "route", "add", source, "via", &gateway];
            host.netns.run(route)?;
            // The peer does not answer what the host answers.
            let silent = ["ip", family, "route", "add", "blackhole", "default"];
            pair.peer.netns.run(silent)?;
        }
        let sender = pair.sender()?;
        Ok(Self { pair, sender })
    }

    /// Puts VLAN devices on the interface, if this kernel has any.
    fn add_vlans(&self) -> anyhow::Result<bool> {
        let netns = &self.pair.host.netns;
        let interface = &self.pair.host.interface;
        for ((id, protocol), below) in
            link::VLANS
                .into_iter()
                .zip([None, Some(101), None, Some(201)])
        {
            let below = below.map_or_else(|| interface.clone(), |id: u16| format!("vlan{id}"));
            let (name, id) = (format!("vlan{id}"), id.to_string());
            let add = [
                "ip", "link", "add", "link", &below, "name", &name, "type", "vlan",
            ];
            let added = netns.run(add.into_iter().chain(["protocol", protocol, "id", &id]));
            match added {
                Ok(_) => netns.run(["ip", "link", "set", &name, "up"])?,
                // Without the module no kind of device exists, so the first one fails.
                Err(error) if name == "vlan101" => {
                    report_not_run(&format!(
                        "tags of VLAN devices, which this kernel has not: {error:#}"
                    ));
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
        }
        Ok(true)
    }

    fn send(&self, frames: &[Frame]) -> anyhow::Result<()> {
        frames.iter().try_for_each(|frame| self.sender.send(frame))
    }
}

/// What the stack accepts of each kind without a filter.
fn without_filter(host: &Host, kinds: &[Kind]) -> anyhow::Result<Vec<Accepted>> {
    let mut stack = OwnStack::listen(&host.pair.host)?;
    let mut found = Vec::new();
    for kind in kinds {
        host.send(&kind.frames)?;
        found.push(stack.accepted(&host.sender)?);
    }
    Ok(found)
}

/// Totals of a daemon, without a program in between.
struct Counting {
    client: Client,
    runtime: Runtime,
    last: Totals,
}

impl Counting {
    fn of(daemon: &Daemon) -> anyhow::Result<Self> {
        let mut counting = Self {
            client: Client::new(daemon.socket()),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            last: Totals::default(),
        };
        counting.since_last()?;
        Ok(counting)
    }

    /// Packets since the last call: passed, dropped, not IP, malformed, and all others.
    fn since_last(&mut self) -> anyhow::Result<[u64; 5]> {
        let now = self.runtime.block_on(self.client.counters())?.totals;
        let before = std::mem::replace(&mut self.last, now);
        let packets = |totals: &Totals| {
            [
                totals.passed,
                totals.dropped,
                totals.non_ip,
                totals.malformed,
                totals.warned,
                totals.allowed,
            ]
            .map(|count| count.packets)
        };
        let [passed, dropped, non_ip, malformed, warned, allowed] = packets(&self.last);
        let [
            passed_0,
            dropped_0,
            non_ip_0,
            malformed_0,
            warned_0,
            allowed_0,
        ] = packets(&before);
        Ok([
            passed - passed_0,
            dropped - dropped_0,
            non_ip - non_ip_0,
            malformed - malformed_0,
            warned + allowed - warned_0 - allowed_0,
        ])
    }
}

/// More tags than the program skips; a frame with this number is dropped as malformed.
fn has_too_many_tags(frame: &Frame) -> bool {
    let mut tags = frame.bytes()[12..].chunks_exact(4);
    tags.by_ref()
        .take(9)
        .filter(|tag| matches!(tag, [0x81, 0, ..] | [0x88, 0xa8, ..]))
        .count()
        == 9
}

/// Asserts that no kind of frame gets the source through.
fn expect_blocked(root: Privileged, mode: &str, kinds: &[Kind], vlans: bool) -> anyhow::Result<()> {
    stay_on_this_cpu()?;
    let open = Host::new(root)?;
    let filtered = Host::new(root)?;
    if vlans && !(open.add_vlans()? && filtered.add_vlans()?) {
        return Ok(());
    }
    let without = without_filter(&open, kinds)?;

    let netns = &filtered.pair.host.netns;
    let interface = format!("{}={mode}", filtered.pair.host.interface);
    let daemon = Daemon::in_netns(root, netns).interface(interface).start()?;
    apply(&daemon, RULESET)?;
    let mut stack = OwnStack::listen(&filtered.pair.host)?;
    let mut counting = Counting::of(&daemon)?;
    let mut wrong = Vec::new();
    for (kind, without) in kinds.iter().zip(&without) {
        filtered.send(&kind.frames)?;
        let with = stack.accepted(&filtered.sender)?;
        let counted = counting.since_last()?;
        let said = format!(
            "{}: without a filter {without}; with it {with}, and counted {counted:?}\n{:?}",
            kind.name, kind.frames
        );
        if let Some(fault) = fault(kind, without, &with, counted) {
            wrong.push(format!("{fault}: {said}"));
        }
    }
    let accepted = without.iter().filter(|found| !found.is_nothing()).count();
    println!(
        "{} kinds, {accepted} of them accepted without a filter",
        kinds.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        kinds.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// Describes the error in the fate of a kind, if there is one.
fn fault(
    kind: &Kind,
    without: &Accepted,
    with: &Accepted,
    counted: [u64; 5],
) -> Option<&'static str> {
    let frames = kind.frames.len() as u64;
    // One packet of the test's own follows each kind, and passes.
    let [passed, dropped, non_ip, malformed, others] = counted;
    let too_many = kind
        .frames
        .iter()
        .filter(|frame| has_too_many_tags(frame))
        .count() as u64;
    if kind.has_other_source {
        let named = [kinds::BLOCKED_V4, kinds::BLOCKED_V6];
        let said = with.to_string();
        let is_taken = named
            .iter()
            .any(|source| said.contains(&format!("from {source} ")));
        return is_taken.then_some("it was taken for the blocked source");
    }
    if !with.is_nothing() {
        return Some("the stack accepted it with the filter");
    }
    if kind.stack == Stack::Accepts && without.is_nothing() {
        return Some("the stack does not accept it without a filter");
    }
    if passed + dropped + non_ip + malformed != frames + 1 || others != 0 {
        return Some("not every frame was counted once");
    }
    if passed != 1 {
        return Some("it passed");
    }
    if !without.is_nothing() && (dropped != frames - too_many || malformed != too_many) {
        return Some("the stack accepts it, and the filter did not see whose it is");
    }
    None
}

/// Frames stay in order where one CPU handles all of them.
fn stay_on_this_cpu() -> anyhow::Result<()> {
    let mut here = CpuSet::new();
    here.set(sched_getcpu()?)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &here)?)
}

fn kinds_of_frames() -> Vec<Kind> {
    let parts = [
        link::tags(),
        link::encapsulations(),
        link::stations(),
        ip::protocols(),
        ip::headers(),
        ip::lengths(),
        ip::fragments(),
        ip::extensions(),
        ip::addresses(),
    ];
    parts.concat()
}

#[test]
fn native_mode_drops_what_the_stack_would_accept() -> anyhow::Result<()> {
    expect_blocked(require_privileged!(), "native", &kinds_of_frames(), false)
}

#[test]
fn generic_mode_drops_what_the_stack_would_accept() -> anyhow::Result<()> {
    expect_blocked(require_privileged!(), "generic", &kinds_of_frames(), false)
}

#[test]
fn native_mode_drops_what_vlan_devices_would_accept() -> anyhow::Result<()> {
    expect_blocked(
        require_privileged!(),
        "native",
        &link::behind_devices(),
        true,
    )
}

#[test]
fn generic_mode_drops_what_vlan_devices_would_accept() -> anyhow::Result<()> {
    expect_blocked(
        require_privileged!(),
        "generic",
        &link::behind_devices(),
        true,
    )
}
