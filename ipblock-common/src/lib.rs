//! The ABI that the XDP program and user space share: map values, verdicts, limits and names.
//!
//! No I/O and no policy. Every type here is stored in a kernel map that outlives the process which
//! wrote it, so a change of layout or of meaning is a change of [`ABI_VERSION`].
#![no_std]
#![deny(unsafe_code)]

pub mod ban;
pub mod class;
pub mod counters;
pub mod generation;
pub mod limits;
pub mod names;

pub use ban::BanDeadline;
pub use class::{Class, ClassId, ClassVerdict};
pub use counters::{ClassCount, Count, Outcome, Totals};
pub use generation::{ABI_VERSION, GenerationMeta};

#[cfg(feature = "user")]
#[expect(
    unsafe_code,
    reason = "aya's marker for types that may be copied byte by byte"
)]
mod pod {
    use super::{BanDeadline, Class, ClassCount, GenerationMeta, Totals};

    // SAFETY: `repr(C)`, no padding and no invalid bit patterns: the zerocopy derives prove it.
    unsafe impl aya::Pod for Class {}
    // SAFETY: as above.
    unsafe impl aya::Pod for BanDeadline {}
    // SAFETY: as above.
    unsafe impl aya::Pod for ClassCount {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Totals {}
    // SAFETY: as above.
    unsafe impl aya::Pod for GenerationMeta {}
}
