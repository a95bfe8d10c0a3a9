//! Typed answers of the daemon, and the kernel's state without it.

use anyhow::Context as _;
use ipblock_api::types::{
    Applied, Check, Count, Counters, Deployed, InterfaceStatus, RuleCount, Status, Totals,
};
use ipblock_policy::Action;
use ipblock_tests::{Arguments, Daemon, Netns};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Runs `ipblock-ctl --json`, which must succeed, and reads what it prints.
pub(crate) fn answer<T: DeserializeOwned>(
    daemon: &Daemon,
    arguments: impl Arguments,
) -> anyhow::Result<T> {
    Ok(serde_json::from_value(daemon.ctl_json(arguments)?)?)
}

pub(crate) fn status(daemon: &Daemon) -> anyhow::Result<Status> {
    answer(daemon, "status")
}

pub(crate) fn counters(daemon: &Daemon) -> anyhow::Result<Counters> {
    answer(daemon, "counters")
}

pub(crate) fn check(daemon: &Daemon, addresses: &[&str]) -> anyhow::Result<Vec<Check>> {
    answer(daemon, [&["check"], addresses].concat())
}

/// What becomes of packets and why, as `block by Rule`.
pub(crate) fn verdict_and_reason(check: &Check) -> String {
    let verdict = check.verdict.map_or("pass", Action::as_str);
    format!("{verdict} by {:?}", check.reason)
}

/// Deploys `ruleset`, a document.
pub(crate) fn apply(daemon: &Daemon, ruleset: &str) -> anyhow::Result<Applied> {
    let output = daemon.ctl_with_input("--json apply -", ruleset)?;
    Ok(serde_json::from_str(&output.ok()?)?)
}

/// As [`apply`], for a ruleset that removes most of what is deployed.
pub(crate) fn apply_forced(daemon: &Daemon, ruleset: &str) -> anyhow::Result<Applied> {
    apply_with(daemon, "--force", ruleset)
}

/// As [`apply`], with a flag.
pub(crate) fn apply_with(daemon: &Daemon, flag: &str, ruleset: &str) -> anyhow::Result<Applied> {
    let output = daemon.ctl_with_input(["--json", "apply", flag, "-"], ruleset)?;
    Ok(serde_json::from_str(&output.ok()?)?)
}

/// Runs a command that stages, with `--deploy`.
pub(crate) fn deploy(daemon: &Daemon, arguments: impl Arguments) -> anyhow::Result<Deployed> {
    let mut arguments = arguments.list();
    arguments.push("--deploy".into());
    answer(daemon, arguments)
}

/// An interface in the status, in whatever zone.
pub(crate) fn interface(daemon: &Daemon, name: &str) -> anyhow::Result<InterfaceStatus> {
    let zones = status(daemon)?.zones.into_iter();
    zones
        .flat_map(|zone| zone.interfaces)
        .find(|interface| interface.name == name)
        .with_context(|| format!("no interface {name} in the status"))
}

/// A rule in the counters.
#[track_caller]
pub(crate) fn rule<'a>(counters: &'a Counters, name: &str) -> &'a RuleCount {
    let found = counters.rules.iter().find(|rule| rule.name == name);
    found.unwrap_or_else(|| panic!("no rule {name} in {:?}", counters.rules))
}

/// Packets and bytes of a rule in the counters.
#[track_caller]
pub(crate) fn count_of(counters: &Counters, name: &str) -> Count {
    let rule = rule(counters, name);
    Count {
        packets: rule.packets,
        bytes: rule.bytes,
    }
}

/// Every packet is in exactly one total.
pub(crate) fn judged(totals: &Totals) -> u64 {
    let_through(totals) + totals.dropped.packets
}

/// Packets that went on to the stack, where malformed ones pass.
pub(crate) fn let_through(totals: &Totals) -> u64 {
    let passing = [
        totals.passed,
        totals.warned,
        totals.allowed,
        totals.non_ip,
        totals.malformed,
    ];
    passing.iter().map(|count| count.packets).sum()
}

/// An interface's XDP program, from iproute2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OnInterface {
    /// `XDP_ATTACHED_DRV` is 1, `XDP_ATTACHED_SKB` 2 (`include/uapi/linux/if_link.h`).
    pub(crate) mode: u64,
    /// Id of the program.
    pub(crate) program: u64,
}

/// `IFLA_XDP_ATTACHED` of a program in the driver.
pub(crate) const NATIVE: u64 = 1;
/// `IFLA_XDP_ATTACHED` of a program in the stack.
pub(crate) const GENERIC: u64 = 2;

/// Returns the XDP program on an interface, without the daemon.
pub(crate) fn program_on(netns: &Netns, interface: &str) -> anyhow::Result<Option<OnInterface>> {
    let text = netns.run(["ip", "-json", "link", "show", "dev", interface])?;
    let links: Value = serde_json::from_str(&text)?;
    let number = |path| links.pointer(path).and_then(Value::as_u64);
    Ok(number("/0/xdp/mode")
        .zip(number("/0/xdp/prog/id"))
        .map(|(mode, program)| OnInterface { mode, program }))
}

/// Numbers of the generations that are pinned, sorted.
pub(crate) fn pinned_generations(daemon: &Daemon) -> anyhow::Result<Vec<u64>> {
    let directory = daemon.bpffs().join("ipblock/generations");
    let mut numbers = Vec::new();
    for entry in directory.read_dir()? {
        let name = entry?.file_name();
        let name = name.to_str().context("a generation's name")?;
        numbers.push(name.parse().with_context(|| format!("generation {name}"))?);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Generations in force, sorted.
pub(crate) fn live_generations(status: &Status) -> Vec<u64> {
    let mut numbers: Vec<u64> = status.zones.iter().map(|zone| zone.generation).collect();
    numbers.sort_unstable();
    numbers
}
