//! Memory, descriptors and maps that are exhausted in the middle of a change.

use std::fs;

use anyhow::Context as _;
use aya::maps::{LpmTrie, Map, MapData, lpm_trie::Key};
use ipblock_common::{ABI_VERSION, BanEntry, limits::BAN_TABLE_ENTRIES, names};
use ipblock_tests::require_privileged;

use super::{
    ledger::{Entry, close},
    stage::Stage,
};
use crate::{
    answers::{apply_forced, status},
    control_group::Group,
};

const PART: &str = "memory and maps";

/// Returns a stage's ruleset with `hosts` more hosts in a separate rule.
fn with_hosts(ruleset: &str, hosts: u32) -> String {
    let list: Vec<String> = (0..hosts)
        .map(|host| format!("\"{}\"", std::net::Ipv4Addr::from(0x0b00_0000 + host * 3)))
        .collect();
    let matches = list.join(",");
    format!("{ruleset}\n[[rule]]\nname = \"hosts\"\naction = \"block\"\nmatch = [{matches}]\n")
}

#[test]
fn memory_that_runs_out_while_a_generation_is_filled_leaves_the_old_one() -> anyhow::Result<()> {
    let root = require_privileged!();
    let group = Group::new(root, "memory")?;
    let mut stage = Stage::new(root)?;
    let (mut injected, mut killed) = (0, 0);
    for mebibytes in [4, 8, 16, 32, 48, 64, 80, 96, 128] {
        let (revision, side) = (status(&stage.daemon)?.revision, stage.side()?);
        let ruleset = with_hosts(&stage.other_ruleset(side, 2), 60_000);
        group.take_in(stage.daemon.pid().context("a daemon")?)?;
        group.limit(mebibytes << 20)?;
        let output = stage.daemon.ctl_with_input("apply -", &ruleset)?;
        let was_killed = stage.daemon.ctl("status")?.code != 0;
        group.limit(8 << 30)?;
        if was_killed {
            killed += 1;
            stage.restart_killed()?;
        }
        let now = stage.converged()?;
        let is_new = now.revision > revision;
        assert_eq!(stage.side()? != side, is_new);
        // Reported or not, done or not; but never reported as done and lost.
        assert!(is_new || output.code != 0, "{output:?}");
        injected += u64::from(output.code != 0);
        // Small again, and in a process that the group does not hold.
        stage.daemon.restart()?;
        let side = stage.side()?;
        let small = stage.other_ruleset(side, 1);
        apply_forced(&stage.daemon, &small)?;
    }
    assert!(injected > 0, "memory never ran out");
    println!("{killed} of {injected} by the kernel's killer");
    let entry = Entry {
        part: PART,
        fault: "memory limit (control group) reached by a deploy of 60,000 hosts",
        injected,
        outcome: "refused, or killed and started again; the old generation filters on",
    };
    close(stage, entry)
}

#[test]
fn descriptors_that_run_out_leave_the_old_generation() -> anyhow::Result<()> {
    let mut stage = Stage::new(require_privileged!())?;
    let mut injected = 0;
    for spare in [2, 4, 6, 8, 10, 14, 18, 24, 30, 40, 60] {
        let pid = stage.daemon.pid().context("a daemon")?.to_string();
        let open = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        let nofile = format!("--nofile={}:", open + spare);
        let netns = &stage.pair().host.netns;
        netns.run(["prlimit", "--pid", &pid, &nofile])?;
        let (revision, side) = (status(&stage.daemon)?.revision, stage.side()?);
        let ruleset = stage.other_ruleset(side, 2);
        let output = stage.daemon.ctl_with_input("apply -", &ruleset)?;
        let netns = &stage.pair().host.netns;
        netns.run(["prlimit", "--pid", &pid, "--nofile=1024:"])?;
        assert_eq!(
            output.code != 0,
            status(&stage.daemon)?.revision == revision
        );
        assert_eq!(output.code != 0, stage.side()? == side);
        injected += u64::from(output.code != 0);
        stage.converged()?;
    }
    assert!(injected > 2, "descriptors ran out {injected} times");
    let entry = Entry {
        part: PART,
        fault: "limit of open files reached by a deploy",
        injected,
        outcome: "refused; the old generation filters on",
    };
    close(stage, entry)
}

#[test]
fn a_ban_table_that_is_full_takes_no_ban_and_loses_none() -> anyhow::Result<()> {
    let mut stage = Stage::new(require_privileged!())?;
    let shared = stage.daemon.bpffs().join("ipblock/shared");
    let table = shared.join(ABI_VERSION.to_string()).join(names::BANS_IPV4);
    let table = Map::from_map_data(MapData::from_pin(table)?)?;
    let mut table: LpmTrie<_, [u8; 4], BanEntry> = table.try_into()?;
    // Foreign entries that expired long ago.
    let mut strange = 0;
    while strange <= BAN_TABLE_ENTRIES {
        let key = Key::new(32, (0x0c00_0000 + strange).to_be_bytes());
        if table.insert(&key, BanEntry::new(1, 0), 0).is_err() {
            break;
        }
        strange += 1;
    }
    assert!(strange < BAN_TABLE_ENTRIES, "it was never full");
    let mut injected = 0;
    for host in 0..20 {
        let address = format!("198.18.0.{host}");
        let output = stage
            .daemon
            .ctl(["ban", &address, "2001:db8:9::1", "--for", "1h"])?;
        assert_eq!(output.code, 1, "{output:?}");
        assert!(output.stderr.contains("no ban was changed"), "{output:?}");
        injected += 1;
    }
    assert_eq!(status(&stage.daemon)?.bans, 1);
    // A start removes everything that is not in the store.
    stage.daemon.kill()?;
    stage.daemon.start()?;
    stage.converged()?;
    stage.daemon.ctl("ban 198.18.0.1 --for 1h")?.ok()?;
    let entry = Entry {
        part: PART,
        fault: "ban table filled by somebody else to its last entry",
        injected,
        outcome: "refused in store and kernel; a start clears it",
    };
    close(stage, entry)
}
