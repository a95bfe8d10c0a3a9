//! Bans of banned prefixes, bans over restarts, and the authors of bans.

use std::{fmt::Write as _, io::Write as _};

use ipblock_api::types::{AuditInfo, BanChange, BanInfo};
use ipblock_tests::{DEADLINE, Daemon, require_privileged, wait_for};

use crate::{
    answers::{answer, status},
    bans::{Ledger, ban, bans, is_banned, unban},
    scenario::Scene,
};

fn only(daemon: &Daemon) -> anyhow::Result<BanInfo> {
    let mut found = bans(daemon)?;
    assert_eq!(found.len(), 1, "{found:?}");
    Ok(found.remove(0))
}

#[test]
fn a_second_ban_never_shortens_the_first() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let address = "203.0.113.9";
    let mut ledger = Ledger::new();
    ban(daemon, [address, "--permanent", "--reason", "court order"])?;
    let first = only(daemon)?;
    let again = ban(daemon, [address, "--for", "1s", "--reason", "sshd"])?;
    assert_eq!((again.added, again.moved, again.unchanged), (0, 0, 1));
    assert_eq!(again.bans[0].change, BanChange::Unchanged);
    assert_eq!(again.bans[0].until, None);
    assert_eq!(only(daemon)?, first);
    let text = daemon.ctl(["ban", address, "--for", "1s", "--reason", "sshd"])?;
    assert_eq!(
        text.ok()?,
        "203.0.113.9/32: banned permanently already, unchanged; its reason stays `court order`\n"
    );

    // A feed that contains it does not change it.
    let feed = "203.0.113.9\n203.0.113.10\n";
    let text = daemon.ctl_with_input("ban - --for 1h", feed)?.ok()?;
    assert!(
        text.contains("203.0.113.9/32: banned permanently already"),
        "{text}"
    );
    assert!(text.contains("banned 203.0.113.10/32 until"), "{text}");
    ledger.expect(&scene, &[address, "203.0.113.10"], &["203.0.113.11"]);
    unban(daemon, "203.0.113.10")?;
    let mut kept = only(daemon)?;
    assert_eq!(kept.packets, Some(1));
    (kept.packets, kept.last_hit) = (first.packets, first.last_hit);
    assert_eq!(kept, first);

    let shortened = ban(daemon, [address, "--for", "2s", "--shorten"])?;
    assert_eq!(
        (shortened.moved, shortened.bans[0].change),
        (1, BanChange::Shortened)
    );
    let found = only(daemon)?;
    assert_eq!(
        (found.reason.as_str(), found.time),
        ("court order", first.time)
    );
    assert!(matches!(found.seconds_left, Some(0..=2)), "{found:?}");
    wait_for(DEADLINE, "the shortened ban to end", || {
        (!is_banned(daemon, address).ok()?).then_some(())
    })?;
    ledger.expect(&scene, &[], &[address]);
    Ok(())
}

#[test]
fn a_longer_ban_prolongs_the_first_in_the_kernel_too() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    let address = "2001:db8:b::7";
    ban(&scene.daemon, [address, "--for", "2s", "--reason", "first"])?;
    let first = only(&scene.daemon)?;
    let again = ban(&scene.daemon, [address, "--for", "1h"])?;
    let [prolonged] = again.bans.as_slice() else {
        panic!("{again:?}");
    };
    assert_eq!((again.moved, prolonged.change), (1, BanChange::Prolonged));
    assert_eq!(prolonged.was, first.until);
    let found = only(&scene.daemon)?;
    assert_eq!((found.reason.as_str(), found.time), ("first", first.time));
    assert_eq!(found.until, prolonged.until);
    assert!(matches!(found.seconds_left, Some(3500..=3600)), "{found:?}");
    ban(
        &scene.daemon,
        [address, "--permanent", "--reason", "second"],
    )?;
    // The kernel has no part of the first end.
    wait_for(DEADLINE, "the first end to pass", || {
        (first.until? < jiff::Timestamp::now()).then_some(())
    })?;
    Ledger::new().expect(&scene, &[address], &["2001:db8:b::8"]);
    scene.daemon.restart()?;
    let found = only(&scene.daemon)?;
    assert_eq!((found.reason.as_str(), found.time), ("second", first.time));
    assert_eq!(found.until, None);
    Ok(())
}

