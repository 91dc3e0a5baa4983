//! How much text one report may bring: names, places, failures, spans and tags of all its results.

use crate::{MOST_TEXT, Options};
use casebook_model::failure::Failure;
use casebook_model::report::ReportedResult;

/// Bytes that a result counts besides its texts, so that millions of results with short names are no way around the limit.
const PER_RESULT: usize = 64;

/// Bytes that are kept of a failure once half of the budget is used: the other half has room for the most results of an
/// upload, told in short.
const SHORT_FAILURE: usize = 1024;

/// Bytes that are kept of a failure once nearly all of the budget is used.
const SHORTEST_FAILURE: usize = 96;

/// The text so far.
pub(crate) struct Budget {
    used: usize,
    most: usize,
}

/// What became of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is kept as it is.
    Whole,
    /// It is kept without much of what it said.
    Short(Left),
    /// There is no room for it.
    No,
}

/// What was left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) failures: bool,
    pub(crate) spans: bool,
}

impl Budget {
    pub(crate) fn new(options: &Options) -> Self {
        Self { used: 0, most: options.most_text.unwrap_or(MOST_TEXT) }
    }

    /// Makes room for a result, by making it shorter if the budget is nearly used.
    pub(crate) fn take(&mut self, result: &mut ReportedResult) -> Fit {
        let mut left = Left::default();
        let steps = [
            (self.most / 2, None),
            (self.most - self.most / 16, Some(SHORT_FAILURE)),
            (self.most, Some(SHORTEST_FAILURE)),
        ];
        for (limit, failure) in steps {
            if let Some(most) = failure {
                let now = shorten(result, most);
                left = Left { failures: left.failures | now.failures, spans: left.spans | now.spans };
            }
            let size = size(result);
            if self.used.saturating_add(size) <= limit {
                self.used += size;
                return if left == Left::default() { Fit::Whole } else { Fit::Short(left) };
            }
        }
        Fit::No
    }

    /// The limit, for people.
    pub(crate) fn most(&self) -> String {
        match self.most / (1024 * 1024) {
            0 => format!("{} bytes", self.most),
            megabytes => format!("{megabytes} MiB"),
        }
    }
}

fn shorten(result: &mut ReportedResult, most: usize) -> Left {
    let earlier = result.earlier.iter_mut().map(|attempt| &mut attempt.failure);
    let failures = result.failure.iter_mut().chain(earlier);
    let failures = failures.fold(false, |cut, failure| failure.limit_to(most) | cut);
    Left { failures, spans: result.spans.take().is_some() }
}

/// Bytes of the texts of a result.
fn size(result: &ReportedResult) -> usize {
    let ReportedResult {
        record: _,
        external_id,
        scope,
        name,
        location,
        file,
        suite_path,
        outcome: _,
        pending: _,
        instance: _,
        duration_us: _,
        started_at: _,
        failure,
        earlier,
        spans,
        tags,
        resources: _,
    } = result;
    let texts =
        [external_id, location, file, spans].into_iter().flatten().chain([scope, name]).chain(suite_path);
    let texts: usize = texts.map(String::len).sum();
    let failures = failure.iter().chain(earlier.iter().map(|attempt| &attempt.failure));
    let failures: usize = failures.map(size_of_failure).sum();
    let tags: usize = tags.iter().map(|(key, value)| key.len() + value.len()).sum();
    PER_RESULT + texts + failures + tags + earlier.len() * PER_RESULT
}

fn size_of_failure(failure: &Failure) -> usize {
    let lines = failure.details.iter().flat_map(|detail| detail.expanded.iter().chain(&detail.backtrace));
    // A line costs a text of its own, however short it is.
    let lines: usize = lines.map(|line| line.len() + size_of::<String>()).sum();
    failure.reason.as_ref().map_or(0, String::len) + lines
}
