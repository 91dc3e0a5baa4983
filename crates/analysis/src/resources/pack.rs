//! Stored bytes: the series of 32 neighbouring tests on one host class, and a suite's part.

use super::neighbours::{GROUPS, Group, Neighbours, RUNS, RunCount};
use super::peaks::{Peaks, WORKERS, Worker};
use super::series::{Entry, KEPT, Reference, Series, Side};
use super::{Direction, HostClassId};
use crate::codec::{Damaged, Reader, Writer};
use casebook_model::id::{RunId, TestId, UploadId, VariantId};
use casebook_model::resources::Measure;
use casebook_model::time::Timestamp;
use std::collections::BTreeMap;

/// Tests of one chunk.
pub const CHUNK_TESTS: i64 = 32;

const VERSION: u8 = 1;

/// The chunk of a test.
#[must_use]
pub const fn chunk_of(test: TestId) -> i64 {
    test.get() / CHUNK_TESTS
}

fn place(test: TestId, measure: Measure) -> (u8, u8) {
    // Both are small by what they are.
    ((test.get() % CHUNK_TESTS) as u8, measure.code() as u8)
}

/// The series of neighbouring tests on one host class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeriesChunk(BTreeMap<(u8, u8), Series>);

impl SeriesChunk {
    /// A series, made if it is not there.
    pub fn series_mut(&mut self, test: TestId, measure: Measure) -> &mut Series {
        self.0.entry(place(test, measure)).or_default()
    }

    /// A series, if there is one.
    #[must_use]
    pub fn series(&self, test: TestId, measure: Measure) -> Option<&Series> {
        self.0.get(&place(test, measure))
    }

    /// The bytes to store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        out.unsigned(self.0.len() as u64);
        for ((test, measure), series) in &self.0 {
            out.0.extend([*test, *measure]);
            write_series(&mut out, series);
        }
        out.0
    }

    /// The chunk that was stored as `bytes`.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut from = Reader::new(bytes, VERSION, "resource baselines")?;
        let count = from.length(CHUNK_TESTS as usize * Measure::ALL.len())?;
        let mut series = BTreeMap::new();
        for _ in 0..count {
            let place = (from.byte()?, from.byte()?);
            series.insert(place, read_series(&mut from)?);
        }
        from.end()?;
        Ok(Self(series))
    }
}

fn write_series(out: &mut Writer, series: &Series) {
    let Series { entries, values, newest, reference, up, down, last } = series;
    out.unsigned(entries.len() as u64);
    let mut upload = 0;
    for entry in entries {
        out.signed(entry.upload.get() - upload);
        upload = entry.upload.get();
        out.0.extend(entry.level.to_le_bytes());
    }
    out.unsigned(*values);
    out.optional(newest.map(Timestamp::as_microseconds));
    match reference {
        None => out.0.push(0),
        Some(Reference { centre, deviation, spread, age }) => {
            out.0.extend([1, *age]);
            for number in [centre, deviation, spread] {
                out.signed(i64::from(*number));
            }
        }
    }
    for side in [up, down] {
        out.signed(i64::from(side.sum));
        out.0.push(side.length);
    }
    out.0.push(match last {
        None => 0,
        Some(Direction::Up) => 1,
        Some(Direction::Down) => 2,
    });
}

fn read_series(from: &mut Reader<'_>) -> Result<Series, Damaged> {
    let mut entries = Vec::with_capacity(KEPT);
    let mut upload = 0;
    for _ in 0..from.length(KEPT)? {
        upload += from.signed()?;
        let level = u16::from_le_bytes([from.byte()?, from.byte()?]);
        entries.push(Entry { upload: UploadId(upload), level });
    }
    let values = from.unsigned()?;
    let newest = from.optional()?.map(Timestamp);
    let reference = match from.byte()? {
        0 => None,
        1 => {
            let age = from.byte()?;
            let (centre, deviation, spread) = (number(from)?, number(from)?, number(from)?);
            if spread <= 0 {
                return Err(from.damaged());
            }
            Some(Reference { centre, deviation, spread, age })
        }
        _ => return Err(from.damaged()),
    };
    let mut side = || Ok(Side { sum: number(from)?, length: from.byte()? });
    let (up, down) = (side()?, side()?);
    let last = match from.byte()? {
        0 => None,
        1 => Some(Direction::Up),
        2 => Some(Direction::Down),
        _ => return Err(from.damaged()),
    };
    Ok(Series { entries, values, newest, reference, up, down, last })
}

fn number(from: &mut Reader<'_>) -> Result<i32, Damaged> {
    i32::try_from(from.signed()?).map_err(|_| from.damaged())
}

/// What is kept for a suite as a whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SuiteResources {
    /// The newest runs of each host class.
    pub neighbours: Neighbours,
    /// Peaks that processes reached.
    pub peaks: Peaks,
}

impl SuiteResources {
    /// The bytes to store.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        out.unsigned(self.neighbours.groups.len() as u64);
        for Group { class, measure, runs } in &self.neighbours.groups {
            out.signed(*class);
            out.signed(measure.code());
            out.unsigned(runs.len() as u64);
            for RunCount { run, tests, up, down } in runs {
                out.signed(run.get());
                for count in [tests, up, down] {
                    out.unsigned(u64::from(*count));
                }
            }
        }
        out.unsigned(self.peaks.workers.len() as u64);
        for (Worker { run, variant }, peak) in &self.peaks.workers {
            out.signed(run.get());
            out.signed(variant.get());
            out.float(*peak);
        }
        out.0
    }

    /// What was stored as `bytes`.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut from = Reader::new(bytes, VERSION, "resource analysis of the suite")?;
        let mut read = Self::default();
        for _ in 0..from.length(GROUPS)? {
            let class: HostClassId = from.signed()?;
            let measure = Measure::from_code(from.signed()?).ok_or(from.damaged())?;
            let mut runs = Vec::with_capacity(RUNS);
            for _ in 0..from.length(RUNS)? {
                let run = RunId(from.signed()?);
                let (tests, up, down) = (from.small()?, from.small()?, from.small()?);
                runs.push(RunCount { run, tests, up, down });
            }
            read.neighbours.groups.push(Group { class, measure, runs });
        }
        for _ in 0..from.length(WORKERS)? {
            let worker = Worker { run: RunId(from.signed()?), variant: VariantId(from.signed()?) };
            read.peaks.workers.push((worker, from.float()?));
        }
        from.end()?;
        Ok(read)
    }
}
