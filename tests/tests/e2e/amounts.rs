//! What newly drops at least one percent of an address family needs confirmation, by every path.

use ipblock_api::types::{Banned, Deployed};
use ipblock_tests::{
    CtlOutput, DEADLINE, Daemon, VethOptions, VethPair, require_privileged, wait_for,
};

use crate::{
    answers::{answer, apply, apply_with, deploy, status},
    lists::Lists,
    scenario::{BLOCK, Scene, marked},
};

/// A quarter of IPv4, and no address of the test's network.
const WIDE: &str = "64.0.0.0/2";

#[track_caller]
fn assert_asked(output: &CtlOutput, said: &[&str]) {
    assert_eq!(output.code, 3, "{output:?}");
    for text in said.iter().chain(&["--wide"]) {
        assert!(output.stderr.contains(text), "{text:?} in {output:?}");
    }
}

fn add_rule<'a>(matches: &[&'a str]) -> Vec<&'a str> {
    let add = ["rule", "add", "much", "--action", "block", "--match"];
    [&add[..], matches].concat()
}

#[test]
fn a_rule_of_one_percent_needs_wide_and_diff_says_so() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    daemon.ctl(add_rule(&[WIDE]))?.ok()?;
    let diff = daemon.ctl_json("diff")?;
    let expected = "refused without --wide: it would newly drop 25 % of IPv4 (1,073,741,824 \
                    addresses): 64.0.0.0/2 by rule `much`";
    let special = "rule `much` blocks carrier-grade NAT and loopback addresses: 100.64.0.0/10, \
                   127.0.0.0/8";
    assert_eq!(diff["warnings"], serde_json::json!([special, expected]));
    let refused = daemon.ctl("deploy")?;
    assert_asked(&refused, &["25 % of IPv4", "64.0.0.0/2 by rule `much`"]);
    assert_eq!(status(daemon)?.revision, 0);
    let frame = [marked("64.0.0.1", 1)];
    scene.send(&frame, 1)?;
    scene.judged(1)?;
    assert_eq!(scene.receiver.count(1), 1);

    daemon.ctl("deploy --wide")?.ok()?;
    scene.send(&frame, 1)?;
    scene.judged(2)?;
    assert_eq!(scene.receiver.count(1), 1);
    // It is dropped already: neither an edit nor another rule about it needs confirmation again.
    deploy(daemon, ["rule", "edit", "much", "--note", "ticket 1"])?;
    let again = ["rule", "add", "again", "--action", "block", "--match", WIDE];
    deploy(daemon, again)?;
    Ok(())
}

#[test]
fn many_prefixes_through_a_list_are_asked_about_like_one() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let small: Vec<_> = (0..=255).map(|n| format!("20.{n}.0.0/16")).collect();
    let all = (0..1_000).map(|n| format!("{}.{}.0.0/16", 20 + n / 256, n % 256));
    let all: Vec<_> = all.collect();
    let import = |prefixes: &[String], flags: &[&str]| {
        let arguments = [&["import", "-", "--into", "@feed"], flags].concat();
        daemon.ctl_with_input(&arguments, &(prefixes.join("\n") + "\n"))
    };
    import(&small, &[])?.ok()?;
    deploy(daemon, add_rule(&["@feed"]))?;
    let refused = import(&all, &["--deploy"])?;
    assert_asked(&refused, &["48,758,784 addresses", "(from list @feed)"]);
    Ok(())
}

/// F18: a refused job blocked the next one.
#[test]
fn a_refused_deploy_takes_its_own_edit_back_and_no_other() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let import = |list: &str, text: &str| {
        daemon.ctl_with_input(["import", "-", "--into", list, "--deploy"], text)
    };
    deploy(daemon, "list add a 192.0.2.66")?;
    deploy(daemon, "rule add r --action block --match @a")?;
    let refused = import("@a", "64.0.0.0/2\n")?;
    assert_asked(&refused, &["by rule `r`", "nothing of it stays staged"]);
    assert_eq!(status(daemon)?.staged, 0);
    import("@b", "192.0.2.67\n")?.ok()?;
    // An earlier edit stays staged.
    daemon.ctl("allow add 192.0.2.68")?.ok()?;
    let refused = import("@a", "64.0.0.0/2\n")?;
    assert_asked(&refused, &["nothing of it stays staged"]);
    assert_eq!(status(daemon)?.staged, 1);
    Ok(())
}

