//! From the failures of every part to the one error that the API answers with.

use crate::{
    api::error::{ApiError, ErrorKind},
    datapath::DatapathError,
    policy::{compile::CompileError, document::DocumentError, edit::EditError},
    store::StoreError,
};

/// An API error with an optional hint.
fn api_error(kind: ErrorKind, message: String, hint: Option<String>) -> ApiError {
    ApiError {
        kind,
        message,
        hint,
    }
}

impl From<DatapathError> for ApiError {
    fn from(error: DatapathError) -> Self {
        let kind = if error.is_not_found() {
            ErrorKind::NotFound
        } else if error.is_conflict() {
            ErrorKind::Conflict
        } else if error.is_invalid() {
            ErrorKind::Invalid
        } else {
            ErrorKind::Failed
        };
        api_error(kind, error.to_string(), error.hint())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let kind = match error {
            StoreError::TooMuchStaged { .. } | StoreError::StagedBase { .. } => ErrorKind::Conflict,
            _ => ErrorKind::Failed,
        };
        api_error(kind, error.to_string(), error.hint())
    }
}

impl From<EditError> for ApiError {
    fn from(error: EditError) -> Self {
        let kind = if error.is_not_found() {
            ErrorKind::NotFound
        } else if error.is_conflict() {
            ErrorKind::Conflict
        } else {
            ErrorKind::Invalid
        };
        api_error(kind, error.to_string(), error.hint())
    }
}

impl From<DocumentError> for ApiError {
    fn from(error: DocumentError) -> Self {
        Self::new(ErrorKind::Invalid, error.to_string())
    }
}

impl From<CompileError> for ApiError {
    fn from(error: CompileError) -> Self {
        api_error(ErrorKind::Invalid, error.to_string(), Some(error.hint()))
    }
}
