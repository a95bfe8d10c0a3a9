//! Concurrency: many deploys, and several daemons.

use std::{process::Command, thread};

use ipblock_tests::{binaries, require_privileged};
use serde_json::Value;

use super::{
    ledger::{Entry, close},
    stage::Stage,
};
use crate::answers::{answer, status};

const PART: &str = "many at once";
const DEPLOYS: usize = 100;

#[test]
fn a_hundred_deploys_at_once_are_carried_out_one_by_one() -> anyhow::Result<()> {
    let mut stage = Stage::new(require_privileged!())?;
    let first = status(&stage.daemon)?.revision;
    let rulesets: Vec<String> = (0..DEPLOYS).map(|n| stage.next_ruleset(n % 2)).collect();
    stage.may_shift(DEPLOYS as u64);
    let daemon = &stage.daemon;
    let outputs = thread::scope(|scope| {
        let deploys: Vec<_> = rulesets
            .iter()
            .map(|ruleset| scope.spawn(|| daemon.ctl_with_input("--json apply -", ruleset)))
            .collect();
        let ended = deploys.into_iter().map(|deploy| deploy.join().unwrap());
        ended.collect::<anyhow::Result<Vec<_>>>()
    })?;
    let mut told = Vec::new();
    for output in outputs {
        let answer: Value = serde_json::from_str(&output.ok()?)?;
        let revision = answer.pointer("/deployed/revision").and_then(Value::as_u64);
        told.extend(revision);
    }
    told.sort_unstable();
    let expected: Vec<u64> = (first + 1..=first + DEPLOYS as u64).collect();
    assert_eq!(told, expected);
    let history: Vec<Value> = answer(&stage.daemon, "history")?;
    let deployed = |entry: &&Value| entry["state"] == "deployed";
    let deployed: Vec<_> = history.iter().filter(deployed).collect();
    assert_eq!(deployed.len(), 1, "{deployed:?}");
    assert_eq!(deployed[0]["revision"], first + DEPLOYS as u64);
    stage.converged()?;
    let entry = Entry {
        part: PART,
        fault: "100 deploys at the same time",
        injected: DEPLOYS as u64,
        outcome: "all done, one after the other, each with a revision of its own",
    };
    close(stage, entry)
}

#[test]
fn daemons_beside_a_daemon_refuse_and_change_nothing() -> anyhow::Result<()> {
    let stage = Stage::new(require_privileged!())?;
    let before = stage.converged()?;
    let elsewhere = tempfile::tempdir()?;
    let other = elsewhere.path().join("state");
    let own = stage.daemon.state_dir();
    let socket = elsewhere.path().join("socket");
    let mut injected = 0;
    for (state, socket) in [
        (&own, &socket),
        (&other, &socket),
        (&own, &stage.daemon.socket()),
    ] {
        for _ in 0..5 {
            let output = Command::new("timeout")
                .arg("60")
                .arg(&binaries().ipblockd)
                .arg("--socket")
                .arg(socket)
                .arg("--state-dir")
                .arg(state)
                .arg("--bpffs")
                .arg(stage.daemon.bpffs())
                .output()?;
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("hint: "), "{said}");
            injected += 1;
        }
    }
    let after = stage.converged()?;
    assert_eq!(after.zones.len(), before.zones.len());
    assert_eq!(after.revision, before.revision);
    let entry = Entry {
        part: PART,
        fault: "a second daemon: same state, other state, same socket",
        injected,
        outcome: "refuses and names the first",
    };
    close(stage, entry)
}