/// A stream that was refused for safety had the exit code of bad input.
#[test]
fn a_stream_that_is_too_wide_exits_with_3() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let stream = |text: &str| scene.daemon.ctl_with_input("ban - --for 1h", text);
    let wide = stream("64.0.0.0/2\n192.0.2.66\n")?;
    assert_asked(&wide, &["line 1", "25 % of IPv4"]);
    assert_eq!(stream("64.0.0.0/2\n192.0.2.300\n")?.code, 2);
    assert_eq!(status(&scene.daemon)?.bans, 1);
    Ok(())
}

#[test]
fn an_exception_an_allowed_address_and_a_default_are_asked_about() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    deploy(daemon, "allow add 64.0.0.0/3 192.0.2.0/24")?;
    let spared = [&add_rule(&[WIDE])[..], &["--except", "96.0.0.0/3"]].concat();
    deploy(daemon, &spared)?;
    let remove = ["exception", "remove", "much", "96.0.0.0/3", "--deploy"];
    assert_asked(&daemon.ctl(remove)?, &["96.0.0.0/3 by rule `much`"]);
    let remove = "allow remove 64.0.0.0/3 --deploy";
    assert_asked(&daemon.ctl(remove)?, &["64.0.0.0/3 by rule `much`"]);
    let close = |zone| daemon.ctl(["zone", "set", zone, "--default", "drop", "--deploy"]);
    assert_asked(&close("default")?, &["the default of zone `default`"]);
    assert_eq!(status(daemon)?.staged, 0);
    // No interface is in this one.
    close("lan")?.ok()?;
    Ok(())
}

#[test]
fn wide_lifts_neither_the_guard_nor_a_whole_family() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let launcher = ["env", "IPBLOCK_SSH_PEER=192.0.2.2"];
    let flags = ["--deploy", "--wide"];
    let half = [&add_rule(&["128.0.0.0/1"])[..], &flags].concat();
    let refused = daemon.ctl_through(&launcher, &half, "")?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("your SSH session"), "{refused:?}");
    daemon.ctl("discard")?.ok()?;
    let ban = ["ban", "128.0.0.0/1", "--for", "1h", "--wide"];
    let refused = daemon.ctl_through(&launcher, ban, "")?;
    assert!(refused.stderr.contains("your SSH session"), "{refused:?}");

    let all = [&add_rule(&["0.0.0.0/0"])[..], &flags].concat();
    let refused = daemon.ctl(&all)?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    let refused = daemon.ctl("ban 0.0.0.0/0 --for 1h --wide")?;
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    // What is forced is allowed and reported.
    let forced = [&add_rule(&["0.0.0.0/0"])[..], &["--force"]].concat();
    let deployed: Deployed = answer(daemon, [&forced[..], &["--deploy"]].concat())?;
    let told = |warning: &String| warning.starts_with("forced: it would newly drop all of IPv4");
    assert!(deployed.warnings.iter().any(told), "{deployed:?}");
    Ok(())
}

#[test]
fn bans_are_asked_about_by_what_they_newly_ban() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let ban = |addresses: &[&str], flags: &[&str]| {
        let arguments = [&["ban"], addresses, &["--for", "1h"], flags].concat();
        daemon.ctl(&arguments)
    };
    let refused = ban(&[WIDE], &[])?;
    assert_asked(&refused, &["newly ban 25 % of IPv4", "64.0.0.0/2"]);
    let halves = ["64.0.0.0/7", "66.0.0.0/8"];
    assert_asked(&ban(&halves, &[])?, &["1.1 % of IPv4"]);
    assert_asked(&ban(&["2400::/8"], &[])?, &["of IPv6"]);
    assert_eq!(daemon.ctl_json("bans")?, serde_json::json!([]));

    ban(&[WIDE], &["--wide"])?.ok()?;
    // Banned already.
    ban(&halves, &[])?.ok()?;
    let frame = [marked("64.0.0.1", 1)];
    scene.send(&frame, 1)?;
    scene.judged(1)?;
    assert_eq!(scene.receiver.count(1), 0);
    // Single addresses go on.
    ban(&["203.0.113.7"], &[])?.ok()?;
    Ok(())
}

