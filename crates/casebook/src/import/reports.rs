//! Test reports of the past, in the order in which their tests ran.

use super::{Import, Importing};
use crate::Failure;
use casebook_app::uploads::{Context, Environment, assemble, read_past};
use casebook_formats::archive::{self, NotUnpacked};
use casebook_formats::{Format, Sniffed, sniff};
use casebook_model::key::digest;
use casebook_model::name::{Branch, Commit, Job};
use casebook_model::report::Report;
use casebook_model::run::{Protocol, RunAttributes};
use casebook_model::time::Timestamp;
use casebook_uploader::files::ReportFile;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use tempfile::TempDir;

/// Bytes that an archive may hold.
const MOST_UNPACKED: u64 = 4 << 30;

/// Bytes of a JUnit report in which its own time is looked for.
const HEAD: usize = 64 << 10;

/// A report, and when its tests ran.
struct Past {
    at: Timestamp,
    name: String,
    path: PathBuf,
    format: Format,
}

/// Counts over all reports.
#[derive(Default)]
struct Sum {
    reports: usize,
    stored: i64,
    known: i64,
    rejected: i64,
}

pub(super) fn take(importing: &mut Importing, wanted: &Import, files: &[ReportFile]) -> Result<(), Failure> {
    // What is unpacked goes away with this folder.
    let unpacked = tempfile::tempdir()?;
    let mut reports = Vec::new();
    for (number, file) in files.iter().enumerate() {
        importing.progress(&format!("looking at {} ({} of {})", file.name(), number + 1, files.len()));
        let modified = modified_at(file.path());
        let found = match is_archive(file.path()) {
            true => unpack(file, &unpacked, number),
            false => Ok(vec![(file.name().to_owned(), file.path().to_owned())]),
        };
        match found {
            Err(error) => importing.fail(file.name(), &error.to_string()),
            Ok(found) => {
                for (name, path) in found {
                    match look_at(wanted, name.clone(), path, modified) {
                        Ok(past) => reports.push(past),
                        Err(sentence) => importing.fail(&name, &sentence),
                    }
                }
            }
        }
    }
    // Stable: reports of one time stay as they were named.
    reports.sort_by_key(|report| report.at);
    let mut sum = Sum::default();
    for (number, report) in reports.iter().enumerate() {
        importing.progress(&format!("{} ({} of {})", report.name, number + 1, reports.len()));
        if let Err(error) = store(importing, wanted, report, &mut sum) {
            importing.fail(&report.name, &crate::sentence(&*error));
        }
    }
    let Sum { reports, stored, known, rejected } = sum;
    importing.say(&format!(
        "{reports} reports: {stored} results imported, {known} were known, {rejected} could not be used"
    ));
    Ok(())
}

/// Finds out what a report is and when its tests ran.
fn look_at(wanted: &Import, name: String, path: PathBuf, modified: Timestamp) -> Result<Past, String> {
    let bytes = fs::read(&path).map_err(|error| error.to_string())?;
    let format = match (wanted.format, sniff(&bytes)) {
        (Some(format), _) | (None, Some(Sniffed::Known(format))) => format,
        (None, Some(Sniffed::Unsupported(sentence))) => return Err(sentence.to_owned()),
        (None, None) => {
            return Err("this is no test report that is known: name its format with --format".to_owned());
        }
    };
    let read = read_past(&context(wanted, format, None, String::new()), &bytes)
        .map_err(|error| error.to_string())?;
    let at = time_of(&read.report, format, &bytes).unwrap_or(modified);
    Ok(Past { at, name, path, format })
}

/// When the first test began, if the report says so; a time without a zone is taken for UTC.
fn time_of(report: &Report, format: Format, bytes: &[u8]) -> Option<Timestamp> {
    let first = report.results.iter().filter_map(|result| result.started_at).min();
    let of_suites = || {
        let head = String::from_utf8_lossy(bytes.get(..bytes.len().min(HEAD))?);
        let times = head.split("timestamp=").skip(1).filter_map(|rest| {
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            Timestamp::parse_lenient(rest[1..].split(quote).next()?).ok()
        });
        times.min()
    };
    first.or_else(|| if format == Format::Junit { of_suites() } else { None })
}

fn store(importing: &Importing, wanted: &Import, report: &Past, sum: &mut Sum) -> Result<(), Failure> {
    let bytes = fs::read(&report.path)?;
    // A report that comes again must find its run.
    let key = wanted.run_key.clone().unwrap_or_else(|| {
        let hash: String = digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("import-{hash}")
    });
    let context = context(wanted, report.format, Some(report.at), key);
    let read = read_past(&context, &bytes)?;
    let mut upload = assemble(&importing.suite, context, read, None, importing.app.now());
    upload.notify = wanted.notify;
    let rejected = upload.rejected;
    let receipt = importing.runtime.block_on(importing.app.record(upload))?;
    sum.reports += 1;
    sum.stored += receipt.accepted;
    sum.known += receipt.duplicate;
    sum.rejected += receipt.rejected + rejected;
    Ok(())
}

fn context(wanted: &Import, format: Format, at: Option<Timestamp>, key: String) -> Context {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let environment = Environment {
        key,
        attributes: RunAttributes {
            branch: Branch::new(&text(&wanted.branch)),
            commit: Commit::new(&text(&wanted.commit)),
            ..RunAttributes::default()
        },
        job: Job::new(&text(&wanted.job_id)),
        collector: Some("casebook-import".to_owned()),
        collector_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        started_at: at.map(Timestamp::to_rfc3339_micros),
        ..Environment::default()
    };
    Context { protocol: Protocol::Buildkite, branches: None, environment, format }
}

/// When a file was last written; a report without a time of its own is as old as its file.
fn modified_at(path: &Path) -> Timestamp {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let since = modified.and_then(|modified| modified.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(0))
}

fn is_archive(path: &Path) -> bool {
    let mut head = [0; 4];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && archive::is_zip(&head)
}

/// The reports in an archive as files; what else is in it is left out.
fn unpack(file: &ReportFile, folder: &TempDir, number: usize) -> Result<Vec<(String, PathBuf)>, NotUnpacked> {
    let mut found = Vec::new();
    archive::each_entry(file.open()?, &mut { MOST_UNPACKED }, |entry, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        if matches!(sniff(&bytes), Some(Sniffed::Known(_))) {
            let path = folder.path().join(format!("{number}-{}", found.len()));
            fs::File::create(&path)?.write_all(&bytes)?;
            found.push((format!("{}/{entry}", file.name()), path));
        }
        Ok::<_, NotUnpacked>(())
    })?;
    Ok(found)
}
