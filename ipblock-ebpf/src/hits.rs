//! Who hits, for `top`: statistics that may be estimates, and never change a verdict.
//!
//! At the head of a tick every hit is counted, beyond that a sample, for sources that are known.

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

/// Counts the frame for its source: each one at ordinary rates, a sample in a flood. The key is made
/// only where it is needed.
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

/// How many hits this one stands for; 0 when it is left out.
#[inline(always)]
fn weight(budget: &mut HitBudget, now: u64) -> u64 {
    if budget.tick != now {
        *budget = HitBudget { tick: now, hits: 0 };
    }
    budget.hits += 1;
    if budget.hits <= EXACT_HITS_PER_TICK {
        return 1;
    }
    // Another place in each tick: sources that take turns would else be met always or never.
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
        // To make room in a full table costs a microsecond, and in a flood of made-up sources that
        // would be for one packet each. Who really hits often is soon met at the head of a tick.
        if weight != 1 {
            return;
        }
        let first = HitCount {
            packets: weight,
            bytes,
            last_hit: now,
        };
        // When another CPU is quicker or there is no room, a hit is missing in a statistic.
        let _ = HITS.insert(key, &first, BPF_NOEXIST.into());
        return;
    };
    // SAFETY: a place in the value that the lookup returned.
    unsafe { Shared::new(&raw mut (*found).packets) }.add(weight);
    // SAFETY: as above.
    unsafe { Shared::new(&raw mut (*found).bytes) }.add(bytes);
    // SAFETY: as above.
    unsafe { Shared::new(&raw mut (*found).last_hit) }.store(now);
}
