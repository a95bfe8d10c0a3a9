//! What each ban has dropped: exact, over restarts and reboots, and never that of another ban.

use std::fs;

use aya::maps::{LpmTrie, Map, MapData, lpm_trie::Key};
use ipblock_api::types::BanInfo;
use ipblock_common::{ABI_VERSION, BanEntry, ban::NEVER, names};
use ipblock_tests::{DEADLINE, Daemon, require_privileged, wait_for};
use jiff::Timestamp;

use crate::{
    answers::check,
    bans::{ban, bans, unban},
    scenario::{Scene, marked},
};

/// Returns the packets of each ban, by prefix.
fn packets(daemon: &Daemon) -> anyhow::Result<Vec<(String, Option<u64>)>> {
    let bans = bans(daemon)?.into_iter();
    Ok(bans
        .map(|ban| {
            assert_eq!(
                ban.packets.unwrap_or(0) > 0,
                ban.last_hit.is_some(),
                "{ban:?}"
            );
            (ban.prefix.to_string(), ban.packets)
        })
        .collect())
}

fn expected(bans: &[(&str, u64)]) -> Vec<(String, Option<u64>)> {
    let bans = bans.iter();
    bans.map(|(prefix, packets)| ((*prefix).to_owned(), Some(*packets)))
        .collect()
}

#[test]
fn a_ban_has_the_packets_that_it_dropped_and_the_last_hit() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    ban(
        &scene.daemon,
        "203.0.113.0/24 203.0.113.7 2001:db8:b::/64 --for 1h",
    )?;
    let before = Timestamp::now();
    scene.send(&[marked("203.0.113.7", 1)], 3)?;
    scene.send(&[marked("203.0.113.8", 2), marked("2001:db8:b::7", 3)], 5)?;
    scene.judged(13)?;
    let counted = [
        ("203.0.113.0/24", 5),
        ("203.0.113.7/32", 3),
        ("2001:db8:b::/64", 5),
    ];
    assert_eq!(packets(&scene.daemon)?, expected(&counted));
    let is_recent = |ban: &BanInfo| {
        let hit = ban.last_hit.unwrap();
        // The kernel's clock is coarse.
        hit.duration_since(before).as_millis() > -100 && hit <= Timestamp::now()
    };
    assert!(bans(&scene.daemon)?.iter().all(is_recent));

    // Another end keeps the count, also when the ban around it is the last to end.
    ban(&scene.daemon, "203.0.113.7 --for 2h")?;
    ban(&scene.daemon, "203.0.113.0/24 --permanent")?;
    scene.send(&[marked("203.0.113.7", 1)], 2)?;
    scene.judged(15)?;
    assert_eq!(
        packets(&scene.daemon)?[1],
        expected(&[("203.0.113.7/32", 5)])[0]
    );

    // A ban that ended and one that follows it have nothing in common.
    unban(&scene.daemon, "203.0.113.7")?;
    scene.send(&[marked("203.0.113.7", 1)], 1)?;
    ban(&scene.daemon, "203.0.113.7 --for 1h")?;
    scene.judged(16)?;
    let counted = [
        ("203.0.113.0/24", 6),
        ("203.0.113.7/32", 0),
        ("2001:db8:b::/64", 5),
    ];
    assert_eq!(packets(&scene.daemon)?, expected(&counted));

    // Also while no daemon runs.
    scene.daemon.kill()?;
    scene.send(&[marked("203.0.113.7", 1)], 4)?;
    scene.daemon.start()?;
    scene.judged(20)?;
    assert_eq!(
        packets(&scene.daemon)?[1],
        expected(&[("203.0.113.7/32", 4)])[0]
    );
    Ok(())
}

