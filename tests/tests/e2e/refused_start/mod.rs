//! A daemon that refuses to start has changed nothing: no file, no directory, no row, no pin, and
//! no map of another daemon's filter.

mod stage;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::Stdio,
};

use aya::maps::{Array, MapData};
use ipblock_common::{ABI_VERSION, names};
use ipblock_tests::{DEADLINE, as_user, require_privileged, wait_for};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use self::stage::{Refused, Stage};
use crate::{answers::status, scenario::marked};

/// All capabilities that the daemon needs, for `setpriv`.
const ALL: &str = "-all,+bpf,+net_admin,+perfmon";
/// A user without any rights.
const SOMEBODY: u32 = 64_210;

/// The live daemon continues: it answers, and its filter judges.
fn assert_alive(stage: &Stage, sent: u64) -> anyhow::Result<()> {
    assert_eq!(status(&stage.scene.daemon)?.revision, 1);
    stage
        .scene
        .send(&[marked("203.0.113.7", 1), marked("198.51.100.7", 2)], 5)?;
    stage.scene.judged(sent + 10)?;
    assert_eq!(stage.scene.receiver.count(1), 0);
    Ok(())
}

#[test]
fn a_start_with_another_store_changes_nothing() -> anyhow::Result<()> {
    let stage = Stage::new(require_privileged!())?;
    let other = &["made from another state directory", "hint: "];
    let damaged = &["is damaged", "hint: "];
    let changes = [
        (
            "version",
            "PRAGMA user_version = 99",
            &["schema version 99", "hint: "][..],
        ),
        ("id", "UPDATE store SET id = zeroblob(16)", other),
        (
            "counter",
            "INSERT OR REPLACE INTO base_total VALUES ('default', 'passed', -1, 0)",
            damaged,
        ),
        (
            "zone",
            "INSERT INTO base_total VALUES ('not a zone', 'passed', 1, 0)",
            damaged,
        ),
        ("ban", "UPDATE ban SET prefix = 'nonsense'", damaged),
        ("state", "UPDATE revision SET state = 'nonsense'", damaged),
        ("staged", "UPDATE ruleset SET toml = toml || ' '", damaged),
        (
            "classes",
            "UPDATE generation_classes SET classes = x'5b5d'",
            damaged,
        ),
        ("table", "DROP TABLE ban", &["no such table: ban"]),
    ];
    Refused::at(&stage, "a state directory that is not there", other)
        .on_the_live_bpffs(&stage)
        .run(&stage)?;
    let mut nothing =
        Refused::at(&stage, "an empty state directory", other).on_the_live_bpffs(&stage);
    nothing.state_dir = stage.at("empty");
    fs::create_dir(&nothing.state_dir)?;
    nothing.run(&stage)?;
    let live = stage.scene.daemon.state_dir();
    Refused::at(
        &stage,
        "the live daemon's state directory",
        &["in use by another ipblockd, process"],
    )
    .with_store(live)
    .on_the_live_bpffs(&stage)
    .run(&stage)?;
    for (name, sql, said) in changes {
        let store = stage.changed_store(name, sql)?;
        Refused::at(&stage, name, said)
            .with_store(store)
            .on_the_live_bpffs(&stage)
            .run(&stage)?;
    }
    let store = stage.copy_of_the_store("header")?;
    let database = store.join("ipblock.db");
    let mut bytes = fs::read(&database)?;
    bytes[..16].fill(0x5a);
    fs::write(&database, bytes)?;
    Refused::at(&stage, "header", damaged)
        .with_store(store)
        .on_the_live_bpffs(&stage)
        .run(&stage)?;
    assert_alive(&stage, 10)
}

#[test]
fn a_start_where_its_place_is_taken_changes_nothing() -> anyhow::Result<()> {
    let stage = Stage::new(require_privileged!())?;
    let mut taken = Refused::at(
        &stage,
        "the live daemon's socket",
        &["another process answers there", "hint: "],
    );
    taken.socket = stage.scene.daemon.socket();
    taken.run(&stage)?;
    taken = Refused::at(
        &stage,
        "a file in the socket's place",
        &["not a socket has this name"],
    );
    taken.socket = stage.at("notes");
    fs::write(&taken.socket, "precious")?;
    taken.run(&stage)?;
    taken = Refused::at(&stage, "an unknown setting", &["error: "]);
    taken.config = "no_such_setting = 1\n".to_owned();
    taken.code = 2;
    taken.run(&stage)?;
    taken = Refused::at(
        &stage,
        "no bpffs",
        &["is not a bpffs mount", "mount -t bpf -o mode=700 bpf"],
    );
    taken.bpffs = stage.elsewhere.path().to_owned();
    taken.run(&stage)?;
    assert_alive(&stage, 10)
}

