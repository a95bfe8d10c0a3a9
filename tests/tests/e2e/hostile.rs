//! Malicious clients: whatever they do to the socket, the filter works and root is served.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use ipblock_tests::{DEADLINE, Privileged, as_user, random::Random, require_privileged, wait_for};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{
    answers::{apply, count_of, deploy, status},
    scenario::{BLOCK, Scene, marked},
};

/// A user in no group with rights.
const STRANGER: u32 = 64_200;
/// Places of one stranger, as in docs/api.md.
const PLACES: u64 = 8;
/// Connections that are held open at once.
const CROWD: usize = 2_000;
/// Maximum memory for all of this: a fraction of the memory without limits.
const MEMORY: u64 = 64 << 10;

/// Blocked by [`BLOCK`], and not.
const BLOCKED: (&str, u64) = ("203.0.113.7", 1);
const CLEAN: (&str, u64) = ("192.0.2.7", 2);

/// A scene whose daemon is attacked, with its earlier state.
struct Attacked {
    scene: Scene,
    socket: PathBuf,
    descriptors: usize,
    peak: u64,
    sent: u64,
}

impl Attacked {
    fn new(root: Privileged) -> anyhow::Result<Self> {
        let scene = Scene::attached(root, "native")?;
        apply(&scene.daemon, BLOCK)?;
        let socket = scene.daemon.socket();
        let directory = socket.parent().context("a directory")?;
        // So that the daemon itself refuses.
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
        let mut attacked = Self {
            scene,
            socket,
            descriptors: 0,
            peak: 0,
            sent: 0,
        };
        // Once before the measurement, to include first-time costs.
        attacked.assert_filters_and_serves("before")?;
        attacked.descriptors = attacked.open_descriptors()?;
        attacked.peak = attacked.peak_memory()?;
        Ok(attacked)
    }

    /// Root bans, deploys and reads, and every packet is judged correctly.
    fn assert_filters_and_serves(&mut self, note: &str) -> anyhow::Result<()> {
        let frames = [BLOCKED, CLEAN].map(|(source, marker)| marked(source, marker));
        self.scene.send(&frames, 20)?;
        let daemon = &self.scene.daemon;
        daemon.ctl("ban 198.51.100.9 --for 1h")?.ok()?;
        let revision = status(daemon)?.revision;
        let deployed = deploy(daemon, ["rule", "edit", "abuse", "--note", note])?;
        assert_eq!(deployed.revision, revision + 1);
        self.scene.send(&frames, 20)?;
        self.sent += 80;
        let counters = self.scene.judged(self.sent)?;
        assert_eq!(count_of(&counters, "abuse").packets, self.sent / 2);
        assert_eq!(self.scene.receiver.count(CLEAN.1), self.sent / 2);
        assert_eq!(self.scene.receiver.count(BLOCKED.1), 0);
        Ok(())
    }

    fn proc(&self, file: &str) -> anyhow::Result<PathBuf> {
        let pid = self.scene.daemon.pid().context("the daemon runs")?;
        Ok(Path::new("/proc").join(pid.to_string()).join(file))
    }

    fn open_descriptors(&self) -> anyhow::Result<usize> {
        Ok(fs::read_dir(self.proc("fd")?)?.count())
    }

    /// In KiB.
    fn peak_memory(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(self.proc("status")?)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kib.context("VmHWM")?.trim().parse()?)
    }

    /// Memory stayed within the limit, and all resources are released.
    fn assert_unharmed(&self) -> anyhow::Result<()> {
        let more = self.peak_memory()?.saturating_sub(self.peak);
        assert!(more < MEMORY, "{more} KiB more than before");
        let mut last = 0;
        wait_for(DEADLINE, "descriptors to be closed", || {
            last = self.open_descriptors().ok()?;
            (last <= self.descriptors).then_some(())
        })
        .with_context(|| format!("{last} are open, {} were before", self.descriptors))
    }

    /// A series of the metrics page.
    fn metric(&self, series: &str) -> anyhow::Result<u64> {
        let page = ask(
            &self.socket,
            "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        )?;
        let line = page.lines().find_map(|line| line.strip_prefix(series));
        let value = line.with_context(|| format!("no {series} in {page}"))?;
        Ok(value.trim().parse()?)
    }
}

fn connect(socket: &Path) -> anyhow::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    Ok(stream)
}

/// Returns all input until the daemon closes.
fn ask(socket: &Path, request: &str) -> anyhow::Result<String> {
    let mut stream = connect(socket)?;
    // After a refusal the daemon does not read any more.
    drop(stream.write_all(request.as_bytes()));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A connection with the beginning of a request on it, if it got so far.
fn half_open(socket: &Path) -> Option<UnixStream> {
    let mut stream = UnixStream::connect(socket).ok()?;
    drop(stream.write_all(b"GET /v1/status HTTP/1.1\r\nho"));
    Some(stream)
}

#[test]
fn thousands_of_half_open_connections_keep_nobody_out() -> anyhow::Result<()> {
    let root = require_privileged!();
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let mut attacked = Attacked::new(root)?;
    let socket = attacked.socket.clone();
    let held: Vec<_> = as_user(root, STRANGER, || {
        (0..CROWD).filter_map(|_| half_open(&socket)).collect()
    });
    assert_eq!(held.len(), CROWD);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        // More of them keep connecting.
        scope.spawn(|| {
            as_user(root, STRANGER, || {
                while !is_over.load(Ordering::Relaxed) {
                    drop(half_open(&socket));
                }
            });
        });
        let served = attacked.assert_filters_and_serves("crowded");
        is_over.store(true, Ordering::Relaxed);
        served
    })?;
    assert!(attacked.metric("ipblock_api_connections{who=\"other\"}")? <= PLACES);
    let refused = |who: &str| {
        attacked.metric(&format!(
            "ipblock_api_connections_refused_total{{who=\"{who}\"}}"
        ))
    };
    // Even during the lookup of their user.
    let refused = refused("other")? + refused("unknown")?;
    assert!(refused >= CROWD as u64 - PLACES, "{refused}");
    // Those with a place lose it, although they would stay.
    wait_for(DEADLINE, "half-open connections to be closed", || {
        let open = attacked.metric("ipblock_api_connections{who=\"other\"}");
        (open.ok()? == 0).then_some(())
    })?;
    assert!(attacked.metric("ipblock_api_connections_cut_total{reason=\"timeout\"}")? > 0);
    let log = attacked.scene.daemon.log();
    let told = log.lines().filter(|line| line.contains("turned away"));
    assert!((1..=3).contains(&told.count()), "{log}");
    drop(held);
    attacked.assert_filters_and_serves("afterwards")?;
    attacked.assert_unharmed()
}

