//! What `cargo xtask demo` runs: ipblock on a real interface, with real frames, in namespaces of
//! its own. Deploys a ruleset, sends from blocked, warned, excepted, allowed and unlisted sources,
//! and compares what arrived and what was counted with what should have been.

mod alerts;
mod case;
mod counters;
mod countries;
mod lab;
mod report;
mod scenario;
mod stop;
mod tell;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use ipblock_tests::{Privileged, left_behind};

use crate::{
    countries::CountryTable,
    lab::Lab,
    scenario::Scenario,
    stop::{Interrupted, Stop},
    tell::{complain, tell},
};

/// As a shell reports a program that `SIGINT` ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let Some(root) = Privileged::require() else {
        return ExitCode::FAILURE;
    };
    // Caught, so that what follows is said after a panic too; its message is printed by then.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let stop = Stop::on_signals()?;
        run(root, &stop).map_err(|error| {
            // A child that the same Ctrl-C ended fails in its own words.
            if stop.requested() {
                Interrupted.into()
            } else {
                error
            }
        })
    }));
    let code = match outcome {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) => {
            complain("not everything is as it should be");
            ExitCode::FAILURE
        }
        Ok(Err(error)) => {
            complain(&format!("{error:#}"));
            if error.is::<Interrupted>() {
                ExitCode::from(INTERRUPTED)
            } else {
                ExitCode::FAILURE
            }
        }
        Err(_) => ExitCode::FAILURE,
    };

    let left = left_behind();
    if left.is_empty() {
        tell("cleaned up: no namespace, mount, pin or process is left");
        return code;
    }
    for path in left {
        complain(&format!("left behind: {}", path.display()));
    }
    ExitCode::FAILURE
}

/// The demo; true when everything was as it should be.
fn run(root: Privileged, stop: &Stop) -> Result<bool> {
    let table = CountryTable::read()?;
    let scenario = Scenario::new(&table)?;
    stop.check()?;

    let lab = Lab::start(root)?;
    tell(&format!("kernel   {}", lab::kernel_release()?));
    tell(&format!("filter   {}", lab.attachment()?));
    stop.check()?;

    let codes: Vec<&str> = table.countries.iter().map(|country| country.code).collect();
    tell(&format!("ruleset  {}", table.origin));
    tell(&format!(
        "         {} rules: abuse, watch, and countries {}",
        scenario.rule_count(),
        codes.join(" ")
    ));
    tell(&format!("apply    {}", lab.apply(&scenario.ruleset)?));
    stop.check()?;
    let checks = scenario.checks();
    let wrong = lab.check(&checks)?;
    tell(&format!(
        "check    {} of {} addresses: verdict as the table implies, kernel agrees",
        checks.len() - wrong.len(),
        checks.len()
    ));
    for line in &wrong {
        tell(&format!("WRONG {line}"));
    }
    stop.check()?;

    tell("");
    let (text, right) = lab
        .send(&scenario.cases, stop)
        .map(|(observations, run)| report::render(&observations, &run))
        .context("traffic")?;
    tell(&text);
    stop.check()?;

    let seen = lab.warn(stop).context("alerts")?;
    tell(&seen.text);
    Ok(right && wrong.is_empty() && seen.is_right)
}
