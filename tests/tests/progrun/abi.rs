//! The binary interface that both sides of the kernel boundary must agree on.

use std::mem::{offset_of, size_of};

use aya::maps::{Map, MapData, MapInfo, MapType};
use ipblock_common::{
    AlertCounts, AlertEvent, AlertRate, AlertSettings, AlertWindow, BanEntry, BanHits, Class,
    ClassCount, ClassId, ClassVerdict, Count, GenerationMeta, HitBudget, HitCount, Outcome,
    SourceKey, Totals,
    ban::{self, BanBase, BanGate, BanHit, NEVER},
    limits::{self, BAN_TABLE_ENTRIES},
    lookup::{
        hosts::{HostsV4, HostsV6},
        layout::Layout,
        nets::NetLine,
    },
    names,
};
use ipblock_tests::require_privileged;

use crate::{fixture::Fixture, zone::Zone};

#[test]
fn layouts_are_those_of_abi_version_7() {
    assert_eq!(ipblock_common::ABI_VERSION, 7);

    assert_eq!(size_of::<BanEntry>(), 12);
    assert_eq!(align_of::<BanEntry>(), 4);
    assert_eq!(size_of::<BanHits>(), 256);
    assert_eq!(size_of::<BanHit>(), 16);
    assert_eq!(offset_of!(BanHit, packets), 0);
    assert_eq!(offset_of!(BanHit, last_hit), 8);
    assert_eq!(size_of::<BanBase>(), 16);
    assert_eq!(offset_of!(BanBase, before), 0);
    assert_eq!(offset_of!(BanBase, carried), 8);

    assert_eq!(size_of::<Class>(), 24);
    assert_eq!(offset_of!(Class, valid_until), 0);
    assert_eq!(offset_of!(Class, next), 8);
    assert_eq!(offset_of!(Class, verdict), 12);
    assert_eq!(offset_of!(Class, alert), 14);
    assert_eq!(offset_of!(Class, argument), 16);

    assert_eq!(size_of::<Count>(), 16);
    assert_eq!(offset_of!(Count, packets), 0);
    assert_eq!(offset_of!(Count, bytes), 8);

    assert_eq!(size_of::<ClassCount>(), 24);
    assert_eq!(offset_of!(ClassCount, count), 0);
    assert_eq!(offset_of!(ClassCount, last_hit), 16);

    assert_eq!(size_of::<Totals>(), 96);

    assert_eq!(size_of::<GenerationMeta>(), 64);
    assert_eq!(offset_of!(GenerationMeta, abi), 0);
    assert_eq!(offset_of!(GenerationMeta, number), 8);
    assert_eq!(offset_of!(GenerationMeta, object_sha256), 16);
    assert_eq!(offset_of!(GenerationMeta, store_id), 48);
}

#[test]
fn layouts_of_lookup_tables_are_those_of_abi_version_7() {
    assert_eq!(size_of::<HostsV4>(), 64);
    assert_eq!(size_of::<HostsV6>(), 64);
    assert_eq!(size_of::<Layout>(), 40);
    assert_eq!(offset_of!(Layout, seed), 0);
    assert_eq!(offset_of!(Layout, buckets_v4), 8);
    assert_eq!(offset_of!(Layout, has_tables), 32);
    assert_eq!(size_of::<NetLine>(), 64);
    assert_eq!(offset_of!(NetLine, tag), 0);
    assert_eq!(offset_of!(NetLine, starts), 4);
    assert_eq!(offset_of!(NetLine, values), 32);
    assert_eq!(size_of::<BanGate>(), 16);
    assert_eq!(offset_of!(BanGate, v4), 0);
    assert_eq!(offset_of!(BanGate, v6), 4);
    assert_eq!(offset_of!(BanGate, wide_v6), 8);
}

