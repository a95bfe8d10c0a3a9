//! Named lists: used by rules, updated from their files, kept if a file is not good.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use ipblock_api::types::{Count, Counters, Status};
use ipblock_tests::{DEADLINE, Daemon, Privileged, packet::Frame, require_privileged, wait_for};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    answers::{answer, apply, count_of, counters, status},
    scenario::{Scene, count, marked},
};

/// A rule that matches the content of a list.
const BY_LIST: &str = r#"
[[rule]]
name = "feed"
action = "block"
match = ["@feed"]
"#;

/// Makes the file of a list unusable.
type Spoil<'a> = &'a dyn Fn(&Path) -> anyhow::Result<()>;

/// A stage whose daemon has a lists directory of its own.
pub(crate) struct Lists {
    pub(crate) scene: Scene,
    directory: TempDir,
}

impl Lists {
    pub(crate) fn start(root: Privileged) -> anyhow::Result<Self> {
        let directory = TempDir::new()?;
        let config = format!("lists_dir = {:?}\n", directory.path());
        let scene = Scene::attached_with(root, "native", |daemon| daemon.config(config))?;
        Ok(Self { scene, directory })
    }

    /// Starts with a rule that blocks the content of feed.txt.
    pub(crate) fn with_feed(root: Privileged, content: &str) -> anyhow::Result<Self> {
        let lists = Self::start(root)?;
        lists.replace(content)?;
        apply(
            lists.daemon(),
            &format!("[list.feed]\nfile = \"feed.txt\"\n{BY_LIST}"),
        )?;
        Ok(lists)
    }

    pub(crate) fn daemon(&self) -> &Daemon {
        &self.scene.daemon
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("feed.txt")
    }

    /// Replaces feed.txt atomically, like a careful feed.
    pub(crate) fn replace(&self, content: &str) -> anyhow::Result<()> {
        let aside = self.directory.path().join("feed.new");
        fs::write(&aside, content)?;
        Ok(fs::rename(aside, self.file())?)
    }

    fn hang_up(&self) -> anyhow::Result<()> {
        let pid = self.daemon().pid().expect("the daemon runs");
        Ok(kill(Pid::from_raw(pid.try_into()?), Signal::SIGHUP)?)
    }

    /// Returns the deployed content of the list.
    pub(crate) fn held(&self) -> anyhow::Result<Vec<String>> {
        let list = self.daemon().ctl_json("list show feed")?;
        let entries = list["entries"].as_array().expect("entries").iter();
        Ok(entries
            .map(|entry| entry["address"].as_str().unwrap_or_default().to_owned())
            .collect())
    }

    pub(crate) fn wait_until_held(&self, expected: &[&str]) -> anyhow::Result<()> {
        wait_for(DEADLINE, &format!("the list to hold {expected:?}"), || {
            self.held().ok().filter(|held| held == expected).map(drop)
        })
        .map_err(|error| error.context(format!("it holds {:?}", self.held())))
    }

    /// Waits until `status` has a problem of the list with this text, or has none with it.
    pub(crate) fn wait_for_problem(&self, part: Option<&str>) -> anyhow::Result<Status> {
        let of_feed = |status: &Status| {
            let mut problems = status.problems.iter();
            problems
                .find(|problem| problem.starts_with("list feed "))
                .cloned()
        };
        wait_for(DEADLINE, &format!("a problem that says {part:?}"), || {
            let status = status(self.daemon()).ok()?;
            let said = of_feed(&status);
            let as_expected = match (part, &said) {
                (Some(part), Some(said)) => said.contains(part),
                (None, said) => said.is_none(),
                _ => false,
            };
            as_expected.then_some(status)
        })
        .map_err(|error| error.context(format!("{:?}", status(self.daemon()))))
    }

