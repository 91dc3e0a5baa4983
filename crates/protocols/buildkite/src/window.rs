//! The window of time over which metrics of tests are taken (`buildkite.md` 11.4).
//!
//! `1day` to `28days` and the default are answered from roll-ups by UTC day, today included and one day more than named, so
//! that nothing within the window is ever missed. Hours, given times and branches are counted from the executions.

use crate::error::ApiError;
use crate::pagination::Query;
use axum::http::HeaderMap;
use casebook_model::branch;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::rollup::RollupCell;
use casebook_model::time::{DAY_US, Timestamp};
use casebook_storage::executions::{self, BranchFilter, Selection};
use casebook_storage::{Db, StorageError, rollups};

/// First version of the API that has metrics.
const METRICS_SINCE: &str = "2026-08-01";

const HOUR_US: i64 = DAY_US / 24;

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

/// Which executions count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Window {
    /// Whole days, from roll-ups.
    Days(rollups::Window),
    /// Anything else, from executions.
    Exact(Selection),
}

impl Window {
    pub(crate) fn from_query(query: &Query, now: Timestamp) -> Result<Self, ApiError> {
        let bad = |message: &str| ApiError::BadRequest(message.to_owned());
        let branch = query.get("branch").map(branch_filter).transpose()?;
        let time = |name: &str| match query.get(name) {
            None => Ok(None),
            Some(text) => Timestamp::parse_rfc3339(text).map(Some).map_err(|_| {
                ApiError::BadRequest(format!("{name} must be a time in ISO 8601 form with a zone"))
            }),
        };
        let (min, max) = (time("min_timestamp")?, time("max_timestamp")?);
        let period = query.get("period");
        if period.is_some() && (min.is_some() || max.is_some()) {
            return Err(bad("give either period or min_timestamp and max_timestamp"));
        }
        if min.is_some() || max.is_some() {
            let to = max.unwrap_or(now);
            return Ok(Self::Exact(Selection { from: min.unwrap_or(Timestamp(0)), to, branch }));
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
        if hours < 24 || branch.is_some() {
            return Ok(Self::Exact(Selection { from: now.plus(-hours * HOUR_US), to: now, branch }));
        }
        let last_day = now.day();
        Ok(Self::Days(rollups::Window { first_day: last_day - hours / 24, last_day, branch_class: None }))
    }

    /// What happened in the window to each test that ran in it.
    pub(crate) fn all(
        &self,
        db: &mut Db<'_>,
        suite: SuiteId,
    ) -> Result<Vec<(TestId, RollupCell)>, StorageError> {
        match self {
            Self::Days(window) => rollups::window(db, suite, *window),
            Self::Exact(selection) => executions::count(db, suite, selection),
        }
    }

    /// What happened in the window to one test.
    pub(crate) fn of_test(
        &self,
        db: &mut Db<'_>,
        suite: SuiteId,
        test: TestId,
    ) -> Result<RollupCell, StorageError> {
        let mut total = RollupCell::default();
        match self {
            Self::Days(window) => {
                for (_, _, cell) in rollups::of_test(db, suite, test, *window)? {
                    total.merge(&cell);
                }
            }
            Self::Exact(selection) => {
                let cells = executions::count(db, suite, selection)?;
                if let Some((_, cell)) = cells.iter().find(|(id, _)| *id == test) {
                    total = *cell;
                }
            }
        }
        Ok(total)
    }
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
