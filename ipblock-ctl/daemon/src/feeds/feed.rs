//! What each kind of source offers to the lists that follow it.

use std::{
    fmt::{Debug, Display},
    sync::Arc,
};

use ipblock_api::error::{ApiError, ErrorKind};
use ipblock_policy::{
    Classified, Diagnostic, Hinted, ListElement, ListName, Source, SourceKind, exchange,
};
use thiserror::Error;

/// Largest content of a source, in bytes: about two million addresses with notes.
pub(super) const MAX_CONTENT: u64 = 64 << 20;

/// A source that a list follows.
///
/// One value serves a list as long as that follows the source, so it may keep what it needs between
/// calls: a connection, an etag, a transfer that runs in the background.
pub(super) trait Feed: Debug + Send + Sync {
    /// Where the content is, for messages.
    fn place(&self) -> String;

    /// The state that the source is in. Called every second, for one list after the other: it never
    /// waits. A source that is slow answers with the state that its last transfer has found, and
    /// begins another when that is due.
    fn look(&self) -> Result<Stamp, FeedError>;

    /// What the source holds, never nothing, and its state at that time. It may wait for a moment,
    /// with a bound: a request that names the source waits as well, and other changes with it.
    fn fetch(&self) -> Result<(Stamp, Vec<ListElement>), FeedError>;
}

/// What tells one state of a source from another without reading it: it is compared, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Box<str>);

impl Stamp {
    /// A state that has this text, and no other state of the same source has.
    pub(super) fn new(state: impl Into<Box<str>>) -> Self {
        Self(state.into())
    }
}

/// A source with the feed that reads it.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(super) source: Source,
    pub(super) kind: SourceKind,
    pub(super) feed: Arc<dyn Feed>,
}

/// Why a source gives no content.
#[derive(Debug, Error)]
#[error(transparent)]
pub(crate) struct FeedError(Diagnostic);

impl FeedError {
    /// `problem` is what is wrong with the source at `place`.
    pub(super) fn new(place: impl Display, problem: impl Into<String>) -> Self {
        Self(Diagnostic::new(problem).at(place))
    }

    /// The same error with what to do.
    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self(self.0.with_hint(hint))
    }

    /// As the answer to a request that named the list.
    pub(super) fn of_list(&self, list: &ListName) -> ApiError {
        let mut error = ApiError::of(self);
        error.message = format!("list `{list}`: {self}");
        error
    }
}

impl Hinted for FeedError {
    fn hint(&self) -> Option<String> {
        self.0.hint()
    }
}

impl Classified for FeedError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// The elements of a text in any format that `import` reads, at least one.
pub(super) fn elements(place: &str, bytes: Vec<u8>) -> Result<Vec<ListElement>, FeedError> {
    let content = |error: Diagnostic| FeedError(error.at(place));
    exchange::refuse_binary(&bytes).map_err(content)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let problem = format!("not text in UTF-8, from byte {valid} on");
        FeedError::new(place, problem).with_hint("write it in UTF-8")
    })?;
    let elements = exchange::read_list(&text).map_err(content)?;
    if elements.is_empty() {
        let hint = "write an address, a prefix or a range a line";
        return Err(FeedError::new(place, "holds no address").with_hint(hint));
    }
    Ok(elements)
}