    /// Sends frames and asserts which of them arrive: those of `passed`.
    #[track_caller]
    fn assert_passed(&self, sent: u64, markers: &[u64]) -> anyhow::Result<Counters> {
        let counters = self.scene.judged(sent)?;
        let arrived: Vec<_> = self.scene.receiver.counts().into_keys().collect();
        assert_eq!(arrived, markers);
        Ok(counters)
    }
}

fn frames() -> [Frame; 3] {
    [
        marked("192.0.2.7", 1),
        marked("198.51.100.7", 2),
        marked("2001:db8::7", 3),
    ]
}

/// Comment and author of the latest revision, as the log has them.
fn deployed_as(daemon: &Daemon, comment: &str) -> bool {
    let log = daemon.log();
    let mut lines = log.lines();
    lines.any(|line| line.contains("deployed") && line.contains(comment))
}

#[test]
fn a_rule_blocks_what_its_list_holds_and_the_list_cannot_be_removed() -> anyhow::Result<()> {
    let root = require_privileged!();
    let lists = Lists::start(root)?;
    let ctl = |arguments: &[&str]| lists.daemon().ctl(arguments);
    ctl(&["list", "add", "feed", "192.0.2.0/24", "2001:db8::/32"])?.ok()?;
    let rule = [
        "rule", "add", "feed", "--action", "block", "--match", "@feed", "--deploy",
    ];
    ctl(&rule)?.ok()?;
    let frames = frames();
    lists.scene.send(&frames, 1)?;
    lists.assert_passed(3, &[2])?;

    let refused = ctl(&["list", "remove", "feed"])?;
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("in use: rule feed"), "{refused:?}");
    let nested = ctl(&["list", "add", "other", "@feed"])?;
    assert_eq!(nested.code, 2, "{nested:?}");
    let typo = ctl(&["list", "show", "fed"])?;
    assert!(
        typo.code == 2 && typo.stderr.contains("did you mean `feed`?"),
        "{typo:?}"
    );

    // An address leaves the list, an exception with a note comes: both in force with the deploy.
    ctl(&["list", "remove", "feed", "192.0.2.0/24"])?.ok()?;
    ctl(&["list", "add", "feed", "198.51.100.0/24"])?.ok()?;
    ctl(&[
        "exception",
        "add",
        "feed",
        "2001:db8::7",
        "--note",
        "vip",
        "--deploy",
    ])?
    .ok()?;
    lists.scene.send(&frames, 1)?;
    let counters = lists.assert_passed(6, &[1, 2, 3])?;
    let blocked = [&frames[0], &frames[2], &frames[1]];
    assert_eq!(count_of(&counters, "feed"), count(blocked, 1));
    let exceptions = lists.daemon().ctl_json("exception list")?;
    assert_eq!(exceptions[0]["address"], "2001:db8::7/128");
    assert_eq!(exceptions[0]["note"], "vip");
    ctl(&["rule", "remove", "feed"])?.ok()?;
    ctl(&["list", "remove", "feed", "--deploy"])?.ok()?;
    assert_eq!(lists.daemon().ctl_json("list list")?, serde_json::json!([]));
    Ok(())
}

