//! Whether an operator has disabled all dropping. It works without the daemon.

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;

use crate::maps::PANIC_OFF;

/// Whether dropping is disabled now. Called only for packets that would be dropped.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    let Some(until) = PANIC_OFF.get(0) else {
        return false;
    };
    // SAFETY: the helper takes no argument.
    *until != 0 && unsafe { bpf_ktime_get_boot_ns() } < *until
}
