//! What a process has to be allowed.

use caps::Capability;

/// Loading programs and maps, attaching them, reading maps, and what the verifier asks for to trust the
/// program.
pub const CAPABILITIES: [Capability; 3] = [
    Capability::CAP_BPF,
    Capability::CAP_NET_ADMIN,
    Capability::CAP_PERFMON,
];
