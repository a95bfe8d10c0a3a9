//! Bans of several owners: an address is banned until the last of its bans ends.

use std::fmt::Write as _;

use ipblock_api::{
    client::Client,
    types::{BanEnd, BanInfo, Past, PastBan},
};
use ipblock_tests::{Arguments, DEADLINE, Daemon, require_privileged, wait_for};

use crate::{
    answers::{answer, status},
    bans::{Ledger, ban, bans, fate, is_banned, unban},
    scenario::Scene,
};

const ADDRESS: &str = "203.0.113.7";

fn listed(daemon: &Daemon, arguments: impl Arguments) -> anyhow::Result<Vec<BanInfo>> {
    answer(daemon, [vec!["bans".into()], arguments.list()].concat())
}

fn owners(bans: &[BanInfo]) -> Vec<&str> {
    bans.iter().map(|ban| ban.origin.as_str()).collect()
}

fn past(daemon: &Daemon, address: &str) -> anyhow::Result<Vec<PastBan>> {
    let past = fate(daemon, address)?.past.into_iter();
    Ok(past.map(|Past::Ban(ban)| ban).collect())
}

fn metrics(daemon: &Daemon) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let page = runtime.block_on(Client::new(daemon.socket()).metrics())?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// F12: with owners, a short ban of one program does not touch the long one of another.
#[test]
fn f12_each_source_ends_its_own_bans() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let mut ledger = Ledger::new();
    let long = "--for 7d --reason recidive --origin fail2ban/recidive";
    ban(daemon, format!("{ADDRESS} {long}"))?;
    let short = "--for 1s --reason sshd --origin fail2ban/sshd";
    let banned = ban(daemon, format!("{ADDRESS} {short}"))?;
    assert_eq!((banned.added, banned.moved), (1, 0));
    let found = bans(daemon)?;
    assert_eq!(owners(&found), ["fail2ban/recidive", "fail2ban/sshd"]);
    assert_eq!([&*found[0].reason, &*found[1].reason], ["recidive", "sshd"]);
    ledger.expect(&scene, &[ADDRESS], &["203.0.113.8"]);
    wait_for(DEADLINE, "the short ban to end", || {
        (bans(daemon).ok()?.len() == 1).then_some(())
    })?;
    assert_eq!(owners(&bans(daemon)?), ["fail2ban/recidive"]);
    assert!(is_banned(daemon, ADDRESS)?);
    ledger.expect(&scene, &[ADDRESS], &["203.0.113.8"]);
    let unbanned = unban(daemon, format!("{ADDRESS} --origin fail2ban/recidive"))?;
    assert_eq!(unbanned.removed, 1);
    ledger.expect(&scene, &[], &[ADDRESS]);
    let ended = past(daemon, ADDRESS)?;
    let how: Vec<_> = ended
        .iter()
        .map(|ban| (ban.origin.as_str(), ban.how))
        .collect();
    let expected = [
        ("fail2ban/recidive", BanEnd::Unbanned),
        ("fail2ban/sshd", BanEnd::Expired),
    ];
    assert_eq!(how, expected);
    assert_eq!(ended[0].by.as_deref(), Some("uid 0 (root)"));
    Ok(())
}

#[test]
fn an_address_passes_exactly_after_its_last_ban() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    let mut ledger = Ledger::new();
    let three = ["manual", "crowdsec", "fail2ban/sshd"];
    for (number, origin) in (1..).zip(three) {
        ban(
            &scene.daemon,
            format!("{ADDRESS} --for {number}h --origin {origin}"),
        )?;
    }
    ledger.expect(&scene, &[ADDRESS], &[]);
    scene.daemon.restart()?;
    assert_eq!(
        owners(&bans(&scene.daemon)?),
        ["crowdsec", "fail2ban/sshd", "manual"]
    );
    let answer = fate(&scene.daemon, ADDRESS)?;
    let by: Vec<_> = answer.bans.iter().map(|ban| ban.origin.as_str()).collect();
    assert_eq!(
        by,
        ["fail2ban/sshd", "crowdsec", "manual"],
        "the last to end first"
    );
    // The last to end first, so that the kernel's deadline falls back each time.
    for (left, origin) in [(2, "fail2ban/sshd"), (1, "crowdsec"), (0, "manual")] {
        let unbanned = unban(&scene.daemon, format!("{ADDRESS} --origin {origin}"))?;
        assert_eq!(
            (unbanned.removed, unbanned.still_banned.len()),
            (1, usize::from(left > 0))
        );
        assert_eq!(bans(&scene.daemon)?.len(), left);
        if left > 0 {
            ledger.expect(&scene, &[ADDRESS], &["203.0.113.8"]);
        }
        // Once more: it is as asked, and that is no error.
        let again = format!("unban {ADDRESS} --origin {origin}");
        let text = scene.daemon.ctl(again)?.ok()?;
        assert!(
            text.contains(&format!("had no ban of origin {origin}\n")),
            "{text}"
        );
    }
    ledger.expect(&scene, &[], &[ADDRESS]);
    Ok(())
}

