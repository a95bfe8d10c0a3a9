//! What a process has to be allowed.

use caps::{CapSet, Capability};

/// Loading programs and maps, attaching them, reading maps, and what the verifier asks for to trust the
/// program.
pub const CAPABILITIES: [Capability; 3] = [
    Capability::CAP_BPF,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_PERFMON,
];

/// Those of [`CAPABILITIES`] that this thread does not have in effect.
#[must_use]
pub fn missing_capabilities() -> Vec<Capability> {
    let has = |needed| matches!(caps::has_cap(None, CapSet::Effective, needed), Ok(true));
    CAPABILITIES.into_iter().filter(|&cap| !has(cap)).collect()
}
