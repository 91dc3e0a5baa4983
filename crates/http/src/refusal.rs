//! Why a body is refused, before anything is known of what it says.

use axum::http::StatusCode;

/// Why a body is refused; each says what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// 400: it cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// 408: it came too slowly.
    #[error("the body came too slowly and was given up: send it again")]
    TooSlow,
    /// 413: it is larger than allowed.
    #[error("{0}")]
    TooLarge(String),
    /// 415: it is encoded in a way that is not supported.
    #[error("{0}")]
    UnknownEncoding(String),
    /// 503: there is no room for it now.
    #[error("{0}")]
    NoRoom(&'static str),
}

impl Refusal {
    /// The status that goes with it.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Unreadable(_) => StatusCode::BAD_REQUEST,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoRoom(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}
