//! Counters. A failed lookup of a counter never changes a verdict.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use ipblock_common::{BanHits, ClassId, Outcome};

use crate::{
    frame::Frame,
    maps::{BAN_HITS, CLASS_COUNTS, TOTALS},
};

/// Counts the frame for its source's class, or under `NO_CLASS` for a ban. Returns the time of the
/// hit in nanoseconds of the coarse `CLOCK_MONOTONIC`.
#[inline(always)]
pub(crate) fn class(frame: &Frame<'_>, id: ClassId) -> u64 {
    // SAFETY: the helper takes no argument.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    let Some(count) = CLASS_COUNTS.get_ptr_mut(id) else {
        return now;
    };
    // SAFETY: the element belongs to this CPU, and XDP programs do not preempt one another on it.
    let count = unsafe { &mut *count };
    count.count.packets += 1;
    count.count.bytes += frame.len();
    count.last_hit = now;
    now
}

/// Counts a packet for the ban that has this slot. `now` is the time of the hit.
#[inline(always)]
pub(crate) fn ban(slot: u32, now: u64) {
    let Some(block) = BAN_HITS.get_ptr_mut(BanHits::block_of(slot)) else {
        return;
    };
    // SAFETY: the element belongs to this CPU, and XDP programs do not preempt one another on it.
    let hit = unsafe { &mut *block }.slot_mut(slot);
    hit.packets += 1;
    hit.last_hit = now;
}

/// Counts the frame under its outcome.
#[inline(always)]
pub(crate) fn total(frame: &Frame<'_>, outcome: Outcome) {
    let Some(totals) = TOTALS.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: the element belongs to this CPU, and XDP programs do not preempt one another on it.
    let totals = unsafe { &mut *totals };
    let count = &mut totals[outcome];
    count.packets += 1;
    count.bytes += frame.len();
}
