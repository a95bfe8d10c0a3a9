//! What both sides of the kernel boundary must agree on, to the byte.

use std::mem::{offset_of, size_of};

use aya::maps::{Map, MapData, MapInfo, MapType};
use ipblock_common::{
    BanDeadline, Class, ClassCount, ClassId, ClassVerdict, Count, GenerationMeta, Outcome, Totals,
    ban::NEVER, limits::BAN_TABLE_ENTRIES, names,
};
use ipblock_tests::require_privileged;

use crate::fixture::Fixture;

#[test]
fn layouts_are_those_of_abi_version_3() {
    assert_eq!(ipblock_common::ABI_VERSION, 2);

    assert_eq!(size_of::<BanDeadline>(), 8);
    assert_eq!(align_of::<BanDeadline>(), 4);

    assert_eq!(size_of::<Class>(), 16);
    assert_eq!(offset_of!(Class, valid_until), 0);
    assert_eq!(offset_of!(Class, next), 8);
    assert_eq!(offset_of!(Class, verdict), 12);

    assert_eq!(size_of::<Count>(), 16);
    assert_eq!(offset_of!(Count, packets), 0);
    assert_eq!(offset_of!(Count, bytes), 8);

    assert_eq!(size_of::<ClassCount>(), 24);
    assert_eq!(offset_of!(ClassCount, count), 0);
    assert_eq!(offset_of!(ClassCount, last_hit), 16);

    assert_eq!(size_of::<Totals>(), 96);
    assert_eq!(offset_of!(Totals, passed), 0);
    assert_eq!(offset_of!(Totals, dropped), 16);
    assert_eq!(offset_of!(Totals, warned), 32);
    assert_eq!(offset_of!(Totals, allowed), 48);
    assert_eq!(offset_of!(Totals, non_ip), 64);
    assert_eq!(offset_of!(Totals, malformed), 80);

    assert_eq!(size_of::<GenerationMeta>(), 64);
    assert_eq!(offset_of!(GenerationMeta, abi), 0);
    assert_eq!(offset_of!(GenerationMeta, number), 8);
    assert_eq!(offset_of!(GenerationMeta, object_sha256), 16);
    assert_eq!(offset_of!(GenerationMeta, store_id), 48);
}

#[test]
fn numbers_that_maps_keep_are_those_of_abi_version_2() {
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
        assert_eq!(BanDeadline::new(deadline).ns(), deadline);
    }
    assert_eq!(
        Outcome::ALL.map(|outcome| outcome as usize),
        [0, 1, 2, 3, 4, 5]
    );
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
            8,
        ),
        (
            names::IPV6,
            MapType::LpmTrie,
            4 + 16,
            size_of::<ClassId>(),
            8,
        ),
        (
            names::BANS_IPV4,
            MapType::LpmTrie,
            4 + 4,
            size_of::<BanDeadline>(),
            BAN_TABLE_ENTRIES,
        ),
        (
            names::BANS_IPV6,
            MapType::LpmTrie,
            4 + 16,
            size_of::<BanDeadline>(),
            BAN_TABLE_ENTRIES,
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
    for (name, map_type, key, value, entries) in expected {
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
        Map::LpmTrie(data) | Map::Array(data) | Map::PerCpuArray(data) => data,
        other => panic!("unexpected map {other:?}"),
    };
    data.info().unwrap()
}
