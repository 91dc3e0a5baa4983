//! Test reports in, results and problems out: one parser per format.
//!
//! Pure: bytes in, values out; no clock, no randomness, no I/O but what a given reader does. A parser keeps what it could read and lists what it
//! repaired or rejected ([`Report::problems`]); it refuses ([`Malformed`]) only what is not the format at all.
//! `docs/formats.md` says what each parser accepts and how it maps.

pub mod archive;
mod avocado_json;
mod buildkite_json;
mod cucumber_json;
mod go_jsonl;
mod jest_json;
mod junit;
mod playwright_json;
mod rspec_json;

mod budget;
mod gathering;
mod instances;
pub mod json;
mod lines;
mod paths;
pub mod redaction;
mod sniffing;

use casebook_model::report::Report;

pub use sniffing::{Sniffed, sniff};

/// Most results one upload of a Buildkite client may hold, counted before they are validated.
pub const MOST_RESULTS: usize = 5000;

/// Most bytes of text that are kept of one report: names, places, failures, spans and tags of all results.
pub const MOST_TEXT: usize = 16 * 1024 * 1024;

/// A format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// An array of Buildkite's result objects.
    Json,
    /// JUnit XML in any dialect.
    Junit,
    /// Jest's `--json`, also Vitest's JSON reporter.
    JestJson,
    /// RSpec's JSON formatter.
    RspecJson,
    /// Playwright's JSON reporter.
    PlaywrightJson,
    /// Cucumber's JSON formatter.
    CucumberJson,
    /// Events of `go test -json`, one per line.
    GoJsonl,
    /// Avocado's `results.json`, one job.
    AvocadoJson,
}

impl Format {
    /// Every format.
    pub const ALL: &'static [Self] = &[
        Self::Json,
        Self::Junit,
        Self::JestJson,
        Self::RspecJson,
        Self::PlaywrightJson,
        Self::CucumberJson,
        Self::GoJsonl,
        Self::AvocadoJson,
    ];

    /// The format that `word` stands for on Buildkite's wire, if there is one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.as_str() == word)
    }

    /// The word for this format on Buildkite's wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Junit => "junit",
            Self::JestJson => "jest-json",
            Self::RspecJson => "rspec-json",
            Self::PlaywrightJson => "playwright-json",
            Self::CucumberJson => "cucumber-json",
            Self::GoJsonl => "go-jsonl",
            Self::AvocadoJson => "avocado-json",
        }
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a report cannot be used at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is no JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// It is no well-formed XML.
    #[error("not XML: {0}")]
    NotXml(String),
    /// It is JSON or XML, but not this format.
    #[error("{0}")]
    WrongShape(String),
    /// It holds more results than are allowed.
    #[error("{count} results are too many for one upload: at most {most} are accepted")]
    TooManyResults {
        /// How many it holds, usable or not.
        count: usize,
        /// How many are allowed.
        most: usize,
    },
}

/// Why a report that is read from somewhere cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not the format, or holds too many results.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It could not be read to its end.
    #[error("the report could not be read: {0}")]
    Io(#[from] std::io::Error),
}

/// What a parser has to know besides the report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Most results that are accepted; no limit if absent. Buildkite's protocol says [`MOST_RESULTS`].
    pub most_results: Option<usize>,
    /// Most bytes of text that are kept; [`MOST_TEXT`] if absent.
    pub most_text: Option<usize>,
    /// The directory that absolute paths of native reports are made relative to.
    pub working_directory: Option<String>,
    /// What to put in front of the paths of native reports.
    pub location_prefix: Option<String>,
    /// Keep what had closed in XML that breaks off, instead of refusing it.
    pub allow_truncated: bool,
    /// Take a testcase without `classname` for one whose class name is empty, instead of rejecting it.
    pub allow_no_class_name: bool,
}

/// Reads JUnit XML that need not be in memory. The result is that of [`parse`]; what is needed of memory depends on the
/// results that are kept, not on the length of the report or of anything in it.
///
/// # Errors
/// It cannot be read, is not JUnit XML at all, or holds too many results.
pub fn parse_junit_from<R: std::io::Read>(reader: R, options: &Options) -> Result<Report, ReadError> {
    junit::parse_from(reader, options)
}

/// Reads a report.
///
/// # Errors
/// The bytes are not `format` at all, or hold too many results.
pub fn parse(format: Format, bytes: &[u8], options: &Options) -> Result<Report, Malformed> {
    match format {
        Format::Json => buildkite_json::parse(bytes, options),
        Format::Junit => junit::parse(bytes, options),
        Format::JestJson => jest_json::parse(bytes, options),
        Format::RspecJson => rspec_json::parse(bytes, options),
        Format::PlaywrightJson => playwright_json::parse(bytes, options),
        Format::CucumberJson => cucumber_json::parse(bytes, options),
        Format::GoJsonl => go_jsonl::parse(bytes, options),
        Format::AvocadoJson => avocado_json::parse(bytes, options),
    }
}
