//! Whether a source is banned. A filter rules out most sources before the ban table is read.

use aya_ebpf::{helpers::bpf_ktime_get_boot_ns, maps::lpm_trie::Key};
use ipblock_common::{
    BanEntry, BanGate,
    ban::{self, BanFilters, NEVER},
};

use crate::{
    maps::{BAN_FILTER_V4, BAN_FILTER_V6, BAN_GATE, BANS_IPV4, BANS_IPV6},
    source::{SourceV4, SourceV6},
};

/// A source that may be banned.
pub(crate) trait Bannable {
    /// Returns the slot that counts for the source, or `None` if no ban that is in force covers it.
    fn find_ban(self) -> Option<u32>;
}

impl Bannable for SourceV4 {
    #[inline(always)]
    fn find_ban(self) -> Option<u32> {
        if !ban::may_cover_v4(&Maps, self.0) {
            return None;
        }
        slot_of(BANS_IPV4.get(Key::new(32, self.0.to_be_bytes())))
    }
}

impl Bannable for SourceV6 {
    #[inline(always)]
    fn find_ban(self) -> Option<u32> {
        if !ban::may_cover_v6(&Maps, self.upper) {
            return None;
        }
        slot_of(BANS_IPV6.get(Key::new(128, self.octets())))
    }
}

/// The maps that all generations share.
struct Maps;

impl BanFilters for Maps {
    #[inline(always)]
    fn gate(&self) -> Option<BanGate> {
        BAN_GATE.get(0).copied()
    }

    #[inline(always)]
    fn filter_v4(&self, word: u32) -> Option<u64> {
        BAN_FILTER_V4.get(word).copied()
    }

    #[inline(always)]
    fn filter_v6(&self, word: u32) -> Option<u64> {
        BAN_FILTER_V6.get(word).copied()
    }
}

/// The slot of an entry that has not ended.
#[inline(always)]
fn slot_of(found: Option<&BanEntry>) -> Option<u32> {
    let entry = found?;
    let deadline = entry.deadline_ns();
    // Only sources with an entry that ends pay for the clock.
    // SAFETY: the helper takes no argument.
    if deadline != NEVER && unsafe { bpf_ktime_get_boot_ns() } >= deadline {
        return None;
    }
    Some(entry.slot())
}
