//! Converts the errors of every part to the single error type of the API.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use ipblock_api::error::ApiError;
use ipblock_datapath::DatapathError;
use ipblock_store::StoreError;

/// An error as a response.
pub(super) struct ErrorAnswer(pub(super) ApiError);

impl IntoResponse for ErrorAnswer {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(self.0)).into_response()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Others have reserved what it needs.
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
    /// Converts the refusal to a response.
    pub(super) fn into_response(self) -> Response {
        match self {
            Self::Busy(error) => {
                (StatusCode::SERVICE_UNAVAILABLE, ErrorAnswer(error)).into_response()
            }
            Self::Api(error) => ErrorAnswer(error).into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use ipblock_api::error::ErrorKind;
    use ipblock_policy::document::parse;

    use super::*;

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
