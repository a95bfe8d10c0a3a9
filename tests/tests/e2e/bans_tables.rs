//! The ban tables in the kernel: filled before the first link, repaired, and the same for every
//! program.

use std::{fs, path::PathBuf};

use aya::maps::{LpmTrie, Map, MapData, lpm_trie::Key};
use ipblock_common::{ABI_VERSION, BanEntry, ban::NEVER, names};
use ipblock_tests::{DEADLINE, Daemon, freeze_map, require_privileged, wait_for};

use crate::{
    answers::{counters, live_generations, status},
    bans::{Ledger, ban, bans, fate, is_banned, unban},
    flood::Flood,
    scenario::{Scene, marked},
};

#[test]
fn an_ended_ban_is_cleared_away() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    ban(&scene.daemon, "203.0.113.7 2001:db8::/64 --for 1s")?;
    assert_eq!(status(&scene.daemon)?.bans, 2);
    wait_for(DEADLINE, "the tables to be empty", || {
        let left = |name| pinned_v4(&scene.daemon, name).unwrap().keys().count();
        (left(names::BANS_IPV4) == 0).then_some(())
    })?;
    assert_eq!(status(&scene.daemon)?.bans, 0);
    assert_eq!(unban(&scene.daemon, "203.0.113.7")?.removed, 0);
    Ok(())
}

#[test]
fn after_a_reboot_bans_are_in_the_kernel_before_the_first_link() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    ban(&scene.daemon, "203.0.113.7 --for 1h")?;
    ban(&scene.daemon, "2001:db8:b::/64 --permanent")?;
    scene.daemon.kill()?;
    // What a reboot leaves of a bpffs.
    fs::remove_dir_all(scene.daemon.bpffs().join("ipblock"))?;
    let frames = [marked("203.0.113.7", 1), marked("2001:db8:b::7", 2)];
    let flood = Flood::start(&scene.pair, &frames)?;
    scene.daemon.start()?;
    flood.wait_for_more(20)?;
    flood.stop()?;
    let counters = counters(&scene.daemon)?;
    assert!(counters.bans.packets >= 40, "{counters:?}");
    // Every packet was judged with the bans.
    assert_eq!(counters.totals.passed.packets, 0);
    assert!(is_banned(&scene.daemon, "203.0.113.7")?);
    assert!(is_banned(&scene.daemon, "2001:db8:b::1234")?);
    Ok(())
}

fn table(daemon: &Daemon, name: &str) -> PathBuf {
    let directory = daemon.bpffs().join("ipblock/shared");
    directory.join(ABI_VERSION.to_string()).join(name)
}

fn pinned_v4(daemon: &Daemon, name: &str) -> anyhow::Result<LpmTrie<MapData, [u8; 4], BanEntry>> {
    let data = MapData::from_pin(table(daemon, name))?;
    Ok(Map::from_map_data(data)?.try_into()?)
}

#[test]
fn a_start_puts_right_what_is_strange_in_the_tables() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    let addresses = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
    ban(&scene.daemon, [&addresses[..], &["--permanent"]].concat())?;
    scene.daemon.kill()?;
    let mut table = pinned_v4(&scene.daemon, names::BANS_IPV4)?;
    table.remove(&Key::new(32, [203, 0, 113, 1]))?;
    table.insert(&Key::new(32, [203, 0, 113, 2]), BanEntry::new(1, 0), 0)?;
    for host in 10..200 {
        let strange = Key::new(32, [198, 51, 100, host]);
        table.insert(&strange, BanEntry::new(NEVER, 0), 0)?;
    }
    scene.daemon.start()?;
    let mut ledger = Ledger::new();
    ledger.expect(&scene, &addresses, &["198.51.100.10", "198.51.100.199"]);
    assert_eq!(table.keys().count(), addresses.len());
    Ok(())
}

#[test]
fn tables_that_lost_their_pins_are_made_anew_with_a_program_that_asks_them() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    ban(&scene.daemon, "203.0.113.7 --permanent")?;
    let before = live_generations(&status(&scene.daemon)?);
    scene.daemon.kill()?;
    fs::remove_file(table(&scene.daemon, names::BANS_IPV4))?;
    scene.daemon.start()?;
    assert_ne!(live_generations(&status(&scene.daemon)?), before);
    ban(&scene.daemon, "203.0.113.8 --permanent")?;
    Ledger::new().expect(&scene, &["203.0.113.7", "203.0.113.8"], &["203.0.113.9"]);
    assert!(is_banned(&scene.daemon, "203.0.113.8")?);
    Ok(())
}

#[test]
fn a_ban_that_the_kernel_refuses_is_nowhere() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    ban(&scene.daemon, "203.0.113.7 --permanent --reason kept")?;
    let before = bans(&scene.daemon)?;
    let refusing = MapData::from_pin(table(&scene.daemon, names::BANS_IPV6))?;
    freeze_map(refusing.fd())?;
    // The IPv4 half is written first, and undone.
    let arguments = "ban 203.0.113.7 203.0.113.8 2001:db8::7 --for 1h";
    let output = scene.daemon.ctl(arguments)?;
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("the kernel refused"), "{output:?}");
    assert!(output.stderr.contains("no ban was changed"), "{output:?}");
    assert_eq!(bans(&scene.daemon)?, before);
    assert_eq!(fate(&scene.daemon, "203.0.113.7")?.banned_until, None);
    Ledger::new().expect(&scene, &["203.0.113.7"], &["203.0.113.8", "2001:db8::7"]);
    scene.daemon.kill()?;
    scene.daemon.start()?;
    let mut after = bans(&scene.daemon)?;
    assert_eq!(after[0].packets.replace(0), Some(1));
    after[0].last_hit = None;
    assert_eq!(after, before);
    Ok(())
}
