//! A wall clock that jumps.

use std::{fs, net::IpAddr, path::PathBuf};

use anyhow::Context as _;
use ipblock_tests::{DEADLINE, require_privileged, wait_for};

use super::{
    ledger::{Entry, close},
    stage::Stage,
};
use crate::{answers::status, bans::bans};

/// What intercepts what programs are told of the wall clock, wherever its package puts it.
fn library() -> anyhow::Result<PathBuf> {
    let architectures = fs::read_dir("/usr/lib")?.filter_map(Result::ok);
    let mut libraries =
        architectures.map(|directory| directory.path().join("faketime/libfaketime.so.1"));
    let found = libraries.find(|library| library.exists());
    found.context("no libfaketime.so.1 below /usr/lib: install faketime")
}

/// Seconds that are left of a ban.
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
        daemon
            .env("LD_PRELOAD", &library)
            .env("FAKETIME_TIMESTAMP_FILE", steps.path())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    })?;
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(10);
    let daemon = &stage.daemon;
    let (by_wall, by_boot) = ("198.18.0.1", "198.18.0.2");
    daemon
        .ctl(&["ban", by_wall, "--until", &until.to_string()])?
        .ok()?;
    daemon.ctl(&["ban", by_boot, "--for", "10h"])?.ok()?;
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
