//! Bans: in force at once, over rules and under allow lists, until their end.

use std::{thread, time::Duration};

use ipblock_api::{
    client::Client,
    types::{Action, BanInfo, Banned, BansQuery, Check, Count, Counters, Reason, Unbanned},
};
use ipblock_tests::{Arguments, DEADLINE, Daemon, packet::Frame, require_privileged, wait_for};

use crate::{
    answers::{answer, apply, apply_forced, check, count_of, counters},
    flood::Flood,
    scenario::{BLOCK, Scene, count, marked},
};

pub(crate) fn ban(daemon: &Daemon, arguments: impl Arguments) -> anyhow::Result<Banned> {
    answer(daemon, [vec!["ban".into()], arguments.list()].concat())
}

pub(crate) fn unban(daemon: &Daemon, addresses: impl Arguments) -> anyhow::Result<Unbanned> {
    answer(daemon, [vec!["unban".into()], addresses.list()].concat())
}

pub(crate) fn bans(daemon: &Daemon) -> anyhow::Result<Vec<BanInfo>> {
    answer(daemon, "bans")
}

/// Returns the only answer for an address; the kernel must agree with it.
pub(crate) fn fate(daemon: &Daemon, address: &str) -> anyhow::Result<Check> {
    let mut answers = check(daemon, &[address])?;
    assert_eq!(answers.len(), 1, "{answers:?}");
    let answer = answers.remove(0);
    assert!(answer.kernel_agrees == Some(true), "{answer:?}");
    Ok(answer)
}

pub(crate) fn is_banned(daemon: &Daemon, address: &str) -> anyhow::Result<bool> {
    Ok(fate(daemon, address)?.reason == Reason::Ban)
}

/// Sends frames, and asserts which of them arrive, and what bans and everything else counted.
pub(crate) struct Ledger {
    sent: u64,
    marker: u64,
    banned: Count,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            sent: 0,
            marker: 0,
            banned: Count::default(),
        }
    }

    /// One frame from each source; the banned ones are dropped and count for bans alone.
    #[track_caller]
    pub(crate) fn expect(&mut self, scene: &Scene, banned: &[&str], passing: &[&str]) -> Counters {
        self.marker += 1;
        let frames = |sources: &[&str]| -> Vec<Frame> {
            let frames = sources.iter().map(|source| marked(source, self.marker));
            frames.collect()
        };
        let (dropped, passed) = (frames(banned), frames(passing));
        scene.send(&dropped, 1).unwrap();
        scene.send(&passed, 1).unwrap();
        self.sent += (dropped.len() + passed.len()) as u64;
        let Count { packets, bytes } = count(&dropped, 1);
        self.banned.packets += packets;
        self.banned.bytes += bytes;
        let counters = scene.judged(self.sent).unwrap();
        assert_eq!(scene.receiver.count(self.marker), passing.len() as u64);
        assert_eq!(counters.bans, self.banned);
        counters
    }
}

#[test]
fn a_ban_holds_for_the_next_packet_and_an_unban_frees_it() -> anyhow::Result<()> {
    let root = require_privileged!();
    for mode in ["native", "generic"] {
        let scene = Scene::attached(root, mode)?;
        let (v4, v6) = ("203.0.113.7", "2001:db8:b::7");
        let mut ledger = Ledger::new();
        ledger.expect(&scene, &[], &[v4, v6]);
        for _ in 0..3 {
            let banned = ban(&scene.daemon, [v4, v6, "--for", "1h", "--reason", "scan"])?;
            assert_eq!((banned.added, banned.moved), (2, 0));
            let counters = ledger.expect(&scene, &[v4, v6], &["203.0.113.8", "2001:db8:b::8"]);
            assert_eq!(counters.totals.dropped, ledger.banned);
            assert!(is_banned(&scene.daemon, v4)? && is_banned(&scene.daemon, v6)?);
            let unbanned = unban(&scene.daemon, [v4, v6])?;
            assert_eq!(unbanned.removed, 2);
            ledger.expect(&scene, &[], &[v4, v6]);
            assert!(!is_banned(&scene.daemon, v4)? && !is_banned(&scene.daemon, v6)?);
        }
    }
    Ok(())
}

