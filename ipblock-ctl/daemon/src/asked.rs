//! What an operator has said beforehand.

/// What the operator has said already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// That much may be dropped.
    pub(super) wide: bool,
    /// That whatever is refused for safety may be done.
    pub(super) force: bool,
}
