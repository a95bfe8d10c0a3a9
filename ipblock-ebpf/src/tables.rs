//! Which class a source has: the tables that stand in front of the tries, and the tries.

use aya_ebpf::{Global, maps::lpm_trie::Key};
use ipblock_common::{
    ClassId,
    class::NO_CLASS,
    lookup::{
        self, Tables,
        hosts::{HostsV4, HostsV6},
        nets::{self, ASK_TRIE, NetLine},
    },
};

use crate::{
    maps::{FILTER_V4, FILTER_V6, HOSTS_V4, HOSTS_V6, IPV4, IPV6, NET_DOORS, NET_LINES, NET_ROOTS},
    source::{SourceV4, SourceV6},
};

/// 1 when the tables are filled. As the object stands, the tries hold all.
#[unsafe(no_mangle)]
static HAS_TABLES: Global<u8> = Global::new(0);
#[unsafe(no_mangle)]
static SEED: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static BUCKETS_V4: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static BUCKETS_V6: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static HAS_NETS_V4: Global<u8> = Global::new(0);
#[unsafe(no_mangle)]
static DOORS: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static HAS_SHORT_V6: Global<u8> = Global::new(0);
#[unsafe(no_mangle)]
static FILTER_V4_SHIFT: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static FILTER_V6_SHIFT: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static FILTER_V4_DROP: Global<u32> = Global::new(0);
#[unsafe(no_mangle)]
static FILTERS_SHORT_V6: Global<u8> = Global::new(0);

/// The class of the longest entry that holds a source, expiry not looked at; [`NO_CLASS`] for none.
#[inline(always)]
pub(crate) fn find_v4(source: SourceV4) -> ClassId {
    if HAS_TABLES.load() != 0 {
        return lookup::find_v4(&Maps, source.0);
    }
    class_of(IPV4.get(Key::new(32, source.0.to_be_bytes())))
}

/// As [`find_v4`].
#[inline(always)]
pub(crate) fn find_v6(source: SourceV6) -> ClassId {
    if HAS_TABLES.load() != 0 {
        let found = lookup::find_v6(&Maps, source.upper, source.lower);
        if found != ASK_TRIE {
            return found;
        }
    }
    class_of(IPV6.get(Key::new(128, source.octets())))
}

#[inline(always)]
fn class_of(found: Option<&ClassId>) -> ClassId {
    found.map_or(NO_CLASS, |class| *class)
}

/// The maps of this generation.
struct Maps;

impl Tables for Maps {
    #[inline(always)]
    fn seed(&self) -> u64 {
        SEED.load()
    }

    #[inline(always)]
    fn buckets_v4(&self) -> u32 {
        BUCKETS_V4.load()
    }

    #[inline(always)]
    fn buckets_v6(&self) -> u32 {
        BUCKETS_V6.load()
    }

    #[inline(always)]
    fn has_nets_v4(&self) -> bool {
        HAS_NETS_V4.load() != 0
    }

    #[inline(always)]
    fn doors(&self) -> u32 {
        DOORS.load()
    }

    #[inline(always)]
    fn has_short_v6(&self) -> bool {
        HAS_SHORT_V6.load() != 0
    }

    #[inline(always)]
    fn filter_v4_shift(&self) -> u32 {
        FILTER_V4_SHIFT.load()
    }

    #[inline(always)]
    fn filter_v6_shift(&self) -> u32 {
        FILTER_V6_SHIFT.load()
    }

    #[inline(always)]
    fn filter_v4_drop(&self) -> u32 {
        FILTER_V4_DROP.load()
    }

    #[inline(always)]
    fn filters_short_v6(&self) -> bool {
        FILTERS_SHORT_V6.load() != 0
    }

    #[inline(always)]
    fn filter_v4(&self, word: u32) -> Option<&u64> {
        FILTER_V4.get(word)
    }

    #[inline(always)]
    fn filter_v6(&self, word: u32) -> Option<&u64> {
        FILTER_V6.get(word)
    }

    #[inline(always)]
    fn hosts_v4(&self, bucket: u32) -> Option<&HostsV4> {
        HOSTS_V4.get(bucket)
    }

    #[inline(always)]
    fn hosts_v6(&self, bucket: u32) -> Option<&HostsV6> {
        HOSTS_V6.get(bucket)
    }

    #[inline(always)]
    fn net_roots(&self, pair: u32) -> Option<&u64> {
        NET_ROOTS.get(pair)
    }

    #[inline(always)]
    fn net_line(&self, line: u32) -> Option<&NetLine> {
        NET_LINES.get(line)
    }

    #[inline(always)]
    fn net_door(&self, door: u32) -> Option<&NetLine> {
        NET_DOORS.get(door)
    }

    #[inline(always)]
    fn descend(&self, value: u32, number: u32) -> ClassId {
        descend(value, number)
    }
}

/// A function that the program calls: it would be there three times.
#[inline(never)]
fn descend(value: u32, number: u32) -> ClassId {
    nets::descend(&Maps, value, number)
}
