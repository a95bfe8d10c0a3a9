//! Seconds from the start of a command until its rules are in force, and memory afterwards.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};
use ipblock_tests::{
    Privileged,
    countries::{self, Range},
};
use tempfile::TempDir;

use crate::{
    judging::{
        Family,
        statistics::Quartiles,
        workload::{Workload, listed},
    },
    report::{Load, Memory},
    say,
    scene::Scene,
};

/// An edit of one address in addition to a million.
pub(crate) const ONE_MORE: &str = "hosts-1m, one more";
pub(crate) const WORLD: &str = "world";

/// The rule's match before the million, and the address of the edit.
const FIRST: &str = "198.51.100.7";
const ADDED: &str = "198.51.100.9";

/// Each `rounds` times, with a new daemon.
pub(crate) fn measure(root: Privileged, rounds: usize) -> Result<(Vec<Load>, Vec<Memory>)> {
    let directory = TempDir::new()?;
    let (mut loads, memory) = hosts(root, &directory.path().join("hosts.txt"), rounds)?;
    match world(root, &directory.path().join("world.toml"), rounds)? {
        Some(load) => loads.push(load),
        None => say("left out: no table of countries\nhint: apt-get install tor-geoipdb"),
    }
    Ok((loads, memory))
}

fn hosts(root: Privileged, file: &Path, rounds: usize) -> Result<(Vec<Load>, Vec<Memory>)> {
    let workload = Workload::Hosts1m;
    let ruleset = workload.ruleset(Family::Ipv4)?;
    let hosts = listed(&ruleset.context("hosts need no table of countries")?);
    let mut text = String::new();
    for host in &hosts {
        writeln!(text, "{}", host.addr())?;
    }
    fs::write(file, text)?;
    let path = file.display().to_string();
    let last = hosts.last().context("no hosts")?.addr().to_string();

    let (mut whole, mut more, mut entries) = (Vec::new(), Vec::new(), 0);
    let mut memory: Option<Memory> = None;
    for round in 1..=rounds {
        say(&format!("import of {}, {round}/{rounds}", workload.name()));
        let scene = Scene::new(root)?;
        let rule = ["rule", "add", "hosts", "--action", "block", "--match"];
        let rule = [rule.as_slice(), &[FIRST, "--deploy"]].concat();
        scene.daemon.ctl(&rule)?.ok()?;
        whole.push(scene.seconds(&["import", &path, "--into", "hosts", "--deploy"])?);
        scene.assert_blocked(&last)?;
        entries = scene.entries()?;
        let edit = ["rule", "edit", "hosts", "--add-match", ADDED, "--deploy"];
        more.push(scene.seconds(&edit)?);
        scene.assert_blocked(ADDED)?;
        let own = scene.memory(workload.name())?;
        memory = Some(memory.map_or(own, |other| other.max(own)));
    }
    let load = |workload, entries, seconds: &[f64]| Load {
        workload,
        entries,
        seconds: Quartiles::of(seconds),
    };
    let loads = vec![
        load(workload.name(), entries, &whole),
        load(ONE_MORE, entries + 1, &more),
    ];
    Ok((loads, memory.into_iter().collect()))
}

/// The whole table, one rule a country, as a ruleset file; `None` without the table.
fn world(root: Privileged, file: &Path, rounds: usize) -> Result<Option<Load>> {
    let Some(rules) = countries::world()? else {
        return Ok(None);
    };
    let mut text = String::new();
    for (country, ranges) in &rules {
        writeln!(
            text,
            "[[rule]]\nname = \"{country}\"\naction = \"block\"\nmatch = ["
        )?;
        for Range { first, last } in ranges {
            writeln!(text, "  \"{first}-{last}\",")?;
        }
        writeln!(text, "]")?;
    }
    fs::write(file, text)?;
    let path = file.display().to_string();
    let (_, ranges) = rules.last_key_value().context("no countries")?;
    let first = ranges.last().context("no ranges")?.first;

    let (mut seconds, mut entries) = (Vec::new(), 0);
    for round in 1..=rounds {
        say(&format!("apply of the world's countries, {round}/{rounds}"));
        let scene = Scene::new(root)?;
        seconds.push(scene.seconds(&["apply", &path, "--force"])?);
        scene.assert_blocked(&first.to_string())?;
        entries = scene.entries()?;
    }
    Ok(Some(Load {
        workload: WORLD,
        entries,
        seconds: Quartiles::of(&seconds),
    }))
}