#[test]
fn requests_that_are_none_harm_nobody() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut attacked = Attacked::new(root)?;
    let socket = attacked.socket.clone();
    let mut random = Random::new(6);
    for _ in 0..50 {
        let mut stream = connect(&socket)?;
        let noise: Vec<u8> = (0..random.below(4 << 10))
            .flat_map(|_| random.next().to_le_bytes())
            .collect();
        drop(stream.write_all(&noise));
        drop(stream.shutdown(Shutdown::Write));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }

    let claimed = ask(
        &socket,
        "POST /v1/apply HTTP/1.1\r\nhost: x\r\ncontent-length: 10737418240\r\n\r\n{",
    )?;
    assert!(claimed.starts_with("HTTP/1.1 422 "), "{claimed}");
    assert!(claimed.contains("larger than 67108864 bytes"), "{claimed}");

    let one = "GET /v1/status HTTP/1.1\r\nhost: x\r\n";
    let many = format!(
        "{}{one}connection: close\r\n\r\n",
        format!("{one}\r\n").repeat(49)
    );
    let answers = ask(&socket, &many)?;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 50);

    // Large bodies that do not end, a head that does not, and an answer that is not read.
    let part = "x".repeat(7 << 20);
    let mut held = Vec::new();
    thread::scope(|scope| {
        let bodies: Vec<_> = (0..16)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<UnixStream> {
                    let mut stream = connect(&socket)?;
                    write!(
                        stream,
                        "POST /v1/apply HTTP/1.1\r\nhost: x\r\ncontent-length: 8388608\r\n\r\n"
                    )?;
                    // Most are not read, and so cannot be written.
                    stream.set_write_timeout(Some(Duration::from_secs(1)))?;
                    drop(stream.write_all(part.as_bytes()));
                    Ok(stream)
                })
            })
            .collect();
        for body in bodies {
            held.push(body.join().expect("a thread")?);
        }
        anyhow::Ok(())
    })?;
    held.extend(half_open(&socket));
    let mut unread = connect(&socket)?;
    write!(unread, "{}", format!("{one}\r\n").repeat(1_000))?;
    held.push(unread);
    attacked.assert_filters_and_serves("attacked")?;
    drop(held);
    attacked.assert_filters_and_serves("afterwards")?;
    attacked.assert_unharmed()
}

#[test]
fn clients_that_leave_in_the_middle_of_a_deploy_leave_nothing_behind() -> anyhow::Result<()> {
    let root = require_privileged!();
    let mut attacked = Attacked::new(root)?;
    let socket = attacked.socket.clone();
    let mut random = Random::new(7);
    let frame = marked(BLOCKED.0, BLOCKED.1);
    let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let before = status(&attacked.scene.daemon)?.revision;
    let sender = &attacked.scene.sender;
    thread::scope(|scope| {
        let flow = scope.spawn(|| -> anyhow::Result<()> {
            while !is_over.load(Ordering::Relaxed) {
                sender.send(&frame)?;
                sent.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        });
        let left = (0..60).try_for_each(|round| {
            let ruleset = format!("{BLOCK}note = \"round {round}\"\n");
            let body = serde_json::json!({ "ruleset": ruleset, "file": "rules.toml" }).to_string();
            let request = format!(
                "POST /v1/apply HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            // Every second one is sent completely, and abandoned while it is processed or answered.
            let end = match round % 2 {
                0 => random.below(request.len()),
                _ => request.len(),
            };
            let mut stream = connect(&socket)?;
            stream.write_all(&request.as_bytes()[..end])?;
            thread::sleep(Duration::from_micros(random.next() % 60_000));
            anyhow::Ok(())
        });
        is_over.store(true, Ordering::Relaxed);
        flow.join().expect("a thread").and(left)
    })?;
    attacked.sent += sent.load(Ordering::Relaxed);
    let counters = attacked.scene.judged(attacked.sent)?;
    assert_eq!(counters.totals.dropped.packets, attacked.sent - 40);
    assert_eq!(attacked.scene.receiver.count(BLOCKED.1), 0);
    // Work in progress continues although no client waits for it; then it ends.
    wait_for(DEADLINE, "the last of them", || {
        let open = attacked.metric("ipblock_api_connections{who=\"root\"}");
        (open.ok()? == 1).then_some(())
    })?;
    let after = status(&attacked.scene.daemon)?;
    let deployed = after.revision - before;
    assert!((1..=30).contains(&deployed), "{deployed}");
    assert_eq!((after.staged, after.problems), (0, Vec::new()));
    attacked.assert_unharmed()?;
    attacked.scene.daemon.kill()?;
    attacked.scene.daemon.start()?;
    assert_eq!(status(&attacked.scene.daemon)?.revision, after.revision);
    Ok(())
}
