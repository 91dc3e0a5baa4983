//! Reports cut into parts that a server takes: at most so many results and bytes each.
//!
//! Pure but for reading the source: the same bytes make the same parts. A part of JUnit XML, of Go's events or of Buildkite's
//! result objects is made of the report's own bytes, read once from front to back with memory for one part; other formats
//! are read as a whole and become result objects. What breaks off is cut back to what had closed.

mod events;
mod jobs;
mod junit;
mod markup;
mod objects;
mod translation;

use casebook_formats::{Format, MOST_RESULTS};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};

/// What a part may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Results.
    pub results: usize,
    /// Bytes before packing.
    pub bytes: usize,
    /// Bytes of one record; one that is larger than a part gets a part of its own.
    pub record: usize,
}

impl Default for Limits {
    /// What the server takes: 5,000 results (Buildkite's contract, 4.7), and of text so much that none of it is cut (16 MiB of
    /// one report, the last eighth of it shortened). A part holds more than the texts that are kept of it.
    fn default() -> Self {
        Self { results: MOST_RESULTS, bytes: 12 << 20, record: 48 << 20 }
    }
}

/// A report, or a piece of one that is a report of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number in the report, such as `3`, or `3.1` for a piece of a part.
    pub number: String,
    /// How it is written.
    pub format: Format,
    /// The report.
    pub bytes: Vec<u8>,
    /// Results in it, usable or not.
    pub results: usize,
}

/// Why nothing (more) can be made of a report.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The source cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is not what its format asks for.
    #[error("{0}")]
    Malformed(String),
}

/// What had to be done to a report so that a server takes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remarks {
    /// Where it broke off; what had closed before was kept.
    pub broken: Option<String>,
    /// Records that could not be used.
    pub left_out: usize,
    /// Why the first of them could not.
    pub first_left_out: Option<String>,
    /// Whether the parts differ from the report in anything but where they begin and end.
    changed: bool,
}

impl Remarks {
    fn leave_out(&mut self, why: impl Into<String>) {
        self.left_out += 1;
        self.first_left_out.get_or_insert_with(|| why.into());
        self.changed = true;
    }

    fn break_off(&mut self, why: impl Into<String>) {
        self.broken = Some(why.into());
        self.changed = true;
    }
}

/// What the parts of a report depend on beside its bytes.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// What tells this job and shard from others of the same run: results without an id get one that is made of this and the
    /// report, so that equal reports of two jobs are two reports, and one that is sent again is the same.
    pub origin: String,
    /// The directory that absolute paths of native reports are made relative to.
    pub working_directory: Option<String>,
    /// Number of the part that is cut again.
    pub number: Option<String>,
}

impl Circumstances {
    fn number(&self, part: usize) -> String {
        match &self.number {
            Some(outer) => format!("{outer}.{part}"),
            None => part.to_string(),
        }
    }
}

/// Cuts a report, part by part.
pub struct Cutter<R> {
    kind: Kind<R>,
    circumstances: Circumstances,
    parts: usize,
}

enum Kind<R> {
    Junit(junit::Cases<R>),
    Json(objects::Objects<R>),
    GoEvents(events::Events<R>),
    Job(Box<jobs::Job>),
    Translated(translation::Translated),
}

impl<R: Read> Cutter<R> {
    /// A cutter for a report of that format.
    ///
    /// # Errors
    /// The source cannot be read, or is not of that format as far as had to be read to know.
    pub fn new(
        format: Format,
        source: R,
        circumstances: Circumstances,
        limits: Limits,
    ) -> Result<Self, Unreadable> {
        let kind = match format {
            Format::Junit => Kind::Junit(junit::Cases::new(source, limits)?),
            Format::Json => Kind::Json(objects::Objects::new(source, &circumstances.origin, limits)?),
            Format::GoJsonl => Kind::GoEvents(events::Events::new(source, limits)),
            Format::AvocadoJson => Kind::Job(Box::new(jobs::Job::new(source, limits)?)),
            _ => Kind::Translated(translation::translate(format, source, &circumstances, limits)?),
        };
        Ok(Self { kind, circumstances, parts: 0 })
    }

