//! `cargo xtask reliability`: every fault of the suite, its number of injections, and the losses.
//!
//! The tests below tests/tests/e2e/faults assert that there were none, and record the faults that
//! they injected. This runs them and generates docs/reliability.md from the records.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde::Deserialize;

use crate::{
    command::{cargo, require_root, root, say},
    setup::{self, runtime::Purpose},
};

/// Where the page goes.
#[derive(Args)]
pub(crate) struct Options {
    /// Where the page is written, instead of docs/reliability.md.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// How many random schedules of concurrent changes are played.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    schedules: u64,
}

/// One fault, as recorded by its test.
#[derive(Deserialize)]
struct Entry {
    part: String,
    fault: String,
    injected: u64,
    outcome: String,
    packets: u64,
    blocked: u64,
    lost: u64,
}

/// The parts of the page in order, with their introductions.
const PARTS: [(&str, &str); 9] = [
    (
        "kill -9 at every step",
        "Each change and each kind of start is done once while every step that it reaches is written down, and then \
         once more for each of them, killed there. The steps have names (`ipblock-ctl/fault/src/lib.rs`); a test fails \
         when an operation reaches others than it says, or when one belongs to none.",
    ),
    ("state directory", ""),
    ("memory and maps", ""),
    ("interfaces", ""),
    ("pins", ""),
    (
        "drift",
        "What somebody with the rights to do so changes in the kernel. The maps of a generation are frozen once they \
         are filled, so that nobody can write them.",
    ),
    ("versions and damage", ""),
    ("clock", ""),
    (
        "many at once",
        "A schedule is a short program of random changes by four clients, of which some would cut off a default gateway, \
         by themselves or together with another one. The gateway sends all the while.",
    ),
];

/// Runs the suite and writes the page; fails if a test fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    require_root("reliability")?;
    setup::run()?;
    setup::runtime::prepare(Purpose::Tests)?;

    let told = tempfile::tempdir().context("a directory for what tests tell")?;
    let mut tests = cargo();
    tests
        .args(["test", "--locked", "--package", "ipblock-tests"])
        .args(["--test", "e2e"])
        // The same deploys as in the other tests, but a thousand of them.
        .args(["--", "faults::", "deploys::many"])
        .env("IPBLOCK_DEPLOYS", "1000")
        .env("IPBLOCK_REQUIRE_PRIVILEGED", "1")
        .env("IPBLOCK_RELIABILITY", told.path())
        .env("IPBLOCK_SCHEDULES", options.schedules.to_string());
    build_binaries()?;
    let status = tests.status().context("cannot start cargo test")?;
    if !status.success() {
        bail!("a fault was not survived: see the test's own words above");
    }
    let entries = read(told.path())?;
    let page = page(&entries)?;
    let path = match &options.write {
        Some(path) => path.clone(),
        None => root().join("docs/reliability.md"),
    };
    fs::write(&path, page).with_context(|| path.display().to_string())?;
    say(
        "reliability",
        &format!("{} faults, in {}", entries.len(), path.display()),
    );
    Ok(())
}

/// The daemon and its command line, which the suite runs.
fn build_binaries() -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--locked", "--package", "ipblock-ctl", "--bins"]);
    crate::command::run(&mut build)
}

fn read(directory: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        let text = fs::read_to_string(&path)?;
        entries.push(serde_json::from_str(&text).with_context(|| path.display().to_string())?);
    }
    Ok(entries)
}