#[test]
fn many_small_bans_are_asked_about_when_they_are_much() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let prefixes = |from: u32, count: u32| -> Vec<String> {
        let prefix = |n| format!("{}.{}.0.0/16", from + n / 256, n % 256);
        (0..count).map(prefix).collect()
    };
    let ban = |prefixes: &[String]| {
        let prefixes = prefixes.iter().map(String::as_str);
        let arguments = ["ban", "--for", "1h"].into_iter().chain(prefixes);
        daemon.ctl(arguments.collect::<Vec<_>>())
    };
    assert_asked(&ban(&prefixes(20, 1_000))?, &["1.5 % of IPv4"]);
    ban(&prefixes(20, 400))?.ok()?;
    assert_asked(&ban(&prefixes(30, 400))?, &["other bans of the last hour"]);
    // However the stream is cut into requests.
    let lines = prefixes(40, 1_000).join("\n");
    let refused = daemon.ctl_with_input("ban - --for 1h", &lines)?;
    assert_eq!(refused.code, 3, "{refused:?}");
    for part in ["none of them was banned", "--wide"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    let banned = status(daemon)?.bans;
    assert!((400..=655).contains(&banned), "{banned}");
    daemon.ctl("ban 203.0.113.7 --for 1h")?.ok()?;
    Ok(())
}

#[test]
fn a_trial_goes_back_unasked_and_a_rollback_asks() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let add = [&add_rule(&[WIDE])[..], &["--wide"]].concat();
    deploy(daemon, &add)?;
    let remove = ["rule", "remove", "much", "--confirm-within", "3s"];
    deploy(daemon, remove)?;
    wait_for(DEADLINE, "revision 1 to be back", || {
        (status(daemon).ok()?.revision == 1).then_some(())
    })?;
    deploy(daemon, "rule remove much")?;
    let dry_run = daemon.ctl("rollback 1 --dry-run")?;
    assert!(
        dry_run.stdout.contains("refused without --wide"),
        "{dry_run:?}"
    );
    assert_asked(&daemon.ctl("rollback 1")?, &["64.0.0.0/2"]);
    daemon.ctl("rollback 1 --wide")?.ok()?;
    assert_eq!(status(daemon)?.revision, 1);
    Ok(())
}

#[test]
fn a_restore_asks_about_rules_and_bans() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("backup").display().to_string();
    daemon.ctl(["ban", WIDE, "--for", "1h", "--wide"])?.ok()?;
    daemon.ctl(["backup", &file])?.ok()?;
    // Nothing new.
    daemon.ctl(["restore", &file])?.ok()?;
    daemon.ctl(["unban", WIDE])?.ok()?;
    let dry_run = daemon.ctl(["restore", &file, "--dry-run"])?;
    assert!(
        dry_run.stdout.contains("refused without --wide"),
        "{dry_run:?}"
    );
    let refused = daemon.ctl(["restore", &file])?;
    assert_asked(&refused, &["64.0.0.0/2 by the ban of 64.0.0.0/2"]);
    daemon.ctl(["restore", &file, "--wide"])?.ok()?;
    assert_eq!(status(daemon)?.bans, 1);
    Ok(())
}

#[test]
fn a_list_file_that_is_much_waits_until_it_is_accepted() -> anyhow::Result<()> {
    let root = require_privileged!();
    let lists = Lists::with_feed(root, "198.51.100.0/24\n")?;
    let daemon = lists.daemon();
    lists.replace("198.51.100.0/24\n128.0.0.0/2\n")?;
    let said = "25 % of IPv4 (1,073,741,824 addresses); 128.0.0.0/2 by rule `feed` (from list \
                @feed) (if that is right: ipblock-ctl list accept feed)";
    assert_eq!(lists.wait_for_problem(Some(said))?.revision, 1);
    assert_eq!(lists.held()?, ["198.51.100.0/24"]);
    let shown = daemon.ctl("list list")?.ok()?;
    assert!(
        shown.contains("problem: list feed keeps the 1 prefix"),
        "{shown}"
    );
    let listed = daemon.ctl_json("list list")?;
    assert!(
        listed[0]["problem"].to_string().contains("128.0.0.0/2"),
        "{listed}"
    );

    daemon.ctl("allow add 203.0.113.9")?.ok()?;
    let deployed: Deployed = answer(daemon, "list accept feed")?;
    assert_eq!(deployed.revision, 2);
    assert_eq!(lists.held()?, ["198.51.100.0/24", "128.0.0.0/2"]);
    let now = lists.wait_for_problem(None)?;
    assert_eq!((now.revision, now.staged), (2, 1));
    lists
        .scene
        .send(&[marked("128.0.0.1", 1), marked("192.0.2.9", 2)], 1)?;
    lists.scene.judged(2)?;
    assert_eq!(
        (lists.scene.receiver.count(1), lists.scene.receiver.count(2)),
        (0, 1)
    );
    // Accepted once: the next change needs confirmation again.
    lists.replace("198.51.100.0/24\n128.0.0.0/2\n64.0.0.0/2\n")?;
    lists.wait_for_problem(Some("64.0.0.0/2 by rule `feed`"))?;
    lists.replace("198.51.100.0/24\n128.0.0.0/2\n")?;
    lists.wait_for_problem(None)?;
    let again: Deployed = answer(daemon, "list accept feed")?;
    assert!(!again.changed, "{again:?}");
    Ok(())
}

