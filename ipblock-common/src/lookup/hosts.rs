//! Hosts: an exact-match hash table whose bucket is one cache line.
//!
//! A bucket fills from its first slot. A host that does not fit goes into the next bucket; a lookup
//! reads at most [`MAX_PROBES`] buckets. The table has extra buckets at its end, so that a probe
//! never wraps around. The builder draws another seed, or takes more buckets, until all hosts fit.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{ClassId, class::NO_CLASS};

/// Buckets that a lookup reads at most.
pub const MAX_PROBES: u32 = 16;

/// Hosts in an IPv4 bucket.
pub const SLOTS_V4: usize = 8;

/// Hosts in an IPv6 bucket.
pub const SLOTS_V6: usize = 3;

/// A bucket of IPv4 hosts. Addresses are numbers, first octet most significant. A slot without a
/// class is empty.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct HostsV4 {
    addresses: [u32; SLOTS_V4],
    classes: [ClassId; SLOTS_V4],
}

/// A bucket of IPv6 hosts. Addresses are two halves as numbers. A slot without a class is empty.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct HostsV6 {
    addresses: [[u64; 2]; SLOTS_V6],
    classes: [ClassId; SLOTS_V6],
    /// Always 0.
    padding: u32,
}

impl HostsV4 {
    /// Returns the class of a host, or [`NO_CLASS`] if it is not in this bucket.
    #[inline(always)]
    #[must_use]
    pub fn find(&self, address: u32) -> ClassId {
        for (other, class) in self.addresses.iter().zip(&self.classes) {
            if *other == address {
                return *class;
            }
        }
        NO_CLASS
    }

    /// Whether hosts of this bucket may be in the next one.
    #[inline(always)]
    #[must_use]
    pub const fn is_full(&self) -> bool {
        let [.., last] = self.classes;
        last != NO_CLASS
    }

    /// Adds a host. Returns false if the bucket is full.
    #[inline]
    pub fn add(&mut self, address: u32, class: ClassId) -> bool {
        let slots = self.addresses.iter_mut().zip(&mut self.classes);
        for (slot, used) in slots {
            if *used == NO_CLASS {
                (*slot, *used) = (address, class);
                return true;
            }
        }
        false
    }
}

impl HostsV6 {
    /// Returns the class of a host, or [`NO_CLASS`] if it is not in this bucket.
    #[inline(always)]
    #[must_use]
    pub fn find(&self, upper: u64, lower: u64) -> ClassId {
        for ([other_upper, other_lower], class) in self.addresses.iter().zip(&self.classes) {
            if *other_lower == lower && *other_upper == upper {
                return *class;
            }
        }
        NO_CLASS
    }

    /// Whether hosts of this bucket may be in the next one.
    #[inline(always)]
    #[must_use]
    pub const fn is_full(&self) -> bool {
        let [.., last] = self.classes;
        last != NO_CLASS
    }

    /// Adds a host. Returns false if the bucket is full.
    #[inline]
    pub fn add(&mut self, upper: u64, lower: u64, class: ClassId) -> bool {
        let slots = self.addresses.iter_mut().zip(&mut self.classes);
        for (slot, used) in slots {
            if *used == NO_CLASS {
                (*slot, *used) = ([upper, lower], class);
                return true;
            }
        }
        false
    }
}

/// The hash of an IPv4 address.
#[inline(always)]
#[must_use]
pub const fn hash_v4(address: u32, seed: u64) -> u64 {
    (address as u64).wrapping_mul(seed | 1)
}

/// The hash of an IPv6 address. Its upper 32 bits depend on all of the address; only these are
/// used.
#[inline(always)]
#[must_use]
pub const fn hash_v6(upper: u64, lower: u64, seed: u64) -> u64 {
    let mixed = upper.wrapping_mul(seed | 1);
    (mixed ^ mixed >> 32 ^ lower).wrapping_mul(seed.rotate_left(32) | 1)
}

/// The bucket among `buckets` for a key with this hash.
#[inline(always)]
#[must_use]
pub const fn bucket(hash: u64, buckets: u32) -> u32 {
    (((hash >> 32) * buckets as u64) >> 32) as u32
}
