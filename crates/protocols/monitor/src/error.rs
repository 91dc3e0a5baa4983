//! Errors of this protocol: `{"message": "..."}`, with `errors` by field where fields are wrong (`docs/pytest-monitor.md`).

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::ALLOW;
use axum::response::{IntoResponse, Response};
use casebook_app::StorageError;
use casebook_app::access::Denied;
use casebook_app::uploads::NotRecorded;
use casebook_http::Refusal;
use serde_json::{Map, Value, json};

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The credential, or the lack of it.
    Denied(Denied),
    /// 404: there is no such page.
    NoSuchPage,
    /// 405, with the methods that are allowed.
    WrongMethod(&'static str),
    /// 400: the body is no JSON.
    NotJson(String),
    /// 400: fields are wrong, each with a reason.
    WrongFields(Map<String, Value>),
    /// 409.
    Different(&'static str),
    /// The body cannot be received.
    Body(Refusal),
    /// It could not be stored.
    NotRecorded(NotRecorded),
    /// The database failed.
    Storage(StorageError),
}

impl ApiError {
    /// What is wrong with a record, in one sentence.
    pub(crate) fn sentence(self) -> String {
        match self {
            Self::NotJson(message) => message,
            Self::WrongFields(errors) => {
                let told = errors
                    .iter()
                    .map(|(field, reason)| format!("{field} {}", reason.as_str().unwrap_or("is wrong")));
                told.collect::<Vec<_>>().join(", ")
            }
            _ => "the record cannot be used".to_owned(),
        }
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

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Body(refusal)
    }
}

impl From<NotRecorded> for ApiError {
    fn from(error: NotRecorded) -> Self {
        Self::NotRecorded(error)
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Denied(Denied::Unknown) => (
                StatusCode::UNAUTHORIZED,
                "the credential is missing or not valid: put it into the address, as in http://monitor:TOKEN@HOST/api/v1"
                    .to_owned(),
            ),
            Self::Denied(denied) => (casebook_http::status_of(&denied), denied.to_string()),
            Self::NoSuchPage => (StatusCode::NOT_FOUND, "there is no such page: total_page of page 1 tells how many".to_owned()),
            Self::WrongMethod(allow) => {
                let body = json!({ "message": "The method is not allowed for the requested URL." });
                return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, allow)], Json(body)).into_response();
            }
            Self::NotJson(message) => (StatusCode::BAD_REQUEST, message),
            Self::WrongFields(errors) => {
                let body = json!({ "errors": errors, "message": "Input payload validation failed" });
                return (StatusCode::BAD_REQUEST, Json(body)).into_response();
            }
            Self::Different(message) => (StatusCode::CONFLICT, message.to_owned()),
            Self::Body(refusal) => (refusal.status(), refusal.to_string()),
            Self::NotRecorded(NotRecorded::NoSuchSuite) | Self::Storage(StorageError::NoSuchSuite) => {
                (StatusCode::NOT_FOUND, "there is no such suite".to_owned())
            }
            Self::NotRecorded(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            Self::Storage(error) => {
                (StatusCode::INTERNAL_SERVER_ERROR, casebook_http::failed(&error).to_owned())
            }
        };
        (status, Json(json!({ "message": message }))).into_response()
    }
}

/// 404 of an address; beside this protocol's namespaces under both names that clients below `/api/` read.
pub(crate) fn not_found(is_ours: bool) -> (StatusCode, Json<Value>) {
    let message = "there is nothing at this address: /api/v1/docs lists what is";
    let body =
        if is_ours { json!({ "message": message }) } else { json!({ "error": message, "message": message }) };
    (StatusCode::NOT_FOUND, Json(body))
}