#[test]
fn a_file_that_changes_takes_effect_and_the_rule_counts_on() -> anyhow::Result<()> {
    let root = require_privileged!();
    let lists = Lists::with_feed(root, "192.0.2.0/24 ; SBL1\n")?;
    let frames = frames();
    lists.scene.send(&frames, 1)?;
    let counters = lists.assert_passed(3, &[2, 3])?;
    assert_eq!(count_of(&counters, "feed"), count([&frames[0]], 1));
    // Staged edits are not deployed, and do not interfere later.
    let daemon = lists.daemon();
    daemon.ctl("allow add 203.0.113.9")?.ok()?;

    lists.replace("198.51.100.0/24\n2001:db8::/32\n")?;
    lists.wait_until_held(&["198.51.100.0/24", "2001:db8::/32"])?;
    let status = status(daemon)?;
    assert_eq!((status.revision, status.staged), (2, 1));
    lists.scene.send(&frames, 1)?;
    let counters = lists.assert_passed(6, &[1, 2, 3])?;
    assert_eq!(count_of(&counters, "feed"), count(&frames, 1));
    assert_eq!(lists.scene.receiver.counts().into_values().sum::<u64>(), 3);
    assert!(
        deployed_as(daemon, "list feed: 2 prefixes more, 1 fewer (feed.txt)"),
        "{}",
        daemon.log()
    );

    let diff = daemon.ctl_json("diff")?;
    assert_eq!(diff["other"], serde_json::json!(["allow: +203.0.113.9/32"]));
    daemon.ctl("deploy")?.ok()?;
    lists.wait_until_held(&["198.51.100.0/24", "2001:db8::/32"])?;

    // Only a new order: nothing to deploy.
    lists.replace("2001:db8::/32\n198.51.100.0/24\n# again\n")?;
    lists.hang_up()?;
    wait_for(DEADLINE, "the signal to be noticed", || {
        daemon.log().contains("SIGHUP").then_some(())
    })?;
    lists.replace("192.0.2.0/24\n2001:db8::/32\n")?;
    lists.wait_until_held(&["192.0.2.0/24", "2001:db8::/32"])?;
    assert_eq!(crate::answers::status(daemon)?.revision, 4);
    lists.scene.send(&frames, 1)?;
    let counters = lists.scene.judged(9)?;
    let twice = Count {
        packets: 5,
        bytes: count(&frames, 1).bytes + count([&frames[0], &frames[2]], 1).bytes,
    };
    assert_eq!(count_of(&counters, "feed"), twice);
    Ok(())
}

#[test]
fn a_hangup_reads_a_file_that_looks_unchanged_or_could_not_be_read() -> anyhow::Result<()> {
    let root = require_privileged!();
    let lists = Lists::with_feed(root, "192.0.2.0/24\n")?;
    lists.hang_up()?;
    lists.hang_up()?;
    wait_for(DEADLINE, "the signals to be noticed", || {
        lists.daemon().log().contains("SIGHUP").then_some(())
    })?;
    fs::write(lists.file(), "192.0.2.0/24\n198.51.100.0/24\n")?;
    lists.hang_up()?;
    lists.wait_until_held(&["192.0.2.0/24", "198.51.100.0/24"])?;
    let frames = frames();
    lists.scene.send(&frames, 1)?;
    lists.assert_passed(3, &[3])?;
    Ok(())
}

