//! The running part: two namespaces, a daemon on the interface between them, frames, counters.

use std::{
    fs,
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use ipblock_tests::{
    DEADLINE, Daemon, FrameReceiver, FrameSender, Privileged, VethOptions, VethPair,
    WebhookReceiver,
};
use serde_json::Value;

use crate::{
    alerts::{self, Places, Seen},
    case::{Case, Outcome},
    counters::Counters,
    report::{Observation, Run},
    stop::Stop,
};

/// Frames of the first case; each further case sends one more, so that no count can be mistaken for
/// that of another. Fewer than 256, what a veth queues for XDP (`VETH_RING_SIZE`,
/// drivers/net/veth.c): as each case is awaited before the next, none is lost there.
const FRAMES: u64 = 200;
const VETH_RING: u64 = 256;

/// How long frames that must arrive may take; they are there at once unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(3);

/// Everything goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Lab {
    // Before the namespaces that it runs in.
    daemon: Daemon,
    webhook: WebhookReceiver,
    pair: VethPair,
}

impl Lab {
    /// Makes the namespaces and starts `ipblockd` natively attached in one of them.
    pub(crate) fn start(root: Privileged) -> Result<Self> {
        let pair = VethPair::new(root, VethOptions::default())?;
        let webhook = WebhookReceiver::new(&pair.host.netns)?;
        let daemon = Daemon::in_netns(root, &pair.host.netns)
            .interface(format!("{}=native", pair.host.interface))
            .config(alerts::config(&webhook))
            .start()?;
        Ok(Self {
            daemon,
            webhook,
            pair,
        })
    }

    /// Sends one packet of a warned source, and says where its alert showed, and when.
    pub(crate) fn warn(&self, stop: &Stop) -> Result<Seen> {
        let places = Places {
            daemon: &self.daemon,
            netns: &self.pair.host.netns,
            webhook: &self.webhook,
            sender: &self.pair.sender()?,
        };
        places.warn(stop)
    }

    /// How the filter sits on the interface, as `ipblock-ctl status` says; an error unless natively.
    pub(crate) fn attachment(&self) -> Result<String> {
        let status = self.daemon.ctl_json("status")?;
        let interface = status
            .pointer("/zones/0/interfaces/0")
            .with_context(|| format!("no interface in {status}"))?;
        let field = |name: &str| interface.get(name).and_then(Value::as_str);
        let shown = (field("name"), field("state"), field("mode"));
        let wanted = self.pair.host.interface.as_str();
        ensure!(
            shown == (Some(wanted), Some("attached"), Some("native")),
            "the filter is not natively attached: {interface}"
        );
        Ok(format!(
            "native on {wanted}, which a veth pair joins to {} in another namespace",
            self.pair.peer.interface
        ))
    }

    /// Deploys the ruleset, whose countries have a few percent of all addresses; says how much it is and how long that took.
    pub(crate) fn apply(&self, ruleset: &str) -> Result<String> {
        let start = Instant::now();
        let output = self
            .daemon
            .ctl_with_input("--json apply --wide -", ruleset)?
            .ok()?;
        let took = start.elapsed();
        let applied: Value = serde_json::from_str(&output).context(output)?;
        let number = |name: &str| {
            applied
                .pointer(&format!("/deployed/{name}"))
                .and_then(Value::as_u64)
                .with_context(|| format!("no `{name}` in {applied}"))
        };
        Ok(format!(
            "{} entries in {:.1} s: built in {} ms, switched in {} ms",
            number("entries")?,
            took.as_secs_f64(),
            number("build_ms")?,
            number("switch_ms")?
        ))
    }

    /// Asks `ipblock-ctl check` about each address. Returns the answers that are wrong: another
    /// verdict than there should be, or one that the kernel's maps do not share.
    pub(crate) fn check(&self, addresses: &[(IpAddr, Outcome)]) -> Result<Vec<String>> {
        let mut arguments = vec!["--json".to_owned(), "check".to_owned()];
        arguments.extend(addresses.iter().map(|(address, _)| address.to_string()));
        let output = self.daemon.ctl(&arguments)?.ok()?;
        let answers: Vec<Value> = serde_json::from_str(&output).context("ipblock-ctl check")?;
        ensure!(
            answers.len() == addresses.len(),
            "{} answers for {} addresses",
            answers.len(),
            addresses.len()
        );
        let mut wrong = Vec::new();
        for ((address, outcome), answer) in addresses.iter().zip(&answers) {
            let is_right = answer.get("verdict").and_then(Value::as_str) == Some(outcome.verdict())
                && answer.get("kernel_agrees") == Some(&Value::Bool(true));
            if !is_right {
                wrong.push(format!(
                    "check {address}: should be {}, and the kernel agree: {answer}",
                    outcome.verdict()
                ));
            }
        }
        Ok(wrong)
    }

    /// Sends every case and says what was seen of each, and of all.
    pub(crate) fn send(&self, cases: &[Case], stop: &Stop) -> Result<(Vec<Observation>, Run)> {
        ensure!(
            FRAMES + cases.len() as u64 <= VETH_RING,
            "too many cases: frames could be lost before the filter"
        );
        let traffic = Traffic {
            lab: self,
            sender: self.pair.sender()?,
            receiver: self.pair.receiver()?,
            stop,
        };
        let at_start = self.counters()?;
        let mut before = at_start.clone();
        let mut observations = Vec::new();
        for (marker, case) in (1..).zip(cases) {
            let (arrived, after) = traffic.send(case, marker, &before)?;
            observations.push(Observation {
                case: case.clone(),
                sent: FRAMES + marker,
                arrived,
                counted: after.since(&before)?,
            });
            before = after;
        }
        let receiver = traffic.receiver;
        ensure!(
            receiver.lost()? == 0,
            "the receiver's buffer overflowed: what arrived is not known"
        );
        let run = Run {
            arrived: receiver.counts().values().sum(),
            counted: self.counters()?.since(&at_start)?,
            strangers: receiver.unmarked(),
        };
        Ok((observations, run))
    }

    fn counters(&self) -> Result<Counters> {
        Counters::from_json(&self.daemon.ctl_json("counters")?)
    }
}

/// Frames from the peer to the host, and what becomes of them.
struct Traffic<'a> {
    lab: &'a Lab,
    sender: FrameSender,
    receiver: FrameReceiver,
    stop: &'a Stop,
}

impl Traffic<'_> {
    /// Sends `FRAMES + marker` frames and waits until the filter has seen them all. Returns how many
    /// came through, and the counters after it.
    ///
    /// Missing frames are not an error: the table shows them.
    fn send(&self, case: &Case, marker: u64, before: &Counters) -> Result<(u64, Counters)> {
        self.stop.check()?;
        let frames = FRAMES + marker;
        let sent = self.sender.flood(&[case.frame(marker)], frames, DEADLINE)?;
        ensure!(sent == frames, "{sent} of {frames} frames were sent");
        if case.outcome != Outcome::Dropped {
            let _ = self.receiver.wait_for_count(marker, frames, PATIENCE);
        }
        let end = Instant::now() + PATIENCE;
        while self.lab.counters()?.since(before)?.packets() < frames && Instant::now() < end {
            self.stop.check()?;
        }
        // Read once more: the filter counts a packet's total and its class one after the other.
        let after = self.lab.counters()?;
        Ok((self.receiver.count(marker), after))
    }
}

/// The running kernel's.
pub(crate) fn kernel_release() -> Result<String> {
    let path = "/proc/sys/kernel/osrelease";
    let release = fs::read_to_string(path).context(path)?;
    Ok(release.trim_end().to_owned())
}
