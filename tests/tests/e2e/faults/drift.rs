//! Changes in the kernel by other programs: detected, repaired, reported.

use aya::maps::{LpmTrie, Map, MapData, lpm_trie::Key};
use ipblock_common::{ABI_VERSION, BanEntry, names};
use ipblock_datapath::{Generation, GenerationPlan, Lookup, PinDirectory, PinnedLink, SharedMaps};
use ipblock_policy::{Ruleset, ZoneName, compile::compile};
use ipblock_tests::{DEADLINE, Daemon, VethPair, require_privileged, wait_for};

use super::{
    ledger::{Entry, close, record},
    stage::{Flow, Stage},
};
use crate::{
    answers::{check, interface, live_generations, status},
    scenario::{BLOCK, Scene, marked},
};

const PART: &str = "drift";

/// Builds a generation without any rule, with the number of one that is in force.
fn build_wrong(daemon: &Daemon, number: u64) -> anyhow::Result<Generation> {
    let pins = PinDirectory::at(daemon.bpffs())?;
    let right = Generation::open_pinned(&pins, number)?;
    let store_id = right.map(|right| right.meta().store_id).unwrap_or_default();
    pins.remove_generation(number)?;
    let zone = compile(
        &Ruleset::default(),
        &ZoneName::default(),
        jiff::Timestamp::now(),
    )?;
    let shared = SharedMaps::open_or_create(&pins)?;
    let plan = GenerationPlan {
        number,
        store_id,
        zone: &zone,
        capacity: 1000,
        log_level: ipblock_datapath::kernel_log::Level::Off,
        lookup: Lookup::Tables,
    };
    Ok(Generation::build(&pins, &shared.ids, &plan)?)
}

fn link_of(daemon: &Daemon, name: &str) -> anyhow::Result<(PinDirectory, PinnedLink)> {
    let pins = PinDirectory::at(daemon.bpffs())?;
    let link = PinnedLink::open(&pins, name)?;
    Ok((pins, link.expect("the interface's link is pinned")))
}

fn repairs(daemon: &Daemon, part: &str) -> u64 {
    let told = format!("drift was put right part=\"{part}\"");
    daemon.log().matches(&told).count() as u64
}

fn wait_for_repair(daemon: &Daemon, part: &str, before: u64) -> anyhow::Result<()> {
    wait_for(DEADLINE, "the repair", || {
        (repairs(daemon, part) > before).then_some(())
    })
    .map_err(|error| error.context(format!("its log:\n{}", daemon.log())))
}

#[test]
fn a_generation_that_says_something_else_than_the_ruleset_is_built_anew() -> anyhow::Result<()> {
    let mut scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let mut injected = 0;
    for round in 1..=3 {
        let before = live_generations(&status(&scene.daemon)?);
        scene.daemon.kill()?;
        let wrong = build_wrong(&scene.daemon, before[0])?;
        let (_, mut link) = link_of(&scene.daemon, scene.interface())?;
        link.switch(&wrong)?;
        drop((wrong, link));
        injected += 1;
        // It looks right: same program, same number, same identity.
        scene.daemon.start()?;
        wait_for_repair(&scene.daemon, "tables", round - 1)?;
        let answers = check(&scene.daemon, &["203.0.113.7", "198.51.100.7"])?;
        assert!(
            answers
                .iter()
                .all(|answer| answer.kernel_agrees == Some(true)),
            "{answers:?}"
        );
        scene.send(
            &[
                marked("203.0.113.7", round),
                marked("198.51.100.7", 100 + round),
            ],
            1,
        )?;
        scene.receiver.wait_for_count(100 + round, 1, DEADLINE)?;
        assert_eq!(scene.receiver.count(round), 0);
        assert_ne!(live_generations(&status(&scene.daemon)?), before);
    }
    let audit = scene.daemon.ctl_json("audit")?.to_string();
    assert!(
        audit.contains("zone default was not as deployed"),
        "{audit}"
    );
    let flow = Flow {
        packets: 2 * injected,
        blocked: injected,
    };
    let entry = Entry {
        part: PART,
        fault: "a generation with no rules in place of the one in force, taken over at a start",
        injected,
        outcome: "found by samples, built anew, told (without the flood: nothing is blocked meanwhile)",
    };
    record(entry, &flow)
}

#[test]
fn a_ban_that_somebody_took_out_of_the_kernel_is_put_back() -> anyhow::Result<()> {
    let stage = Stage::new(require_privileged!())?;
    let shared = stage.daemon.bpffs().join("ipblock/shared");
    let table = shared.join(ABI_VERSION.to_string()).join(names::BANS_IPV4);
    let table = Map::from_map_data(MapData::from_pin(table)?)?;
    let mut table: LpmTrie<_, [u8; 4], BanEntry> = table.try_into()?;
    let hosts = [1, 2, 3, 4];
    for host in hosts {
        let address = format!("198.18.0.{host}");
        stage.daemon.ctl(["ban", &address, "--for", "1h"])?.ok()?;
    }
    let mut injected = 0;
    for host in hosts {
        let before = repairs(&stage.daemon, "bans");
        let key = Key::new(32, [198, 18, 0, host]);
        if host % 2 == 0 {
            table.remove(&key)?;
        } else {
            table.insert(&key, BanEntry::new(1, 0), 0)?;
        }
        injected += 1;
        wait_for_repair(&stage.daemon, "bans", before)?;
        wait_for(DEADLINE, "the kernel to agree", || {
            let address = format!("198.18.0.{host}");
            let answers = check(&stage.daemon, &[&address]).ok()?;
            let agrees = answers
                .iter()
                .all(|answer| answer.kernel_agrees == Some(true));
            agrees.then_some(())
        })?;
    }
    stage.converged()?;
    let entry = Entry {
        part: PART,
        fault: "entries of the ban tables removed or ended by somebody else",
        injected,
        outcome: "found by samples, put back, told",
    };
    close(stage, entry)
}

/// The interface is filtered after the daemon has repaired it.
fn filtered_again(stage: &mut Stage, pair: &VethPair, before: u64) -> anyhow::Result<()> {
    wait_for_repair(&stage.daemon, "links", before)?;
    interface(&stage.daemon, &pair.host.interface)?;
    stage.assert_filtered(pair)
}

#[test]
fn links_that_are_detached_or_run_another_program_are_put_right() -> anyhow::Result<()> {
    let mut stage = Stage::new(require_privileged!())?;
    let pair = stage.another_pair(2)?;
    let name = pair.host.interface.clone();
    let attach = ["attach", &name, "--mode", "native", "--zone", "dmz"];
    stage.daemon.ctl(attach)?.ok()?;
    let mut injected = 0;
    for _ in 0..3 {
        let before = repairs(&stage.daemon, "links");
        let (_, link) = link_of(&stage.daemon, &name)?;
        link.detach()?;
        injected += 1;
        filtered_again(&mut stage, &pair, before)?;

        let before = repairs(&stage.daemon, "links");
        let wrong = build_wrong(&stage.daemon, 1_000_000 + injected)?;
        let (pins, mut link) = link_of(&stage.daemon, &name)?;
        link.switch(&wrong)?;
        pins.remove_generation(wrong.number())?;
        injected += 1;
        filtered_again(&mut stage, &pair, before)?;
    }
    stage.converged()?;
    let entry = Entry {
        part: PART,
        fault: "a link detached, or given another program, by somebody else",
        injected,
        outcome: "found, put right, told",
    };
    close(stage, entry)
}
