//! The window of time over which metrics of tests are taken, and whether they are wanted (`buildkite.md` 11.4).

use crate::error::ApiError;
use crate::pagination::Query;
use axum::http::HeaderMap;
use casebook_app::tests::{BranchFilter, Selection, TagFilter, TagOperator, Window};
use casebook_model::branch;
use casebook_model::suite::Suite;
use casebook_model::time::Timestamp;

/// First version of the API that has metrics.
const METRICS_SINCE: &str = "2026-08-01";

/// Whether the request's `Buildkite-Version` asks for metrics.
pub(crate) fn wants_metrics(headers: &HeaderMap) -> Result<bool, ApiError> {
    let Some(value) = headers.get("buildkite-version") else { return Ok(false) };
    let version = value.to_str().unwrap_or("?").trim();
    if version.is_empty() {
        return Ok(false);
    }
    let shape = version.len() == 10
        && version.bytes().enumerate().all(|(index, byte)| match index {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if !shape || Timestamp::parse_rfc3339(&format!("{version}T00:00:00Z")).is_err() {
        return Err(ApiError::BadRequest("Buildkite-Version must be in format YYYY-MM-DD".to_owned()));
    }
    Ok(version >= METRICS_SINCE)
}

/// The window that the query asks for.
pub(crate) fn from_query(suite: &Suite, query: &Query, now: Timestamp) -> Result<Window, ApiError> {
    let bad = |message: &str| ApiError::BadRequest(message.to_owned());
    let branch = query.get("branch").map(branch_filter).transpose()?;
    let tags = query.get("tags").map(tag_filters).transpose()?.unwrap_or_default();
    let time = |name: &str| match query.get(name) {
        None => Ok(None),
        Some(text) => Timestamp::parse_rfc3339(text)
            .map(Some)
            .map_err(|_| ApiError::BadRequest(format!("{name} must be a time in ISO 8601 form with a zone"))),
    };
    let (min, max) = (time("min_timestamp")?, time("max_timestamp")?);
    let period = query.get("period");
    if period.is_some() && (min.is_some() || max.is_some()) {
        return Err(bad("give either period or min_timestamp and max_timestamp"));
    }
    if min.is_some() || max.is_some() {
        let to = max.unwrap_or(now);
        return Ok(Window::Exact(Selection { from: min.unwrap_or(Timestamp(0)), to, branch, tags }));
    }
    let hours = match period.unwrap_or("7days") {
        "1hour" => 1,
        "4hours" => 4,
        "1day" => 24,
        "7days" => 7 * 24,
        "14days" => 14 * 24,
        "28days" => 28 * 24,
        _ => return Err(bad("period must be 1hour, 4hours, 1day, 7days, 14days or 28days")),
    };
    Ok(Window::last_hours(suite, hours, branch, tags, now))
}

/// `x`, `!x` or `x*`.
fn branch_filter(text: &str) -> Result<BranchFilter, ApiError> {
    let (negated, rest) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    match (negated, rest.strip_suffix('*')) {
        (false, None) => Ok(BranchFilter::Is(branch::compared(rest).to_owned())),
        (true, None) => Ok(BranchFilter::Not(branch::compared(rest).to_owned())),
        (false, Some(start)) => Ok(BranchFilter::StartsWith(start.to_owned())),
        (true, Some(_)) => Err(ApiError::BadRequest("branch takes one operator: x, !x or x*".to_owned())),
    }
}

/// Tags in one filter at most.
const MOST_TAGS: usize = 20;

/// `key:value`, `key:!value`, `key:value*`, separated by commas; for `result` also `result:~value` and `result:^value`.
fn tag_filters(text: &str) -> Result<Vec<TagFilter>, ApiError> {
    let filters: Vec<TagFilter> = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(tag_filter)
        .collect::<Result<_, _>>()?;
    if filters.len() > MOST_TAGS {
        return Err(ApiError::BadRequest(format!("tags takes at most {MOST_TAGS} filters")));
    }
    Ok(filters)
}

fn tag_filter(text: &str) -> Result<TagFilter, ApiError> {
    let bad = |message: &str| Err(ApiError::BadRequest(message.to_owned()));
    let Some((key, value)) = text.split_once(':').filter(|(key, _)| !key.is_empty()) else {
        return bad("tags must be written key:value, separated by commas");
    };
    let of_result = key == "result";
    let (operator, value) = match value.as_bytes().first() {
        Some(b'!') => (TagOperator::Not, &value[1..]),
        Some(b'~') if of_result => (TagOperator::Some, &value[1..]),
        Some(b'^') if of_result => (TagOperator::Every, &value[1..]),
        _ => match value.strip_suffix('*') {
            Some(start) => (TagOperator::StartsWith, start),
            None => (TagOperator::Is, value),
        },
    };
    if operator == TagOperator::Not && value.ends_with('*') {
        return bad("a tag takes one operator: key:value, key:!value or key:value*");
    }
    if value.is_empty() && operator != TagOperator::StartsWith {
        return bad("a tag filter needs a value behind the colon");
    }
    let known = ["passed", "failed", "skipped", "pending", "unknown"].contains(&value);
    if of_result && !known && operator != TagOperator::StartsWith {
        return bad("result must be passed, failed, skipped, pending or unknown");
    }
    Ok(TagFilter { key: key.to_owned(), operator, value: value.to_owned() })
}
