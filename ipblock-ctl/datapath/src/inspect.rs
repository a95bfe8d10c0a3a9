//! Reads the state of the kernel without a change, for `doctor` and for error messages.

use std::{fs, io, os::fd::AsRawFd as _};

use aya::programs::loaded_programs;

use super::{error::DatapathError, pins::PinDirectory, sys};

/// Returns the name of a loaded program, or `None` if it does not exist or the query is not
/// permitted (`BPF_PROG_GET_FD_BY_ID` needs `CAP_SYS_ADMIN`).
#[must_use]
pub fn program_name(id: u32) -> Option<String> {
    loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().map(ToOwned::to_owned))
}

/// Returns the memory of the maps of all pinned generations in bytes, as the kernel counts it.
pub fn generations_bytes(pins: &PinDirectory) -> Result<u64, DatapathError> {
    let mut bytes = 0;
    for number in pins.generation_numbers()? {
        let path = pins.generation(number);
        bytes += directory_bytes(&path).map_err(|source| DatapathError::pin(path, source))?;
    }
    Ok(bytes)
}

fn directory_bytes(directory: &std::path::Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let object = sys::open_pin(&entry?.path())?;
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", object.as_raw_fd()))?;
        let memory = info.lines().find_map(|line| line.strip_prefix("memlock:"));
        bytes += memory
            .and_then(|text| text.trim().parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(bytes)
}
