//! Finds the class of a source: in the tables in front of the tries, then in the tries.

use core::arch::asm;

use aya_ebpf::maps::lpm_trie::Key;
use ipblock_common::{
    ClassId,
    class::NO_CLASS,
    for_each_table,
    lookup::{
        self, Tables,
        layout::Layout,
        nets::{self, ASK_TRIE},
    },
};

use crate::{
    maps::{self, IPV4, IPV6},
    source::{SourceV4, SourceV6},
};

/// Patched by the loader. Unpatched, the tries contain all entries.
#[unsafe(no_mangle)]
static LAYOUT: Layout = Layout::NONE;

/// [`LAYOUT`] as the loader patched it. The `asm!` hides the value in the object from the compiler;
/// the verifier must see the patched value.
#[inline(always)]
fn layout() -> &'static Layout {
    let mut layout: *const Layout = &raw const LAYOUT;
    // SAFETY: the `asm!` has no instruction and leaves the pointer unchanged, which points to a
    // constant.
    unsafe {
        asm!("/* {0} */", inout(reg) layout, options(pure, nomem, nostack, preserves_flags));
        &*layout
    }
}

/// A source whose class can be looked up.
pub(crate) trait Classified {
    /// Returns the class of the longest entry that covers the source, before any expiry.
    /// [`NO_CLASS`] if none does.
    fn find_class(self) -> ClassId;
}

impl Classified for SourceV4 {
    #[inline(always)]
    fn find_class(self) -> ClassId {
        if layout().has_tables != 0 {
            return lookup::find_v4(&Maps, self.0);
        }
        class_of(IPV4.get(Key::new(32, self.0.to_be_bytes())))
    }
}

impl Classified for SourceV6 {
    #[inline(always)]
    fn find_class(self) -> ClassId {
        if layout().has_tables != 0 {
            let found = lookup::find_v6(&Maps, self.upper, self.lower);
            if found != ASK_TRIE {
                return found;
            }
        }
        class_of(IPV6.get(Key::new(128, self.octets())))
    }
}

#[inline(always)]
fn class_of(found: Option<&ClassId>) -> ClassId {
    found.map_or(NO_CLASS, |class| *class)
}

/// The maps of this generation.
struct Maps;

macro_rules! read_from_maps {
    ($($(#[$doc:meta])* $field:ident: $map:ident of $element:ty,)*) => {
        impl Tables for Maps {
            #[inline(always)]
            fn layout(&self) -> &Layout {
                layout()
            }

            $(
                #[inline(always)]
                fn $field(&self, index: u32) -> Option<&$element> {
                    maps::$map.get(index)
                }
            )*

            #[inline(always)]
            fn descend(&self, value: u32, number: u32) -> ClassId {
                descend(value, number)
            }
        }
    };
}
for_each_table!(read_from_maps);

/// Out of line: inlined it would appear three times.
#[inline(never)]
fn descend(value: u32, number: u32) -> ClassId {
    nets::descend(&Maps, value, number)
}
