//! `cargo xtask fuzz`: runs each property of fuzz/properties under libFuzzer until it finds nothing
//! new.
//!
//! A target is finished if the last third of its time, at least of ten minutes, added less than one
//! in two hundred of the control-flow edges that it has reached.

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

/// Longer inputs cover the same more slowly.
const LONGEST_INPUT: &str = "-max_len=4096";
/// Number of libFuzzer's last lines that are shown after a failure.
const LAST_LINES: usize = 40;
const MINUTE: Duration = Duration::from_mins(1);

/// Growth below this fraction in the last third of a target's time counts as none.
const GROWTH: u64 = 200;

/// The coverage of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Reached {
    runs: u64,
    features: u64,
    /// The number of edges at each increase, with the time.
    edges: Vec<(Duration, u64)>,
}

impl Reached {
    /// Processes a line of libFuzzer's, `elapsed` into its time.
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
        self.features = after(line, "ft: ").unwrap_or(self.features);
        if let Some(edges) = after(line, "cov: ")
            && edges > self.edges()
        {
            self.edges.push((elapsed, edges));
        }
    }

    /// How many edges.
    fn edges(&self) -> u64 {
        self.edges.last().map_or(0, |(_, edges)| *edges)
    }

    /// Returns how many of them the last third of its time has added.
    fn late(&self, elapsed: Duration) -> u64 {
        let early = self
            .edges
            .partition_point(|(when, _)| *when <= elapsed * 2 / 3);
        let before = early.checked_sub(1).and_then(|last| self.edges.get(last));
        self.edges() - before.map_or(0, |(_, edges)| *edges)
    }

    /// True after its minimum time if it does not grow any more.
    fn is_exhausted(&self, elapsed: Duration, least: Duration) -> bool {
        elapsed >= least && self.late(elapsed) * GROWTH < self.edges()
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
    /// The maximum time was not enough.
    StillGrowing,
}

/// Builds and runs the targets; fails if a property fails.
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
        "| target | runs | edges / features | edges of the last third | ran |\n| --- | ---: | ---: | ---: | ---: |\n",
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

/// Builds all targets with libFuzzer's instrumentation, and returns their directory.
///
/// Without a sanitizer: the code is safe Rust except SQLite's C, which cargo does not instrument,
/// and it runs three times as fast.
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
        reached.edges(),
        reached.features,
        reached.late(ran)
    ))
}

/// Follows a target until it finds nothing new, its time is over, or a property fails.
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
            let (edges, late) = (reached.edges(), reached.late(elapsed));
            let time = clock(elapsed);
            say(
                "fuzz",
                &format!("{name}: {time}: {edges} edges, {late} of them in the last third"),
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
        // Not `lines()`: a property's own message may contain any bytes.
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

    #[test]
    fn only_more_edges_are_growth() {
        let mut reached = Reached::default();
        let lines = [
            "#10\tINITED cov: 300 ft: 900 corp: 9/1Kb exec/s: 0 rss: 40Mb",
            "#64\tREDUCE cov: 300 ft: 905 corp: 10/1Kb lim: 4 exec/s: 0",
            "thread 'x' panicked: cov: 999",
            "stat::number_of_executed_units: 70",
        ];
        for (second, line) in (1..).zip(lines) {
            reached.hear(line, Duration::from_secs(second));
        }
        let wanted = Reached {
            runs: 70,
            features: 905,
            edges: vec![(Duration::from_secs(1), 300)],
        };
        assert_eq!(reached, wanted);
    }

    #[test]
    fn a_target_runs_until_a_third_of_its_time_brought_next_to_nothing() {
        let least = 10 * MINUTE;
        let reached = Reached {
            edges: vec![(MINUTE, 1_990), (9 * MINUTE, 2_000)],
            ..Reached::default()
        };
        assert!(!reached.is_exhausted(9 * MINUTE, least));
        // Ten in two thousand are one in two hundred.
        assert_eq!(reached.late(10 * MINUTE), 10);
        assert!(!reached.is_exhausted(10 * MINUTE, least));
        assert!(!reached.is_exhausted(13 * MINUTE, least));
        assert!(reached.is_exhausted(14 * MINUTE, least));
        assert!(!Reached::default().is_exhausted(20 * MINUTE, least));
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
