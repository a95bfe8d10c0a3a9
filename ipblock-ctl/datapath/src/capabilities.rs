//! The capabilities that the datapath needs.

use caps::{CapSet, Capability};

/// The capabilities to load programs and maps, attach programs and read maps, and for the verifier
/// to trust the program.
pub const CAPABILITIES: [Capability; 3] = [
    Capability::CAP_BPF,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_PERFMON,
];

/// Returns those of [`CAPABILITIES`] that are not effective in this thread.
#[must_use]
pub fn missing_capabilities() -> Vec<Capability> {
    let has = |needed| matches!(caps::has_cap(None, CapSet::Effective, needed), Ok(true));
    CAPABILITIES.into_iter().filter(|&cap| !has(cap)).collect()
}
