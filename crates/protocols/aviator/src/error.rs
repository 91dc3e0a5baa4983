//! Errors of this protocol: `{"error": "..."}` with the statuses of `aviator.md` 1, 2.5 and 3.2.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use casebook_app::StorageError;
use casebook_app::access::Denied;
use casebook_app::uploads::{NotAccepted, NotRecorded};
use casebook_formats::Malformed;
use casebook_http::Refusal;
use serde_json::json;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The status and the sentence that goes with it.
    Refused(StatusCode, String),
    /// 500; the cause is logged, never shown.
    Storage(StorageError),
}

impl ApiError {
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::Refused(StatusCode::BAD_REQUEST, message.into())
    }

    /// The same for what does not exist and what is none of the credential's business.
    pub(crate) fn not_found() -> Self {
        let message = "there is no such check in a repository of this credential";
        Self::Refused(StatusCode::NOT_FOUND, message.to_owned())
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NoSuchSuite => Self::not_found(),
            error => Self::Storage(error),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.status(), refusal.to_string())
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        let status = match denied {
            Denied::Unknown => {
                let message = "the token is missing or not valid: send it as Authorization: Bearer TOKEN";
                return Self::Refused(StatusCode::UNAUTHORIZED, message.to_owned());
            }
            Denied::NotFound => return Self::not_found(),
            Denied::Storage(error) => return error.into(),
            Denied::NoDefaultSuite => StatusCode::BAD_REQUEST,
            _ => casebook_http::status_of(&denied),
        };
        Self::Refused(status, denied.to_string())
    }
}

impl From<NotAccepted> for ApiError {
    fn from(error: NotAccepted) -> Self {
        let status = match &error {
            NotAccepted::Malformed(Malformed::TooManyResults { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            NotAccepted::Malformed(_) | NotAccepted::NoReport(_) | NotAccepted::NotUnpacked(_) => {
                StatusCode::BAD_REQUEST
            }
            NotAccepted::NotRecorded(NotRecorded::NoSuchSuite) => return Self::not_found(),
            NotAccepted::NotRecorded(_) | NotAccepted::Unreadable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::Refused(status, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Refused(status, message) => (status, message),
            Self::Storage(error) => {
                (StatusCode::INTERNAL_SERVER_ERROR, casebook_http::failed(&error).to_owned())
            }
        };
        (status, Json(json!({ "error": message }))).into_response()
    }
}

/// 405 with a body like every other error.
pub(crate) async fn method_not_allowed() -> Response {
    let message = "this address does not take that method";
    ApiError::Refused(StatusCode::METHOD_NOT_ALLOWED, message.to_owned()).into_response()
}
