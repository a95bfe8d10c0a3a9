//! Microseconds for one ban in addition to many: the kernel's part alone, and through the API.

use std::{
    net::{IpAddr, Ipv4Addr},
    ops::Range,
    time::Instant,
};

use anyhow::{Result, ensure};
use ipblock_api::{
    client::Client,
    types::{BanRequest, Origin, UnbanRequest},
};
use ipblock_common::ban::NEVER;
use ipblock_datapath::{PinDirectory, SharedMaps};
use ipblock_policy::{bans::Write, edit::Expiry};
use ipblock_tests::{Bpffs, Privileged};
use ipnet::IpNet;
use tokio::runtime;

use crate::{judging::statistics::Quartiles, report::Ban, say, scene::Scene};

/// Number of entries, including the measured one.
const ENTRIES: [u32; 3] = [1_000, 100_000, 1_000_000];
/// Number of bans that are measured, one after another.
const SAMPLES: u32 = 1_001;
/// Through the API each of them waits for the disk.
const API_SAMPLES: u32 = 101;
/// Bans of one request, well below the largest that the daemon takes.
const OF_REQUEST: u32 = 100_000;

/// Measures the kernel's part, next to the results of [`through_api`].
pub(crate) fn measure(root: Privileged, through_api: &[Quartiles]) -> Result<Vec<Ban>> {
    let bpffs = Bpffs::mount(root)?;
    let pins = PinDirectory::create(bpffs.path())?;
    let mut tables = SharedMaps::open_or_create(&pins)?.bans;
    let mut there = 0;
    let mut found = Vec::new();
    for (entries, api_us) in ENTRIES.into_iter().zip(through_api) {
        say(&format!("one ban on top of {entries}"));
        let writes = (there..entries - 1).map(|number| Write::Set(host(number), NEVER));
        tables.write(&writes.collect::<Vec<_>>())?;
        there = entries - 1;
        let mut samples = Vec::new();
        for sample in 0..SAMPLES {
            let host = host(there + sample);
            let started = Instant::now();
            tables.write(&[Write::Set(host, NEVER)])?;
            samples.push(started.elapsed().as_secs_f64() * 1e6);
            tables.write(&[Write::Remove(host)])?;
        }
        found.push(Ban {
            entries,
            us: Quartiles::of(&samples),
            api_us: *api_us,
        });
    }
    Ok(found)
}

/// Measures from the connection to a running daemon until its answer, when the ban is on disk and
/// in force. By number of entries, as in [`measure`].
pub(crate) fn through_api(root: Privileged) -> Result<Vec<Quartiles>> {
    let scene = Scene::new(root)?;
    let client = Client::new(scene.daemon.socket());
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ban = |numbers: Range<u32>| {
        let request = BanRequest {
            addresses: addresses(numbers),
            expires: Expiry::Never,
            origin: Origin::default(),
            reason: String::new(),
            v6_prefix: None,
            shorten: false,
            force: false,
            wide: false,
        };
        let started = Instant::now();
        let banned = runtime.block_on(client.ban(&request))?;
        let us = started.elapsed().as_secs_f64() * 1e6;
        let wanted = request.addresses.len();
        ensure!(
            usize::try_from(banned.added)? == wanted,
            "{} of {wanted} addresses were banned",
            banned.added
        );
        Ok(us)
    };
    let mut there = 0;
    let mut found = Vec::new();
    for entries in ENTRIES {
        say(&format!("one ban through the API on top of {entries}"));
        while there < entries - 1 {
            let end = (there + OF_REQUEST).min(entries - 1);
            ban(there..end)?;
            there = end;
        }
        let mut samples = Vec::new();
        for sample in 0..API_SAMPLES {
            let number = there + sample;
            samples.push(ban(number..number + 1)?);
            let addresses = addresses(number..number + 1);
            if sample == 0 {
                scene.assert_blocked(&addresses.concat())?;
            }
            runtime.block_on(client.unban(&UnbanRequest {
                addresses,
                ..UnbanRequest::default()
            }))?;
        }
        found.push(Quartiles::of(&samples));
    }
    Ok(found)
}

fn addresses(numbers: Range<u32>) -> Vec<String> {
    let address = |number| host(number).addr().to_string();
    numbers.map(address).collect()
}

/// Returns every address once, in an order that no table can exploit.
fn host(number: u32) -> IpNet {
    IpNet::from(IpAddr::V4(Ipv4Addr::from_bits(
        number.wrapping_mul(0x9e37_79b1),
    )))
}