fn page(entries: &[Entry]) -> Result<String> {
    let mut parts: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        parts.entry(&entry.part).or_default().push(entry);
    }
    let sum = |value: fn(&Entry) -> u64| entries.iter().map(value).sum::<u64>();
    let mut page = String::new();
    writeln!(
        page,
        "# Reliability\n\n\
         What was broken, how often, and what was lost: made by `cargo xtask reliability`, which runs the tests below\n\
         `tests/tests/e2e/faults` as root in network namespaces of their own (they are part of `cargo xtask test` too).\n\n\
         While a fault is injected, two zones are under a flood of seven sources each: blocked (IPv4, IPv6), banned,\n\
         excepted, free, and two of which every ruleset blocks exactly one. Afterwards every packet is accounted for:\n\
         nothing that was to be dropped has arrived, everything else has, of the last two one passed in each round but\n\
         for the rounds that a change divides, and all counters are exact. What a command reported as done is there;\n\
         the daemon, the pins, the links and the kernel's answers agree; no pin is left over.\n\n\
         **{} faults injected in this run, under {} packets of which {} had to be dropped: lost {}.**",
        grouped(sum(|entry| entry.injected)),
        grouped(sum(|entry| entry.packets)),
        grouped(sum(|entry| entry.blocked)),
        grouped(sum(|entry| entry.lost)),
    )?;
    for (name, text) in PARTS {
        let entries = parts
            .remove(name)
            .with_context(|| format!("no fault of the part `{name}` was injected"))?;
        write_part(&mut page, name, text, entries)?;
    }
    if let Some(name) = parts.keys().next() {
        bail!("xtask/src/reliability.rs does not know the part `{name}`");
    }
    page.push_str(LIMITS);
    Ok(page)
}

fn write_part(page: &mut String, name: &str, text: &str, mut entries: Vec<&Entry>) -> Result<()> {
    writeln!(page, "\n## {}\n", capitalised(name))?;
    if !text.is_empty() {
        writeln!(page, "{text}\n")?;
    }
    writeln!(
        page,
        "| fault | injected | packets | lost | outcome |\n| --- | ---: | ---: | ---: | --- |"
    )?;
    entries.sort_by(|one, other| one.fault.cmp(&other.fault));
    for entry in entries {
        let (injected, packets) = (grouped(entry.injected), grouped(entry.packets));
        let Entry {
            fault,
            lost,
            outcome,
            ..
        } = entry;
        writeln!(
            page,
            "| {fault} | {injected} | {packets} | {lost} | {outcome} |"
        )?;
    }
    Ok(())
}

const LIMITS: &str = "
## Elsewhere, and what is lost by nature

Hostile clients, random frames and damaged bytes have suites of their own (docs/testing.md). Unit tests of the store cut the
power between any two of its writes, damage each of its pages, and open stores of older versions.

- After a power loss counters go on from the last checkpoint, at most 10 s old.
- A link that somebody detaches filters nothing until the daemon puts it back, up to a second later; while no daemon
  runs, until one starts.
- Whoever removes the pin of a link while no daemon runs takes the filter off: nothing holds it any more.
- Packets that an interface loses while it is down, or that goes with it, are not judged.
";

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(part: &str, fault: &str) -> Entry {
        Entry {
            part: part.to_owned(),
            fault: fault.to_owned(),
            injected: 3,
            outcome: "as before".to_owned(),
            packets: 1_234_567,
            blocked: 10,
            lost: 0,
        }
    }

    #[test]
    fn the_page_has_every_fault_in_its_part_and_sums() {
        let mut entries: Vec<Entry> = PARTS.iter().map(|(part, _)| entry(part, "a")).collect();
        entries.push(entry("clock", "b"));
        let page = page(&entries).unwrap();
        assert!(
            page.contains("30 faults injected in this run, under 12,345,670 packets"),
            "{page}"
        );
        let clock = page.split("## Clock\n").nth(1).unwrap();
        assert!(
            clock.contains("| a | 3 | 1,234,567 | 0 | as before |\n| b | 3 |"),
            "{clock}"
        );
    }

    #[test]
    fn a_part_that_was_not_run_or_is_not_known_is_an_error() {
        let all: Vec<Entry> = PARTS.iter().map(|(part, _)| entry(part, "a")).collect();
        assert!(page(&all[1..]).is_err());
        let mut strange = all;
        strange.push(entry("weather", "a"));
        assert!(page(&strange).is_err());
    }

    #[test]
    fn digits_are_grouped_by_three() {
        let numbers = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
    }
}
