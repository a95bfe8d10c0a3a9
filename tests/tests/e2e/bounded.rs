//! The memory that a user with view rights can make the daemon use is limited, whatever the size of
//! its data, the number of requests, and the speed of reading.
//!
//! `IPBLOCK_BOUNDS=full` runs it at the size of docs/api.md: 1,000,000 bans next to a rule of
//! 1,000,000 elements. The limit is the same for the small size, at which a daemon without limits
//! takes several times as much.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::Ipv4Addr,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, ensure};
use ipblock_api::client::Client;
use ipblock_tests::{DEADLINE, Daemon, Privileged, as_user, require_privileged, wait_for};
use serde_json::json;

use crate::{answers::status, control_group::Group, scenario::Scene};

/// In group `ipblock-view`, by the group that every user of the test has from root.
const VIEWER: u32 = 64_200;
const GROUPS: &str = "ipblock-view:x:0:\n";
/// Maximum of connections of one such user.
const PLACES: usize = 32;
/// Maximum growth of the daemon's memory beyond its memory at rest.
const MORE: u64 = 200 << 20;
/// Rules that all match the addresses that are checked.
const OVERLAPPING: usize = 300;
/// Size of a body that a user with view rights may send, in bytes.
const BODY: usize = 900 << 10;

/// Requests with potentially large answers.
const LISTS: [&str; 16] = [
    "/v1/bans",
    "/v1/bans?addresses=0.0.0.0/0",
    "/v1/bans?reason=60.0.0&by=root",
    "/v1/bans?limit=4000000000",
    "/v1/rules",
    "/v1/rules/many",
    "/v1/rules/many/toml",
    "/v1/ruleset",
    "/v1/allow",
    "/v1/exceptions",
    "/v1/lists/office",
    "/v1/audit?limit=4000000000",
    "/v1/alerts?limit=100000",
    "/v1/top?limit=100000",
    "/v1/counters",
    "/metrics",
];

/// Bans, elements of a rule, of a list, of an allow list, and exceptions.
fn size() -> u32 {
    match env::var("IPBLOCK_BOUNDS").as_deref() {
        Ok("full") => 1_000_000,
        _ => 60_000,
    }
}

/// Addresses of which no two are neighbours.
fn addresses(from: [u8; 4], count: u32) -> impl Iterator<Item = String> {
    let first = u32::from(Ipv4Addr::from(from));
    (0..count).map(move |number| Ipv4Addr::from(first + 2 * number).to_string())
}

fn ruleset() -> String {
    let list = |from, count| {
        let quoted = addresses(from, count).map(|address| format!("\"{address}\""));
        quoted.collect::<Vec<_>>().join(",")
    };
    let overlapping = (0..OVERLAPPING).map(|number| {
        format!(
            "[[rule]]\nname = \"overlapping-{number}\"\naction = \"warn\"\nmatch = [\"10.0.0.0/8\"]\n"
        )
    });
    let tenth = size() / 10;
    format!(
        "{}[[rule]]\nname = \"many\"\naction = \"block\"\nmatch = [{}]\nexcept = [{}]\n\
         [list.office]\nmatch = [{}]\n[allow]\nmatch = [{}]\n",
        overlapping.collect::<String>(),
        list([44, 0, 0, 1], size()),
        list([44, 0, 0, 1], tenth),
        list([46, 0, 0, 1], tenth),
        list([48, 0, 0, 1], tenth),
    )
}

/// A daemon with much data.
struct Laden {
    scene: Scene,
    socket: PathBuf,
    root: Privileged,
}

