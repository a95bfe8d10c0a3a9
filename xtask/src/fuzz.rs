//! `cargo xtask fuzz`: each property of fuzz/properties under libFuzzer until nothing new is found.
//!
//! A target has nothing new to say once the last third of its time, and of ten minutes at least, has
//! reached no edge of the program's control flow that was not reached before.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    command::{cargo, output_of, root, run as run_command, say, target_dir},
    setup,
};

/// What runs, and for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// Names of targets; none: all.
    targets: Vec<String>,
    /// The least that a target runs, in minutes.
    #[arg(long, value_name = "N", default_value_t = 10)]
    least: u64,
    /// The most that a target runs, in minutes.
    #[arg(long, value_name = "N", default_value_t = 60)]
    most: u64,
    /// How many run side by side.
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: usize,
}

/// Longer inputs say the same more slowly.
const LONGEST_INPUT: &str = "-max_len=4096";
/// How many of libFuzzer's last lines are shown where a property does not hold.
const LAST_LINES: usize = 40;
const MINUTE: Duration = Duration::from_mins(1);

/// What a target has reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reached {
    runs: u64,
    edges: u64,
    features: u64,
    /// How far into its time the last new edge was.
    last_new: Duration,
}

impl Reached {
    /// Takes in a line of libFuzzer's, `elapsed` into its time.
    fn hear(&mut self, line: &str, elapsed: Duration) {
        if let Some(runs) = line.strip_prefix("stat::number_of_executed_units:") {
            self.runs = runs.trim().parse().unwrap_or(self.runs);
        }
        let Some((runs, _)) = line
            .strip_prefix('#')
            .and_then(|line| line.split_once('\t'))
        else {
            return;
        };
        self.runs = runs.parse().unwrap_or(self.runs);
        if let Some(edges) = after(line, "cov: ")
            && edges > self.edges
        {
            self.edges = edges;
            self.last_new = elapsed;
        }
        self.features = after(line, "ft: ").unwrap_or(self.features);
    }

    /// True when it has had its least, and nothing new in the last third of its time.
    fn is_exhausted(&self, elapsed: Duration, least: Duration) -> bool {
        elapsed >= least && self.last_new <= elapsed * 2 / 3
    }
}

/// The number that follows `label`.
fn after(line: &str, label: &str) -> Option<u64> {
    let (_, rest) = line.split_once(label)?;
    rest.split_whitespace().next()?.parse().ok()
}

/// How a target ended.
enum End {
    Exhausted,
    /// The most that it may run was not enough.
    StillGrowing,
}

/// Builds and runs the targets; fails when a property does not hold.
pub(crate) fn run(options: &Options) -> Result<()> {
    let all = names()?;
    for name in &options.targets {
        ensure!(
            all.contains(name),
            "no target `{name}`\nhint: there are {}",
            all.join(", ")
        );
    }
    let chosen = if options.targets.is_empty() {
        all
    } else {
        options.targets.clone()
    };
    let programs = build()?;

    let waiting = Mutex::new(VecDeque::from(chosen));
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                while let Some(name) = next(&waiting) {
                    let outcome = fuzz(&programs, &name, options);
                    if let Ok(mut done) = done.lock() {
                        done.push((name, outcome));
                    }
                }
            });
        }
    });

    let mut table = String::from(
        "| target | runs | edges / features | last new edge | ran |\n| --- | ---: | ---: | ---: | ---: |\n",
    );
    let mut broken = Vec::new();
    for (name, outcome) in done.into_inner().unwrap_or_default() {
        match outcome {
            Ok(row) => writeln!(table, "| {name} | {row}")?,
            Err(error) => {
                say("fuzz", &format!("{name}: {error:#}"));
                broken.push(name);
            }
        }
    }
    say("fuzz", &format!("what ran\n{table}"));
    ensure!(
        broken.is_empty(),
        "what should hold does not: {}",
        broken.join(", ")
    );
    Ok(())
}

fn next(waiting: &Mutex<VecDeque<String>>) -> Option<String> {
    waiting.lock().ok()?.pop_front()
}

fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir(root().join("fuzz/fuzz_targets"))? {
        let path = file?.path();
        names.extend(
            path.file_stem()
                .and_then(|name| name.to_str())
                .map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
}

/// Builds all targets with libFuzzer's instrumentation, and returns where they are.
///
/// Without a sanitizer: what runs is safe Rust but for SQLite's C, which cargo does not instrument, and
/// three times as much of it runs.
fn build() -> Result<PathBuf> {
    setup::run()?;
    if output_of(cargo().args(["fuzz", "--version"])).is_err() {
        run_command(cargo().args(["install", "--locked", "cargo-fuzz"]))?;
    }
    // The flags of these builds do not suit the XDP program's.
    run_command(cargo().args(["build", "--locked", "--package", "ipblock-ctl"]))?;
    let object = target_dir()?.join("debug/ebpf/ipblock");
    say("fuzz", "building the targets (some minutes)");
    run_command(
        cargo()
            .args(["fuzz", "build", "--sanitizer", "none"])
            .env("IPBLOCK_EBPF_OBJECT", object)
            // cargo-fuzz asks for flags that only a nightly has otherwise.
            .env("RUSTC_BOOTSTRAP", "1"),
    )?;
    Ok(root().join("fuzz/target/x86_64-unknown-linux-gnu/release"))
}

/// Runs one target to its end and returns its row of the table, without its name.
fn fuzz(programs: &Path, name: &str, options: &Options) -> Result<String> {
    let fuzz = root().join("fuzz");
    let corpus = fuzz.join("corpus").join(name);
    let artifacts = fuzz.join("artifacts").join(name);
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    let crashes = fuzz.join("crashes").join(name);
    let mut command = Command::new(programs.join(name));
    command
        .args([LONGEST_INPUT, "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        // New inputs go to the first.
        .arg(&corpus)
        .arg(fuzz.join("seeds").join(name))
        .args(crashes.exists().then_some(crashes))
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    let child = command
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let (reached, end, ran) = watch(child, name, options)?;
    let ran_for = match end {
        End::Exhausted => clock(ran),
        End::StillGrowing => format!("{}, still growing", clock(ran)),
    };
    Ok(format!(
        "{} | {} / {} | {} | {ran_for} |",
        reached.runs,
        reached.edges,
        reached.features,
        clock(reached.last_new)
    ))
}

/// Follows a target until it has nothing new to say, its time is over, or a property does not hold.
fn watch(mut child: Child, name: &str, options: &Options) -> Result<(Reached, End, Duration)> {
    let lines = lines_of(&mut child)?;
    let started = Instant::now();
    let (least, most) = (
        MINUTE * u32::try_from(options.least)?,
        MINUTE * u32::try_from(options.most)?,
    );
    let mut reached = Reached::default();
    let mut tail = VecDeque::new();
    let mut told = Duration::ZERO;
    let mut end = None;
    loop {
        let line = lines.recv_timeout(Duration::from_secs(1));
        let elapsed = started.elapsed();
        match line {
            Ok(line) => {
                reached.hear(&line, elapsed);
                tail.push_back(line);
                if tail.len() > LAST_LINES {
                    tail.pop_front();
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if end.is_none() {
            end = if reached.is_exhausted(elapsed, least) {
                Some((End::Exhausted, elapsed))
            } else {
                (elapsed >= most).then_some((End::StillGrowing, elapsed))
            };
            if end.is_some() {
                // It prints its figures and ends.
                kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGINT)?;
            }
        }
        if elapsed >= told + MINUTE {
            told = elapsed;
            let (edges, when) = (reached.edges, clock(reached.last_new));
            say(
                "fuzz",
                &format!(
                    "{name}: {}: {edges} edges, the last new one at {when}",
                    clock(elapsed)
                ),
            );
        }
    }
    let status = child.wait()?;
    let Some((end, ran)) = end else {
        let tail = Vec::from(tail).join("\n");
        bail!("ended by itself ({status}); its last words:\n{tail}");
    };
    Ok((reached, end, ran))
}

/// What a child writes to standard error, line by line, from a thread that ends with it.
fn lines_of(child: &mut Child) -> Result<Receiver<String>> {
    let from = child.stderr.take().context("no pipe for standard error")?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        // Not `lines()`: a property's own message may hold any bytes.
        while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if sender.send(text).is_err() {
                break;
            }
            line.clear();
        }
    });
    Ok(lines)
}

/// Minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn edges_count_as_new_only_when_there_are_more() {
        let mut reached = Reached::default();
        reached.hear(
            "#10\tINITED cov: 300 ft: 900 corp: 9/1Kb exec/s: 0 rss: 40Mb",
            SECOND,
        );
        reached.hear(
            "#64\tREDUCE cov: 300 ft: 905 corp: 10/1Kb lim: 4 exec/s: 0",
            2 * SECOND,
        );
        reached.hear("thread 'x' panicked: cov: 999", 3 * SECOND);
        reached.hear("stat::number_of_executed_units: 70", 4 * SECOND);
        let wanted = Reached {
            runs: 70,
            edges: 300,
            features: 905,
            last_new: SECOND,
        };
        assert_eq!(reached, wanted);
    }

    #[test]
    fn a_target_runs_until_a_third_of_its_time_brought_nothing() {
        let least = 10 * MINUTE;
        let reached = |last_new| Reached {
            last_new,
            ..Reached::default()
        };
        assert!(!reached(Duration::ZERO).is_exhausted(9 * MINUTE, least));
        assert!(reached(6 * MINUTE).is_exhausted(10 * MINUTE, least));
        assert!(!reached(9 * MINUTE).is_exhausted(10 * MINUTE, least));
        assert!(!reached(9 * MINUTE).is_exhausted(13 * MINUTE, least));
        assert!(reached(9 * MINUTE).is_exhausted(14 * MINUTE, least));
    }

    #[test]
    fn every_target_is_a_property_with_seeds() -> Result<()> {
        let names = names()?;
        assert!(!names.is_empty());
        for name in names {
            assert!(root().join("fuzz/seeds").join(&name).is_dir(), "{name}");
        }
        Ok(())
    }
}
