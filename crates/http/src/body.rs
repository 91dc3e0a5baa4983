//! Receiving a body: limits first, then gzip. What bodies take of memory and disk is bounded over all requests.

use crate::content::{Content, Space, Writing};
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::unpacking::{Unpacking, too_large};
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use http_body_util::BodyExt as _;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// Time for a body, beside a second for each [`SLOWEST`] bytes of it: one that stalls must not keep its room for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes per second below which a sender is too slow.
const SLOWEST: usize = 32 << 10;

/// Receives the bodies of every protocol, which share one limit.
#[derive(Clone)]
pub struct Bodies {
    limits: Limits,
    space: Space,
}

/// A body that is about to be received.
pub struct Incoming {
    body: Body,
    expected: usize,
    unpacking: Unpacking,
    deadline: Instant,
    most: usize,
    space: Space,
}

impl Bodies {
    /// Bodies within `limits`.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, space: Space::new(&limits) }
    }

    /// Bytes that one request may hold when it is unpacked.
    #[must_use]
    pub const fn most_unpacked(&self) -> u64 {
        self.limits.unpacked as u64
    }

    /// Looks at what the headers say of a body.
    ///
    /// # Errors
    /// It is too large, or encoded in a way that is not supported; then it has been read to its end.
    pub async fn incoming(&self, headers: &HeaderMap, body: Body) -> Result<Incoming, Refusal> {
        let announced = announced(headers);
        let gzip = match is_gzip(headers) {
            Ok(gzip) if announced.is_none_or(|length| length <= self.limits.body) => gzip,
            refused => {
                self.discard(headers, body).await;
                return Err(refused.err().unwrap_or_else(|| too_large(self.limits.body)));
            }
        };
        let seconds = announced.unwrap_or(self.limits.body) / SLOWEST;
        Ok(Incoming {
            body,
            // What a packed body will take is not known.
            expected: if gzip { 0 } else { announced.unwrap_or(0) },
            unpacking: Unpacking::new(self.limits, gzip),
            deadline: Instant::now() + PATIENCE + Duration::from_secs(seconds as u64),
            most: self.limits.body,
            space: self.space.clone(),
        })
    }

    /// Reads a refused body to its end without keeping it: a client that is still sending would see a broken connection
    /// instead of the refusal. One that asked before sending (`Expect`) has sent nothing.
    pub async fn discard(&self, headers: &HeaderMap, mut body: Body) {
        let most = self.limits.body;
        if headers.contains_key(EXPECT) || announced(headers).is_some_and(|length| length > most) {
            return;
        }
        to_the_end(&mut body, most).await;
    }
}

/// Reads a body to its end without keeping it, `most` bytes of it.
async fn to_the_end(body: &mut Body, most: usize) {
    let reading = async {
        let mut seen = 0;
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, Bytes::len);
            if seen > most {
                return;
            }
        }
    };
    // Whoever is slower than that may see the connection break.
    let _ = tokio::time::timeout(PATIENCE, reading).await;
}

impl Incoming {
    /// The whole body, unpacked.
    ///
    /// # Errors
    /// It breaks off, is damaged, too large or too slow, or there is no room for it.
    pub async fn collect(self) -> Result<Content, Refusal> {
        let (space, expected) = (self.space.clone(), self.expected);
        collect(&space, expected, std::pin::pin!(self.stream())).await
    }

    /// The body piece by piece, unpacked, and what keeps the fields of it.
    pub fn fields(self) -> (impl Stream<Item = Result<Bytes, Refusal>> + Send, Fields) {
        let fields = Fields { space: self.space.clone(), expected: AtomicUsize::new(self.expected) };
        (self.stream(), fields)
    }

    fn stream(self) -> impl Stream<Item = Result<Bytes, Refusal>> + Send {
        let state = Receiving { incoming: self, ready: VecDeque::new(), ended: false, more: false };
        stream::unfold(state, |mut state| async move {
            let next = state.next().await?;
            state.ended |= next.is_err();
            Some((next, state))
        })
    }
}

/// Keeps fields of a form as they come.
pub struct Fields {
    space: Space,
    /// What the whole body will take; nothing once a field has been begun.
    expected: AtomicUsize,
}

impl Fields {
    /// The content of one large field, of the pieces that come. Only the first waits for room: a request that holds some and
    /// waited for more would wait for itself.
    ///
    /// # Errors
    /// A piece is an error, or there is no room.
    pub async fn collect<E: From<Refusal>>(
        &self,
        mut pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Content, E> {
        let writing = match self.expected.swap(HELD, Ordering::Relaxed) {
            HELD => self.space.begin_at_once()?,
            expected => self.space.begin(expected).await?,
        };
        receive(writing, &mut pieces).await
    }
}

/// Stands for a body of which a field is held already.
const HELD: usize = usize::MAX;

async fn collect<E: From<Refusal>>(
    space: &Space,
    expected: usize,
    mut pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<Content, E> {
    receive(space.begin(expected).await?, &mut pieces).await
}

async fn receive<E: From<Refusal>>(
    mut writing: Writing,
    pieces: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
) -> Result<Content, E> {
    while let Some(piece) = pieces.next().await {
        writing.add(&piece?)?;
    }
    Ok(writing.finish())
}

struct Receiving {
    incoming: Incoming,
    ready: VecDeque<Bytes>,
    ended: bool,
    /// Something has come, and more may come.
    more: bool,
}

impl Receiving {
    async fn next(&mut self) -> Option<Result<Bytes, Refusal>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(Ok(piece));
            }
            if self.ended {
                return None;
            }
            let Incoming { body, unpacking, deadline, .. } = &mut self.incoming;
            let ready = &mut self.ready;
            let frame = tokio::time::timeout_at(*deadline, body.frame()).await;
            self.more = matches!(frame, Ok(Some(Ok(_))));
            let fed = match frame {
                Err(_) => Err(Refusal::TooSlow),
                Ok(Some(Err(_))) => Err(Refusal::Unreadable("the body broke off before its end".to_owned())),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => unpacking.feed(&data, |piece| ready.push_back(piece)),
                    Err(_) => Ok(()),
                },
                Ok(None) => {
                    self.ended = true;
                    unpacking.finish(|piece| ready.push_back(piece))
                }
            };
            if let Err(refusal) = fed {
                return Some(Err(refusal));
            }
        }
    }
}

/// Whoever refuses a body may do so before its end, which is still read: a client that is sending would see a broken
/// connection instead of the refusal.
impl Drop for Receiving {
    fn drop(&mut self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.more {
            let mut body = std::mem::take(&mut self.incoming.body);
            let most = self.incoming.most;
            runtime.spawn(async move { to_the_end(&mut body, most).await });
        }
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(false) };
    match value.to_str().unwrap_or("?").trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Ok(true),
        "identity" | "" => Ok(false),
        other => {
            let other: String = other.chars().take(60).collect();
            let message = format!("content encoding {other:?} is not supported: send gzip or nothing");
            Err(Refusal::UnknownEncoding(message))
        }
    }
}
