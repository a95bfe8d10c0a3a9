//! What an operator has said beforehand.

/// What the operator has said already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// That much may be dropped.
    pub(crate) wide: bool,
    /// That whatever is refused for safety may be done.
    pub(crate) force: bool,
}
