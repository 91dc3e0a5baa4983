//! Errors of this protocol (`avocado.md` 1.7).

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use casebook_app::StorageError;
use casebook_app::access::Denied;
use casebook_app::uploads::NotRecorded;
use casebook_http::Refusal;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What is told to whoever brings no credential where one is needed.
pub(crate) const NOT_PROVIDED: &str = "Authentication credentials were not provided.";

/// What is told to whoever brings a credential that allows less.
pub(crate) const NOT_PERMITTED: &str = "You do not have permission to perform this action.";

/// What is told to whoever brings a user or password that is wrong.
pub(crate) const WRONG_PASSWORD: &str = "Invalid username/password";

/// Fields that are wrong, each with its texts.
pub(crate) type WrongFields = BTreeMap<&'static str, Vec<String>>;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// An answer with one sentence.
    Detail(StatusCode, String),
    /// 400: all wrong fields at once.
    Fields(WrongFields),
    /// 500; the cause is logged, never shown.
    Storage(StorageError),
}

impl ApiError {
    /// 404.
    pub(crate) fn not_found() -> Self {
        Self::Detail(StatusCode::NOT_FOUND, "Not found".to_owned())
    }

    /// 403.
    pub(crate) fn forbidden(detail: &str) -> Self {
        Self::Detail(StatusCode::FORBIDDEN, detail.to_owned())
    }

    /// 409.
    pub(crate) fn conflict() -> Self {
        Self::Detail(StatusCode::CONFLICT, "Conflict.".to_owned())
    }

    /// 400.
    pub(crate) fn bad_request(detail: String) -> Self {
        Self::Detail(StatusCode::BAD_REQUEST, detail)
    }

    /// 415.
    pub(crate) fn media_type(found: &str) -> Self {
        let found: String = found.chars().take(100).collect();
        let detail = format!("Unsupported media type '{found}' in request.");
        Self::Detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 400 with one wrong field.
    pub(crate) fn field(name: &'static str, text: impl Into<String>) -> Self {
        Self::Fields(BTreeMap::from([(name, vec![text.into()])]))
    }

    /// 400: the fields `names` together are taken.
    pub(crate) fn not_unique(names: &str) -> Self {
        Self::field("non_field_errors", format!("The fields {names} must make a unique set."))
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        match error {
            // The suite was deleted, and its records with it.
            StorageError::NoSuchSuite => Self::not_found(),
            error => Self::Storage(error),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Detail(refusal.status(), refusal.to_string())
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Unknown => Self::forbidden(NOT_PROVIDED),
            Denied::Scope(_) | Denied::OneSuite => Self::forbidden(NOT_PERMITTED),
            Denied::NotFound => Self::not_found(),
            Denied::NoDefaultSuite => Self::forbidden(&denied.to_string()),
            Denied::Busy | Denied::TooOften => {
                Self::Detail(casebook_http::status_of(&denied), denied.to_string())
            }
            Denied::Storage(error) => error.into(),
        }
    }
}

impl From<NotRecorded> for ApiError {
    fn from(error: NotRecorded) -> Self {
        match error {
            NotRecorded::NoSuchSuite => Self::not_found(),
            error => Self::Detail(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let detail = |status: StatusCode, detail: &str| (status, Json(json!({ "detail": detail })));
        match self {
            Self::Detail(status, text) => detail(status, &text).into_response(),
            Self::Fields(fields) => {
                let fields = fields.into_iter().map(|(name, texts)| (name.to_owned(), json!(texts)));
                let body = Value::Object(fields.collect::<Map<_, _>>());
                (StatusCode::BAD_REQUEST, Json(body)).into_response()
            }
            Self::Storage(error) => {
                detail(StatusCode::INTERNAL_SERVER_ERROR, casebook_http::failed(&error)).into_response()
            }
        }
    }
}

/// 404 as a page, for addresses that nobody answers at.
#[must_use]
pub fn unknown_address(path: &str) -> Response {
    let mut shown = String::with_capacity(path.len());
    for c in path.chars().take(2_000) {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#x27;"),
            c => shown.push(c),
        }
    }
    let page = format!("<h1>Not Found</h1><p>The requested URL {shown} was not found on this server.</p>");
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    (StatusCode::NOT_FOUND, headers, page).into_response()
}
