//! Names of suites that say nothing about where a test belongs, because each run has another or every report has the same.

use super::case::Case;
use super::suite::Suite;

/// Names that reporters give to everything.
const SAID_BY_ALL: &[&str] = &[
    "(empty)",
    "All Tests",
    "Mocha Tests",
    "Root Suite",
    "Test Run",
    "jest tests",
    "nextest-run",
    "pytest",
    "rspec",
    "vitest tests",
];

/// The names of `suites`, outermost first, without those that say nothing and those that repeat the class of the test.
pub(super) fn path(suites: &[Suite], case: &Case) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    for name in suites.iter().filter(|suite| !suite.volatile).map(|suite| suite.name.trim()) {
        let repeats = path.last().is_some_and(|last| last == name) || case.scope.as_deref() == Some(name);
        if !repeats {
            path.push(name.to_owned());
        }
    }
    path
}

/// Whether a name changes with each run, or is none.
pub(super) fn is_volatile(name: &str) -> bool {
    if name.is_empty() || SAID_BY_ALL.contains(&name) {
        return true;
    }
    let mut words =
        name.split(|c: char| c.is_whitespace() || matches!(c, '_' | '/' | '=' | '(' | ')' | '#' | ','));
    words.clone().all(|word| word.bytes().all(|byte| byte.is_ascii_digit() || !byte.is_ascii_alphanumeric()))
        || words.any(|word| is_uuid(word) || is_date(word) || is_hash(word))
        || is_counted(name)
}

/// `0190c1d2-3e4f-7a5b-8c6d-9e0f1a2b3c4d`.
fn is_uuid(word: &str) -> bool {
    let lengths = word.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && word.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// `2026-01-31`, alone or before a time: `2026-01-31T12.00`, `job-2026-01-31T12.00-1a2b3c4`.
fn is_date(word: &str) -> bool {
    let shape = |window: &[u8]| {
        window.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
    };
    word.as_bytes().windows("2026-01-31".len()).any(shape)
}

/// The id of a job or commit: long, hexadecimal, digits and letters mixed.
fn is_hash(word: &str) -> bool {
    let hexadecimal = word.len() >= 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    hexadecimal
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// A process, seed, job or build by its number: `pid 4711`, `Job #12`, `Randomized with seed 4711`.
fn is_counted(name: &str) -> bool {
    const COUNTED: &[&str] = &["pid", "process", "seed", "job", "build", "run", "worker"];
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    match (words.next_back(), words.next_back()) {
        (Some(last), Some(before)) => {
            number(last) && COUNTED.iter().any(|word| word.eq_ignore_ascii_case(before))
        }
        _ => false,
    }
}
