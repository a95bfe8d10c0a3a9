//! Interfaces that are removed, recreated or renamed, or run foreign programs.

use aya::{
    Ebpf, EbpfLoader,
    programs::{Xdp, xdp::XdpMode},
};
use ipblock_api::types::InterfaceState;
use ipblock_common::names;
use ipblock_datapath::object::BPF_OBJECT;
use ipblock_tests::{DEADLINE, VethPair, require_privileged, wait_for};

use super::{
    ledger::{Entry, close},
    stage::Stage,
};
use crate::answers::{interface, program_on};

const PART: &str = "interfaces";
const NUMBER: u8 = 2;
const NAME: &str = "host2";

fn attach(stage: &Stage) -> anyhow::Result<()> {
    let attach = ["attach", NAME, "--mode", "native", "--zone", "dmz"];
    stage.daemon.ctl(attach)?.ok().map(drop)
}

fn wait_until(stage: &Stage, wanted: InterfaceState) -> anyhow::Result<()> {
    wait_for(DEADLINE, &format!("{NAME} to be {wanted:?}"), || {
        let found = interface(&stage.daemon, NAME).ok()?;
        (found.state == wanted).then_some(())
    })
}

fn ip(pair: &VethPair, arguments: &[&str]) -> anyhow::Result<()> {
    let command = [&["ip", "link"], arguments].concat();
    pair.host.netns.run(command).map(drop)
}

fn set(pair: &VethPair, arguments: &[&str]) -> anyhow::Result<()> {
    ip(pair, &[&["set"], arguments].concat())
}

#[test]
fn interfaces_that_are_deleted_and_made_again_are_filtered_again() -> anyhow::Result<()> {
    let mut stage = Stage::new(require_privileged!())?;
    let mut pair = stage.another_pair(NUMBER)?;
    attach(&stage)?;
    stage.assert_filtered(&pair)?;
    let mut injected = 0;
    for with_daemon in [true, false, true, false, true, false] {
        if !with_daemon {
            stage.daemon.kill()?;
        }
        ip(&pair, &["delete", NAME])?;
        injected += 1;
        if with_daemon {
            wait_until(&stage, InterfaceState::Absent)?;
        }
        drop(pair);
        pair = stage.another_pair(NUMBER)?;
        if !with_daemon {
            stage.daemon.start()?;
        }
        wait_until(&stage, InterfaceState::Attached)?;
        stage.assert_filtered(&pair)?;
        stage.converged()?;
    }
    // So quickly that the daemon sees only a different index.
    for _ in 0..5 {
        ip(&pair, &["delete", NAME])?;
        drop(pair);
        pair = stage.another_pair(NUMBER)?;
        injected += 1;
        let netns = pair.host.netns.clone();
        wait_for(DEADLINE, "the new one to be attached", || {
            program_on(&netns, NAME).ok().flatten()
        })?;
        wait_until(&stage, InterfaceState::Attached)?;
        stage.assert_filtered(&pair)?;
    }
    stage.converged()?;
    let entry = Entry {
        part: PART,
        fault: "deleted and made again, with the daemon, without it, at once",
        injected,
        outcome: "attached again by itself",
    };
    close(stage, entry)
}

