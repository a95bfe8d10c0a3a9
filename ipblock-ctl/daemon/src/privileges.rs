//! The daemon's privileges beyond those of an ordinary user: three capabilities, and nothing else.

use caps::{CapSet, Capability, CapsHashSet, errors::CapsError};
use ipblock_datapath::{CAPABILITIES, kernel_log::Level};

use super::settings::Settings;

/// Drops every other capability, for this process and its children. Call it before threads are
/// started, because capabilities belong to threads.
///
/// The program's diagnostics are found by its id, which needs `CAP_SYS_ADMIN`: it is kept if they
/// are enabled.
pub fn keep_only_what_is_needed(settings: &Settings) -> Result<(), CapsError> {
    let mut needed = CapsHashSet::from(CAPABILITIES);
    if settings.bpf_log != Level::Off {
        needed.insert(Capability::CAP_SYS_ADMIN);
    }
    for unneeded in caps::read(None, CapSet::Bounding)?.difference(&needed) {
        // Needs CAP_SETPCAP; a process without it gains nothing by execution either.
        caps::drop(None, CapSet::Bounding, *unneeded).ok();
    }
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept = permitted.intersection(&needed).copied().collect();
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)
}
