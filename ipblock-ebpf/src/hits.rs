//! Hits per source, for `top`. The numbers may be estimates, and they never change a verdict.
//!
//! The first hits of a clock tick are all counted. After that, known sources are sampled.

use aya_ebpf::bindings::BPF_NOEXIST;
use ipblock_common::{
    HitBudget, HitCount, SourceKey,
    limits::{EXACT_HITS_PER_TICK, HIT_SAMPLE},
};

use crate::{
    atomic::Shared,
    frame::Frame,
    maps::{HIT_BUDGET, HITS},
};

/// Counts the frame for its source: every frame at ordinary rates, a sample in a flood. Builds the
/// key only if it is needed.
#[inline(always)]
pub(crate) fn count(frame: &Frame<'_>, key: impl FnOnce() -> SourceKey, now: u64) {
    let Some(budget) = HIT_BUDGET.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: the element belongs to this CPU, and XDP programs do not preempt one another on it.
    let weight = weight(unsafe { &mut *budget }, now);
    if weight != 0 {
        add(frame, &key(), now, weight);
    }
}

/// Returns the number of hits that this one counts as, 0 if it is skipped.
#[inline(always)]
fn weight(budget: &mut HitBudget, now: u64) -> u64 {
    if budget.tick != now {
        *budget = HitBudget { tick: now, hits: 0 };
    }
    budget.hits += 1;
    if budget.hits <= EXACT_HITS_PER_TICK {
        return 1;
    }
    // The offset differs per tick. Otherwise sources in rotation would be sampled always or never.
    let place = now >> 20;
    if (budget.hits ^ place) & (HIT_SAMPLE - 1) == 0 {
        HIT_SAMPLE
    } else {
        0
    }
}

#[inline(never)]
fn add(frame: &Frame<'_>, key: &SourceKey, now: u64, weight: u64) {
    let bytes = frame.len() * weight;
    let Some(found) = HITS.get_ptr_mut(key) else {
        // Eviction from a full table costs about a microsecond; in a flood of spoofed sources each
        // packet would pay it. A source that hits often is soon added at the start of a tick.
        if weight != 1 {
            return;
        }
        let first = HitCount {
            packets: weight,
            bytes,
            last_hit: now,
        };
        // If another CPU inserts first or the table has no room, the statistic misses one hit.
        let _ = HITS.insert(key, &first, BPF_NOEXIST.into());
        return;
    };
    // SAFETY: a field of the value that the lookup returned.
    unsafe { Shared::new(&raw mut (*found).packets) }.add(weight);
    // SAFETY: as above.
    unsafe { Shared::new(&raw mut (*found).bytes) }.add(bytes);
    // SAFETY: as above.
    unsafe { Shared::new(&raw mut (*found).last_hit) }.store(now);
}
