//! The BPF object that this build carries.

use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

/// The ELF object with the XDP program and its map definitions.
pub static BPF_OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ipblock"));

/// SHA-256 of [`BPF_OBJECT`]: two builds with the same object need not replace one another's
/// program.
pub fn object_sha256() -> [u8; 32] {
    static HASH: OnceLock<[u8; 32]> = OnceLock::new();
    *HASH.get_or_init(|| Sha256::digest(BPF_OBJECT).into())
}

/// [`object_sha256`] in lower-case hexadecimal.
#[must_use]
pub fn object_sha256_hex() -> String {
    let mut text = String::new();
    for byte in object_sha256() {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
