//! What the errors of all protocols have in common; the words and bodies around it are their own.

use axum::http::StatusCode;
use casebook_app::StorageError;
use casebook_app::access::Denied;

/// The status that goes with a denied access where the protocol wants no other.
#[must_use]
pub const fn status_of(denied: &Denied) -> StatusCode {
    match denied {
        Denied::Unknown => StatusCode::UNAUTHORIZED,
        Denied::Scope(_) | Denied::OneSuite => StatusCode::FORBIDDEN,
        Denied::Busy | Denied::TooOften => StatusCode::TOO_MANY_REQUESTS,
        Denied::NotFound => StatusCode::NOT_FOUND,
        Denied::NoDefaultSuite => StatusCode::UNPROCESSABLE_ENTITY,
        Denied::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Logs why a request failed, and returns the sentence for the client, who learns nothing of it.
pub fn failed(error: &StorageError) -> &'static str {
    tracing::error!(error = error as &dyn std::error::Error, "a request failed");
    "the server could not answer: try again, and look into its log if it stays so"
}
