//! The interface of each kind of source for the lists that follow it.

use std::{
    fmt::{Debug, Display},
    io::Read as _,
    sync::Arc,
};

use ipblock_api::error::{ApiError, ErrorKind};
use ipblock_policy::{
    Classified, Diagnostic, Hinted, ListElement, ListName, Source, SourceKind,
    exchange::{self, ReadOptions},
};
use thiserror::Error;

/// Maximum size of a source's content in bytes: about two million addresses with notes.
pub(super) const MAX_CONTENT: u64 = 64 << 20;

/// A source that a list follows.
///
/// One value serves a list while that follows the source, so it may keep state between calls: a
/// connection, an etag, a transfer in the background.
pub(super) trait Feed: Debug + Send + Sync {
    /// Returns the location of the content, for messages.
    fn place(&self) -> String;

    /// Returns the state of the source. Called every second, for one list after the other, so it
    /// never waits. A slow source returns the state that its last transfer found, and starts
    /// another when that is due.
    fn look(&self) -> Result<Stamp, FeedError>;

    /// Returns the content of the source, never empty, and its state at that time. It may wait for
    /// a limited time: a request with the source waits as well, and so do other changes.
    fn fetch(&self) -> Result<(Stamp, Vec<ListElement>), FeedError>;
}

/// Distinguishes states of a source without reading it. It is only compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Box<str>);

impl Stamp {
    /// Returns a state with this text, which is unique among the states of one source.
    pub(super) fn new(state: impl Into<Box<str>>) -> Self {
        Self(state.into())
    }
}

/// A source with its feed.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(super) source: Source,
    pub(super) kind: SourceKind,
    pub(super) feed: Arc<dyn Feed>,
}

/// Why a source has no good content.
#[derive(Debug, Error)]
#[error(transparent)]
pub(crate) struct FeedError(Diagnostic);

impl FeedError {
    /// Returns an error of the source at `place`.
    pub(super) fn new(place: impl Display, problem: impl Into<String>) -> Self {
        Self(Diagnostic::new(problem).at(place))
    }

    /// Adds a hint.
    pub(super) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self(self.0.with_hint(hint))
    }

    /// Returns the answer to a request with the list.
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

/// Returns the content of a source; gzip data is unpacked, up to the limit for any content.
fn unpack(bytes: Vec<u8>) -> Result<Vec<u8>, Diagnostic> {
    if !exchange::is_packed(&bytes) {
        return Ok(bytes);
    }
    let mut text = Vec::new();
    let read = exchange::unpacked(&bytes[..])
        .and_then(|input| input.take(MAX_CONTENT + 1).read_to_end(&mut text));
    match read {
        Ok(read) if read as u64 > MAX_CONTENT => {
            let problem = format!("larger than {MAX_CONTENT} bytes when it is unpacked");
            Err(Diagnostic::new(problem).with_hint("split it into several lists"))
        }
        Ok(_) => Ok(text),
        Err(error) => Err(exchange::unpack_error(error)),
    }
}

/// Returns the elements of a text in any format that `import` reads, at least one.
pub(super) fn elements(
    place: &str,
    bytes: Vec<u8>,
    options: &ReadOptions,
) -> Result<Vec<ListElement>, FeedError> {
    let content = |error: Diagnostic| FeedError(error.at(place));
    let bytes = unpack(bytes).map_err(content)?;
    exchange::refuse_binary(&bytes).map_err(content)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let problem = format!("not text in UTF-8, from byte {valid} on");
        FeedError::new(place, problem).with_hint("write it in UTF-8")
    })?;
    let elements = exchange::read_list(&text, options).map_err(content)?;
    if elements.is_empty() {
        let hint = "write an address, a prefix or a range a line";
        return Err(FeedError::new(place, "holds no address").with_hint(hint));
    }
    Ok(elements)
}
