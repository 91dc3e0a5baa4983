//! Sending reports: each is cut into parts, each part is one request, and whatever goes wrong is told and counted.

use crate::client::{Answer, Client, Refusal};
use crate::cutting::{self, Circumstances, Cutter, Limits, Part, Unreadable};
use crate::files::ReportFile;
use crate::form;
use casebook_formats::Format;
use casebook_formats::Sniffed;
use std::collections::VecDeque;
use std::io::{Cursor, Read};

/// What is sent along with every report.
#[derive(Debug, Clone, Default)]
pub struct Company {
    /// Entries of the run environment.
    pub run_env: Vec<(String, String)>,
    /// Tags of every execution.
    pub tags: Vec<(String, String)>,
    /// The format of all reports; without one, each shows its own.
    pub format: Option<Format>,
    /// The directory that absolute paths of native reports are made relative to.
    pub working_directory: Option<String>,
}

impl Company {
    /// The fields of the form.
    fn fields(&self) -> Vec<(String, String)> {
        let run_env = self.run_env.iter().map(|(name, value)| (format!("run_env[{name}]"), value.clone()));
        let tags = self.tags.iter().map(|(name, value)| (format!("tags[{name}]"), value.clone()));
        run_env.chain(tags).collect()
    }

    /// What the server, too, looks at to tell a report that is sent again from an equal one of another job.
    fn circumstances(&self) -> Circumstances {
        let entry = |name: &str| {
            self.run_env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
        };
        let known = ["job_id", "shard", "branch", "commit_sha"].map(|name| entry(name).unwrap_or_default());
        let tags = self.tags.iter().flat_map(|(key, value)| [key.as_str(), value.as_str()]);
        let parts: Vec<&str> = known.into_iter().chain(tags).collect();
        Circumstances {
            origin: parts.join("\0"),
            working_directory: self.working_directory.clone(),
            number: None,
        }
    }
}

/// Why something was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shortfall {
    /// A file cannot be read, or is not what its format asks for.
    Unreadable,
    /// The format of a file is not known.
    UnknownFormat,
    /// A report breaks off; what had closed was kept.
    BrokenOff,
    /// Records that cannot be sent.
    LeftOut,
    /// Results that the server could not use.
    Rejected,
    /// Parts that the server refused.
    Refused,
    /// Nothing (more) was sent: the credential is not accepted, or the server is not there.
    NotSent,
}

/// What became of a report.
#[derive(Debug, Clone, Default)]
pub struct FileSummary {
    /// Its name.
    pub name: String,
    /// Its format, as far as known.
    pub format: Option<Format>,
    /// Requests that were taken, or would be sent.
    pub parts: usize,
    /// Results in those requests.
    pub results: usize,
    /// Results that were stored.
    pub queued: u64,
    /// Results that were not: repetitions, and what could not be used.
    pub skipped: u64,
    /// What was not stored, in sentences.
    pub shortfalls: Vec<(Shortfall, String)>,
    /// Where people find the run.
    pub run_url: Option<String>,
    /// Nothing else needs to be sent.
    is_last: bool,
}

/// Something that happened while a report was being sent.
#[derive(Debug)]
pub struct Progress<'a> {
    /// The report.
    pub file: &'a str,
    /// Its number among all, from 1.
    pub number: usize,
    /// All reports.
    pub of: usize,
    /// Results in the parts so far.
    pub results: usize,
}

/// Sends reports in order, or only cuts them if there is no client; the summaries are in the same order.
pub fn upload(
    files: &[ReportFile],
    company: &Company,
    mut client: Option<&mut Client>,
    watch: &mut dyn FnMut(&Progress<'_>),
    done: &mut dyn FnMut(&FileSummary),
) -> Vec<FileSummary> {
    let mut summaries: Vec<FileSummary> = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        let mut summary = FileSummary { name: file.name().to_owned(), ..FileSummary::default() };
        if summaries.last().is_some_and(|before| before.is_last) {
            summary.is_last = true;
            summary.fall_short(Shortfall::NotSent, "not sent".to_owned());
        } else {
            let mut tell =
                |results| watch(&Progress { file: file.name(), number: index + 1, of: files.len(), results });
            tell(0);
            send_file(file, company, client.as_deref_mut(), &mut summary, &mut tell);
        }
        done(&summary);
        summaries.push(summary);
    }
    summaries
}

impl FileSummary {
    fn fall_short(&mut self, shortfall: Shortfall, sentence: String) {
        self.shortfalls.push((shortfall, sentence));
    }

    fn take(&mut self, part: &Part, answer: Answer) {
        let Answer { queued, skipped, errors, run_url } = answer;
        self.parts += 1;
        self.results += part.results;
        self.queued += queued;
        self.skipped += skipped;
        self.shortfalls.extend(errors.into_iter().map(|error| (Shortfall::Rejected, error)));
        self.run_url = run_url.or(self.run_url.take());
    }
}

