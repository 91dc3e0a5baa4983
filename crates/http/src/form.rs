//! Multipart forms.

use crate::refusal::Refusal;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

/// The content type of a request without its parameters, in lower case; empty if it has none.
#[must_use]
pub fn media_type(headers: &HeaderMap) -> String {
    content_type(headers).split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// The boundary of a multipart form; none if the body is something else.
///
/// # Errors
/// It is a form whose content type names no boundary.
pub fn boundary(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    if media_type(headers) != "multipart/form-data" {
        return Ok(None);
    }
    let boundary = multer::parse_boundary(content_type(headers));
    boundary
        .map(Some)
        .map_err(|_| Refusal::Unreadable("the multipart content type names no boundary".to_owned()))
}

/// What the reader of forms says: why the body itself could not be read, or that it is no form.
#[must_use]
pub fn broken_form(error: multer::Error) -> Refusal {
    match error {
        multer::Error::StreamReadFailed(cause) => match cause.downcast::<Refusal>() {
            Ok(refusal) => *refusal,
            Err(cause) => Refusal::Unreadable(format!("the body cannot be read: {cause}")),
        },
        error => Refusal::Unreadable(format!("the multipart form cannot be read: {error}")),
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("")
}