    /// The next part; a report without results has one part.
    ///
    /// # Errors
    /// The source cannot be read, or is not of its format.
    pub fn next_part(&mut self) -> Result<Option<Part>, Unreadable> {
        let number = self.circumstances.number(self.parts + 1);
        let (format, piece) = match &mut self.kind {
            Kind::Junit(cases) => (Format::Junit, cases.next_piece(&number)?),
            Kind::Json(objects) => (Format::Json, objects.next_piece()?),
            Kind::GoEvents(events) => (Format::GoJsonl, events.next_piece()?),
            Kind::Job(job) => (Format::AvocadoJson, job.next_piece()?),
            Kind::Translated(report) => (Format::Json, report.objects.next_piece()?),
        };
        let Some(Piece { bytes, results }) = piece else { return Ok(None) };
        self.parts += 1;
        Ok(Some(Part { number, format, bytes, results }))
    }

    /// What had to be done so far.
    pub fn remarks(&self) -> &Remarks {
        match &self.kind {
            Kind::Junit(cases) => &cases.remarks,
            Kind::Json(objects) => &objects.remarks,
            Kind::GoEvents(events) => &events.remarks,
            Kind::Job(job) => &job.remarks,
            Kind::Translated(report) => &report.objects.remarks,
        }
    }

    /// Whether the only part so far holds the whole report, of which nothing had to be changed.
    pub fn is_whole(&self) -> bool {
        if self.parts != 1 {
            return false;
        }
        let ended = match &self.kind {
            Kind::Junit(cases) => cases.has_ended(),
            Kind::Json(objects) => objects.has_ended(),
            Kind::GoEvents(events) => events.has_ended(),
            Kind::Job(job) => job.has_ended(),
            // The server translates it itself.
            Kind::Translated(report) => return report.fits && report.objects.has_ended(),
        };
        ended && !self.remarks().changed
    }
}

/// What a format's own cutter makes.
struct Piece {
    bytes: Vec<u8>,
    results: usize,
}

/// Cuts a part that a server found too large in two or more; none if it cannot be cut any further.
///
/// # Errors
/// The part is not of its format.
pub fn halve(part: &Part, circumstances: &Circumstances) -> Result<Option<Vec<Part>>, Unreadable> {
    if part.results < 2 {
        return Ok(None);
    }
    let circumstances = Circumstances { number: Some(part.number.clone()), ..circumstances.clone() };
    let limits = Limits { results: part.results.div_ceil(2), bytes: usize::MAX, record: usize::MAX };
    let mut cutter = Cutter::new(part.format, part.bytes.as_slice(), circumstances, limits)?;
    let mut parts = Vec::new();
    while let Some(part) = cutter.next_part()? {
        parts.push(part);
    }
    Ok((parts.len() > 1).then_some(parts))
}

/// Makes ids of results out of everything read before them.
#[derive(Clone)]
struct Ids(Sha256);

impl Ids {
    fn new(origin: &str) -> Self {
        Self(Sha256::new_with_prefix(origin))
    }

    /// Takes in a record, and returns the id of that record here: the same for the same report, another for every record.
    fn after(&mut self, record: &[u8]) -> String {
        self.0.update((record.len() as u64).to_le_bytes());
        self.0.update(record);
        uuid(&self.0.clone().finalize())
    }
}

/// A UUID of version 8 (RFC 9562, 5.8) out of the first 16 bytes.
pub(crate) fn uuid(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(36);
    for (index, byte) in bytes.iter().take(16).enumerate() {
        let byte = match index {
            6 => byte & 0x0F | 0x80,
            8 => byte & 0x3F | 0x80,
            _ => *byte,
        };
        if matches!(index, 4 | 6 | 8 | 10) {
            hex.push('-');
        }
        for digit in [byte >> 4, byte & 0x0F] {
            hex.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    hex
}
