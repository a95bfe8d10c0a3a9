//! Host tables, from hosts in any order.

use ipblock_common::{
    ClassId,
    lookup::hosts::{HostsV4, HostsV6, MAX_PROBES, bucket_v4, bucket_v6, hash_v6},
};

/// With so many hosts for each bucket of eight, one in 80 is full.
const MEAN_V4: usize = 3;
/// Six hosts for five buckets of three: one in eight is full.
const MEAN_V6: (usize, usize) = (6, 5);

/// A host table.
#[derive(Debug)]
pub(super) struct Built<T> {
    /// Buckets that hosts fall into; the table has some more for what does not fit.
    pub(super) buckets: u32,
    pub(super) table: Vec<T>,
}

impl<T> Default for Built<T> {
    fn default() -> Self {
        Self {
            buckets: 0,
            table: Vec::new(),
        }
    }
}

/// Another seed, by the constants of PCG (O'Neill 2014).
fn next_seed(seed: u64) -> u64 {
    seed.wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
}

/// The tables of both families, and the seed with which every host found room: the first that does.
pub(super) fn build(
    ipv4: &[(u32, ClassId)],
    ipv6: &[([u64; 2], ClassId)],
    mut seed: u64,
) -> (u64, Built<HostsV4>, Built<HostsV6>) {
    let mut attempt = 0;
    loop {
        if let (Some(v4), Some(v6)) = (build_v4(ipv4, seed, attempt), build_v6(ipv6, seed, attempt))
        {
            return (seed, v4, v6);
        }
        seed = next_seed(seed);
        attempt += 1;
    }
}

/// `None` when a host finds no room with this seed; later attempts take more buckets.
fn build_v4(hosts: &[(u32, ClassId)], seed: u64, attempt: usize) -> Option<Built<HostsV4>> {
    let mut built = sized(hosts.len().div_ceil(MEAN_V4), attempt);
    for (address, class) in hosts {
        let bucket = bucket_v4(*address, seed, built.buckets);
        built.add(bucket, |hosts: &mut HostsV4| hosts.add(*address, *class))?;
    }
    Some(built)
}

/// As [`build_v4`].
fn build_v6(hosts: &[([u64; 2], ClassId)], seed: u64, attempt: usize) -> Option<Built<HostsV6>> {
    let (some, buckets) = MEAN_V6;
    let mut built = sized((hosts.len() * buckets).div_ceil(some), attempt);
    for ([upper, lower], class) in hosts {
        let bucket = bucket_v6(hash_v6(*upper, *lower, seed), built.buckets);
        built.add(bucket, |hosts: &mut HostsV6| {
            hosts.add(*upper, *lower, *class)
        })?;
    }
    Some(built)
}

/// A quarter more with each attempt: a seed that does not do is bad luck once, and no luck twice.
fn sized<T: Clone + Default>(buckets: usize, attempt: usize) -> Built<T> {
    let buckets = buckets + buckets * attempt / 4;
    if buckets == 0 {
        return Built::default();
    }
    let spare = usize::try_from(MAX_PROBES).unwrap_or_default();
    Built {
        buckets: u32::try_from(buckets).unwrap_or(u32::MAX),
        table: vec![T::default(); buckets + spare],
    }
}

impl<T> Built<T> {
    fn add(&mut self, bucket: u32, add: impl FnMut(&mut T) -> bool) -> Option<()> {
        let first = usize::try_from(bucket).ok()?;
        let last = first + usize::try_from(MAX_PROBES).ok()?;
        let probed = self.table.get_mut(first..last)?;
        probed.iter_mut().any(add).then_some(())
    }
}