#[test]
fn counts_of_bans_go_on_after_a_reboot() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    ban(
        &scene.daemon,
        "203.0.113.7 203.0.113.8 203.0.113.9 --permanent",
    )?;
    scene.send(&[marked("203.0.113.7", 1), marked("203.0.113.9", 2)], 3)?;
    scene.judged(6)?;
    // Its count is saved, and must not come back with another ban.
    scene.daemon.restart()?;
    unban(&scene.daemon, "203.0.113.9")?;
    ban(&scene.daemon, "203.0.113.9 --permanent")?;
    let hit = bans(&scene.daemon)?[0].last_hit;
    scene.daemon.kill()?;
    // What a reboot leaves of a bpffs.
    fs::remove_dir_all(scene.daemon.bpffs().join("ipblock"))?;
    scene.daemon.start()?;
    let counted = [
        ("203.0.113.7/32", 3),
        ("203.0.113.8/32", 0),
        ("203.0.113.9/32", 0),
    ];
    assert_eq!(packets(&scene.daemon)?, expected(&counted));
    let saved = bans(&scene.daemon)?[0].last_hit;
    let apart = saved.unwrap().duration_since(hit.unwrap()).abs();
    assert!(apart.as_millis() < 100, "{saved:?} {hit:?}");
    scene.send(&[marked("203.0.113.7", 1)], 2)?;
    scene.judged(8)?;
    assert_eq!(
        packets(&scene.daemon)?[0],
        expected(&[("203.0.113.7/32", 5)])[0]
    );
    Ok(())
}

#[test]
fn a_restore_brings_the_counts_of_bans_back() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    ban(&scene.daemon, "203.0.113.7 203.0.113.8 --permanent")?;
    scene.send(&[marked("203.0.113.7", 1)], 3)?;
    scene.judged(3)?;
    let file = scene.daemon.state_dir().join("monday.db");
    let file = file.to_string_lossy().into_owned();
    scene.daemon.ctl(["backup", &file])?.ok()?;
    unban(&scene.daemon, "203.0.113.7")?;
    ban(&scene.daemon, "203.0.113.6 203.0.113.7 --permanent")?;
    scene.send(&[marked("203.0.113.7", 1), marked("203.0.113.8", 2)], 5)?;
    scene.judged(13)?;
    scene.daemon.ctl(["restore", &file])?.ok()?;
    let counted = [("203.0.113.7/32", 3), ("203.0.113.8/32", 0)];
    assert_eq!(packets(&scene.daemon)?, expected(&counted));
    // The counters of the zone are those of the backup, too.
    scene.send(&[marked("203.0.113.7", 1), marked("203.0.113.8", 2)], 2)?;
    scene.judged(7)?;
    let counted = [("203.0.113.7/32", 5), ("203.0.113.8/32", 2)];
    assert_eq!(packets(&scene.daemon)?, expected(&counted));
    Ok(())
}

#[test]
fn an_entry_with_the_counter_of_another_ban_is_put_right() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    ban(&scene.daemon, "203.0.113.7 203.0.113.8 --permanent")?;
    scene.send(&[marked("203.0.113.7", 1)], 3)?;
    scene.judged(3)?;
    let shared = scene.daemon.bpffs().join("ipblock/shared");
    let table = shared.join(ABI_VERSION.to_string()).join(names::BANS_IPV4);
    let table = Map::from_map_data(MapData::from_pin(table)?)?;
    let mut table: LpmTrie<_, [u8; 4], BanEntry> = table.try_into()?;
    let key = |host| Key::new(32, [203, 0, 113, host]);
    let right = table.get(&key(7), 0)?;
    let wrong = BanEntry::new(NEVER, table.get(&key(8), 0)?.slot());
    table.insert(&key(7), wrong, 0)?;
    wait_for(DEADLINE, "the repair", || {
        (table.get(&key(7), 0).ok()? == right).then_some(())
    })?;
    assert!(check(&scene.daemon, &["203.0.113.7"])?[0].kernel_agrees == Some(true));
    let counted = [("203.0.113.7/32", 3), ("203.0.113.8/32", 0)];
    assert_eq!(packets(&scene.daemon)?, expected(&counted));
    Ok(())
}