#[test]
fn a_banned_packet_counts_for_no_rule() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    ban(&scene.daemon, "203.0.113.7 --permanent")?;
    let mut ledger = Ledger::new();
    ledger.expect(&scene, &["203.0.113.7"], &["198.51.100.7"]);
    scene.send(&[marked("203.0.113.8", 99)], 1)?;
    let counters = scene.judged(3)?;
    assert_eq!(count_of(&counters, "abuse").packets, 1);
    assert_eq!(counters.totals.dropped.packets, 2);
    assert_eq!(counters.bans, ledger.banned);
    let fate = fate(&scene.daemon, "203.0.113.7")?;
    assert_eq!(fate.verdict, Some(Action::Block));
    assert_eq!(fate.banned_by.as_deref(), Some("203.0.113.7/32"));
    assert_eq!(fate.banned_until, None);
    assert_eq!(fate.rules[0].name, "abuse");
    Ok(())
}

#[test]
fn a_ban_ends_on_time_while_the_daemon_is_dead() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    ban(&scene.daemon, "203.0.113.7 --for 4s")?;
    scene.daemon.kill()?;
    scene.send(&[marked("203.0.113.7", 1)], 5)?;
    // No daemon removes the ban: the kernel knows its end.
    wait_for(DEADLINE, "a frame to pass", || {
        scene.send(&[marked("203.0.113.7", 2)], 1).ok()?;
        (scene.receiver.count(2) > 0).then_some(())
    })?;
    assert_eq!(scene.receiver.count(1), 0);
    scene.daemon.start()?;
    let counters = counters(&scene.daemon)?;
    assert!(counters.bans.packets >= 5, "{counters:?}");
    assert_eq!(counters.bans, counters.totals.dropped);
    assert!(!is_banned(&scene.daemon, "203.0.113.7")?);
    assert_eq!(bans(&scene.daemon)?, []);
    Ok(())
}

#[test]
fn nested_bans_end_with_the_last_that_covers() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let (short_inside, long_inside) = ("203.0.113.7", "203.0.113.200");
    ban(daemon, [short_inside, "--for", "1s"])?;
    ban(daemon, "203.0.113.0-203.0.113.127 --for 1h")?;
    ban(daemon, "203.0.113.128/25 --for 1s")?;
    ban(daemon, [long_inside, "--for", "1h"])?;
    wait_for(DEADLINE, "the short bans to end", || {
        (bans(daemon).ok()?.len() == 2).then_some(())
    })?;
    let mut ledger = Ledger::new();
    let banned = [short_inside, long_inside, "203.0.113.0", "203.0.113.127"];
    ledger.expect(&scene, &banned, &["203.0.113.128", "203.0.113.201"]);
    let by = fate(daemon, short_inside)?.banned_by;
    assert_eq!(by.as_deref(), Some("203.0.113.0/25"));

    // A prefix is answered in parts where bans differ.
    let parts = check(daemon, &["203.0.113.192/28"])?;
    let fates: Vec<_> = parts
        .iter()
        .map(|part| (part.address.as_str(), part.reason))
        .collect();
    let (free, held) = (Reason::Default, Reason::Ban);
    let expected = [
        ("203.0.113.192/29", free),
        ("203.0.113.200", held),
        ("203.0.113.201", free),
        ("203.0.113.202/31", free),
        ("203.0.113.204/30", free),
    ];
    assert_eq!(fates, expected);

    let unbanned = unban(daemon, [short_inside, "203.0.113.128/25"])?;
    assert_eq!(unbanned.removed, 0);
    assert_eq!(unbanned.not_banned.len(), 2);
    let still: Vec<_> = unbanned
        .still_banned
        .iter()
        .map(|still| (still.prefix.to_string(), still.by.to_string()))
        .collect();
    let expected = [
        ("203.0.113.7/32", "203.0.113.0/25"),
        ("203.0.113.200/32", "203.0.113.200/32"),
    ];
    assert_eq!(
        still,
        expected.map(|(prefix, by)| (prefix.to_owned(), by.to_owned()))
    );
    unban(daemon, "203.0.113.0/25")?;
    ledger.expect(&scene, &[long_inside], &[short_inside, "203.0.113.0"]);
    Ok(())
}

