//! The small JSON bodies of questions to the REST API.

use crate::error::ApiError;
use axum::body::Body;
use serde::de::DeserializeOwned;

/// Largest body of a question, in bytes.
const LARGEST: usize = 256 * 1024;

/// Reads the body of a question, which has the members that `members` names.
pub(crate) async fn read<T: DeserializeOwned>(body: Body, members: &str) -> Result<T, ApiError> {
    let bytes = axum::body::to_bytes(body, LARGEST).await;
    let bytes = bytes.map_err(|_| ApiError::TooLarge(format!("the body is larger than {LARGEST} bytes")))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("the body must be a JSON object with the members {members}");
        if error.is_data() { ApiError::Unprocessable(message) } else { ApiError::BadRequest(message) }
    })
}
