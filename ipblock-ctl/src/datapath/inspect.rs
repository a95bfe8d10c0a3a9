//! Questions about the kernel that change nothing: for `doctor` and for error messages.

use aya::programs::loaded_programs;

/// The name of a loaded program; `None` when there is none, or when asking is not permitted
/// (`BPF_PROG_GET_FD_BY_ID` needs `CAP_SYS_ADMIN`).
#[must_use]
pub fn program_name(id: u32) -> Option<String> {
    loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().map(ToOwned::to_owned))
}
