//! Whether a source is banned: first what most sources are not in, then the table itself.

use aya_ebpf::{helpers::bpf_ktime_get_boot_ns, maps::lpm_trie::Key};
use ipblock_common::{
    ban::{self, NEVER},
    lookup::filter::{FilterLine, Place, place_v4},
};

use crate::{
    maps::{BAN_FILTER_V4, BAN_FILTER_V6, BAN_GATE, BANS_IPV4, BANS_IPV6},
    packet::Source,
    tables::upper,
};

/// Whether a ban covers the source that has not ended.
#[inline(always)]
pub(crate) fn cover(source: &Source) -> bool {
    if !may_cover(source) {
        return false;
    }
    let found = match source {
        Source::V4(address) => BANS_IPV4.get(Key::new(32, *address)),
        Source::V6(address) => BANS_IPV6.get(Key::new(128, *address)),
    };
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

/// Whether the table has to be asked.
#[inline(always)]
fn may_cover(source: &Source) -> bool {
    let Some(gate) = BAN_GATE.get(0) else {
        return false;
    };
    match source {
        Source::V4(address) => {
            let place = place_v4(u32::from_be_bytes(*address));
            gate.v4 != 0 && has(BAN_FILTER_V4.get(place.line), place)
        }
        Source::V6(address) => {
            if gate.v6 == 0 {
                return false;
            }
            let upper = upper(address);
            let (net, long) = (ban::place_of_32(upper), ban::place_of_64(upper));
            gate.wide_v6 != 0
                || has(BAN_FILTER_V6.get(net.line), net)
                || has(BAN_FILTER_V6.get(long.line), long)
        }
    }
}

#[inline(always)]
fn has(line: Option<&FilterLine>, place: Place) -> bool {
    line.is_some_and(|line| line.has(place))
}
