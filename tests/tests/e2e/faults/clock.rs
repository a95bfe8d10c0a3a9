//! A wall clock that jumps.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use ipblock_tests::{DEADLINE, DaemonBuilder, require_privileged, wait_for};

use super::{
    ledger::{Entry, close},
    stage::Stage,
};
use crate::{
    answers::status,
    bans::{Ledger, ban, bans, unban},
    scenario::Scene,
};

/// Returns the library that intercepts calls for the wall clock, wherever its package installs it.
fn library() -> anyhow::Result<PathBuf> {
    let architectures = fs::read_dir("/usr/lib")?.filter_map(Result::ok);
    let mut libraries =
        architectures.map(|directory| directory.path().join("faketime/libfaketime.so.1"));
    let found = libraries.find(|library| library.exists());
    found.context("no libfaketime.so.1 below /usr/lib: install faketime")
}

/// A daemon whose wall clock has the offset in `steps`; its other clocks are the machine's.
fn with_wall_clock(daemon: DaemonBuilder, library: &Path, steps: &Path) -> DaemonBuilder {
    daemon
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", steps)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

/// Returns the remaining seconds of a ban.
fn left(stage: &Stage, address: &str) -> Option<i64> {
    let bans = bans(&stage.daemon).ok()?;
    let address: IpAddr = address.parse().ok()?;
    let ban = bans.into_iter().find(|ban| ban.prefix.addr() == address)?;
    ban.seconds_left
        .map(|left| i64::try_from(left).unwrap_or(i64::MAX))
}

#[test]
fn a_clock_that_steps_moves_ends_given_as_times_and_no_durations() -> anyhow::Result<()> {
    let root = require_privileged!();
    let library = library()?;
    let steps = tempfile::NamedTempFile::new()?;
    fs::write(steps.path(), "+0")?;
    let mut stage = Stage::with(root, |daemon| {
        with_wall_clock(daemon, &library, steps.path())
    })?;
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(10);
    let daemon = &stage.daemon;
    let (by_wall, by_boot) = ("198.18.0.1", "198.18.0.2");
    daemon
        .ctl(["ban", by_wall, "--until", &until.to_string()])?
        .ok()?;
    daemon.ctl(["ban", by_boot, "--for", "10h"])?.ok()?;
    let mut injected = 0;
    for hours in [4_i64, -6, 9, -100, 0] {
        fs::write(steps.path(), format!("{:+}", hours * 3600))?;
        injected += 1;
        let expected = (10 - hours) * 3600;
        let what = format!("ends to follow a clock that is {hours} h off");
        wait_for(DEADLINE, &what, || {
            let left = left(&stage, by_wall)?;
            // The test takes minutes at most.
            (expected - 600..=expected).contains(&left).then_some(())
        })?;
        let left = left(&stage, by_boot).unwrap_or_default();
        assert!((36_000 - 600..=36_000).contains(&left), "{left}");
        stage.converged()?;
    }
    // Beyond its end.
    fs::write(steps.path(), format!("{:+}", 11 * 3600))?;
    injected += 1;
    wait_for(DEADLINE, "the ban given as a time to end", || {
        (status(&stage.daemon).ok()?.bans == 2).then_some(())
    })?;
    assert!(left(&stage, by_boot).is_some());
    stage.daemon.kill()?;
    stage.daemon.start()?;
    assert!(left(&stage, by_boot).is_some());
    stage.converged()?;
    let entry = Entry {
        part: "clock",
        fault: "wall clock stepped by hours and days, forth and back (libfaketime)",
        injected,
        outcome: "`--until` moves with it, `--for` does not",
    };
    close(stage, entry)
}

#[test]
fn a_wrong_clock_for_seconds_ends_no_ban_for_good() -> anyhow::Result<()> {
    let root = require_privileged!();
    let library = library()?;
    let steps = tempfile::NamedTempFile::new()?;
    fs::write(steps.path(), "+0")?;
    let mut scene = Scene::attached_with(root, "native", |daemon| {
        with_wall_clock(daemon, &library, steps.path())
    })?;
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(30);
    let until = until.to_string();
    let (by_wall, lifted, by_boot) = ("203.0.113.7", "203.0.113.8", "203.0.113.9");
    ban(
        &scene.daemon,
        [by_wall, lifted, "--until", &until, "--reason", "kept"],
    )?;
    ban(&scene.daemon, [by_boot, "--for", "30m"])?;
    let mut ledger = Ledger::new();
    ledger.expect(&scene, &[by_wall, lifted, by_boot], &[]);
    let live = |scene: &Scene, count: u64| {
        wait_for(DEADLINE, &format!("{count} bans"), || {
            (status(&scene.daemon).ok()?.bans == count).then_some(())
        })
    };
    // An hour, and years: none is longer than they are kept.
    for (round, step) in ["+3600", "+300000000", "+3600"].iter().enumerate() {
        fs::write(steps.path(), step)?;
        live(&scene, 1)?;
        assert!(
            bans(&scene.daemon)?[0]
                .prefix
                .contains(&by_boot.parse::<IpAddr>()?)
        );
        // Each passes while its time is over.
        wait_for(DEADLINE, "the deadline in the kernel to pass", || {
            let check = crate::bans::is_banned(&scene.daemon, by_wall).ok()?;
            (!check).then_some(())
        })?;
        ledger.expect(&scene, &[by_boot], &[by_wall, lifted]);
        if round == 1 {
            // Bans that an operator removes stay removed, and a restart forgets nothing.
            assert_eq!(unban(&scene.daemon, [lifted])?.not_banned.len(), 1);
            scene.daemon.restart()?;
            live(&scene, 1)?;
        }
        fs::write(steps.path(), "+0")?;
        live(&scene, if round == 0 { 3 } else { 2 })?;
        if round == 0 {
            ledger.expect(&scene, &[by_wall, lifted, by_boot], &[]);
        } else {
            ledger.expect(&scene, &[by_wall, by_boot], &[lifted]);
        }
        let found = bans(&scene.daemon)?;
        assert_eq!(found[0].reason, "kept");
        assert_eq!(
            found[0].until.map(jiff::Timestamp::as_second),
            Some(until.parse::<jiff::Timestamp>()?.as_second())
        );
    }
    Ok(())
}
