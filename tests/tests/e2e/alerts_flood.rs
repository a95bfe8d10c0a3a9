//! A flood of sources that all hit a warn rule.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use ipblock_tests::{
    DEADLINE, Daemon,
    packet::{Frame, Ipv4, Payload},
    require_privileged, wait_for,
};

use crate::{
    answers::{count_of, counters, status},
    scenario::Scene,
    told::{Asker, balance},
};

const SOURCES: u32 = 1_000_000;
const WARN: &str = "
[[rule]]
name = \"watch\"
action = \"warn\"
match = [\"10.0.0.0/8\"]
";
/// Alerts that are kept; a flood that takes minutes brings more.
const KEPT: u64 = 100_000;
/// How long sending may take; a busy machine needs some seconds.
const LONGEST: Duration = Duration::from_mins(2);
/// Maximum growth of the daemon's memory: alerts of a minute, sources of a window, one answer.
const MOST_MEMORY: u64 = 256 << 20;

/// The daemon's largest resident memory so far, in bytes.
fn peak_memory(daemon: &Daemon) -> anyhow::Result<u64> {
    let pid = daemon.pid().context("a process id")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.split_whitespace().next());
    let kib: u64 = kib.context("VmHWM")?.parse()?;
    Ok(kib << 10)
}

#[test]
fn a_million_sources_neither_drown_anybody_nor_get_lost_in_the_count() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), WARN)?;
    let before = peak_memory(&scene.daemon)?;
    let frames: Vec<Frame> = (0..SOURCES)
        .map(|host| {
            let source = std::net::Ipv4Addr::from_bits((10 << 24) + host).to_string();
            Frame::carrying(&Ipv4::from(source.as_str()).with(Payload::udp(5000, 53)))
        })
        .collect();
    let done = AtomicBool::new(false);
    let (sent, answers) = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answers = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let asked = Instant::now();
                status(&scene.daemon)?;
                balance(&scene.daemon)?;
                answers.push(asked.elapsed() / 2);
                thread::sleep(Duration::from_millis(50));
            }
            anyhow::Ok(answers)
        });
        let sent = scene.sender.flood(&frames, SOURCES.into(), LONGEST);
        done.store(true, Ordering::Relaxed);
        let answers = asking.join().expect("no panic");
        anyhow::Ok((sent?, answers?))
    })?;
    assert_eq!(sent, u64::from(SOURCES));
    wait_for(DEADLINE, "every packet to be counted", || {
        let counters = counters(&scene.daemon).ok()?;
        (count_of(&counters, "watch").packets == sent).then_some(())
    })?;
    let asker = Asker::new(&scene.daemon)?;
    // Announced packets are reported soon after, and then nothing changes: each source came once.
    let [seen, reported, suppressed, lost] = wait_for(DEADLINE, "the last alert", || {
        let balance = balance(&scene.daemon).ok()?;
        let alerts = asker.all_alerts().ok()?;
        let told = balance[0] == sent && balance[1].min(KEPT) == alerts.len() as u64;
        told.then_some(balance)
    })?;
    assert_eq!(seen, sent);
    assert!(reported >= 1_000, "a second's rate at least: {reported}");
    let slowest = answers.iter().max().context("an answer")?;
    let memory = peak_memory(&scene.daemon)?.saturating_sub(before);
    println!(
        "{sent} sources: {reported} reported, {suppressed} suppressed, {lost} lost; {} answers \
         meanwhile, the slowest after {slowest:?}; {} MiB more at the peak",
        answers.len(),
        memory >> 20
    );
    assert!(!answers.is_empty());
    assert!(memory < MOST_MEMORY, "{memory} bytes more");
    Ok(())
}
