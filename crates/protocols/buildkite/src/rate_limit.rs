//! Requests a minute to the REST API, for an organization and for a caller, told in every answer (`buildkite.md` 11).

use crate::State;
use axum::Json;
use axum::extract::{self, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use casebook_model::time::Timestamp;
use serde_json::json;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

const MINUTE_US: i64 = 60 * 1_000_000;

/// Callers and organizations that are told apart within a minute; those beyond share one count.
const MOST_SUBJECTS: usize = 10_000;

/// Requests a minute that are answered.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// For one organization, whoever asks.
    pub organization: u64,
    /// For one credential.
    pub caller: u64,
}

impl Default for RateLimits {
    /// What stops a script that runs wild, and nothing else: the server belongs to those who ask.
    fn default() -> Self {
        Self { organization: 600_000, caller: 600_000 }
    }
}

/// What was asked in the current minute.
pub(crate) struct RateLimiter {
    limits: RateLimits,
    /// Credentials are kept under a hash of this process alone.
    hasher: RandomState,
    minute: Mutex<Minute>,
}

#[derive(Default)]
struct Minute {
    number: i64,
    asked: HashMap<Option<u64>, u64>,
}

/// How far one subject is.
#[derive(Clone, Copy)]
struct Level {
    limit: u64,
    asked: u64,
}

impl RateLimiter {
    pub(crate) fn new(limits: RateLimits) -> Self {
        Self { limits, hasher: RandomState::new(), minute: Mutex::default() }
    }

    fn subjects(&self, organization: &str, headers: &HeaderMap) -> [u64; 2] {
        let credential = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        [self.hasher.hash_one((0, organization)), self.hasher.hash_one((1, credential))]
    }

    /// Adds `by` to both subjects, and tells how far they are.
    fn ask(&self, subjects: [u64; 2], by: u64, now: Timestamp) -> [Level; 2] {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let number = now.as_microseconds().div_euclid(MINUTE_US);
        if minute.number != number {
            *minute = Minute { number, asked: HashMap::new() };
        }
        let limits = [self.limits.organization, self.limits.caller];
        let mut levels = limits.map(|limit| Level { limit, asked: 0 });
        for (subject, level) in subjects.into_iter().zip(&mut levels) {
            let known = minute.asked.contains_key(&Some(subject)) || minute.asked.len() < MOST_SUBJECTS;
            let asked = minute.asked.entry(known.then_some(subject)).or_default();
            *asked += by;
            level.asked = *asked;
        }
        levels
    }
}

/// Answers with the levels in headers, or refuses when one is exhausted. Requests that were denied do not count: nobody
/// can use up what belongs to others.
pub(crate) async fn limit(
    extract::State(state): extract::State<State>,
    request: Request,
    next: Next,
) -> Response {
    let limiter = &state.rate_limiter;
    let subjects = limiter.subjects(organization(request.uri().path()), request.headers());
    let now = state.app.now();
    let levels = limiter.ask(subjects, 0, now);
    let seconds = 60 - now.as_microseconds().rem_euclid(MINUTE_US) / 1_000_000;
    if let Some(level) = levels.iter().find(|level| level.asked >= level.limit) {
        let body = json!({
            "message": "too many requests in this minute: wait until it is over",
            "scope": "rest", "limit": level.limit, "current": level.asked, "reset": seconds,
        });
        let mut response = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
        tell(response.headers_mut(), levels, seconds);
        return response;
    }
    let mut response = next.run(request).await;
    let denied =
        matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
    let levels = limiter.ask(subjects, u64::from(!denied), now);
    tell(response.headers_mut(), levels, seconds);
    response
}

/// The organization in a path of this API, as it is written there.
fn organization(path: &str) -> &str {
    path.split_once("/organizations/").map_or("", |(_, rest)| rest.split('/').next().unwrap_or(""))
}

fn tell(headers: &mut HeaderMap, [organization, caller]: [Level; 2], seconds: i64) {
    let mut put = |name: &'static str, number: u64| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
    };
    let seconds = seconds.max(0).cast_unsigned();
    put("ratelimit-remaining", organization.limit.saturating_sub(organization.asked));
    put("ratelimit-limit", organization.limit);
    put("ratelimit-reset", seconds);
    put("ratelimit-user-remaining", caller.limit.saturating_sub(caller.asked));
    put("ratelimit-user-limit", caller.limit);
    put("ratelimit-user-reset", seconds);
    headers.insert(HeaderName::from_static("ratelimit-scope"), HeaderValue::from_static("rest"));
}
