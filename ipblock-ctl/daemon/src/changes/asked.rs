//! Confirmations by the operator.

/// What the operator has confirmed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// That a large amount may be dropped.
    pub(crate) wide: bool,
    /// That refusals for safety are overridden.
    pub(crate) force: bool,
}
