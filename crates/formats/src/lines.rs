//! Texts of failures, line by line.

use casebook_model::failure::{Failure, FailureDetail};

/// The lines of `text` without blank lines at its two ends, which come from pretty-printed reports.
pub(crate) fn lines_of(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let blank = |line: &&str| line.trim().is_empty();
    let Some(first) = lines.iter().position(|line| !blank(line)) else { return Vec::new() };
    let last = lines.iter().rposition(|line| !blank(line)).unwrap_or(first);
    lines[first..=last].iter().map(|line| (*line).to_owned()).collect()
}

/// The first line that is not blank, without blanks around it.
pub(crate) fn first_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty())
}

/// `text`, unless it is blank.
pub(crate) fn not_blank(text: String) -> Option<String> {
    (!text.trim().is_empty()).then_some(text)
}

/// A failure, unless it says nothing.
pub(crate) fn failure(reason: Option<String>, details: Vec<FailureDetail>) -> Option<Failure> {
    let says_nothing = details.iter().all(|detail| detail.expanded.is_empty() && detail.backtrace.is_empty());
    let failure = Failure { reason, details: if says_nothing { Vec::new() } else { details } };
    (!failure.is_empty()).then_some(failure)
}

/// `text` without the escape sequences that colour a terminal.
pub(crate) fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..start]);
        let sequence = &rest[start + 2..];
        let parameters = sequence.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(sequence.len());
        let letter = sequence[parameters..].chars().next().map_or(0, char::len_utf8);
        rest = &sequence[parameters + letter..];
    }
    plain.push_str(rest);
    plain
}
