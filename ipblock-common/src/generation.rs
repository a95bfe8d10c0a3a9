//! The metadata of a pinned generation.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Version of the layout and meaning of the maps. A daemon that finds another version builds its
/// own generation in parallel and replaces the program on the link.
pub const ABI_VERSION: u32 = 7;

/// The origin of a generation. Map `generation` (array, one element); only user space reads and
/// writes it. This layout is frozen over all ABI versions: it identifies the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GenerationMeta {
    /// [`ABI_VERSION`] of the daemon that built it.
    pub abi: u32,
    /// The aya-log level of the loaded program; 0 is off.
    pub log_level: u32,
    /// The generation's number, unique within one state directory.
    pub number: u64,
    /// SHA-256 of the BPF object that contains the program.
    pub object_sha256: [u8; 32],
    /// Identity of the state store with this generation's rules.
    pub store_id: [u8; 16],
}
