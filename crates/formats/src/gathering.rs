//! A report while it is being read: counts records, applies the rules that hold for every format.

use crate::budget::{Budget, Fit};
use crate::redaction::{self, Found, Rule};
use crate::{Malformed, Options};
use casebook_model::failure::{Failure, LONGEST_TEXT};
use casebook_model::report::{Problem, Report, ReportedResult};
use std::borrow::Cow;

/// Longest sentence of a problem, in bytes.
const LONGEST_MESSAGE: usize = 400;

/// Problems that are told; the number of rejected results is always exact.
const MOST_PROBLEMS: usize = 2_000;

/// Most failures, and most earlier attempts, that one result may tell.
pub(crate) const MOST_FAILURES: usize = 100;

/// The report so far.
pub(crate) struct Gathering {
    report: Report,
    seen: usize,
    budget: Budget,
    /// The last file in whose path there is no secret.
    clean_file: String,
    most: usize,
    /// Whether a text may hold U+0000, which no database text can.
    nul_possible: bool,
}

impl Gathering {
    pub(crate) fn new(options: &Options, nul_possible: bool) -> Self {
        Self {
            report: Report::default(),
            seen: 0,
            budget: Budget::new(options),
            clean_file: String::new(),
            most: options.most_results.unwrap_or(usize::MAX),
            nul_possible,
        }
    }

    /// Counts the next record, and says whether it is still worth reading: beyond the limit only the number matters.
    pub(crate) fn next_record(&mut self) -> bool {
        self.seen += 1;
        self.seen <= self.most
    }

    /// Adds the current record as a usable result; says whether there was room for it.
    pub(crate) fn keep(&mut self, mut result: ReportedResult) -> bool {
        if self.nul_possible && replace_nul(&mut result) {
            self.repaired("NUL characters, which cannot be stored, were replaced by U+FFFD");
        }
        let found = redact(&mut result, &mut self.clean_file);
        if !found.is_empty() {
            let rules: Vec<&str> = found.rules().map(Rule::as_str).collect();
            self.repaired(format!("a secret was redacted: {}", rules.join(", ")));
        }
        if limit_failures(&mut result) {
            self.repaired(format!("failures beyond the first {MOST_FAILURES} were left out"));
        }
        if limit_texts(&mut result) {
            self.repaired(cut_sentence());
        }
        match self.budget.take(&mut result) {
            Fit::Whole => {}
            Fit::Short(left) => {
                if left.failures {
                    self.repaired("the failure text was cut, for the report holds very much text");
                }
                if left.spans {
                    self.repaired("its spans were left out, for the report holds very much text");
                }
            }
            Fit::No => {
                let most = self.budget.most();
                self.reject(format!("the report holds more than {most} of text: send it in parts"));
                return false;
            }
        }
        result.record = self.seen;
        self.report.results.push(result);
        true
    }

    /// Notes that the current record cannot be used.
    pub(crate) fn reject(&mut self, message: impl Into<String>) {
        self.report.rejected += 1;
        self.note(Some(self.seen), true, message.into());
    }

    /// Notes something about the current record, which is kept all the same.
    pub(crate) fn repaired(&mut self, message: impl Into<String>) {
        self.note(Some(self.seen), false, message.into());
    }

    /// Notes something about the report as a whole.
    pub(crate) fn noticed(&mut self, message: impl Into<String>) {
        self.note(None, false, message.into());
    }

    /// Sentences quote the report, so they may be as long and as odd as it is.
    fn note(&mut self, record: Option<usize>, rejected: bool, mut message: String) {
        if message.len() > LONGEST_MESSAGE {
            message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
            message.push('…');
        }
        if message.contains('\0') {
            message = message.replace('\0', "\u{FFFD}");
        }
        let problem = Problem { record, rejected, message };
        let told = record.is_some() && self.report.problems.last() == Some(&problem);
        if self.report.problems.len() < MOST_PROBLEMS && !told {
            self.report.problems.push(problem);
        }
    }

    /// Notes that the report broke off.
    pub(crate) fn truncated(&mut self, message: impl Into<String>) {
        self.report.truncated = true;
        self.noticed(message);
    }

    pub(crate) fn results(&mut self) -> &mut [ReportedResult] {
        &mut self.report.results
    }

    /// The report, unless it holds too many results.
    pub(crate) fn finish(self) -> Result<Report, Malformed> {
        if self.seen > self.most {
            return Err(Malformed::TooManyResults { count: self.seen, most: self.most });
        }
        Ok(self.report)
    }
}

