//! Errors of this protocol: `{"message": "..."}` with the statuses of `buildkite.md` 4.1 and 11.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use casebook_app::StorageError;
use casebook_app::access::Denied;
use casebook_app::suites::NotChanged;
use casebook_app::uploads::{NotAccepted, NotRecorded};
use casebook_formats::Malformed;
use casebook_http::Refusal;
use serde_json::json;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden(String),
    /// 404.
    NotFound(&'static str),
    /// 400: the request cannot be read.
    BadRequest(String),
    /// 408.
    Timeout(String),
    /// 429.
    TooManyRequests(String),
    /// 413.
    TooLarge(String),
    /// 415.
    UnsupportedMediaType(String),
    /// 422: it can be read, but not done.
    Unprocessable(String),
    /// 503.
    Unavailable(String),
    /// 500; the cause is logged, never shown.
    Storage(StorageError),
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Unreadable(_) => Self::BadRequest(message),
            Refusal::TooSlow => Self::Timeout(message),
            Refusal::TooLarge(_) => Self::TooLarge(message),
            Refusal::UnknownEncoding(_) => Self::UnsupportedMediaType(message),
            Refusal::NoRoom(_) => Self::Unavailable(message),
        }
    }
}

impl From<NotChanged> for ApiError {
    fn from(error: NotChanged) -> Self {
        match error {
            NotChanged::Denied(denied) => denied.into(),
            NotChanged::Taken(_) | NotChanged::SameCheck(_) | NotChanged::Default => {
                Self::Unprocessable(error.to_string())
            }
        }
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::TooMuch { .. } => Self::Unprocessable(error.to_string()),
            error => Self::Storage(error),
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unknown => Self::Unauthorized,
            Denied::Scope(_) | Denied::OneSuite => Self::Forbidden(denied.to_string()),
            Denied::Busy | Denied::TooOften => Self::TooManyRequests(denied.to_string()),
            Denied::NotFound => Self::NotFound("no such suite"),
            Denied::NoDefaultSuite => Self::Unprocessable(denied.to_string()),
            Denied::Storage(error) => error.into(),
        }
    }
}

impl From<NotAccepted> for ApiError {
    fn from(error: NotAccepted) -> Self {
        match error {
            NotAccepted::Malformed(malformed) => {
                let message = malformed.to_string();
                match malformed {
                    Malformed::NotJson(_) | Malformed::NotXml(_) => Self::BadRequest(message),
                    Malformed::WrongShape(_) | Malformed::TooManyResults { .. } => {
                        Self::Unprocessable(message)
                    }
                }
            }
            NotAccepted::NoReport(_) | NotAccepted::NotUnpacked(_) => Self::Unprocessable(error.to_string()),
            NotAccepted::NotRecorded(NotRecorded::NoSuchSuite) => Self::NotFound("no such suite"),
            NotAccepted::NotRecorded(error) => Self::Unavailable(error.to_string()),
            NotAccepted::Unreadable(_) => Self::Unavailable(error.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "the token is missing or not valid: send it as Authorization: Token token=\"...\"".to_owned(),
            ),
            Self::Forbidden(message) => (StatusCode::FORBIDDEN, message),
            Self::NotFound(message) => (StatusCode::NOT_FOUND, message.to_owned()),
            Self::BadRequest(message) => (StatusCode::BAD_REQUEST, message),
            Self::Timeout(message) => (StatusCode::REQUEST_TIMEOUT, message),
            Self::TooManyRequests(message) => (StatusCode::TOO_MANY_REQUESTS, message),
            Self::TooLarge(message) => (StatusCode::PAYLOAD_TOO_LARGE, message),
            Self::UnsupportedMediaType(message) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, message),
            Self::Unprocessable(message) => (StatusCode::UNPROCESSABLE_ENTITY, message),
            Self::Unavailable(message) => (StatusCode::SERVICE_UNAVAILABLE, message),
            Self::Storage(error) => {
                (StatusCode::INTERNAL_SERVER_ERROR, casebook_http::failed(&error).to_owned())
            }
        };
        (status, Json(json!({ "message": message }))).into_response()
    }
}

/// 405 with a body like every other error.
pub(crate) async fn method_not_allowed() -> Response {
    let body = json!({ "message": "this address does not take that method" });
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}
