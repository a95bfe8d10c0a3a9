//! The BPF object under test.

use std::{fs, sync::OnceLock};

/// Names the object file to test.
const OBJECT: &str = "IPBLOCK_EBPF_OBJECT";

/// The object's bytes.
pub(crate) fn bytes() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let path = std::env::var_os(OBJECT).unwrap_or_else(|| panic!("{OBJECT} is not set"));
        fs::read(&path).unwrap_or_else(|error| panic!("{OBJECT}={}: {error}", path.display()))
    })
}