#[test]
fn accept_takes_a_shrunk_file_and_lifts_no_other_guard() -> anyhow::Result<()> {
    let root = require_privileged!();
    let lists = Lists::with_feed(root, "192.0.2.64/26\n192.0.2.128/25\n2001:db8::/32\n")?;
    let daemon = lists.daemon();
    lists.replace("198.51.100.0/24\n")?;
    lists.wait_for_problem(Some("has shrunk from 3 prefixes to 1"))?;
    daemon.ctl("list accept feed")?.ok()?;
    assert_eq!(lists.held()?, ["198.51.100.0/24"]);
    lists.wait_for_problem(None)?;

    let gateway = lists.scene.pair.peer.ipv4.to_string();
    let netns = &lists.scene.pair.host.netns;
    netns.run(["ip", "route", "add", "default", "via", &gateway])?;
    for (content, code, said) in [
        (format!("{gateway}\n"), 3, "default gateway"),
        ("0.0.0.0/0\n".to_owned(), 3, "--force"),
        ("nonsense\n".to_owned(), 2, "line 1"),
    ] {
        lists.replace(&content)?;
        let refused = daemon.ctl("list accept feed")?;
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(refused.stderr.contains(said), "{refused:?}");
        assert_eq!(lists.held()?, ["198.51.100.0/24"]);
    }
    let unknown = daemon.ctl("list accept fed")?;
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(
        unknown.stderr.contains("did you mean `feed`?"),
        "{unknown:?}"
    );
    daemon.ctl("list add own 192.0.2.1")?.ok()?;
    daemon.ctl("deploy")?.ok()?;
    let by_hand = daemon.ctl("list accept own")?;
    assert_eq!(by_hand.code, 3, "{by_hand:?}");
    assert!(by_hand.stderr.contains("kept by hand"), "{by_hand:?}");
    Ok(())
}

#[test]
fn special_purpose_addresses_are_warned_about() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    daemon
        .ctl("list add au 203.0.113.0/24 192.168.0.0/16")?
        .ok()?;
    daemon.ctl(add_rule(&["@au"]))?.ok()?;
    let expected = "rule `much` blocks private addresses: 192.168.0.0/16 (from list @au)";
    let diff = daemon.ctl_json("diff")?;
    assert_eq!(diff["warnings"], serde_json::json!([expected]));
    let deployed: Deployed = answer(daemon, "deploy")?;
    assert_eq!(deployed.warnings, [expected]);
    let banned: Banned = answer(daemon, "ban 10.1.2.3 --for 1h")?;
    assert_eq!(
        banned.warnings,
        ["this bans private addresses: 10.1.2.3/32"]
    );
    let other = apply(daemon, BLOCK)?;
    assert_eq!(other.diff.warnings, [""; 0]);
    Ok(())
}

#[test]
fn a_zone_with_an_interface_counts_before_it_is_deployed() -> anyhow::Result<()> {
    let root = require_privileged!();
    let pair = VethPair::new(root, VethOptions::default())?;
    let daemon = Daemon::in_netns(root, &pair.host.netns)
        .interface(format!("{}=native@lan", pair.host.interface))
        .start()?;
    let closed = "[zone.lan]\ndefault = \"drop\"\nallow = [\"192.0.2.0/24\"]\n";
    let refused = daemon.ctl_with_input("apply -", closed)?;
    assert_asked(&refused, &["the default of zone `lan`"]);
    apply_with(&daemon, "--wide", closed)?;
    // The way from there on is free.
    apply(&daemon, &format!("{closed}{BLOCK}"))?;
    Ok(())
}