#[test]
fn layouts_of_what_is_kept_of_sources_are_those_of_abi_version_7() {
    assert_eq!(size_of::<SourceKey>(), 32);
    assert_eq!(offset_of!(SourceKey, generation), 0);
    assert_eq!(offset_of!(SourceKey, class), 8);
    assert_eq!(offset_of!(SourceKey, family), 12);
    assert_eq!(offset_of!(SourceKey, address), 16);

    assert_eq!(size_of::<AlertWindow>(), 16);
    assert_eq!(offset_of!(AlertWindow, start), 0);
    assert_eq!(offset_of!(AlertWindow, packets), 8);

    assert_eq!(size_of::<AlertEvent>(), 80);
    assert_eq!(align_of::<AlertEvent>(), 8);
    assert_eq!(offset_of!(AlertEvent, source), 0);
    assert_eq!(offset_of!(AlertEvent, start), 32);
    assert_eq!(offset_of!(AlertEvent, previous_start), 40);
    assert_eq!(offset_of!(AlertEvent, previous_packets), 48);
    assert_eq!(offset_of!(AlertEvent, interface), 56);
    assert_eq!(offset_of!(AlertEvent, destination_port), 60);
    assert_eq!(offset_of!(AlertEvent, has_port), 62);
    assert_eq!(offset_of!(AlertEvent, protocol), 63);
    assert_eq!(offset_of!(AlertEvent, destination), 64);

    assert_eq!(size_of::<AlertCounts>(), 24);
    assert_eq!(offset_of!(AlertCounts, announced), 0);
    assert_eq!(offset_of!(AlertCounts, held), 8);
    assert_eq!(offset_of!(AlertCounts, lost), 16);

    assert_eq!(size_of::<AlertSettings>(), 16);
    assert_eq!(offset_of!(AlertSettings, window), 0);
    assert_eq!(offset_of!(AlertSettings, rate), 8);

    assert_eq!(size_of::<AlertRate>(), 16);
    assert_eq!(offset_of!(AlertRate, second), 0);
    assert_eq!(offset_of!(AlertRate, used), 8);

    assert_eq!(size_of::<HitCount>(), 24);
    assert_eq!(offset_of!(HitCount, packets), 0);
    assert_eq!(offset_of!(HitCount, bytes), 8);
    assert_eq!(offset_of!(HitCount, last_hit), 16);

    assert_eq!(size_of::<HitBudget>(), 16);
    assert_eq!(offset_of!(HitBudget, tick), 0);
    assert_eq!(offset_of!(HitBudget, hits), 8);
}

#[test]
fn numbers_that_maps_keep_are_those_of_abi_version_7() {
    for (number, verdict) in [
        (0, ClassVerdict::Default),
        (1, ClassVerdict::Allow),
        (2, ClassVerdict::Block),
        (3, ClassVerdict::Warn),
    ] {
        assert_eq!(verdict.number(), number);
        assert_eq!(ClassVerdict::from_number(number), verdict);
    }
    assert_eq!(ClassVerdict::from_number(4), ClassVerdict::Default);
    for deadline in [0, 1, 0x0123_4567_89ab_cdef, u64::from(u32::MAX), NEVER] {
        let entry = BanEntry::new(deadline, 7);
        assert_eq!((entry.deadline_ns(), entry.slot()), (deadline, 7));
    }
    assert_eq!(
        Outcome::ALL.map(|outcome| outcome as usize),
        [0, 1, 2, 3, 4, 5]
    );
}

#[test]
fn counters_of_bans_are_bounded_by_memory() {
    assert_eq!(limits::ban_slots(1), limits::BAN_SLOTS);
    assert_eq!(limits::ban_slots(8), limits::BAN_SLOTS);
    assert_eq!(limits::ban_slots(64), 32_768);
    assert_eq!(limits::ban_slots(100), 20_960);
    assert_eq!(limits::ban_slots(u32::MAX), 16);
}

