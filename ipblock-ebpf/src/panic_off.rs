//! Whether an operator has called off all dropping, which needs no daemon.

use aya_ebpf::helpers::bpf_ktime_get_boot_ns;

use crate::maps::PANIC_OFF;

/// Whether nothing is to be dropped now. Asked for what would be dropped, and only then.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    let Some(until) = PANIC_OFF.get(0) else {
        return false;
    };
    // SAFETY: the helper takes no argument.
    *until != 0 && unsafe { bpf_ktime_get_boot_ns() } < *until
}