#[test]
fn interfaces_that_are_renamed_or_go_down_keep_their_filter() -> anyhow::Result<()> {
    let mut stage = Stage::new(require_privileged!())?;
    let pair = stage.another_pair(NUMBER)?;
    attach(&stage)?;
    let mut injected = 0;
    let renamed = |name: &str, mut pair: VethPair| {
        name.clone_into(&mut pair.host.interface);
        pair
    };
    let mut pair = pair;
    for _ in 0..5 {
        set(&pair, &[NAME, "down"])?;
        set(&pair, &[NAME, "up"])?;
        stage.assert_filtered(&pair)?;
        set(&pair, &[NAME, "down"])?;
        set(&pair, &[NAME, "name", "lan9"])?;
        set(&pair, &["lan9", "up"])?;
        pair = renamed("lan9", pair);
        stage.assert_filtered(&pair)?;
        // A daemon that starts now has to find it under its old name.
        stage.daemon.kill()?;
        stage.daemon.start()?;
        stage.assert_filtered(&pair)?;
        set(&pair, &["lan9", "down"])?;
        set(&pair, &["lan9", "name", NAME])?;
        set(&pair, &[NAME, "up"])?;
        pair = renamed(NAME, pair);
        stage.assert_filtered(&pair)?;
        injected += 4;
    }
    // Its own name is seen within a second.
    wait_until(&stage, InterfaceState::Attached)?;
    stage.converged()?;
    let entry = Entry {
        part: PART,
        fault: "set down and up, renamed and back, the daemon killed in between",
        injected,
        outcome: "filtered at every packet that came through",
    };
    close(stage, entry)
}

#[test]
fn interfaces_that_appear_later_are_attached() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut stage = Stage::with(root, |daemon| {
        daemon.interface(format!("{NAME}=native@dmz"))
    })?;
    wait_until(&stage, InterfaceState::Absent)?;
    let pair = stage.another_pair(NUMBER)?;
    wait_until(&stage, InterfaceState::Attached)?;
    stage.assert_filtered(&pair)?;
    stage.converged()?;
    let entry = Entry {
        part: PART,
        fault: "there only after the daemon",
        injected: 1,
        outcome: "attached when it appears",
    };
    close(stage, entry)
}

fn foreign_program() -> anyhow::Result<Ebpf> {
    let mut object = EbpfLoader::new().load(BPF_OBJECT)?;
    program_of(&mut object)?.load()?;
    Ok(object)
}

fn program_of(object: &mut Ebpf) -> anyhow::Result<&mut Xdp> {
    let program = object.program_mut(names::PROGRAM);
    Ok(program
        .ok_or_else(|| anyhow::anyhow!("no program"))?
        .try_into()?)
}

#[test]
fn a_foreign_program_that_came_first_stays_until_it_goes_and_none_comes_over_ours()
-> anyhow::Result<()> {
    let mut stage = Stage::new(require_privileged!())?;
    let pair = stage.another_pair(NUMBER)?;
    attach(&stage)?;
    let netns = pair.host.netns.clone();
    let mut injected = 0;
    let mut pair = pair;
    for _ in 0..3 {
        // Over ours.
        let ours = program_on(&netns, NAME)?;
        let mut object = foreign_program()?;
        let program = program_of(&mut object)?;
        for mode in [XdpMode::Driver, XdpMode::Skb, XdpMode::Default] {
            let outcome = netns.enter(|| program.attach(NAME, mode));
            assert!(outcome.is_err(), "a foreign program came over ours");
            injected += 1;
        }
        assert_eq!(program_on(&netns, NAME)?, ours);
        // Before ours: while the daemon is down, on a recreated interface.
        stage.daemon.kill()?;
        ip(&pair, &["delete", NAME])?;
        drop(pair);
        pair = stage.another_pair(NUMBER)?;
        let mut object = foreign_program()?;
        netns.enter(|| {
            program_of(&mut object)?
                .attach(NAME, XdpMode::Driver)
                .map_err(anyhow::Error::from)
        })?;
        let foreign = program_on(&netns, NAME)?;
        stage.daemon.start()?;
        wait_until(&stage, InterfaceState::Failed)?;
        assert_eq!(program_on(&netns, NAME)?, foreign);
        injected += 1;
        drop(object);
        wait_until(&stage, InterfaceState::Attached)?;
        stage.assert_filtered(&pair)?;
    }
    stage.converged()?;
    let entry = Entry {
        part: PART,
        fault: "another XDP program, before ours and over ours, in every mode",
        injected,
        outcome: "never replaced, told; ours is attached when it has gone; none comes over ours",
    };
    close(stage, entry)
}