#[test]
fn a_file_that_is_no_good_keeps_the_last_good_content_until_it_is_mended() -> anyhow::Result<()> {
    let root = require_privileged!();
    let outside = TempDir::new()?;
    fs::write(outside.path().join("feed.txt"), "198.51.100.0/24\n")?;
    let lists = Lists::with_feed(root, "192.0.2.0/26\n192.0.2.128/25\n2001:db8::/32\n")?;
    let good = ["192.0.2.0/26", "192.0.2.128/25", "2001:db8::/32"];
    let spoil: [(&str, Spoil<'_>); 6] = [
        ("holds no address", &|_| lists.replace("# nothing\n")),
        ("line 2: `foo`", &|_| {
            lists.replace("198.51.100.0/24\nfoo\n")
        }),
        (
            "has shrunk from 3 prefixes to 1, by more than 50 %",
            &|_| lists.replace("198.51.100.0/24\n"),
        ),
        ("No such file", &|file| Ok(fs::remove_file(file)?)),
        ("leads out of", &|file| {
            Ok(symlink(outside.path().join("feed.txt"), file)?)
        }),
        ("would block 0.0.0.0/0", &|_| {
            lists.replace("0.0.0.0/0\n192.0.2.1\n192.0.2.2\n")
        }),
    ];
    for (said, spoil) in spoil {
        spoil(&lists.file())?;
        let status = lists.wait_for_problem(Some(said))?;
        assert_eq!(status.revision, 1);
        assert_eq!(lists.held()?, good, "{said}");
    }
    let frames = frames();
    lists.scene.send(&frames, 1)?;
    lists.assert_passed(3, &[2])?;
    let warned = lists.daemon().log().matches("line 2: `foo`").count();
    assert_eq!(warned, 1, "{}", lists.daemon().log());

    lists.replace("192.0.2.0/26\n198.51.100.0/24\n")?;
    lists.wait_until_held(&["192.0.2.0/26", "198.51.100.0/24"])?;
    assert_eq!(lists.wait_for_problem(None)?.revision, 2);
    lists.scene.send(&frames, 1)?;
    let counters = lists.assert_passed(6, &[2, 3])?;
    let blocked = [&frames[0], &frames[2], &frames[0], &frames[1]];
    assert_eq!(count_of(&counters, "feed"), count(blocked, 1));

    // Half of the addresses may be removed at once.
    lists.replace("198.51.100.7\n")?;
    lists.wait_until_held(&["198.51.100.7/32"])?;
    Ok(())
}

#[test]
fn a_file_that_would_cut_off_the_host_is_refused_like_any_other_deploy() -> anyhow::Result<()> {
    let root = require_privileged!();
    let lists = Lists::with_feed(root, "198.51.100.0/24\n")?;
    let gateway = lists.scene.pair.peer.ipv4.to_string();
    let netns = &lists.scene.pair.host.netns;
    netns.run(["ip", "route", "add", "default", "via", &gateway])?;
    lists.replace(&format!("198.51.100.0/24\n{gateway}\n"))?;
    let status = lists.wait_for_problem(Some("default gateway"))?;
    assert_eq!(status.revision, 1);
    assert_eq!(lists.held()?, ["198.51.100.0/24"]);
    // On the allow list it may be in a feed: the refused content is tried again with the next
    // revision.
    let allow = ["allow", "add", &gateway, "--deploy"];
    lists.daemon().ctl(allow)?.ok()?;
    lists.wait_until_held(&["198.51.100.0/24", &format!("{gateway}/32")])?;
    assert_eq!(lists.wait_for_problem(None)?.revision, 3);
    Ok(())
}

#[test]
fn a_shrunk_file_is_taken_when_the_operator_says_so() -> anyhow::Result<()> {
    let root = require_privileged!();
    let lists = Lists::with_feed(root, "192.0.2.0/26\n192.0.2.128/25\n2001:db8::/32\n")?;
    lists.replace("198.51.100.0/24\n")?;
    lists.wait_for_problem(Some("ipblock-ctl list accept feed"))?;
    let set = "list set feed --file feed.txt --deploy";
    lists.daemon().ctl(set)?.ok()?;
    assert_eq!(lists.held()?, ["198.51.100.0/24"]);
    lists.wait_for_problem(None)?;
    let by_hand = lists.daemon().ctl("list add feed 192.0.2.1")?;
    assert_eq!(by_hand.code, 3, "{by_hand:?}");
    assert!(
        by_hand.stderr.contains("comes from feed.txt"),
        "{by_hand:?}"
    );
    let frames = frames();
    lists.scene.send(&frames, 1)?;
    lists.assert_passed(3, &[1, 3])?;
    Ok(())
}

#[test]
fn a_rollback_of_a_lists_content_stands_until_its_file_changes() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut lists = Lists::with_feed(root, "203.0.113.7\n")?;
    lists.replace("203.0.113.7\n203.0.113.8\n")?;
    lists.wait_until_held(&["203.0.113.7/32", "203.0.113.8/32"])?;
    lists.daemon().ctl("rollback 1")?.ok()?;
    lists.scene.daemon.restart()?;
    wait_for(DEADLINE, "the start to look at the file", || {
        let log = lists.daemon().log();
        log.contains("a rollback stands").then_some(())
    })?;
    assert_eq!(lists.held()?, ["203.0.113.7/32"]);
    assert_eq!(status(lists.daemon())?.revision, 1);
    lists.replace("203.0.113.9\n203.0.113.10\n")?;
    lists.wait_until_held(&["203.0.113.9/32", "203.0.113.10/32"])
}

