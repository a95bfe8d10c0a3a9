//! People on one host who all act as root: whose edits are staged, and what a deploy does with them.

use std::fs;

use ipblock_tests::{CtlOutput, Daemon, require_privileged};

use crate::{answers::status, scenario::Scene};

/// Runs what follows with this login uid, as after a login and `sudo`.
fn logged_in(uid: &str) -> Vec<String> {
    let set = format!("echo {uid} > /proc/self/loginuid && exec \"$@\"");
    ["sh", "-c", &set, "sh"].map(str::to_owned).to_vec()
}

/// Runs `ipblock-ctl` as root, for the person with this login uid.
fn as_person(daemon: &Daemon, uid: &str, arguments: &str) -> anyhow::Result<CtlOutput> {
    let launcher = logged_in(uid);
    let launcher: Vec<_> = launcher.iter().map(String::as_str).collect();
    daemon.ctl_through(&launcher, arguments, "")
}

/// Whether this kernel keeps login uids, and the tests have none.
fn login_uids_are_kept() -> bool {
    let own = fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    own.trim() == u32::MAX.to_string()
}

/// The author of each entry of the audit trail, newest first.
fn audited(daemon: &Daemon) -> anyhow::Result<Vec<String>> {
    let entries = daemon.ctl_json("audit")?;
    let entries = entries.as_array().cloned().unwrap_or_default();
    let authors = entries.iter().map(|entry| entry["author"].as_str());
    Ok(authors
        .map(|author| author.unwrap_or("").to_owned())
        .collect())
}

#[test]
fn two_people_who_are_root_are_told_apart() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    assert!(login_uids_are_kept(), "the login uid of the tests is set");
    // User 1 is `daemon` on every Debian; no user has the other uid.
    as_person(daemon, "1", "rule add a --action block --match 192.0.2.1")?.ok()?;
    as_person(
        daemon,
        "64211",
        "rule add b --action block --match 192.0.2.2",
    )?
    .ok()?;
    as_person(daemon, "64211", "ban 192.0.2.3 --for 1h")?.ok()?;
    assert_eq!(
        audited(daemon)?[..3],
        ["uid 0 (uid 64211)", "uid 0 (uid 64211)", "uid 0 (daemon)"]
    );
    let diff = daemon.ctl("diff")?.ok()?;
    assert!(diff.contains("1 edit by uid 0 (daemon)"), "{diff}");
    assert!(diff.contains("1 edit by uid 0 (uid 64211)"), "{diff}");
    as_person(daemon, "1", "deploy --all")?.ok()?;
    for command in ["audit", "history"] {
        let shown = daemon.ctl(command)?.ok()?;
        assert!(shown.contains("uid 0 (daemon)"), "{shown}");
    }
    let bans = daemon.ctl_json("bans")?;
    assert_eq!(bans[0]["author"], "uid 0 (uid 64211)");
    Ok(())
}

#[test]
fn root_without_a_login_uid_acts_for_the_user_of_sudo() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let ban = "ban 192.0.2.3 --for 1h";
    daemon
        .ctl_through(&["env", "SUDO_USER=ada"], ban, "")?
        .ok()?;
    assert_eq!(audited(daemon)?[0], "uid 0 (ada)");
    daemon.ctl("unban 192.0.2.3")?.ok()?;
    assert_eq!(audited(daemon)?[0], "uid 0 (root)");
    // `su -` removes the variable; an ancestor still has it.
    let su = [
        "env",
        "SUDO_USER=ada",
        "sh",
        "-c",
        "env -u SUDO_USER \"$@\"; exit $?",
        "sh",
    ];
    daemon.ctl_through(&su, ban, "")?.ok()?;
    assert_eq!(audited(daemon)?[0], "uid 0 (ada)");
    // The kernel knows better who logged in.
    let launcher = [&["env", "SUDO_USER=ada"][..], &[]].concat();
    let mut launcher: Vec<String> = launcher.into_iter().map(str::to_owned).collect();
    launcher.extend(logged_in("1"));
    let launcher: Vec<_> = launcher.iter().map(String::as_str).collect();
    daemon.ctl_through(&launcher, "unban 192.0.2.3", "")?.ok()?;
    assert_eq!(audited(daemon)?[0], "uid 0 (daemon)");
    Ok(())
}

#[test]
fn edits_of_others_are_not_deployed_without_all() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    as_person(daemon, "1", "rule add a --action block --match 192.0.2.1")?.ok()?;
    let refused = as_person(daemon, "2", "deploy")?;
    assert_eq!(refused.code, 3, "{refused:?}");
    for part in ["uid 0 (daemon)", "rule a: added", "--all"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    assert_eq!(status(daemon)?.staged, 1);
    // F18: what came with --deploy is not left staged.
    let refused = as_person(daemon, "2", "allow add 192.0.2.8 --deploy")?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("nothing of it stays staged"));
    let now = status(daemon)?;
    assert_eq!((now.staged, now.revision), (1, 0));
    assert!(!daemon.ctl("export --staged")?.ok()?.contains("192.0.2.8"));
    // One's own edits need nothing, and a deploy of one's own rule does not touch the other.
    as_person(daemon, "2", "rule add b --action block --match 192.0.2.2")?.ok()?;
    let refused = as_person(daemon, "2", "deploy a b")?;
    assert_eq!(refused.code, 3, "{refused:?}");
    as_person(daemon, "2", "deploy b")?.ok()?;
    let now = status(daemon)?;
    assert_eq!((now.staged, now.revision), (1, 1));
    as_person(daemon, "1", "deploy")?.ok()?;
    as_person(daemon, "1", "rule add c --action block --match 192.0.2.3")?.ok()?;
    let added = as_person(daemon, "2", "allow add 192.0.2.8 --deploy --with-others")?;
    added.ok()?;
    let now = status(daemon)?;
    assert_eq!((now.staged, now.revision), (0, 3));
    Ok(())
}