/// What is said about a failure text that lost its middle.
pub(crate) fn cut_sentence() -> String {
    format!("the failure text was cut to {} KiB", LONGEST_TEXT / 1024)
}

/// Cuts lists of failures that are too long; says whether there were any.
fn limit_failures(result: &mut ReportedResult) -> bool {
    let mut cut = result.earlier.len() > MOST_FAILURES;
    result.earlier.truncate(MOST_FAILURES);
    let earlier = result.earlier.iter_mut().map(|attempt| &mut attempt.failure);
    for failure in result.failure.iter_mut().chain(earlier) {
        cut |= failure.details.len() > MOST_FAILURES;
        failure.details.truncate(MOST_FAILURES);
    }
    cut
}

/// Cuts failure texts that are too long; says whether there were any.
fn limit_texts(result: &mut ReportedResult) -> bool {
    let own = result.failure.as_mut().is_some_and(Failure::limit);
    result.earlier.iter_mut().fold(own, |cut, attempt| attempt.failure.limit() | cut)
}

/// Redacts secrets wherever they may be; names are identity and stay. Says what was found.
///
/// `clean_file` is the last file in which nothing was found.
fn redact(result: &mut ReportedResult, clean_file: &mut String) -> Found {
    let mut found = Found::default();
    let mut text = |text: &mut String| match redaction::redact(text, &mut found) {
        Cow::Owned(redacted) => {
            *text = redacted;
            true
        }
        Cow::Borrowed(_) => false,
    };
    // A place nearly always begins with its file, and the file is nearly always that of the result before.
    let known = result.file.as_deref().is_some_and(|file| file == clean_file.as_str());
    let line_only = |location: &String| location.strip_prefix(clean_file.as_str()).is_some_and(is_line);
    let place_is_clean = match &mut result.location {
        Some(location) => (known && line_only(location)) || !text(location),
        None => false,
    };
    let file_is_clean = known
        || (place_is_clean
            && result
                .location
                .as_ref()
                .zip(result.file.as_ref())
                .is_some_and(|(location, file)| location.starts_with(file)));
    for other in result.file.iter_mut().filter(|_| !file_is_clean).chain(&mut result.spans) {
        text(other);
    }
    let earlier = result.earlier.iter_mut().map(|attempt| &mut attempt.failure);
    for failure in result.failure.iter_mut().chain(earlier) {
        if let Some(reason) = &mut failure.reason {
            text(reason);
        }
        for detail in &mut failure.details {
            redact_lines(&mut detail.expanded, &mut text);
            redact_lines(&mut detail.backtrace, &mut text);
        }
    }
    if let Some(file) = result.file.as_deref().filter(|file| file_is_clean && *file != clean_file.as_str()) {
        file.clone_into(clean_file);
    }
    for (name, value) in &mut result.tags {
        if let Cow::Owned(redacted) = redaction::redact_value(name, value, &mut found) {
            *value = redacted;
        }
    }
    found
}

/// Whether nothing or a line, perhaps with a column, follows a file in a place.
fn is_line(rest: &str) -> bool {
    rest.bytes().all(|byte| byte == b':' || byte.is_ascii_digit())
}

/// Secrets may go over several lines.
fn redact_lines(lines: &mut Vec<String>, redact: &mut impl FnMut(&mut String) -> bool) {
    match lines.as_mut_slice() {
        [] => {}
        [line] => {
            redact(line);
        }
        several => {
            let mut joined = several.join("\n");
            if redact(&mut joined) {
                *lines = joined.lines().map(str::to_owned).collect();
            }
        }
    }
}

/// Replaces every NUL character; says whether there were any.
fn replace_nul(result: &mut ReportedResult) -> bool {
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
        spans: _, // JSON text, where a NUL character is only ever an escape.
        tags,
        resources: _,
    } = result;
    let texts = [external_id, location, file].into_iter().flatten().chain([scope, name]).chain(suite_path);
    let failures = failure.iter_mut().chain(earlier.iter_mut().map(|attempt| &mut attempt.failure));
    let lines = failures.flat_map(|failure| {
        let details = failure.details.iter_mut();
        failure
            .reason
            .iter_mut()
            .chain(details.flat_map(|detail| detail.expanded.iter_mut().chain(detail.backtrace.iter_mut())))
    });
    let tags = tags.iter_mut().flat_map(|(key, value)| [key, value]);
    let mut replaced = false;
    for text in texts.chain(lines).chain(tags) {
        if text.contains('\0') {
            *text = text.replace('\0', "\u{FFFD}");
            replaced = true;
        }
    }
    replaced
}
