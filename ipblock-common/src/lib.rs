//! The ABI that the XDP program and user space share: map values, verdicts, limits and names.
//!
//! It has no I/O and no policy. Every type here is stored in a kernel map that outlives the process
//! that wrote it, so a change of layout or meaning changes [`ABI_VERSION`].
#![no_std]
#![deny(unsafe_code)]

pub mod alert;
pub mod ban;
pub mod class;
pub mod counters;
pub mod generation;
pub mod limits;
pub mod lookup;
pub mod names;
pub mod source;

pub use alert::{AlertCounts, AlertEvent, AlertRate, AlertSettings, AlertWindow, Seen};
pub use ban::{BanEntry, BanGate, BanHits};
pub use class::{Class, ClassId, ClassVerdict};
pub use counters::{ClassCount, Count, Outcome, Totals};
pub use generation::{ABI_VERSION, GenerationMeta};
pub use source::{HitBudget, HitCount, SourceKey};

#[cfg(feature = "user")]
#[expect(
    unsafe_code,
    reason = "aya's marker for types that may be copied byte by byte"
)]
mod pod {
    use super::{
        AlertCounts, AlertRate, AlertSettings, AlertWindow, BanEntry, BanGate, BanHits, Class,
        ClassCount, GenerationMeta, HitBudget, HitCount, SourceKey, Totals, lookup::layout::Layout,
    };

    // SAFETY: `repr(C)`, no padding and no invalid bit patterns: the zerocopy derives prove it.
    unsafe impl aya::Pod for Class {}
    // SAFETY: as above.
    unsafe impl aya::Pod for BanEntry {}
    // SAFETY: as above.
    unsafe impl aya::Pod for BanHits {}
    // SAFETY: as above.
    unsafe impl aya::Pod for BanGate {}
    // SAFETY: as above.
    unsafe impl aya::Pod for ClassCount {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Totals {}
    // SAFETY: as above.
    unsafe impl aya::Pod for GenerationMeta {}
    // SAFETY: as above.
    unsafe impl aya::Pod for SourceKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for AlertWindow {}
    // SAFETY: as above.
    unsafe impl aya::Pod for AlertCounts {}
    // SAFETY: as above.
    unsafe impl aya::Pod for AlertSettings {}
    // SAFETY: as above.
    unsafe impl aya::Pod for AlertRate {}
    // SAFETY: as above.
    unsafe impl aya::Pod for HitCount {}
    // SAFETY: as above.
    unsafe impl aya::Pod for HitBudget {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Layout {}
}