#[test]
fn a_stream_goes_on_over_a_restart_of_the_daemon() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    let mut child = scene
        .daemon
        .ctl_command(&[], ["ban", "-", "--for", "1h"])
        .spawn()?;
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"203.0.113.7\n")?;
    wait_for(DEADLINE, "the first ban", || {
        (bans(&scene.daemon).ok()?.len() == 1).then_some(())
    })?;
    scene.daemon.kill()?;
    input.write_all(b"203.0.113.8 203.0.113.9\n")?;
    // It tries the dead daemon before there is another one.
    std::thread::sleep(std::time::Duration::from_millis(300));
    scene.daemon.start()?;
    input.write_all(b"203.0.113.10\n")?;
    wait_for(DEADLINE, "the bans of the time in between", || {
        (bans(&scene.daemon).ok()?.len() == 4).then_some(())
    })?;
    drop(input);
    let output = child.wait_with_output()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("; retrying\n"), "{stderr}");
    assert!(stderr.contains("ipblockd answers again\n"), "{stderr}");
    let banned = ["203.0.113.7", "203.0.113.8", "203.0.113.9", "203.0.113.10"];
    Ledger::new().expect(&scene, &banned, &["203.0.113.11"]);
    Ok(())
}

#[test]
fn who_banned_an_address_is_known_when_the_ban_is_gone() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut scene = Scene::attached(root, "native")?;
    let mut input = String::new();
    for last in 0..250 {
        writeln!(input, "203.0.113.{last} 198.51.100.{last}")?;
    }
    let stream = "ban - --for 1h --reason wave";
    scene.daemon.ctl_with_input(stream, &input)?.ok()?;
    scene.daemon.ctl_with_input("unban -", &input)?.ok()?;
    assert_eq!(status(&scene.daemon)?.bans, 0);
    scene.daemon.restart()?;

    let about = |address: &str| -> anyhow::Result<Vec<AuditInfo>> {
        answer(&scene.daemon, ["audit", address])
    };
    let found = about("203.0.113.249")?;
    let what: Vec<_> = found.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(what, ["unban", "ban"]);
    assert!(found[1].detail.ends_with(": wave"), "{found:?}");
    assert!(!found[1].detail.contains("203.0.113.249"), "{found:?}");
    assert_eq!(found[1].author, "uid 0 (root)");
    let named = found[1].prefixes.iter().map(ToString::to_string);
    assert_eq!(named.collect::<Vec<_>>(), ["203.0.113.249/32"]);
    // Also where it is inside of what was asked for; never where it is not.
    assert_eq!(about("203.0.113.248/29")?.len(), 2);
    assert_eq!(about("203.0.113.251")?, []);
    let text = scene.daemon.ctl("audit 203.0.113.249")?.ok()?;
    assert!(text.contains("among them 203.0.113.249/32"), "{text}");
    let text = scene.daemon.ctl("audit 203.0.113.251")?.ok()?;
    assert_eq!(text, "no entry that is kept names 203.0.113.251\n");
    Ok(())
}

#[test]
fn unban_counts_what_is_still_banned_inside_and_can_end_it() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let hosts: Vec<String> = (0..=200).map(|last| format!("203.0.113.{last}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    ban(
        daemon,
        [&hosts[..], &["198.51.100.1", "--for", "1h"]].concat(),
    )?;
    let unbanned = unban(daemon, "203.0.113.0/24")?;
    assert_eq!((unbanned.removed, unbanned.still_banned.len()), (0, 100));
    assert_eq!(unbanned.more_still_banned, 101);
    let unbanned = unban(daemon, "203.0.113.0/24 --inside")?;
    assert_eq!((unbanned.removed, unbanned.more_still_banned), (201, 0));
    Ledger::new().expect(&scene, &["198.51.100.1"], &["203.0.113.0", "203.0.113.200"]);
    Ok(())
}