#[test]
fn the_bans_that_end_next_can_be_asked_for_alone() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    for (address, end) in [
        ("203.0.113.1", "--for 3h"),
        ("203.0.113.2", "--permanent"),
        ("2001:db8::3", "--for 1h"),
        ("203.0.113.4", "--for 2h"),
    ] {
        ban(daemon, format!("{address} {end}"))?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client = Client::new(daemon.socket());
    let next = |limit| -> anyhow::Result<Vec<String>> {
        let query = BansQuery {
            limit: Some(limit),
            ..BansQuery::default()
        };
        let bans = runtime.block_on(client.bans(&query))?.into_iter();
        Ok(bans.map(|ban| ban.prefix.to_string()).collect())
    };
    let by_end = ["2001:db8::3/128", "203.0.113.4/32", "203.0.113.1/32"];
    assert_eq!(next(20)?, by_end);
    assert_eq!(next(2)?, by_end[..2]);
    assert_eq!(bans(daemon)?.len(), 4);
    Ok(())
}

#[test]
fn allow_lists_win_over_bans_and_a_deploy_of_one_rewrites_none() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    ban(daemon, "203.0.113.0/24 --for 1h")?;
    let mut ledger = Ledger::new();
    ledger.expect(&scene, &["203.0.113.7", "203.0.113.8"], &[]);
    daemon.ctl("allow add 203.0.113.7 --deploy")?.ok()?;
    let counters = ledger.expect(&scene, &["203.0.113.8"], &["203.0.113.7"]);
    assert_eq!(counters.totals.allowed.packets, 1);
    let banned = ban(daemon, "203.0.113.7 --for 1h")?;
    assert_eq!(
        banned.warnings,
        ["on the allow list, so it passes all the same: 203.0.113.7/32"]
    );
    ledger.expect(&scene, &["203.0.113.8"], &["203.0.113.7"]);
    let fate = fate(daemon, "203.0.113.7")?;
    assert_eq!(fate.reason, Reason::Allow);
    assert!(fate.banned_by.is_some());
    daemon.ctl("allow remove 203.0.113.7 --deploy")?.ok()?;
    ledger.expect(&scene, &["203.0.113.7", "203.0.113.8"], &[]);
    Ok(())
}

#[test]
fn bans_and_their_counts_outlive_deploys_and_restarts_under_traffic() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    let frames = [
        marked("203.0.113.7", 1),
        marked("2001:db8:b::7", 2),
        marked("198.51.100.7", 3),
    ];
    let arguments = ["203.0.113.7", "2001:db8:b::/64", "--for", "1h"];
    ban(&scene.daemon, arguments)?;
    let flood = Flood::start(&scene.pair, &frames)?;
    apply(&scene.daemon, BLOCK)?;
    flood.wait_for_more(20)?;
    scene.daemon.kill()?;
    flood.wait_for_more(20)?;
    scene.daemon.start()?;
    scene.daemon.ctl("allow add 192.0.2.9 --deploy")?.ok()?;
    flood.wait_for_more(20)?;
    scene.daemon.restart()?;
    // Bans are added and removed in parallel, and delay no deploy.
    ban(&scene.daemon, "192.0.2.0/24 --permanent")?;
    unban(&scene.daemon, "192.0.2.0/24")?;
    apply_forced(&scene.daemon, "")?;
    let rounds = flood.stop()?;
    let counters = scene.judged(rounds * frames.len() as u64)?;
    assert_eq!(counters.bans, count(&frames[..2], rounds));
    assert_eq!(counters.totals.dropped, counters.bans);
    assert_eq!(scene.receiver.counts(), [(3, rounds)].into());
    Ok(())
}

