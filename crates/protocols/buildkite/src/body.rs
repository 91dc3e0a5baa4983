//! Reading a request's body: limits first, then gzip. What bodies take in memory is bounded over all requests.

use crate::State;
use crate::error::ApiError;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is reserved at first for a body of unknown length, and then each time it has grown so much, in bytes.
const STEP: usize = 4 << 20;

/// Time for a body, beside a second for each [`SLOWEST`] bytes of it: one that stalls must not keep its share for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes per second below which a sender is too slow.
const SLOWEST: usize = 32 << 10;

/// From this size on, a body that unpacks to more than [`LARGEST_RATIO`] times its size is refused.
const RATIO_FROM: usize = 16 << 20;

/// Reports are repetitive; this is beyond what any of them reaches.
const LARGEST_RATIO: usize = 250;

/// A body in memory, and its share of the memory for bodies, which ends with the second value.
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    pub(crate) share: Share,
}

/// Part of the memory for bodies.
pub(crate) struct Share {
    all: Arc<Semaphore>,
    permits: OwnedSemaphorePermit,
    most: usize,
}

impl Share {
    async fn take(all: Arc<Semaphore>, bytes: usize, most: usize) -> Result<Self, ApiError> {
        let permits =
            Arc::clone(&all).acquire_many_owned(kib(bytes.min(most))).await.map_err(|_| stopping())?;
        Ok(Self { all, permits, most })
    }

    fn missing(&self, bytes: usize) -> u32 {
        kib(bytes.min(self.most))
            .saturating_sub(u32::try_from(self.permits.num_permits()).unwrap_or(u32::MAX))
    }

    /// Grows to `bytes`, waiting for others to finish if need be. One body may take everything, and then more.
    async fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        let missing = self.missing(bytes);
        if missing > 0 {
            let more = Arc::clone(&self.all).acquire_many_owned(missing).await.map_err(|_| stopping())?;
            self.permits.merge(more);
        }
        Ok(())
    }

    /// Grows to `bytes` if nobody has to be waited for.
    fn try_grow(&mut self, bytes: usize) -> bool {
        let missing = self.missing(bytes);
        if missing == 0 {
            return true;
        }
        let more = Arc::clone(&self.all).try_acquire_many_owned(missing);
        more.map(|more| self.permits.merge(more)).is_ok()
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from((bytes >> 10).max(1)).unwrap_or(u32::MAX)
}

fn stopping() -> ApiError {
    ApiError::Unavailable("the server is stopping: send the results again later".to_owned())
}

/// Reads the whole body within the limits, and unpacks it.
pub(crate) async fn receive(state: &State, headers: &HeaderMap, body: Body) -> Result<Received, ApiError> {
    let limits = state.limits;
    let announced = announced(headers);
    let gzip = match is_gzip(headers) {
        Ok(gzip) if announced.is_none_or(|length| length <= limits.body) => gzip,
        refused => {
            discard(state, headers, body).await;
            return Err(refused.err().unwrap_or_else(|| too_large(limits.body)));
        }
    };
    let seconds = announced.unwrap_or(limits.body) / SLOWEST;
    let patience = PATIENCE + Duration::from_secs(seconds as u64);
    let share =
        Share::take(Arc::clone(&state.in_flight), announced.unwrap_or(STEP), limits.in_flight).await?;
    let received =
        tokio::time::timeout(patience, collect(body, announced.unwrap_or(0), share, limits.body)).await;
    let Received { bytes, share } = received.map_err(|_| {
        ApiError::Timeout("the body came too slowly and was given up: send it again".to_owned())
    })??;
    if gzip { unpack(bytes, share, limits.unpacked).await } else { Ok(Received { bytes, share }) }
}

fn too_large(most: usize) -> ApiError {
    ApiError::TooLarge(format!("the body is larger than {most} bytes"))
}

async fn collect(
    mut body: Body,
    announced: usize,
    mut share: Share,
    most: usize,
) -> Result<Received, ApiError> {
    let broken = |_| ApiError::BadRequest("the body broke off before its end".to_owned());
    let mut bytes = BytesMut::with_capacity(announced.min(most));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if bytes.len() + data.len() > most {
            return Err(too_large(most));
        }
        share.grow(bytes.len() + data.len()).await?;
        bytes.extend_from_slice(&data);
    }
    Ok(Received { bytes: bytes.freeze(), share })
}

/// Largest body of a question to the REST API.
const LARGEST_QUESTION: usize = 256 * 1024;

/// Reads the small JSON body of a question, which has the members that `members` names.
pub(crate) async fn question<T: DeserializeOwned>(body: Body, members: &str) -> Result<T, ApiError> {
    let bytes = axum::body::to_bytes(body, LARGEST_QUESTION).await;
    let bytes = bytes.map_err(|_| too_large(LARGEST_QUESTION))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("the body must be a JSON object with the members {members}");
        if error.is_data() { ApiError::Unprocessable(message) } else { ApiError::BadRequest(message) }
    })
}

/// Reads a refused body to its end without keeping it: a client that is still sending would see a broken connection instead
/// of the refusal. One that asked before sending (`Expect`) has sent nothing.
pub(crate) async fn discard(state: &State, headers: &HeaderMap, mut body: Body) {
    let most = state.limits.body;
    if headers.contains_key(EXPECT) || announced(headers).is_some_and(|length| length > most) {
        return;
    }
    let to_the_end = async {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, Bytes::len);
            if seen > most {
                return;
            }
        }
    };
    // Whoever is slower than that may see the connection break.
    let _ = tokio::time::timeout(PATIENCE, to_the_end).await;
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
            let other: String = other.chars().take(60).collect();
            let message = format!("content encoding {other:?} is not supported: send gzip or nothing");
            Err(ApiError::UnsupportedMediaType(message))
        }
    }
}

/// Unpacks all members of a gzip body on a thread that may wait. The share goes along: it lasts as long as the memory.
async fn unpack(packed: Bytes, share: Share, most: usize) -> Result<Received, ApiError> {
    match tokio::task::spawn_blocking(move || unpack_members(&packed, share, most)).await {
        Ok(result) => result,
        Err(_) => Err(ApiError::BadRequest("the gzip body cannot be read".to_owned())),
    }
}

fn unpack_members(packed: &Bytes, mut share: Share, most: usize) -> Result<Received, ApiError> {
    let mut unpacked = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(&packed[..]);
    loop {
        let start = unpacked.len();
        let read = decoder.by_ref().take(STEP as u64).read_to_end(&mut unpacked);
        read.map_err(|error| ApiError::BadRequest(format!("the gzip body is damaged: {error}")))?;
        if unpacked.len() > most {
            return Err(ApiError::TooLarge(format!("the body unpacks to more than {most} bytes")));
        }
        if unpacked.len() > RATIO_FROM && unpacked.len() / packed.len().max(1) > LARGEST_RATIO {
            return Err(ApiError::TooLarge(format!(
                "the body unpacks to more than {LARGEST_RATIO} times its size"
            )));
        }
        if !share.try_grow(packed.len() + unpacked.len()) {
            let message = "too many large bodies are being read: send the results again in a moment";
            return Err(ApiError::Unavailable(message.to_owned()));
        }
        if unpacked.len() - start < STEP {
            return Ok(Received { bytes: Bytes::from(unpacked), share });
        }
    }
}