/// Operator 3.4 and B4: a program's ban never touches that of a person.
#[test]
fn b4_a_feed_leaves_the_bans_of_people_alone() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    ban(
        daemon,
        ["203.0.113.9", "--permanent", "--reason", "court order"],
    )?;
    let first = bans(daemon)?;
    let feed = "203.0.113.9\n203.0.113.10\n";
    let origin = "--origin feed/abuse";
    let stream = format!("ban - --for 1h --shorten --reason feed {origin}");
    daemon.ctl_with_input(stream, feed)?.ok()?;
    assert_eq!(listed(daemon, "--origin manual")?, first);
    let text = daemon
        .ctl_with_input(format!("unban - {origin}"), feed)?
        .ok()?;
    assert!(
        text.contains("203.0.113.9/32 is still banned, by origin manual"),
        "{text}"
    );
    assert_eq!(bans(daemon)?, first);
    Ledger::new().expect(&scene, &["203.0.113.9"], &["203.0.113.10"]);
    // A shortened ban that another one outlasts is no surprise.
    ban(daemon, format!("203.0.113.9 --for 2h {origin}"))?;
    let shortened = ban(daemon, format!("203.0.113.9 --for 1h --shorten {origin}"))?;
    let expected = "203.0.113.9/32 is still banned permanently, by origin manual";
    assert_eq!(shortened.warnings, [expected]);
    // Without an origin all of them end, and are named.
    let text = daemon.ctl("unban 203.0.113.9")?.ok()?;
    assert_eq!(
        text,
        "removed 2 bans of the origins feed/abuse (1), manual (1)\n"
    );
    Ok(())
}

/// Operator 3.4.
#[test]
fn bans_are_filtered_by_address_owner_reason_and_author() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    for arguments in [
        &["203.0.113.0/24", "--for", "1h", "--reason", "whole net"][..],
        &[
            "203.0.113.7",
            "--for",
            "1h",
            "--origin",
            "crowdsec",
            "--reason",
            "http:scan",
        ],
        &[
            "203.0.113.7",
            "--for",
            "1h",
            "--origin",
            "fail2ban/sshd",
            "--reason",
            "ssh",
        ],
        &[
            "198.51.100.1",
            "--for",
            "1h",
            "--origin",
            "crowdsec",
            "--reason",
            "SSH bruteforce",
        ],
        &["2001:db8:b::/64", "--for", "1h", "--origin", "crowdsec"],
    ] {
        ban(daemon, arguments)?;
    }
    for (arguments, expected) in [
        ("", 5),
        ("203.0.113.7", 3),
        ("203.0.113.8", 1),
        ("203.0.113.0/24", 3),
        ("203.0.0.0/16", 3),
        ("198.51.100.2", 0),
        ("2001:db8:b::7 198.51.100.1", 2),
        ("--origin crowdsec", 3),
        ("--origin crowd", 0),
        ("203.0.113.7 --origin crowdsec", 1),
        ("--reason ssh", 2),
        ("--reason ssh --origin fail2ban/sshd", 1),
        ("--by root", 5),
        ("--by 0", 5),
        ("--by nils", 0),
    ] {
        let found = listed(daemon, arguments)?;
        assert_eq!(found.len(), expected, "{arguments}: {found:?}");
    }
    let text = daemon.ctl("bans 198.51.100.2 --origin crowdsec")?.ok()?;
    assert_eq!(text, "no bans of origin crowdsec at 198.51.100.2\n");
    // Not everything by mistake.
    for (arguments, code) in [
        ("unban --all", 2),
        ("unban --all 203.0.113.7 --origin crowdsec", 2),
        ("ban 203.0.113.9 --for 1h --origin a,b", 2),
        ("bans --origin -x", 2),
    ] {
        let refused = daemon.ctl(arguments)?;
        assert_eq!(refused.code, code, "{refused:?}");
    }
    let unbanned = unban(daemon, "--all --reason ssh")?;
    assert_eq!((unbanned.removed, bans(daemon)?.len()), (2, 3));
    let unbanned = unban(daemon, "203.0.113.0/24 --inside --origin crowdsec")?;
    assert_eq!((unbanned.removed, unbanned.not_banned.len()), (1, 1));
    assert_eq!(owners(&bans(daemon)?), ["manual", "crowdsec"]);
    Ledger::new().expect(&scene, &["203.0.113.7"], &["198.51.100.1"]);
    Ok(())
}

