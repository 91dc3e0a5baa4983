//! Reading a request's body: limits first, then gzip.

use crate::State;
use crate::error::ApiError;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::io::Read as _;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// What is reserved for a body of unknown length, in bytes.
const UNKNOWN_LENGTH: usize = 4 << 20;

/// A body in memory, and its share of the memory for bodies, which ends with the second value.
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    pub(crate) share: OwnedSemaphorePermit,
}

/// Reads the whole body within the limits, and unpacks it.
pub(crate) async fn receive(state: &State, headers: &HeaderMap, body: Body) -> Result<Received, ApiError> {
    let limits = state.limits;
    let too_large = || ApiError::TooLarge(format!("the body is larger than {} bytes", limits.body));
    let announced = announced(headers);
    let gzip = match is_gzip(headers) {
        Ok(gzip) if announced.is_none_or(|length| length <= limits.body) => gzip,
        refused => {
            discard(state, headers, body).await;
            return Err(refused.err().unwrap_or_else(too_large));
        }
    };
    let wanted = announced.unwrap_or(UNKNOWN_LENGTH).min(limits.in_flight) >> 10;
    let share = Arc::clone(&state.in_flight)
        .acquire_many_owned(u32::try_from(wanted.max(1)).unwrap_or(u32::MAX))
        .await
        .map_err(|_| {
            ApiError::Unavailable("the server is stopping: send the results again later".to_owned())
        })?;
    let bytes = match Limited::new(body, limits.body).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
        Err(_) => return Err(ApiError::BadRequest("the body broke off before its end".to_owned())),
    };
    let bytes = if gzip { unpack(bytes, limits.unpacked).await? } else { bytes };
    Ok(Received { bytes, share })
}

/// Reads a refused body to its end without keeping it: a client that is still sending would see a broken connection instead
/// of the refusal. One that asked before sending (`Expect`) has sent nothing.
pub(crate) async fn discard(state: &State, headers: &HeaderMap, mut body: Body) {
    let most = state.limits.body;
    if headers.contains_key(EXPECT) || announced(headers).is_some_and(|length| length > most) {
        return;
    }
    let mut seen = 0;
    while let Some(Ok(frame)) = body.frame().await {
        seen += frame.data_ref().map_or(0, Bytes::len);
        if seen > most {
            return;
        }
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, ApiError> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(false) };
    match value.to_str().unwrap_or("?").trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Ok(true),
        "identity" | "" => Ok(false),
        other => {
            let message = format!("content encoding {other:?} is not supported: send gzip or nothing");
            Err(ApiError::UnsupportedMediaType(message))
        }
    }
}

/// Unpacks all members of a gzip body.
async fn unpack(packed: Bytes, most: usize) -> Result<Bytes, ApiError> {
    let work = move || {
        let mut unpacked = Vec::with_capacity(packed.len().saturating_mul(4).min(most));
        let decoder = flate2::read::MultiGzDecoder::new(&packed[..]);
        match decoder.take(most as u64 + 1).read_to_end(&mut unpacked) {
            Err(error) => Err(ApiError::BadRequest(format!("the gzip body is damaged: {error}"))),
            Ok(_) if unpacked.len() > most => {
                Err(ApiError::TooLarge(format!("the body unpacks to more than {most} bytes")))
            }
            Ok(_) => Ok(Bytes::from(unpacked)),
        }
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(ApiError::BadRequest("the gzip body cannot be read".to_owned())),
    }
}
