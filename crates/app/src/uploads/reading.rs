//! Reports as bytes, in memory or in a file, and what recognises them when they come again.

use super::{Context, NotAccepted, ReportBody};
use casebook_formats::Format;
use casebook_model::key::{Digester, Key, digest, key_of};
use casebook_model::name::{Branch, Commit, Job, Shard};
use casebook_model::report::Report;
use casebook_model::run::Protocol;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};

/// A report that was read, and its digest if it is recognised by that.
pub struct Read {
    /// Results and problems.
    pub report: Report,
    /// Set for reports whose results have no ids by which a repetition could be told.
    pub digest: Option<Key>,
}

/// Reads a report.
///
/// # Errors
/// It cannot be read.
pub fn read(context: &Context, body: ReportBody, most_results: usize) -> Result<Read, NotAccepted> {
    let options = casebook_formats::Options {
        most_results: Some(most_results),
        working_directory: context.environment.working_directory.clone(),
        location_prefix: context.environment.location_prefix.clone(),
        allow_truncated: false,
        ..casebook_formats::Options::default()
    };
    let (report, digest) = match (context.format, body) {
        (Format::Junit, ReportBody::File(mut file)) => {
            file.seek(SeekFrom::Start(0))?;
            let mut reader = Hashing { file: BufReader::new(file), digester: Digester::default() };
            let report = casebook_formats::parse_junit_from(&mut reader, &options)?;
            io::copy(&mut reader, &mut io::sink())?;
            (report, reader.digester.finish())
        }
        (format, ReportBody::File(mut file)) => {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes))?;
            (casebook_formats::parse(format, &bytes, &options)?, digest(&bytes))
        }
        (format, ReportBody::Memory(bytes)) => {
            (casebook_formats::parse(format, &bytes, &options)?, digest(&bytes))
        }
    };
    let digest = (context.format != Format::Json && !report.results.is_empty())
        .then(|| report_digest(context, &digest));
    Ok(Read { report, digest })
}

/// Reads a report of the past: of any length, and as far as it goes if it breaks off.
///
/// # Errors
/// It is not in its format at all.
pub fn read_past(context: &Context, bytes: &[u8]) -> Result<Read, casebook_formats::Malformed> {
    let options = casebook_formats::Options {
        working_directory: context.environment.working_directory.clone(),
        location_prefix: context.environment.location_prefix.clone(),
        allow_truncated: true,
        allow_no_class_name: true,
        ..casebook_formats::Options::default()
    };
    let report = casebook_formats::parse(context.format, bytes, &options)?;
    let digest = (!report.results.is_empty()).then(|| report_digest(context, &digest(bytes)));
    Ok(Read { report, digest })
}

/// A file whose bytes are hashed as they are read.
struct Hashing {
    file: BufReader<File>,
    digester: Digester,
}

impl io::Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.digester.add(buffer.get(..read).unwrap_or(&[]));
        Ok(read)
    }
}

/// The digest of a report whose results have no ids: equal bytes from the same job, shard and environment are one report.
pub(super) fn report_digest(context: &Context, body: &Key) -> Key {
    let Context { environment, format, .. } = context;
    let attributes = &environment.attributes;
    let mut parts = vec![
        format.as_str(),
        environment.job.as_ref().map_or("", Job::as_str),
        environment.shard.as_ref().map_or("", Shard::as_str),
        attributes.branch.as_ref().map_or("", Branch::as_str),
        attributes.commit.as_ref().map_or("", Commit::as_str),
    ];
    // Aviator's build and job say which report it is, whatever else its headers say (`aviator.md` 3.4).
    if context.protocol == Protocol::Aviator {
        parts.truncate(2);
    }
    for (key, value) in environment.tags.iter().filter(|_| context.protocol != Protocol::Aviator) {
        parts.extend([key.as_str(), value.as_str()]);
    }
    let body: String = body.iter().map(|byte| char::from(*byte)).collect();
    parts.push(&body);
    key_of(&parts)
}

/// The format that is stored under a number.
pub(super) fn format_of_code(code: i64) -> Option<Format> {
    Format::ALL.iter().copied().find(|format| format_code(*format) == code)
}

/// The number under which a format is stored.
pub(super) fn format_code(format: Format) -> i64 {
    match format {
        Format::Json => 1,
        Format::Junit => 2,
        Format::JestJson => 3,
        Format::RspecJson => 4,
        Format::PlaywrightJson => 5,
        Format::CucumberJson => 6,
        Format::GoJsonl => 7,
        Format::AvocadoJson => 9,
    }
}
