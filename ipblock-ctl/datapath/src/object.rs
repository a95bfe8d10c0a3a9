//! The BPF object in this build.

use std::{fmt::Write as _, io::ErrorKind, sync::OnceLock};

use aya::{
    EbpfLoader,
    programs::{ProgramError, Xdp},
};
use ipblock_common::names;
use sha2::{Digest as _, Sha256};

use super::{error::DatapathError, features};

/// The ELF object with the XDP program and its map definitions.
pub static BPF_OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ipblock"));

/// SHA-256 of [`BPF_OBJECT`]. Builds with the same object do not have to replace each other's
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

/// Loads the program into the kernel.
///
/// The verifier stops with `EAGAIN` if a signal arrives (`bpf_check` in kernel/bpf/verifier.c).
/// Then this tries again, as libbpf does.
pub fn load_program(program: &mut Xdp) -> Result<(), DatapathError> {
    const ATTEMPTS: u32 = 5;
    let mut attempt = 1;
    loop {
        match program.load() {
            Ok(()) => return Ok(()),
            Err(ProgramError::LoadError { io_error, .. })
                if attempt < ATTEMPTS && io_error.kind() == ErrorKind::WouldBlock =>
            {
                attempt += 1;
            }
            Err(ProgramError::LoadError {
                io_error,
                verifier_log,
            }) => {
                let missing = features::missing();
                if !missing.is_empty() {
                    return Err(DatapathError::Kernel { missing });
                }
                return Err(DatapathError::Verifier {
                    source: io_error,
                    said: last_lines(&verifier_log.to_string()),
                });
            }
            Err(error) => return Err(DatapathError::Program(Box::new(error))),
        }
    }
}

/// Loads maps and program of this build, as for an empty ruleset, and discards them.
///
/// # Errors
/// The kernel's reason for a refusal.
pub fn try_program() -> Result<(), DatapathError> {
    let mut ebpf = EbpfLoader::new()
        .load(BPF_OBJECT)
        .map_err(|error| DatapathError::Load(Box::new(error)))?;
    let program = ebpf.program_mut(names::PROGRAM);
    let program: Option<&mut Xdp> = program.and_then(|program| program.try_into().ok());
    // The tests of every build prove that the object contains it.
    program.map_or(Ok(()), load_program)
}

/// The log has the reason at its end, before some statistics.
fn last_lines(log: &str) -> String {
    const LINES: usize = 6;
    let mut lines: Vec<&str> = log
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let surplus = lines.len().saturating_sub(LINES);
    lines.drain(..surplus);
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_verifiers_log_the_end_is_told() {
        let log = (0..100).fold(String::new(), |log, line| {
            format!("{log}  {line}: r0 = 1\n\n")
        });
        let said = last_lines(&log);
        assert_eq!(said.split("; ").count(), 6);
        assert!(said.ends_with("; 99: r0 = 1"), "{said}");
        assert_eq!(last_lines(""), "");
    }
}