#[test]
fn what_cannot_be_meant_is_refused_and_bans_nothing() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let for_1h = |addresses: &str| scene.daemon.ctl(format!("ban {addresses} --for 1h"));
    for (addresses, code, part) in [
        ("0.0.0.0/0", 3, "every IPv4 address"),
        ("::/1 8000::/1", 3, "every IPv6 address"),
        ("203.0.113.7 10.0.0.1/8", 2, "10.0.0.0/8"),
        ("203.0.113.7 203.0.113.9-203.0.113.8", 2, "203.0.113.8"),
        ("@nobody", 2, "there is no list"),
    ] {
        let output = for_1h(addresses)?;
        assert_eq!(output.code, code, "{output:?}");
        assert!(output.stderr.contains(part), "{output:?}");
    }
    assert_eq!(scene.daemon.ctl("ban 203.0.113.7")?.code, 2);
    assert_eq!(bans(&scene.daemon)?, []);
    ban(&scene.daemon, "0.0.0.0/0 --for 1h --force")?;
    Ledger::new().expect(&scene, &["192.0.2.1"], &["2001:db8::1"]);
    Ok(())
}

#[test]
fn an_ipv6_host_warns_and_can_be_widened() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let banned = ban(&scene.daemon, "2001:db8:1:2::3 --for 1h")?;
    assert!(banned.warnings[0].contains("--v6-prefix 64"), "{banned:?}");
    let widened = [
        "2001:db8:1:3::3",
        "2001:db8:1:3::4",
        "2001:db8:2::/48",
        "--v6-prefix",
        "64",
        "--for",
        "1h",
    ];
    let banned = ban(&scene.daemon, widened)?;
    assert_eq!(banned.warnings, <[String; 0]>::default());
    let prefixes: Vec<String> = banned
        .bans
        .iter()
        .map(|ban| ban.prefix.to_string())
        .collect();
    assert_eq!(prefixes, ["2001:db8:1:3::/64", "2001:db8:2::/48"]);
    Ledger::new().expect(
        &scene,
        &["2001:db8:1:2::3", "2001:db8:1:3::ffff"],
        &["2001:db8:1:2::4"],
    );
    Ok(())
}

#[test]
fn a_stream_bans_line_by_line_while_it_is_open() -> anyhow::Result<()> {
    use std::io::Write as _;
    let scene = Scene::attached(require_privileged!(), "native")?;
    let mut child = scene
        .daemon
        .ctl_command(&[], ["ban", "-", "--for", "1h"])
        .spawn()?;
    let mut input = child.stdin.take().unwrap();
    input.write_all(
        b"# offenders\n\n203.0.113.7 scan\nnonsense.example\n203.0.113.8 203.0.113.10\n",
    )?;
    wait_for(DEADLINE, "three bans while the stream is open", || {
        (bans(&scene.daemon).ok()?.len() == 3).then_some(())
    })?;
    // Half a line does not count.
    input.write_all(b"203.0.113.9")?;
    thread::sleep(Duration::from_millis(200));
    assert_eq!(bans(&scene.daemon)?.len(), 3);
    input.write_all(b"9\n0.0.0.0/0\n")?;
    drop(input);
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("line 4: `nonsense.example`"), "{stderr}");
    assert!(
        stderr.contains("line 7: this would ban 0.0.0.0/0"),
        "{stderr}"
    );
    let banned = ["203.0.113.7", "203.0.113.8", "203.0.113.10", "203.0.113.99"];
    Ledger::new().expect(&scene, &banned, &["203.0.113.9"]);
    Ok(())
}
