//! Classes: what a map entry points to.

use core::borrow::Borrow;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limits::MAX_EXPIRY_CHAIN;

/// Index into the class map; the value of a trie entry. [`NO_CLASS`] is no class.
pub type ClassId = u32;

/// The class id that no entry carries: nothing matched, the zone's default decides.
///
/// Its element of the per-class counters holds what bans dropped.
pub const NO_CLASS: ClassId = 0;

/// What the kernel knows of a class.
///
/// Map `CLASSES`, indexed by [`ClassId`]. Written before the program that reads it is put on a
/// link, and never after.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Class {
    /// When this class stops to hold, in nanoseconds of `CLOCK_BOOTTIME`, which runs through
    /// suspend; 0 when it never does. From that instant on [`Class::next`] holds.
    pub valid_until: u64,
    /// The class that follows when `valid_until` has passed; [`NO_CLASS`] for none.
    pub next: ClassId,
    /// A [`ClassVerdict`] as a number; any other value is read as [`ClassVerdict::Default`].
    pub verdict: u16,
    /// 1 when a rule among those that match alerts, else 0.
    pub alert: u16,
    /// What the verdict needs besides; 0, as no verdict needs anything yet.
    pub argument: u32,
    /// Always 0.
    pub padding: u32,
}

/// The class in force, from the one that an entry carries on along those that follow when it ends;
/// `None` when none is. `class` reads one by its id, `now` the boot clock, in nanoseconds: only classes
/// with an end pay for it.
///
/// A chain longer than [`MAX_EXPIRY_CHAIN`], which the compiler does not make, ends in none: what has
/// ended must not hold.
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
    // The class itself and all that may follow it.
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

/// What a class asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum ClassVerdict {
    /// The zone's default decides. The class exists because a rule's exception spared the source.
    Default = 0,
    /// On an allow list: passes, whatever the default.
    Allow = 1,
    /// A block rule matches: drop.
    Block = 2,
    /// Warn rules match and no block rule does: the zone's default decides.
    Warn = 3,
}

impl ClassVerdict {
    /// The verdict that `number` stands for, as the kernel side reads it.
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

    /// The number that stands for this verdict in [`Class::verdict`].
    #[inline]
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }
}