fn send_file(
    file: &ReportFile,
    company: &Company,
    mut client: Option<&mut Client>,
    summary: &mut FileSummary,
    tell: &mut dyn FnMut(usize),
) {
    let sniffed = match company.format {
        Some(format) => Ok(Some(Sniffed::Known(format))),
        None => file.sniff(),
    };
    let format = match sniffed {
        Ok(Some(Sniffed::Known(format))) => format,
        Ok(Some(Sniffed::Unsupported(why))) => {
            return summary.fall_short(Shortfall::UnknownFormat, why.to_owned());
        }
        Ok(None) => return summary.fall_short(Shortfall::UnknownFormat, unknown_format()),
        Err(error) => {
            return summary.fall_short(Shortfall::Unreadable, format!("it cannot be read: {error}"));
        }
    };
    summary.format = Some(format);
    let circumstances = company.circumstances();
    let mut report = match Report::open(file, format, circumstances.clone(), Limits::default()) {
        Ok(report) => report,
        Err(error) => return summary.fall_short(Shortfall::Unreadable, error.to_string()),
    };
    let fields = company.fields();
    loop {
        let part = match report.next_part() {
            Ok(Some(part)) => part,
            Ok(None) => break,
            Err(error) => {
                summary.fall_short(Shortfall::Unreadable, error.to_string());
                break;
            }
        };
        match client.as_deref_mut() {
            Some(client) => send_part(part, file.name(), &fields, &circumstances, client, summary),
            None => summary.take(&part, Answer::default()),
        }
        tell(summary.results);
        if summary.is_last {
            return;
        }
    }
    report.remark(summary);
}

/// Sends a part; one that is too large in halves, and those in halves, as far as that goes.
fn send_part(
    part: Part,
    file_name: &str,
    fields: &[(String, String)],
    circumstances: &Circumstances,
    client: &mut Client,
    summary: &mut FileSummary,
) {
    let mut waiting = VecDeque::from([part]);
    while let Some(part) = waiting.pop_front() {
        let body = match form::write(&part, file_name, fields) {
            Ok(body) => body,
            Err(error) => return summary.fall_short(Shortfall::Unreadable, error.to_string()),
        };
        let refusal = match client.send(&body) {
            Ok(answer) => {
                summary.take(&part, answer);
                continue;
            }
            Err(refusal) => refusal,
        };
        if matches!(refusal, Refusal::TooLarge(_))
            && let Ok(Some(halves)) = cutting::halve(&part, circumstances)
        {
            halves.into_iter().rev().for_each(|half| waiting.push_front(half));
            continue;
        }
        if refusal.is_final() {
            summary.is_last = true;
            return summary.fall_short(Shortfall::NotSent, refusal.to_string());
        }
        let results = part.results;
        summary.fall_short(
            Shortfall::Refused,
            format!("part {} with {results} results: {refusal}", part.number),
        );
    }
}

fn unknown_format() -> String {
    let known: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
    format!("its format is not known: expected JUnit XML or one of {}; --format names it", known.join(", "))
}

/// A report being cut, and the file as it is.
struct Report<'f> {
    file: &'f ReportFile,
    cutter: Cutter<Box<dyn Read>>,
    format: Format,
    limits: Limits,
    is_sent_as_it_is: bool,
}

impl<'f> Report<'f> {
    fn open(
        file: &'f ReportFile,
        format: Format,
        circumstances: Circumstances,
        limits: Limits,
    ) -> Result<Self, Unreadable> {
        let cutter = Cutter::new(format, source(file, format, limits)?, circumstances, limits)?;
        Ok(Self { file, cutter, format, limits, is_sent_as_it_is: false })
    }

    /// The next part: the file byte by byte if it can be sent like that.
    fn next_part(&mut self) -> Result<Option<Part>, Unreadable> {
        let Some(mut part) = self.cutter.next_part()? else { return Ok(None) };
        if self.cutter.is_whole() && self.file.size()? <= self.limits.bytes as u64 {
            let mut bytes = Vec::new();
            self.file.open()?.read_to_end(&mut bytes)?;
            part = Part { format: self.format, bytes, ..part };
            self.is_sent_as_it_is = true;
        }
        Ok(Some(part))
    }

    /// Tells what could not be sent. Of a report that was sent as it is, the server has told it.
    fn remark(&self, summary: &mut FileSummary) {
        let remarks = self.cutter.remarks();
        if self.is_sent_as_it_is {
            return;
        }
        if let Some(why) = &remarks.broken {
            let sentence = format!("the report breaks off, what had closed was kept: {why}");
            summary.fall_short(Shortfall::BrokenOff, sentence);
        }
        if let Some(first) = &remarks.first_left_out {
            let sentence = format!("records left out: {}, the first because {first}", remarks.left_out);
            summary.fall_short(Shortfall::LeftOut, sentence);
        }
    }
}

/// The bytes of a file, with XML in UTF-16 turned into UTF-8, in which it can be cut.
fn source(file: &ReportFile, format: Format, limits: Limits) -> Result<Box<dyn Read>, Unreadable> {
    let mut opened = file.open()?;
    let mut mark = Vec::new();
    opened.by_ref().take(2).read_to_end(&mut mark)?;
    let unit: fn([u8; 2]) -> u16 = match mark.as_slice() {
        [0xFE, 0xFF] if format == Format::Junit => u16::from_be_bytes,
        [0xFF, 0xFE] if format == Format::Junit => u16::from_le_bytes,
        _ => return Ok(Box::new(Cursor::new(mark).chain(opened))),
    };
    let most = limits.record as u64;
    if file.size()? > most {
        let sentence = format!("reports in UTF-16 are read up to {most} bytes: write it in UTF-8");
        return Err(Unreadable::Malformed(sentence));
    }
    let mut bytes = Vec::new();
    opened.read_to_end(&mut bytes)?;
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
    let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Ok(Box::new(Cursor::new(text.into_bytes())))
}
