//! Lists from files, while another change of the ruleset or a rollback happens.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use ipblock_tests::{DEADLINE, require_privileged, wait_for};

use crate::{answers::status, lists::Lists};

#[test]
fn a_file_is_taken_by_one_reading_although_deploys_go_on() -> anyhow::Result<()> {
    let root = require_privileged!();
    let lists = Lists::with_feed(root, "192.0.2.0/24\n")?;
    let daemon = lists.daemon();
    let fault = daemon.fault();
    fault.hold_at("list-read", 1)?;
    lists.replace("192.0.2.0/24\n198.51.100.0/24\n")?;
    wait_for(DEADLINE, "the file to be read", || {
        fault.is_reached().then_some(())
    })?;
    // During the read the ruleset has changed, and changes again before its turn.
    for address in ["203.0.113.1", "203.0.113.2"] {
        daemon.ctl(["allow", "add", address, "--deploy"])?.ok()?;
    }
    // Armed again before it goes on.
    fs::write(fault.path(), "list-read 1 hold")?;
    fs::remove_file(fault.path().with_extension("reached"))?;
    lists.wait_until_held(&["192.0.2.0/24", "198.51.100.0/24"])?;
    assert!(!fault.is_reached(), "it was read again");
    fault.clear()?;
    // What was deployed meanwhile still exists.
    assert_eq!(status(daemon)?.revision, 4);
    let allowed = daemon.ctl_json("allow list")?;
    assert_eq!(allowed.as_array().map(Vec::len), Some(2), "{allowed}");
    Ok(())
}

#[test]
fn a_large_file_is_taken_while_deploys_follow_closely() -> anyhow::Result<()> {
    let root = require_privileged!();
    let lists = Lists::with_feed(root, "192.0.2.0/24\n")?;
    let daemon = lists.daemon();
    let address = |number: u32| std::net::Ipv4Addr::from(0x0a00_0000 + 2 * number);
    let large: Vec<_> = (0..50_000).map(|n| format!("{}\n", address(n))).collect();
    let large = large.concat();
    let is_over = AtomicBool::new(false);
    let deploys = std::thread::scope(|scope| {
        let storm = scope.spawn(|| -> anyhow::Result<u64> {
            let mut deploys = 0;
            while !is_over.load(Ordering::Relaxed) {
                let verb = if deploys % 2 == 0 { "add" } else { "remove" };
                let allow = ["allow", verb, "203.0.113.1", "--deploy"];
                daemon.ctl(allow)?.ok()?;
                deploys += 1;
            }
            Ok(deploys)
        });
        lists.replace(&large)?;
        let taken = wait_for(DEADLINE, "the list to be taken", || {
            let list = daemon.ctl_json("list list").ok()?;
            (list[0]["entries"] == 50_000).then_some(())
        });
        is_over.store(true, Ordering::Relaxed);
        let deploys = storm.join().expect("no panic")?;
        taken.map(|()| deploys)
    })?;
    let history = daemon.ctl_json("history")?;
    let history = history.as_array().expect("an array");
    let by_itself = history.iter().filter(|entry| {
        let comment = entry["comment"].as_str();
        comment.is_some_and(|comment| comment.starts_with("list feed:"))
    });
    assert_eq!(by_itself.count(), 1, "{history:?}");
    assert_eq!(history.len() as u64, deploys + 2);
    Ok(())
}

#[test]
fn a_rollback_that_leaves_a_list_behind_its_file_is_shown() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut lists = Lists::with_feed(root, "192.0.2.0/24\n")?;
    let problem_of = |lists: &Lists| -> anyhow::Result<serde_json::Value> {
        let list = lists.daemon().ctl_json("list list")?;
        Ok(list[0]["problem"].clone())
    };
    lists.replace("192.0.2.0/24\n198.51.100.0/24\n")?;
    lists.wait_until_held(&["192.0.2.0/24", "198.51.100.0/24"])?;
    assert_eq!(problem_of(&lists)?, serde_json::Value::Null);
    // A rollback that changes nothing of the list, and one that does.
    let allow = ["allow", "add", "203.0.113.9", "--deploy"];
    lists.daemon().ctl(allow)?.ok()?;
    lists.daemon().ctl("rollback 2")?.ok()?;
    lists.daemon().ctl("rollback 1")?.ok()?;
    let said = "a rollback put revision 1 back, and feed.txt holds something else";
    let status = lists.wait_for_problem(Some(said))?;
    assert_eq!((status.revision, status.problems.len()), (1, 1));
    assert!(problem_of(&lists)?.to_string().contains(said));
    for command in [&["list", "list"][..], &["list", "show", "feed"]] {
        let shown = lists.daemon().ctl(command)?.ok()?;
        assert!(shown.contains(said), "{shown}");
    }
    // Also over a restart: it is not read, and `status` shows that.
    lists.scene.daemon.restart()?;
    lists.wait_for_problem(Some(said))?;
    assert_eq!(lists.held()?, ["192.0.2.0/24"]);

    // The command in the message reads it, whatever else is staged.
    lists.daemon().ctl("allow add 203.0.113.10")?.ok()?;
    let problem = problem_of(&lists)?.to_string();
    assert!(
        problem.contains("(now: ipblock-ctl list accept feed)"),
        "{problem}"
    );
    lists.daemon().ctl("list accept feed")?.ok()?;
    assert_eq!(lists.held()?, ["192.0.2.0/24", "198.51.100.0/24"]);
    assert_eq!(problem_of(&lists)?, serde_json::Value::Null);
    assert_eq!(lists.wait_for_problem(None)?.staged, 1);
    lists.daemon().ctl("discard")?.ok()?;
    lists.daemon().ctl("rollback 1")?.ok()?;
    lists.wait_for_problem(Some(said))?;

    // Equal to the file again: no problem.
    lists.daemon().ctl("rollback 2")?.ok()?;
    lists.wait_for_problem(None)?;
    lists.daemon().ctl("rollback 1")?.ok()?;
    lists.wait_for_problem(Some(said))?;
    // The advice in the message.
    let set = "list set feed --file feed.txt --deploy";
    lists.daemon().ctl(set)?.ok()?;
    lists.wait_for_problem(None)?;
    assert_eq!(lists.held()?, ["192.0.2.0/24", "198.51.100.0/24"]);
    // And the file is followed.
    lists.daemon().ctl("rollback 1")?.ok()?;
    lists.wait_for_problem(Some(said))?;
    lists.replace("192.0.2.0/24\n203.0.113.0/24\n")?;
    lists.wait_until_held(&["192.0.2.0/24", "203.0.113.0/24"])?;
    lists.wait_for_problem(None)?;
    Ok(())
}