impl Laden {
    fn new(root: Privileged) -> anyhow::Result<Self> {
        let scene = Scene::attached_with(root, "native", |daemon| daemon.group_file(GROUPS))?;
        let socket = scene.daemon.socket();
        let directory = socket.parent().context("a directory")?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
        let laden = Self {
            scene,
            socket,
            root,
        };
        laden.changed(
            "/v1/apply",
            &json!({ "ruleset": ruleset(), "file": "rules.toml", "force": true, "wide": true }),
        )?;
        let addresses: Vec<_> = addresses([60, 0, 0, 1], size()).collect();
        for some in addresses.chunks(50_000) {
            let reason = format!("{:200}", some.first().context("an address")?);
            laden.changed(
                "/v1/bans",
                &json!({ "addresses": some, "expires": { "after": 36_000 }, "reason": reason,
                    "force": true, "wide": true }),
            )?;
        }
        assert_eq!(status(&laden.scene.daemon)?.bans, u64::from(size()));
        Ok(laden)
    }

    /// Asks for a change as root.
    fn changed(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<()> {
        let answer = answer_to(&self.socket, path, body)?;
        ensure!(answer.starts_with("HTTP/1.1 200 "), "{answer:.1000}");
        Ok(())
    }

    /// Opens as many connections as the viewer may have, each with this request and the first bytes
    /// of its answer, so everything that precedes these is computed.
    fn asked(&self, request: &str) -> anyhow::Result<Vec<(UnixStream, String)>> {
        let one = || -> anyhow::Result<(UnixStream, String)> {
            let mut stream = UnixStream::connect(&self.socket)?;
            stream.set_read_timeout(Some(4 * DEADLINE))?;
            stream.write_all(request.as_bytes())?;
            let mut begin = [0; 256];
            let count = stream.read(&mut begin)?;
            let begin = begin.get(..count).unwrap_or_default();
            Ok((stream, String::from_utf8_lossy(begin).into_owned()))
        };
        as_user(self.root, VIEWER, || {
            thread::scope(|scope| {
                let asked: Vec<_> = (0..PLACES).map(|_| scope.spawn(one)).collect();
                let answers = asked.into_iter();
                answers
                    .map(|answer| answer.join().expect("a thread"))
                    .collect()
            })
        })
    }

    /// Waits until every connection of the viewer has released its place.
    fn wait_until_they_have_left(&self) -> anyhow::Result<()> {
        let client = Client::new(self.socket.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        wait_for(DEADLINE, "the viewer's connections to be closed", || {
            let page = runtime.block_on(client.metrics()).ok()?;
            let page = String::from_utf8_lossy(&page).into_owned();
            let left = |who: &str| {
                let none = format!("ipblock_api_connections{{who=\"{who}\"}} 0");
                page.lines().any(|line| line == none)
            };
            (left("ipblock-view") && left("unknown")).then_some(())
        })
    }

    /// Sends every expensive request in turn, in as many connections as possible; root is served
    /// meanwhile. Returns the memory of each beyond `rest`.
    fn attack(&self, rest: u64) -> anyhow::Result<Vec<(String, u64)>> {
        let mut took = Vec::new();
        let checks = [
            ("check of all", BODY / 14),
            ("check of what fits", 1_000_000 / (OVERLAPPING + 1)),
        ];
        let checks = checks.map(|(name, count)| {
            let asked: Vec<_> = addresses([10, 0, 0, 1], u32::try_from(count).unwrap()).collect();
            let body = json!({ "addresses": asked }).to_string();
            assert!(body.len() <= 1 << 20, "{}", body.len());
            (name.to_owned(), post("/v1/check", &body))
        });
        let lists = LISTS.map(|path| (path.to_owned(), get(path)));
        for (name, request) in lists.into_iter().chain(checks) {
            forget_peak(&self.scene.daemon)?;
            let held = self.asked(&request)?;
            for (_, begin) in &held {
                let is_answer = ["200", "422", "503"]
                    .iter()
                    .any(|status| begin.starts_with(&format!("HTTP/1.1 {status} ")));
                assert!(is_answer, "{name}: {begin}");
            }
            let answered = held.iter().filter(|(_, begin)| begin.contains(" 200 "));
            if name != "check of all" {
                assert!(answered.count() > 0, "{name}");
            }
            status(&self.scene.daemon)?;
            took.push((
                name,
                memory(&self.scene.daemon, "VmHWM")?.saturating_sub(rest),
            ));
            drop(held);
            self.wait_until_they_have_left()?;
        }
        Ok(took)
    }
}

/// In bytes: `VmRSS` for now, `VmHWM` for the most since [`forget_peak`].
fn memory(daemon: &Daemon, what: &str) -> anyhow::Result<u64> {
    let pid = daemon.pid().context("the daemon runs")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib = line.and_then(|line| line.trim_start_matches(':').trim().strip_suffix(" kB"));
    Ok(kib.with_context(|| what.to_owned())?.parse::<u64>()? << 10)
}

fn forget_peak(daemon: &Daemon) -> anyhow::Result<()> {
    let pid = daemon.pid().context("the daemon runs")?;
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

/// The whole answer to a request of root.
fn answer_to(socket: &Path, path: &str, body: &serde_json::Value) -> anyhow::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(10 * DEADLINE))?;
    stream.write_all(post(path, &body.to_string()).as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_user_who_may_only_look_cannot_take_the_daemons_memory() -> anyhow::Result<()> {
    let root = require_privileged!();
    let group = Group::new(root, "bounded")?;
    let laden = Laden::new(root)?;
    let pid = laden.scene.daemon.pid().context("the daemon runs")?;
    let rest = memory(&laden.scene.daemon, "VmRSS")?;
    println!("at rest: {} MiB", rest >> 20);
    // Its memory is measured and limited; beyond the limit it would be killed.
    group.take_in(pid)?;
    group.limit(MORE)?;
    let took = laden.attack(rest)?;
    for (name, more) in &took {
        println!("{name}: {} MiB more", more >> 20);
    }
    for (name, more) in took {
        assert!(more <= MORE, "{name}: {more} bytes more than at rest");
    }
    assert_eq!(status(&laden.scene.daemon)?.pid, pid);
    group.limit(8 << 30)?;
    drop(laden);
    Ok(())
}

/// Zones of a dense ruleset, and rules in each of them.
const ZONES: usize = 31;
const DENSE: u32 = 1_500;

/// Rules over one prefix, each with its own exception: as many combinations as rules, each of which
/// lists all rules.
fn dense() -> String {
    let zones = (1..ZONES).map(|zone| format!("[zone.z{zone}]\n"));
    let rules = (0..DENSE).map(|number| {
        let spared = Ipv4Addr::from(0x0a00_0000 + 2 * number);
        format!(
            "[[rule]]\nname = \"r{number}\"\naction = \"warn\"\nmatch = [\"10.0.0.0/8\"]\n\
             except = [\"{spared}\"]\n"
        )
    });
    zones.chain(rules).collect()
}

/// What the classes of 16,777,216 rules take while they are compiled.
const CLASSES: u64 = 1 << 30;

#[test]
fn a_ruleset_that_is_too_dense_over_all_zones_is_refused_and_leaves_nothing() -> anyhow::Result<()>
{
    let scene = Scene::attached(require_privileged!(), "native")?;
    let daemon = &scene.daemon;
    let database = || Ok(fs::metadata(daemon.state_dir().join("ipblock.db"))?.len());
    let before: anyhow::Result<u64> = database();
    let rest = memory(daemon, "VmRSS")?;
    for dry_run in [true, false] {
        forget_peak(daemon)?;
        let body = json!({ "ruleset": dense(), "file": "rules.toml", "dry_run": dry_run, "force": true, "wide": true });
        let answer = answer_to(&daemon.socket(), "/v1/apply", &body)?;
        assert!(answer.starts_with("HTTP/1.1 422 "), "{answer:.1000}");
        let said = "rules overlap too densely (at 10.0.";
        assert!(
            answer.contains("zone `z") && answer.contains(said),
            "{answer}"
        );
        assert!(answer.contains("list more than 16777216 rules"), "{answer}");
        let more = memory(daemon, "VmHWM")?.saturating_sub(rest);
        println!("{ZONES} zones, {DENSE} rules: {} MiB more", more >> 20);
        assert!(more <= CLASSES, "{more} bytes more than at rest");
    }
    assert_eq!(database()?, before?);
    assert_eq!(status(daemon)?.revision, 0);
    Ok(())
}
