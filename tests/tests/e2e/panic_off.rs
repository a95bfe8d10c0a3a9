//! All dropping disabled in the kernel, so the daemon may be down.

use std::time::{Duration, Instant};

use ipblock_tests::{Arguments, DEADLINE, packet::Frame, require_privileged, wait_for};

use crate::{
    answers::{apply, count_of, status},
    scenario::{BLOCK, Scene, marked},
};

const RULES: &str = r#"
[[rule]]
name = "abuse"
action = "block"
match = ["203.0.113.0/24", "2001:db8:b::/48"]
"#;

/// Nothing applies to it.
const FREE: &str = "192.0.2.7";

/// From a blocked source of each family, and from a banned one.
fn dropped() -> [Frame; 3] {
    [
        marked("203.0.113.7", 1),
        marked("2001:db8:b::7", 2),
        marked("198.51.100.7", 3),
    ]
}

fn panic_off(scene: &Scene, arguments: impl Arguments) -> anyhow::Result<String> {
    let mut command = vec!["panic-off".into(), "--bpffs".into()];
    command.push(scene.daemon.bpffs().into());
    command.extend(arguments.list());
    scene.daemon.ctl(command)?.ok()
}

#[test]
fn nothing_is_dropped_after_panic_off_while_the_daemon_is_dead_and_later_all_is_again()
-> anyhow::Result<()> {
    let mut scene = Scene::filtering(require_privileged!(), RULES)?;
    scene.daemon.ctl("ban 198.51.100.7 --for 1h")?.ok()?;
    let frames = dropped();
    scene.send(&frames, 5)?;
    scene.judged(15)?;
    assert!(scene.receiver.counts().is_empty());

    scene.daemon.kill()?;
    panic_off(&scene, "--for 4s")?;
    let called_off = Instant::now();
    scene.send(&frames, 5)?;
    wait_for(DEADLINE, "what was dropped to arrive", || {
        let counts = scene.receiver.counts();
        (1..=3)
            .all(|marker| counts.get(&marker) == Some(&5))
            .then_some(())
    })?;
    // No process ends it: the kernel's clock does. At least one of these came too late, which is
    // known when the unblocked frame after it arrives.
    let pair = [frames[0].clone(), marked(FREE, 4)];
    let mut sent = 30;
    wait_for(DEADLINE, "a frame to be dropped", || {
        let arrived = scene.receiver.count(1);
        scene.send(&pair, 1).ok()?;
        sent += 2;
        let free = (sent - 30) / 2;
        scene.receiver.wait_for_count(4, free, DEADLINE).ok()?;
        std::thread::sleep(Duration::from_millis(20));
        (scene.receiver.count(1) == arrived).then_some(())
    })?;
    assert!(called_off.elapsed() >= Duration::from_secs(3));

    scene.daemon.start()?;
    let counters = scene.judged(sent)?;
    // What matched has counted all packets.
    assert_eq!(count_of(&counters, "abuse").packets, 20 + (sent - 30) / 2);
    assert_eq!(counters.bans.packets, 10);
    assert!(counters.totals.passed.packets >= 15);
    Ok(())
}

#[test]
fn panic_off_is_told_by_status_and_can_be_ended_early() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let told = panic_off(&scene, "")?;
    assert!(told.contains("nothing is dropped until"), "{told}");
    assert!(
        told.contains("(in 10m)") || told.contains("(in 9m"),
        "{told}"
    );
    let problems = status(&scene.daemon)?.problems;
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("`panic-off` was called")),
        "{problems:?}"
    );
    // A deploy does not end it: the new generation's program reads the same number.
    apply(
        &scene.daemon,
        &format!("{BLOCK}note = \"again\"\n").replace("/24", "/25"),
    )?;
    let frame = [marked("203.0.113.7", 1)];
    scene.send(&frame, 5)?;
    scene.judged(5)?;
    assert_eq!(scene.receiver.count(1), 5);

    assert_eq!(panic_off(&scene, "--end")?, "dropping goes on\n");
    let problems = status(&scene.daemon)?.problems;
    assert!(
        !problems.iter().any(|problem| problem.contains("panic-off")),
        "{problems:?}"
    );
    scene.send(&frame, 5)?;
    let counters = scene.judged(10)?;
    assert_eq!(counters.totals.dropped.packets, 5);
    assert_eq!(scene.receiver.count(1), 5);
    Ok(())
}

/// Runs a command where only the bpffs in `$KEEP` is mounted: it must not see those of other tests.
const ALONE: &str = "awk '$3 == \"bpf\" && $2 != ENVIRON[\"KEEP\"] { print $2 }' /proc/self/mounts \
                     | xargs --no-run-if-empty umount --lazy; exec \"$@\"";

#[test]
fn panic_off_and_doctor_find_a_filter_on_whatever_bpffs_it_is_pinned() -> anyhow::Result<()> {
    let scene = Scene::filtering(require_privileged!(), BLOCK)?;
    let keep = format!("KEEP={}", scene.daemon.bpffs().display());
    let host = format!("--net=/run/netns/{}", scene.pair.host.netns.name());
    let there = ["nsenter", &host, "env", &keep, "unshare", "--mount"];
    let launcher = [&there[..], &["sh", "-c", ALONE, "sh"]].concat();
    let alone = |arguments: &[&str]| scene.daemon.ctl_through(&launcher, arguments, "");

    let frame = [marked("203.0.113.7", 1)];
    scene.send(&frame, 5)?;
    scene.judged(5)?;
    assert_eq!(scene.receiver.count(1), 0);
    alone(&["panic-off"])?.ok()?;
    scene.send(&frame, 5)?;
    scene.judged(10)?;
    assert_eq!(scene.receiver.count(1), 5);
    alone(&["panic-off", "--end"])?.ok()?;
    scene.send(&frame, 5)?;
    scene.judged(15)?;
    assert_eq!(scene.receiver.count(1), 5);

    let findings = alone(&["doctor"])?.stdout;
    assert!(findings.contains("ipblock's"), "{findings}");
    assert!(!findings.contains("not at /sys/fs/bpf"), "{findings}");
    Ok(())
}

#[test]
fn panic_off_says_what_is_missing_where_no_filter_is() -> anyhow::Result<()> {
    let scene = Scene::detached(require_privileged!())?;
    let directory = scene.daemon.state_dir().display().to_string();
    let output = scene.daemon.ctl(["panic-off", "--bpffs", &directory])?;
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output.stderr.contains("it is not a bpffs mount"),
        "{output:?}"
    );
    Ok(())
}
