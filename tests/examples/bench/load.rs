//! Seconds from the start of a command until its rules are in force, and memory afterwards.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, time::Instant};

use anyhow::{Context as _, Result, ensure};
use ipblock_tests::{Daemon, Privileged, VethOptions, VethPair};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    judging::{
        Family,
        countries::{self, Range},
        workload::{Workload, listed},
    },
    memory,
    report::{Load, Memory},
    say,
};

/// A daemon that filters one end of a veth pair. Fields are dropped in this order.
struct Scene {
    daemon: Daemon,
    _pair: VethPair,
}

pub(crate) fn measure(root: Privileged) -> Result<(Vec<Load>, Vec<Memory>)> {
    let directory = TempDir::new()?;
    let mut loads = Vec::new();
    let (load, memory) = hosts(root, &directory.path().join("hosts.txt"))?;
    loads.push(load);
    match world(root, &directory.path().join("world.toml"))? {
        Some(load) => loads.push(load),
        None => say("left out: no table of countries\nhint: apt-get install tor-geoipdb"),
    }
    Ok((loads, vec![memory]))
}

fn hosts(root: Privileged, file: &Path) -> Result<(Load, Memory)> {
    let workload = Workload::Hosts1m;
    say(&format!("import of {}", workload.name()));
    let ruleset = workload.ruleset(Family::Ipv4)?;
    let hosts = listed(&ruleset.context("hosts need no table of countries")?);
    let mut text = String::new();
    for host in &hosts {
        writeln!(text, "{}", host.addr())?;
    }
    fs::write(file, text)?;
    let scene = Scene::new(root)?;
    let path = file.display().to_string();
    scene
        .daemon
        .ctl(&[
            "rule",
            "add",
            "hosts",
            "--action",
            "block",
            "--match",
            "198.51.100.7",
        ])?
        .ok()?;
    scene.daemon.ctl(&["deploy"])?.ok()?;
    let seconds = scene.seconds(&["import", &path, "--into", "hosts", "--deploy"])?;
    let last = hosts.last().context("no hosts")?.addr().to_string();
    scene.assert_blocked(&last)?;
    let memory = Memory {
        workload: workload.name(),
        kernel_mib: memory::of_pinned(&scene.daemon.bpffs().join("ipblock"))?,
        rss_mib: memory::peak_of_process(scene.daemon.pid().context("the daemon has ended")?)?,
    };
    let load = Load {
        workload: workload.name(),
        entries: scene.entries()?,
        seconds,
    };
    Ok((load, memory))
}

/// The whole table, one rule a country, as a ruleset file; `None` without the table.
fn world(root: Privileged, file: &Path) -> Result<Option<Load>> {
    say("apply of the world's countries");
    let mut rules: BTreeMap<String, Vec<Range>> = BTreeMap::new();
    for family in Family::BOTH {
        let Some(countries) = countries::world(family)? else {
            return Ok(None);
        };
        for (country, ranges) in countries {
            rules.entry(country).or_default().extend(ranges);
        }
    }
    let mut text = String::new();
    for (country, ranges) in &rules {
        writeln!(
            text,
            "[[rule]]\nname = \"{country}\"\naction = \"block\"\nmatch = ["
        )?;
        for (first, last) in ranges {
            writeln!(text, "  \"{first}-{last}\",")?;
        }
        writeln!(text, "]")?;
    }
    fs::write(file, text)?;
    let scene = Scene::new(root)?;
    let seconds = scene.seconds(&["apply", &file.display().to_string(), "--force"])?;
    let (_, ranges) = rules.last_key_value().context("no countries")?;
    let (first, _) = ranges.last().context("no ranges")?;
    scene.assert_blocked(&first.to_string())?;
    Ok(Some(Load {
        workload: "world",
        entries: scene.entries()?,
        seconds,
    }))
}

impl Scene {
    fn new(root: Privileged) -> Result<Self> {
        let pair = VethPair::new(root, VethOptions::default())?;
        let daemon = Daemon::in_netns(root, &pair.host.netns)
            .interface(format!("{}=native", pair.host.interface))
            .start()?;
        Ok(Self {
            daemon,
            _pair: pair,
        })
    }

    /// How long a command takes, which returns when what it deploys is in force.
    fn seconds(&self, arguments: &[&str]) -> Result<f64> {
        let started = Instant::now();
        self.daemon.ctl(arguments)?.ok()?;
        Ok(started.elapsed().as_secs_f64())
    }

    fn assert_blocked(&self, address: &str) -> Result<()> {
        let answer = self.daemon.ctl_json(&["check", address])?;
        let says = |pointer: &str| answer.pointer(pointer).cloned();
        ensure!(
            says("/0/verdict") == Some("block".into())
                && says("/0/kernel_agrees") == Some(true.into()),
            "{address} is not blocked: {answer}"
        );
        Ok(())
    }

    fn entries(&self) -> Result<u64> {
        let status = self.daemon.ctl_json(&["status"])?;
        let count = |family: &str| {
            let found = status.pointer(&format!("/zones/0/entries/{family}"));
            found.and_then(Value::as_u64).context("no entries")
        };
        Ok(count("ipv4")? + count("ipv6")?)
    }
}
