//! The BPF object that this build carries.

use std::{fmt::Write as _, io::ErrorKind, sync::OnceLock};

use aya::programs::{ProgramError, Xdp};
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
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}

/// Hands the program to the kernel.
///
/// The kernel's verifier gives up with `EAGAIN` when a signal comes in the meantime
/// (`bpf_check` in kernel/bpf/verifier.c); then it is asked again, as libbpf does it.
pub fn load_program(program: &mut Xdp) -> Result<(), ProgramError> {
    const ATTEMPTS: u32 = 5;
    let mut attempt = 1;
    loop {
        match program.load() {
            Err(ProgramError::LoadError { io_error, .. })
                if attempt < ATTEMPTS && io_error.kind() == ErrorKind::WouldBlock =>
            {
                attempt += 1;
            }
            loaded => return loaded,
        }
    }
}
