//! Kernel features that the program needs, probed by use: distributions backport features, so a
//! version proves little.

use aya::{
    maps::MapType,
    programs::ProgramType,
    sys::{BpfHelper, is_helper_supported, is_map_supported},
};

use super::error::Feature;

enum Probe {
    Helper(BpfHelper),
    Map(MapType),
}

const FEATURES: [(Probe, Feature); 6] = [
    (
        Probe::Map(MapType::LpmTrie),
        Feature {
            what: "longest-prefix tries, for rules and bans",
            since: "4.11",
        },
    ),
    (
        Probe::Map(MapType::LruHash),
        Feature {
            what: "least-recently-used tables, for alerts and `top`",
            since: "4.10",
        },
    ),
    (
        Probe::Map(MapType::RingBuf),
        Feature {
            what: "ring buffers, for alerts",
            since: "5.8",
        },
    ),
    (
        Probe::Helper(BpfHelper::BPF_FUNC_ktime_get_boot_ns),
        Feature {
            what: "the boot clock, for the ends of bans and rules",
            since: "5.8",
        },
    ),
    (
        Probe::Helper(BpfHelper::BPF_FUNC_ktime_get_coarse_ns),
        Feature {
            what: "the coarse clock, for last hits",
            since: "5.11",
        },
    ),
    (
        Probe::Helper(BpfHelper::BPF_FUNC_xdp_load_bytes),
        Feature {
            what: "XDP on buffers of several fragments, for jumbo frames and headers that a driver splits",
            since: "5.18",
        },
    ),
];

/// Returns the features that the program needs and this kernel lacks. Returns none without the
/// permission to probe.
#[must_use]
pub fn missing() -> Vec<Feature> {
    FEATURES
        .iter()
        .filter(|(probe, _)| match probe {
            Probe::Helper(helper) => {
                matches!(is_helper_supported(ProgramType::Xdp, *helper), Ok(false))
            }
            Probe::Map(map) => matches!(is_map_supported(*map), Ok(false)),
        })
        .map(|&(_, feature)| feature)
        .collect()
}
