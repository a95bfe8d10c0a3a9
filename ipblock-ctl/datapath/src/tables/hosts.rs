//! Builds the hash tables: hosts and doors.

use ipblock_common::{
    ClassId,
    lookup::{
        hosts::{HostsV4, HostsV6, MAX_PROBES, bucket, hash_v4, hash_v6},
        nets::{MAX_DOOR_PROBES, NetLine, hash as hash_of_32},
    },
};

/// Mean number of hosts per bucket of eight: one bucket in 20 is full.
const MEAN_V4: usize = 4;
/// Three hosts per two buckets of three: one bucket in five is full.
const MEAN_V6: (usize, usize) = (3, 2);
/// Half of the places have no door.
const DOORS_PER_DOOR: usize = 2;

/// A hash table.
#[derive(Debug)]
pub(super) struct Built<T> {
    /// Number of places for a hash. The table has some more for keys that do not fit.
    pub(super) buckets: u32,
    pub(super) table: Vec<T>,
    /// Places that a lookup reads at most.
    probes: usize,
}

/// All hash tables.
#[derive(Debug)]
pub(super) struct Hashed {
    /// The seed with which all keys fit.
    pub(super) seed: u64,
    pub(super) hosts_v4: Built<HostsV4>,
    pub(super) hosts_v6: Built<HostsV6>,
    pub(super) doors: Built<NetLine>,
}

/// Returns another seed, with the constants of PCG (O'Neill 2014).
fn next_seed(seed: u64) -> u64 {
    seed.wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
}

impl Hashed {
    /// Builds the tables with the first seed, from this one on, with which all keys fit.
    pub(super) fn build(
        ipv4: &[(u32, ClassId)],
        ipv6: &[([u64; 2], ClassId)],
        doors: &[NetLine],
        mut seed: u64,
    ) -> Self {
        let mut attempt = 0;
        loop {
            if let Some(built) = Self::attempt(ipv4, ipv6, doors, seed, attempt) {
                return built;
            }
            seed = next_seed(seed);
            attempt += 1;
        }
    }

    /// Returns `None` if a key does not fit with this seed. Later attempts take more places.
    fn attempt(
        ipv4: &[(u32, ClassId)],
        ipv6: &[([u64; 2], ClassId)],
        doors: &[NetLine],
        seed: u64,
        attempt: usize,
    ) -> Option<Self> {
        let mut hosts_v4 = sized(ipv4.len().div_ceil(MEAN_V4), MAX_PROBES, attempt);
        for (address, class) in ipv4 {
            hosts_v4.add(hash_v4(*address, seed), |hosts: &mut HostsV4| {
                hosts.add(*address, *class)
            })?;
        }
        let (some, buckets) = MEAN_V6;
        let mut hosts_v6 = sized((ipv6.len() * buckets).div_ceil(some), MAX_PROBES, attempt);
        for ([upper, lower], class) in ipv6 {
            let hash = hash_v6(*upper, *lower, seed);
            hosts_v6.add(hash, |hosts: &mut HostsV6| {
                hosts.add(*upper, *lower, *class)
            })?;
        }
        let mut placed = sized(doors.len() * DOORS_PER_DOOR, MAX_DOOR_PROBES, attempt);
        for door in doors {
            placed.add(hash_of_32(door.tag, seed), |place: &mut NetLine| {
                let is_free = place.is_empty();
                if is_free {
                    *place = *door;
                }
                is_free
            })?;
        }
        Some(Self {
            seed,
            hosts_v4,
            hosts_v6,
            doors: placed,
        })
    }
}

/// Adds a quarter with each attempt: one failure is bad luck with the seed, two are too few places.
fn sized<T: Clone + Default>(buckets: usize, probes: u32, attempt: usize) -> Built<T> {
    let buckets = buckets + buckets * attempt / 4;
    let probes = usize::try_from(probes).unwrap_or_default();
    let len = if buckets == 0 { 0 } else { buckets + probes };
    Built {
        buckets: u32::try_from(buckets).unwrap_or(u32::MAX),
        table: vec![T::default(); len],
        probes,
    }
}

impl<T> Built<T> {
    fn add(&mut self, hash: u64, add: impl FnMut(&mut T) -> bool) -> Option<()> {
        let first = usize::try_from(bucket(hash, self.buckets)).ok()?;
        let probed = self.table.get_mut(first..first + self.probes)?;
        probed.iter_mut().any(add).then_some(())
    }
}
