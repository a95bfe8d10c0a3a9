//! The BPF object under test: the one that the daemon embeds.

/// The object's bytes.
pub(crate) fn bytes() -> &'static [u8] {
    ipblock::datapath::object::BPF_OBJECT
}
