//! Atomic operations on map values that all CPUs write to.
//!
//! `core` has none for BPF: its target predates Linux 5.12, which added exchange and
//! compare-and-exchange. Each operation is one instruction here (Documentation/bpf/standardization,
//! "Atomic operations").

use core::arch::asm;

/// An atomic `u64` in a map value.
#[repr(transparent)]
pub(crate) struct Shared(*mut u64);

impl Shared {
    /// # Safety
    /// `place` points at eight aligned bytes of a value that a lookup in a map has just returned: the
    /// kernel keeps them readable and writable while the program runs.
    #[inline(always)]
    pub(crate) const unsafe fn new(place: *mut u64) -> Self {
        Self(place)
    }

    /// Returns the value.
    #[inline(always)]
    pub(crate) fn load(&self) -> u64 {
        // SAFETY: see `new`; a load of eight aligned bytes is one instruction.
        unsafe { self.0.read_volatile() }
    }

    /// Stores `value`.
    #[inline(always)]
    pub(crate) fn store(&self, value: u64) {
        // SAFETY: see `new`; a store of eight aligned bytes is one instruction.
        unsafe { self.0.write_volatile(value) }
    }

    /// Adds `value`.
    #[inline(always)]
    pub(crate) fn add(&self, value: u64) {
        // SAFETY: see `new`.
        unsafe {
            asm!("lock *(u64 *)({place} + 0) += {value}",
                place = in(reg) self.0, value = in(reg) value, options(nostack));
        }
    }

    /// Adds `value` and returns the previous value.
    #[inline(always)]
    pub(crate) fn fetch_add(&self, value: u64) -> u64 {
        let mut before = value;
        // SAFETY: see `new`.
        unsafe {
            asm!("{value} = atomic_fetch_add((u64 *)({place} + 0), {value})",
                place = in(reg) self.0, value = inout(reg) before, options(nostack));
        }
        before
    }

    /// Stores `value` and returns the previous value.
    #[inline(always)]
    pub(crate) fn swap(&self, value: u64) -> u64 {
        let mut before = value;
        // SAFETY: see `new`.
        unsafe {
            asm!("{value} = xchg_64({place} + 0, {value})",
                place = in(reg) self.0, value = inout(reg) before, options(nostack));
        }
        before
    }

    /// Stores `value` if the current value is `expected`. Returns whether it did.
    #[inline(always)]
    pub(crate) fn replace(&self, expected: u64, value: u64) -> bool {
        let mut found = expected;
        // SAFETY: see `new`. The instruction compares with r0 and leaves the previous value there.
        unsafe {
            asm!("r0 = cmpxchg_64({place} + 0, r0, {value})",
                place = in(reg) self.0, value = in(reg) value, inout("r0") found, options(nostack));
        }
        found == expected
    }
}