#[test]
fn a_restart_keeps_the_content_while_the_file_is_gone() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut lists = Lists::with_feed(root, "192.0.2.0/24\n")?;
    fs::remove_file(lists.file())?;
    lists.scene.daemon.restart()?;
    lists.wait_for_problem(Some("No such file"))?;
    assert_eq!(lists.held()?, ["192.0.2.0/24"]);
    let frames = frames();
    lists.scene.send(&frames, 1)?;
    lists.assert_passed(3, &[2, 3])?;
    lists.replace("192.0.2.0/24\n198.51.100.0/24\n")?;
    lists.wait_until_held(&["192.0.2.0/24", "198.51.100.0/24"])?;
    lists.wait_for_problem(None)?;
    Ok(())
}

#[test]
fn what_cannot_be_read_is_neither_staged_nor_applied() -> anyhow::Result<()> {
    let root = require_privileged!();
    let lists = Lists::start(root)?;
    let daemon = lists.daemon();
    symlink("/etc/passwd", lists.file())?;
    let ruleset = format!("[list.feed]\nfile = \"feed.txt\"\n{BY_LIST}");
    let applied = daemon.ctl_with_input("apply -", &ruleset)?;
    assert_eq!(applied.code, 2, "{applied:?}");
    assert!(
        applied.stderr.contains("feed.txt: leads out of"),
        "{applied:?}"
    );
    assert!(!applied.stderr.contains("root:"), "{applied:?}");
    for (path, part) in [
        ("feed.txt", "leads out of"),
        ("none.txt", "No such file"),
        ("/etc/passwd", "an absolute path"),
        ("../passwd", "`..`"),
    ] {
        let set = daemon.ctl(["list", "set", "feed", "--file", path])?;
        assert_eq!(set.code, 2, "{path}: {set:?}");
        assert!(set.stderr.contains(part), "{path}: {set:?}");
    }
    assert_eq!(status(daemon)?.staged, 0);

    // The file contains the last content, which replaces the list file, with a warning.
    let with_match = ruleset.replace(".txt\"", ".txt\"\nmatch = [\"192.0.2.0/24\"]");
    let applied: serde_json::Value = {
        let output = daemon.ctl_with_input("--json apply -", &with_match)?;
        serde_json::from_str(&output.ok()?)?
    };
    let warnings = applied["diff"]["warnings"].to_string();
    assert!(
        warnings.contains("list feed keeps the 1 prefix read last"),
        "{applied}"
    );
    lists.wait_for_problem(Some("leads out of"))?;
    let frames = frames();
    lists.scene.send(&frames, 1)?;
    lists.assert_passed(3, &[2, 3])?;
    // The export can be applied unchanged, and changes nothing.
    let exported = daemon.ctl("export")?.ok()?;
    let again = daemon.ctl_with_input("apply - --dry-run", &exported)?;
    assert_eq!(again.code, 0, "{again:?}");
    let lists: Vec<serde_json::Value> = answer(daemon, "list list")?;
    assert_eq!(lists[0]["file"], "feed.txt");
    assert_eq!(counters(daemon)?.rules.len(), 1);
    Ok(())
}

#[test]
fn a_large_file_is_followed() -> anyhow::Result<()> {
    let root = require_privileged!();
    let line = |number: u32| format!("{}\n", std::net::Ipv4Addr::from(0x0a00_0000 + 2 * number));
    let content: String = (0..50_000).map(line).collect();
    let lists = Lists::with_feed(root, &content)?;
    lists.replace(&(content + "192.0.2.0/24\n"))?;
    let started = std::time::Instant::now();
    wait_for(DEADLINE * 6, "the deploy", || {
        deployed_as(lists.daemon(), "1 prefix more").then_some(())
    })?;
    println!(
        "50,001 lines, from the change of the file to its deploy: {:?}",
        started.elapsed()
    );
    Ok(())
}