#[test]
fn a_start_without_the_rights_changes_nothing() -> anyhow::Result<()> {
    let root = require_privileged!();
    let stage = Stage::new(root)?;
    let of_user = |capabilities: &str| -> Vec<String> {
        let mut privileges: Vec<String> = ["reuid", "regid"]
            .map(|id| format!("--{id}={SOMEBODY}"))
            .into();
        privileges.push("--clear-groups".to_owned());
        for set in ["inh-caps", "ambient-caps", "bounding-set"] {
            privileges.push(format!("--{set}={capabilities}"));
        }
        privileges
    };
    // As root, all but one of them.
    for (cap, rest) in [
        ("CAP_PERFMON", "-perfmon"),
        ("CAP_BPF", "-bpf"),
        ("CAP_NET_ADMIN", "-net_admin"),
    ] {
        let mut refused = Refused::at(
            &stage,
            cap,
            &["not permitted: this process lacks", "hint: "],
        );
        refused.privileges = vec![
            format!("--bounding-set={rest}"),
            format!("--inh-caps={rest}"),
        ];
        refused.code = 5;
        for bpffs in [stage.other_bpffs.path(), stage.scene.daemon.bpffs()] {
            refused.bpffs = bpffs.to_owned();
            let output = refused.command(&stage)?.output()?;
            let log = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(log.contains(cap), "{log}");
            refused.run(&stage)?;
        }
    }
    let lacks = &["lacks CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON", "hint: "];
    let mut refused = Refused::at(&stage, "a user without rights", lacks).on_the_live_bpffs(&stage);
    refused.privileges = of_user("-all");
    refused.code = 5;
    refused.run(&stage)?;
    // All capabilities, and another user's bpffs.
    let said = &["not permitted (", "run ipblockd as root or with CAP_BPF"];
    let mut refused = Refused::at(&stage, "another user", said).on_the_live_bpffs(&stage);
    let own = stage.at("own");
    fs::create_dir(&own)?;
    chown(&own, Some(SOMEBODY), Some(SOMEBODY))?;
    refused.socket = own.join("socket");
    refused.state_dir = own.join("state");
    refused.privileges = of_user(ALL);
    refused.code = 5;
    refused.run(&stage)?;
    // A bpffs that every user may read, as after an ordinary mount.
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(stage.scene.daemon.bpffs(), open)?;
    refused.run(&stage)?;
    assert_alive(&stage, 10)
}

#[test]
fn a_start_on_pins_of_others_changes_nothing() -> anyhow::Result<()> {
    let root = require_privileged!();
    let stage = Stage::new(root)?;
    let own = stage.other_bpffs.path().join("ipblock");
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    // A bpffs mounted without options: every user may create directories in it, and one did.
    set(stage.other_bpffs.path(), 0o1777)?;
    as_user(stage.root, SOMEBODY, || fs::create_dir(&own))?;
    let said = &[
        "belongs to user 64210",
        "hint: ",
        "mount -t bpf -o mode=700 bpf",
    ];
    Refused::at(&stage, "a directory of another user", said).run(&stage)?;
    // Its own, and writable to everyone.
    chown(&own, Some(0), Some(0))?;
    for mode in [0o777, 0o1777] {
        set(&own, mode)?;
        let said = &["can be changed by other users", "chmod go-w"];
        Refused::at(&stage, "a directory that everyone may write to", said).run(&stage)?;
    }
    set(&own, 0o700)?;
    let links = own.join("links");
    fs::create_dir(&links)?;
    chown(&links, Some(SOMEBODY), None)?;
    let said = &["links belongs to user 64210"];
    Refused::at(&stage, "a directory of another user below", said).run(&stage)?;
    chown(&links, Some(0), None)?;
    // The mount itself, without the sticky bit.
    set(stage.other_bpffs.path(), 0o777)?;
    let said = &["can be changed by other users"];
    Refused::at(&stage, "a mount in which everyone may rename", said).run(&stage)?;
    set(stage.other_bpffs.path(), 0o1777)?;
    // A foreign map in place of a shared map.
    let shared = own.join("shared").join(ABI_VERSION.to_string());
    fs::create_dir_all(&shared)?;
    let foreign: Array<MapData, u64> = Array::create(3, 0)?;
    let pin = shared.join(names::BANS_IPV4);
    foreign.pin(&pin)?;
    let said = &["is not what ipblock pinned there", "hint: "];
    Refused::at(&stage, "a foreign map", said).run(&stage)?;
    // The log of a killed daemon is not copied back either.
    let mut killed = Refused::at(&stage, "a killed daemon's log", said);
    killed.state_dir = stage.at("killed");
    fs::create_dir(&killed.state_dir)?;
    for name in ["ipblock.db", "ipblock.db-wal", "ipblock.lock"] {
        fs::copy(
            stage.scene.daemon.state_dir().join(name),
            killed.state_dir.join(name),
        )?;
    }
    assert!(fs::metadata(killed.state_dir.join("ipblock.db-wal"))?.len() > 0);
    killed.run(&stage)?;
    // And without it the start succeeds.
    fs::remove_file(&pin)?;
    let mut started = Refused::at(&stage, "a start", &[]).command(&stage)?;
    let mut child = started.stderr(Stdio::null()).spawn()?;
    let socket = stage.at("sockets/socket");
    let answers = wait_for(DEADLINE, "the other daemon", || {
        std::os::unix::net::UnixStream::connect(&socket).ok()
    });
    kill(Pid::from_raw(child.id().try_into()?), Signal::SIGTERM)?;
    child.wait()?;
    answers?;
    assert_alive(&stage, 10)
}
