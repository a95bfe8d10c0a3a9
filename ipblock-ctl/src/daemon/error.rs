//! From the failures of every part to the one error that the API answers with.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::{
    api::error::{ApiError, ErrorKind},
    datapath::DatapathError,
    policy::{compile::CompileError, document::DocumentError, edit::EditError},
    store::StoreError,
};

/// An error as a response.
pub(super) struct Failure(pub(super) ApiError);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.0)).into_response()
    }
}

/// An API error with an optional hint.
fn api_error(kind: ErrorKind, message: String, hint: Option<String>) -> ApiError {
    ApiError {
        kind,
        message,
        hint,
        needs: None,
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
            StoreError::NoSuchRevision(_) => ErrorKind::NotFound,
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
        let kind = if error.is_forceable() {
            ErrorKind::Conflict
        } else {
            ErrorKind::Invalid
        };
        Self::new(kind, error.to_string())
    }
}

impl From<CompileError> for ApiError {
    fn from(error: CompileError) -> Self {
        api_error(ErrorKind::Invalid, error.to_string(), Some(error.hint()))
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Others hold what it needs.
    Busy(ApiError),
    /// Any other error.
    Api(ApiError),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Api(error.into())
    }
}

impl From<DatapathError> for Refusal {
    fn from(error: DatapathError) -> Self {
        Self::Api(error.into())
    }
}

impl Refusal {
    /// The refusal as a response.
    pub(super) fn into_response(self) -> Response {
        match self {
            Self::Busy(error) => (StatusCode::SERVICE_UNAVAILABLE, Failure(error)).into_response(),
            Self::Api(error) => Failure(error).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::document::parse;

    #[test]
    fn a_document_refused_for_safety_is_a_conflict_and_any_other_is_bad_input() {
        let everything =
            "[[rule]]\nname = \"all\"\naction = \"block\"\nmatch = [\"0.0.0.0/0\"]\n".to_owned();
        let kind = |text: &str| ApiError::from(parse(text, "rules.toml", false).unwrap_err()).kind;
        assert_eq!(kind(&everything), ErrorKind::Conflict);
        assert_eq!(kind(&(everything + "colour = 1\n")), ErrorKind::Invalid);
        assert_eq!(kind("colour = 1\n"), ErrorKind::Invalid);
    }
}
