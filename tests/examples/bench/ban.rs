//! Microseconds for the kernel's part of one ban, on top of many.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Instant,
};

use anyhow::Result;
use ipblock::{
    datapath::{PinDirectory, SharedMaps},
    policy::bans::Write,
};
use ipblock_common::ban::NEVER;
use ipblock_tests::{Bpffs, Privileged};
use ipnet::IpNet;

use crate::{judging::statistics::Quartiles, report::Ban, say};

const ENTRIES: [usize; 3] = [1_000, 100_000, 1_000_000];
/// Bans that are timed, one after another.
const SAMPLES: u32 = 1_001;

pub(crate) fn measure(root: Privileged) -> Result<Vec<Ban>> {
    let bpffs = Bpffs::mount(root)?;
    let pins = PinDirectory::create(bpffs.path())?;
    let mut tables = SharedMaps::open_or_create(&pins)?.bans;
    let mut number: u32 = 0;
    let mut found = Vec::new();
    for entries in ENTRIES {
        say(&format!("one ban on top of {entries}"));
        // With the one that is timed there are so many.
        let mut writes = Vec::new();
        while number as usize + 1 < entries {
            writes.push(Write::Set(host(number), NEVER));
            number += 1;
        }
        tables.write(&writes)?;
        let mut samples = Vec::new();
        for sample in 0..SAMPLES {
            let host = host(number + sample);
            let started = Instant::now();
            tables.write(&[Write::Set(host, NEVER)])?;
            samples.push(started.elapsed().as_secs_f64() * 1e6);
            tables.write(&[Write::Remove(host)])?;
        }
        found.push(Ban {
            entries,
            us: Quartiles::of(&samples),
        });
    }
    Ok(found)
}

/// Every address once, in an order that no table can take advantage of.
fn host(number: u32) -> IpNet {
    IpNet::from(IpAddr::V4(Ipv4Addr::from_bits(
        number.wrapping_mul(0x9e37_79b1),
    )))
}
