//! Small bodies of questions, which never wait for the room that reports share.

use crate::refusal::Refusal;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::time::Duration;

/// How long a small body may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The whole body, of at most `most` bytes.
///
/// # Errors
/// It is larger, breaks off, or comes too slowly.
pub async fn small_body(body: Body, most: usize) -> Result<Bytes, Refusal> {
    let read = tokio::time::timeout(PATIENCE, Limited::new(body, most).collect()).await;
    match read.map_err(|_| Refusal::TooSlow)? {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Refusal::TooLarge(format!("the body is larger than {most} bytes")))
        }
        Err(_) => Err(Refusal::Unreadable("the body broke off before its end".to_owned())),
    }
}
