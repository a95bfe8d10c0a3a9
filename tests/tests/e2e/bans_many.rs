//! The number of bans that an attack needs.

use std::{fmt::Write as _, time::Instant};

use ipblock_api::{
    client::Client,
    types::{BanRequest, CheckRequest, Origin, Reason, UnbanRequest},
};
use ipblock_policy::edit::Expiry;
use ipblock_tests::{Daemon, require_privileged};

use crate::{
    answers::status,
    scenario::{Scene, marked},
};

const BANS: u32 = 100_000;
/// Addresses of one request in the measurement.
const BATCH: u32 = 1_000;

/// The address with this number, of either family in turn.
fn address(number: u32) -> String {
    let [_, a, b, c] = number.to_be_bytes();
    match number % 4 {
        0 => format!("2001:db8:{a:x}:{b:x}{c:02x}::7"),
        _ => format!("10.{a}.{b}.{c}"),
    }
}

fn addresses(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(address).collect()
}

/// Asserts that each address is banned, or none, and that the kernel says the same.
async fn assert_banned(
    daemon: &Daemon,
    addresses: Vec<String>,
    banned: bool,
) -> anyhow::Result<()> {
    let request = CheckRequest {
        addresses,
        zone: None,
        staged: false,
    };
    let expected = request.addresses.len();
    let answers = Client::new(daemon.socket()).check(&request).await?;
    assert_eq!(answers.len(), expected);
    for answer in answers {
        assert!(answer.kernel_agrees == Some(true), "{answer:?}");
        assert_eq!(answer.reason == Reason::Ban, banned, "{answer:?}");
    }
    Ok(())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Prints a measurement, visible with `--nocapture`.
fn tell(what: &str, started: Instant) {
    eprintln!("{what}: {} ms", started.elapsed().as_millis());
}

#[test]
fn a_hundred_thousand_bans_are_streamed_kept_and_taken_over() -> anyhow::Result<()> {
    let mut scene = Scene::attached(require_privileged!(), "native")?;
    let mut input = String::new();
    for address in addresses(0..BANS) {
        writeln!(input, "{address} 4000 attempts")?;
    }
    let started = Instant::now();
    let output = scene.daemon.ctl_with_input("ban - --for 1h", &input)?;
    tell("100,000 bans from a stream", started);
    output.ok()?;
    assert_eq!(status(&scene.daemon)?.bans, u64::from(BANS));
    let runtime = runtime();
    runtime.block_on(assert_banned(&scene.daemon, addresses(0..BANS), true))?;

    scene.daemon.kill()?;
    let started = Instant::now();
    scene.daemon.start()?;
    tell("a start with 100,000 bans in the kernel", started);
    assert_eq!(status(&scene.daemon)?.bans, u64::from(BANS));
    scene.daemon.kill()?;
    // What a reboot leaves of a bpffs.
    std::fs::remove_dir_all(scene.daemon.bpffs().join("ipblock"))?;
    let started = Instant::now();
    scene.daemon.start()?;
    tell("a start with 100,000 bans to put there", started);
    runtime.block_on(assert_banned(&scene.daemon, addresses(0..BANS), true))?;
    scene.send(&[marked("10.0.0.1", 1), marked("198.51.100.7", 2)], 3)?;
    assert_eq!(scene.judged(6)?.bans.packets, 3);

    let started = Instant::now();
    let client = Client::new(scene.daemon.socket());
    let request = UnbanRequest {
        addresses: addresses(0..BANS),
        ..UnbanRequest::default()
    };
    let unbanned = runtime.block_on(client.unban(&request))?;
    tell("100,000 bans taken away in one request", started);
    assert_eq!(unbanned.removed, u64::from(BANS));
    runtime.block_on(assert_banned(&scene.daemon, addresses(0..BANS), false))
}

#[test]
fn bans_in_batches_are_in_force_when_each_call_returns() -> anyhow::Result<()> {
    let scene = Scene::attached(require_privileged!(), "native")?;
    let client = Client::new(scene.daemon.socket());
    let runtime = runtime();
    runtime.block_on(async {
        let started = Instant::now();
        for first in (0..20 * BATCH).step_by(BATCH as usize) {
            let request = BanRequest {
                addresses: addresses(first..first + BATCH),
                expires: Expiry::After(3600),
                origin: Origin::default(),
                reason: "scan".to_owned(),
                v6_prefix: None,
                shorten: false,
                force: false,
                wide: false,
            };
            let banned = client.ban(&request).await?;
            assert_eq!(banned.added, u64::from(BATCH));
            let last = vec![address(first + BATCH - 1)];
            assert_banned(&scene.daemon, last, true).await?;
        }
        tell("20,000 bans in batches of 1,000", started);
        assert_banned(&scene.daemon, addresses(0..20 * BATCH), true).await
    })
}
