//! What a pinned generation says of itself.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Version of the maps' layout and meaning. A daemon that meets another number builds its own
/// generation aside and replaces the program on the link.
pub const ABI_VERSION: u32 = 6;

/// Who made a generation. Map `generation` (array, one element), written and read by user space
/// alone. This layout is frozen over all ABI versions: it is how another version is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GenerationMeta {
    /// [`ABI_VERSION`] of the daemon that built it.
    pub abi: u32,
    /// The aya-log level that the program was loaded with; 0 is off.
    pub log_level: u32,
    /// The generation's number, unique within one state directory.
    pub number: u64,
    /// SHA-256 of the BPF object that the program was loaded from.
    pub object_sha256: [u8; 32],
    /// Identity of the state store that knows this generation's rules.
    pub store_id: [u8; 16],
}
