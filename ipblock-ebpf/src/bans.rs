//! Whether a source is banned: first what most sources are not in, then the table itself.

use aya_ebpf::{helpers::bpf_ktime_get_boot_ns, maps::lpm_trie::Key};
use ipblock_common::{
    BanDeadline, BanGate,
    ban::{self, NEVER},
};

use crate::{
    maps::{BAN_FILTER_V4, BAN_FILTER_V6, BAN_GATE, BANS_IPV4, BANS_IPV6},
    source::{SourceV4, SourceV6},
};

/// Whether a ban covers the source that has not ended.
#[inline(always)]
pub(crate) fn cover_v4(source: SourceV4) -> bool {
    let place = ban::place_of_24(source.0);
    gate().is_some_and(|gate| gate.v4 != 0)
        && place.is_set(BAN_FILTER_V4.get(place.word))
        && holds(BANS_IPV4.get(Key::new(32, source.0.to_be_bytes())))
}

/// As [`cover_v4`].
#[inline(always)]
pub(crate) fn cover_v6(source: SourceV6) -> bool {
    let Some(gate) = gate() else {
        return false;
    };
    let (net, long) = (
        ban::place_of_32(source.upper),
        ban::place_of_64(source.upper),
    );
    gate.v6 != 0
        && (gate.wide_v6 != 0
            || net.is_set(BAN_FILTER_V6.get(net.word))
            || long.is_set(BAN_FILTER_V6.get(long.word)))
        && holds(BANS_IPV6.get(Key::new(128, source.octets())))
}

#[inline(always)]
fn gate() -> Option<&'static BanGate> {
    BAN_GATE.get(0)
}

#[inline(always)]
fn holds(found: Option<&BanDeadline>) -> bool {
    match found.map(|deadline| deadline.ns()) {
        None => false,
        Some(NEVER) => true,
        Some(deadline) => {
            // Only sources with an entry pay for the clock.
            // SAFETY: the helper takes no argument.
            let now = unsafe { bpf_ktime_get_boot_ns() };
            now < deadline
        }
    }
}
