//! Classes: the values of the trie and table entries.

use core::borrow::Borrow;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limits::MAX_EXPIRY_CHAIN;

/// Index into the class map; the value of a trie entry. [`NO_CLASS`] means that there is no class.
pub type ClassId = u32;

/// The class id that no entry has: no rule matches, and the zone's default decides.
///
/// Its element of the per-class counters counts what bans dropped.
pub const NO_CLASS: ClassId = 0;

/// The kernel's part of a class.
///
/// Map `CLASSES`, indexed by [`ClassId`]. Written before the program that reads it is attached, and
/// never after.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Class {
    /// The end of this class, in nanoseconds of `CLOCK_BOOTTIME`, which includes suspend; 0 if it
    /// never ends. From that time on [`Class::next`] is in force.
    pub valid_until: u64,
    /// The class in force after `valid_until`; [`NO_CLASS`] if there is none.
    pub next: ClassId,
    /// A [`ClassVerdict`] as a number; any other value is read as [`ClassVerdict::Default`].
    pub verdict: u16,
    /// 1 if a matching rule alerts, else 0.
    pub alert: u16,
    /// An argument of the verdict; 0, because no verdict has one yet.
    pub argument: u32,
    /// Always 0.
    pub padding: u32,
}

/// Returns the class in force: the class `first`, or the first of its successors that has not
/// ended. `None` if all have ended. `class` reads a class by its id. `now` reads the boot clock in
/// nanoseconds; only a class with an end pays for it.
///
/// The compiler makes no chain longer than [`MAX_EXPIRY_CHAIN`]. For a longer one this returns
/// `None`: a class that has ended must not be in force.
#[inline(always)]
#[expect(clippy::inline_always, reason = "each packet comes by here")]
pub fn in_force<C: Borrow<Class>>(
    first: ClassId,
    class: impl Fn(ClassId) -> Option<C>,
    now: impl FnOnce() -> u64,
) -> Option<(ClassId, C)> {
    let mut id = first;
    if id == NO_CLASS {
        return None;
    }
    let mut found = class(id)?;
    if found.borrow().valid_until == 0 {
        return Some((id, found));
    }
    let now = now();
    // The class itself and all its successors.
    for _ in 0..=MAX_EXPIRY_CHAIN {
        let Class {
            valid_until, next, ..
        } = *found.borrow();
        if valid_until == 0 || now < valid_until {
            return Some((id, found));
        }
        id = next;
        if id == NO_CLASS {
            return None;
        }
        found = class(id)?;
    }
    None
}

/// The verdict of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum ClassVerdict {
    /// The zone's default decides. The class exists because an exception of a rule exempts the
    /// source.
    Default = 0,
    /// On an allow list: passes, whatever the zone's default is.
    Allow = 1,
    /// A block rule matches: drop.
    Block = 2,
    /// Only warn rules match: the zone's default decides.
    Warn = 3,
}

impl ClassVerdict {
    /// Returns the verdict with this number, as the kernel reads it.
    #[inline]
    #[must_use]
    pub const fn from_number(number: u16) -> Self {
        match number {
            1 => Self::Allow,
            2 => Self::Block,
            3 => Self::Warn,
            _ => Self::Default,
        }
    }

    /// Returns the number of this verdict in [`Class::verdict`].
    #[inline]
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }
}
