//! Errors of our own API: problem documents (RFC 9457).

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use casebook_api::ProblemDocument;
use casebook_app::StorageError;
use casebook_app::access::Denied;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// 400.
    BadRequest(String),
    /// 404.
    NotFound(&'static str),
    /// 413.
    TooLarge(String),
    /// 500; the cause is logged, never shown.
    Unwritable(serde_json::Error),
    /// 503.
    Unavailable(&'static str),
    /// As access says.
    Denied(Denied),
    /// 500; the cause is logged, never shown.
    Storage(StorageError),
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Storage(error) => Self::Storage(error),
            denied => Self::Denied(denied),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, detail) = match self {
            Self::BadRequest(detail) => (StatusCode::BAD_REQUEST, detail),
            Self::NotFound(detail) => (StatusCode::NOT_FOUND, detail.to_owned()),
            Self::TooLarge(detail) => (StatusCode::PAYLOAD_TOO_LARGE, detail),
            Self::Unwritable(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "an answer could not be written");
                (StatusCode::INTERNAL_SERVER_ERROR, "the server could not write its answer".to_owned())
            }
            Self::Unavailable(detail) => (StatusCode::SERVICE_UNAVAILABLE, detail.to_owned()),
            Self::Denied(denied) => (casebook_http::status_of(&denied), denied.to_string()),
            Self::Storage(error) => match error {
                StorageError::TooMuch { .. } => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
                error => (StatusCode::INTERNAL_SERVER_ERROR, casebook_http::failed(&error).to_owned()),
            },
        };
        document(status, detail)
    }
}

/// 405 with a body like every other error.
pub(crate) async fn method_not_allowed() -> Response {
    document(StatusCode::METHOD_NOT_ALLOWED, "this address does not take that method".to_owned())
}

fn document(status: StatusCode, detail: String) -> Response {
    let title = status.canonical_reason().unwrap_or("Error").to_owned();
    let body = ProblemDocument { title, status: status.as_u16(), detail };
    let text = serde_json::to_vec(&body).unwrap_or_default();
    (status, [(CONTENT_TYPE, "application/problem+json")], text).into_response()
}