#[test]
fn the_objects_maps_are_those_that_user_space_expects() {
    let zone = Fixture::denylist().load(require_privileged!());
    let classes = 5;
    let expected = [
        (
            names::IPV4,
            MapType::LpmTrie,
            4 + 4,
            size_of::<ClassId>(),
            1,
        ),
        (
            names::IPV6,
            MapType::LpmTrie,
            4 + 16,
            size_of::<ClassId>(),
            1,
        ),
        // 4,096 bits.
        array::<u64>(names::FILTER_V4, 64),
        array::<u64>(names::FILTER_V6, 64),
        array::<HostsV4>(names::HOSTS_V4, 1),
        array::<HostsV6>(names::HOSTS_V6, 1),
        // 2^18 of IPv4, two in an element: no IPv6 net holds a whole /32.
        array::<u64>(names::NET_ROOTS, 1 << 17),
        array::<BanGate>(names::BAN_GATE, 1),
        array::<u64>(names::PANIC_OFF, 1),
        array::<u64>(names::BAN_FILTER_V4, ban::FILTER_WORDS),
        array::<u64>(names::BAN_FILTER_V6, ban::FILTER_WORDS),
        (
            names::BANS_IPV4,
            MapType::LpmTrie,
            4 + 4,
            size_of::<BanEntry>(),
            BAN_TABLE_ENTRIES,
        ),
        (
            names::BANS_IPV6,
            MapType::LpmTrie,
            4 + 16,
            size_of::<BanEntry>(),
            BAN_TABLE_ENTRIES,
        ),
        // The daemon creates it in the size that the machine needs.
        (
            names::BAN_HITS,
            MapType::PerCpuArray,
            4,
            size_of::<BanHits>(),
            1,
        ),
        (
            names::CLASSES,
            MapType::Array,
            4,
            size_of::<Class>(),
            classes,
        ),
        (
            names::CLASS_COUNTS,
            MapType::PerCpuArray,
            4,
            size_of::<ClassCount>(),
            classes,
        ),
        (
            names::TOTALS,
            MapType::PerCpuArray,
            4,
            size_of::<Totals>(),
            1,
        ),
    ];
    check_maps(&zone, &expected);
}

#[test]
fn the_objects_maps_of_sources_are_those_that_user_space_expects() {
    let zone = Fixture::empty().load(require_privileged!());
    let expected = [
        (
            names::ALERT_WINDOWS,
            MapType::LruHash,
            32,
            size_of::<AlertWindow>(),
            limits::ALERT_WINDOWS,
        ),
        (
            names::ALERT_EVENTS,
            MapType::RingBuf,
            0,
            0,
            limits::ALERT_EVENT_BYTES,
        ),
        (
            names::ALERT_COUNTS,
            MapType::PerCpuArray,
            4,
            size_of::<AlertCounts>(),
            1,
        ),
        (
            names::ALERT_SETTINGS,
            MapType::Array,
            4,
            size_of::<AlertSettings>(),
            1,
        ),
        (
            names::ALERT_RATE,
            MapType::Array,
            4,
            size_of::<AlertRate>(),
            1,
        ),
        (
            names::HITS,
            MapType::LruHash,
            32,
            size_of::<HitCount>(),
            limits::HIT_SOURCES,
        ),
        (
            names::HIT_BUDGET,
            MapType::PerCpuArray,
            4,
            size_of::<HitBudget>(),
            1,
        ),
    ];
    check_maps(&zone, &expected);
}

fn array<T>(name: &str, entries: u32) -> (&str, MapType, u32, usize, u32) {
    (name, MapType::Array, 4, size_of::<T>(), entries)
}

/// Name, type, bytes of key and value, and entries of maps.
fn check_maps(zone: &Zone, expected: &[(&str, MapType, u32, usize, u32)]) {
    for &(name, map_type, key, value, entries) in expected {
        let info = info(zone.ebpf().map(name).unwrap());
        let actual = (
            info.map_type().unwrap(),
            info.key_size(),
            info.value_size() as usize,
            info.max_entries(),
        );
        assert_eq!(info.name_as_str(), Some(name));
        assert_eq!(actual, (map_type, key, value, entries), "{name}");
    }
}

#[test]
fn the_program_is_called_as_user_space_expects() {
    let zone = Fixture::empty().load(require_privileged!());
    let info = zone.program().info().unwrap();
    assert_eq!(info.name_as_str(), Some(names::PROGRAM));
    assert_eq!(info.gpl_compatible(), Some(true));
}

fn info(map: &Map) -> MapInfo {
    let data: &MapData = match map {
        Map::LpmTrie(data)
        | Map::Array(data)
        | Map::PerCpuArray(data)
        | Map::LruHashMap(data)
        | Map::RingBuf(data) => data,
        other => panic!("unexpected map {other:?}"),
    };
    data.info().unwrap()
}