#[test]
fn one_call_ends_20000_bans_of_an_origin_and_no_other() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    let mut input = String::new();
    for number in 0..20_000_u32 {
        writeln!(
            input,
            "10.{}.{}.{}",
            number >> 16,
            number >> 8 & 255,
            number & 255
        )?;
    }
    let stream = "ban - --permanent --origin fail2ban/sshd";
    scene.daemon.ctl_with_input(stream, &input)?.ok()?;
    ban(
        &scene.daemon,
        "10.0.0.7 10.0.0.8 --for 1h --origin crowdsec",
    )?;
    ban(&scene.daemon, format!("{ADDRESS} --permanent"))?;
    let page = metrics(&scene.daemon)?;
    for line in [
        "ipblock_bans 20003",
        "ipblock_bans_by_origin{origin=\"crowdsec\"} 2",
        "ipblock_bans_by_origin{origin=\"fail2ban/sshd\"} 20000",
        "ipblock_bans_by_origin{origin=\"manual\"} 1",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    let mut ledger = Ledger::new();
    ledger.expect(
        &scene,
        &[ADDRESS, "10.0.0.7", "10.0.78.31"],
        &["10.0.78.32"],
    );
    let text = scene
        .daemon
        .ctl("unban --origin fail2ban/sshd --all")?
        .ok()?;
    assert_eq!(text, "removed 20,000 bans of origin fail2ban/sshd\n");
    ledger.expect(&scene, &[ADDRESS, "10.0.0.7"], &["10.0.0.9", "10.0.78.31"]);
    // As fail2ban asks at each start: nothing to do is no error.
    let text = scene
        .daemon
        .ctl("unban --origin fail2ban/sshd --all")?
        .ok()?;
    assert_eq!(text, "removed 0 bans\n");
    scene.daemon.kill()?;
    scene.daemon.start()?;
    assert_eq!(status(&scene.daemon)?.bans, 3);
    ledger.expect(&scene, &[ADDRESS, "10.0.0.8"], &["10.0.0.9"]);
    let audit: Vec<serde_json::Value> = answer(&scene.daemon, ["audit", "10.0.78.31"])?;
    let detail = audit[0]["detail"].as_str().unwrap_or_default();
    assert!(
        detail.ends_with(": the bans of origin fail2ban/sshd"),
        "{detail}"
    );
    assert_eq!(past(&scene.daemon, "10.0.78.31")?.len(), 1);
    Ok(())
}

#[test]
fn a_backup_has_the_bans_of_every_owner() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    ban(daemon, format!("{ADDRESS} --for 1h"))?;
    ban(
        daemon,
        format!("{ADDRESS} --for 2h --origin crowdsec --reason scan"),
    )?;
    let before = bans(daemon)?;
    let file = daemon.state_dir().join("saved.db");
    let file = file.to_string_lossy().into_owned();
    daemon.ctl(["backup", &file])?.ok()?;
    unban(daemon, format!("{ADDRESS} --origin crowdsec"))?;
    ban(daemon, "203.0.113.8 --for 1h --origin fail2ban/sshd")?;
    let dry = daemon.ctl(["--json", "restore", &file, "--dry-run"])?;
    let dry: serde_json::Value = serde_json::from_str(&dry.stdout)?;
    let expected = serde_json::json!({"added": 1, "removed": 1, "changed": 0});
    assert_eq!(dry["restored"]["bans"], expected, "{dry}");
    daemon.ctl(["restore", &file])?.ok()?;
    let same = |bans: &[BanInfo]| -> Vec<_> {
        let one = |ban: &BanInfo| (ban.origin.clone(), ban.until, ban.time, ban.reason.clone());
        bans.iter().map(one).collect()
    };
    assert_eq!(same(&bans(daemon)?), same(&before));
    let ended = past(daemon, "203.0.113.8")?;
    assert_eq!(
        (ended.len(), ended[0].how),
        (1, BanEnd::Unbanned),
        "{ended:?}"
    );
    Ledger::new().expect(&scene, &[ADDRESS], &["203.0.113.8"]);
    Ok(())
}

#[test]
fn a_prefix_has_a_bounded_number_of_owners() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    for number in 0..64 {
        ban(
            &scene.daemon,
            format!("{ADDRESS} --for 1h --origin script:{number}"),
        )?;
    }
    let refused = scene.daemon.ctl(format!("ban {ADDRESS} --for 1h"))?;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("has bans of 64 origins already"),
        "{refused:?}"
    );
    // One of them still can.
    let again = ban(
        &scene.daemon,
        format!("{ADDRESS} --for 2h --origin script:7"),
    )?;
    assert_eq!(again.moved, 1);
    let page = metrics(&scene.daemon)?;
    let series = page
        .lines()
        .filter(|line| line.starts_with("ipblock_bans_by_origin{"));
    assert_eq!(series.count(), 51);
    Ok(())
}
