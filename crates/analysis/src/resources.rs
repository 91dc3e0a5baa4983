//! What tests take: baselines of duration, CPU time and memory, and where they shifted.
//!
//! A *series* is one measure of one test on one host class, over the passing runs of the default branch. Each value costs the
//! same few steps: a two-sided CUSUM of whole numbers against the median of the series. Only when that triggers are the values
//! before and after compared by rank. `docs/resources.md` has the rules with their numbers.

mod comparison;
mod levels;
mod neighbours;
mod pack;
mod peaks;
mod series;

pub use comparison::Change;
pub use levels::{Rule, rule};
pub use neighbours::Neighbours;
pub use pack::{CHUNK_TESTS, SeriesChunk, SuiteResources, chunk_of};
pub use peaks::{Peaks, Worker};
pub use series::{Baseline, Entry, Series, Taken};

use crate::codec::Damaged;
use casebook_model::id::{RunId, TestId, UploadId};
use casebook_model::resources::Measure;
use casebook_model::time::Timestamp;
use std::collections::HashMap;

/// The number of a host class: machines that are alike, as far as is known.
pub type HostClassId = i64;

/// Which way a measure went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// It takes more.
    Up,
    /// It takes less.
    Down,
}

/// One value of an upload: of the first passing attempt of a test on a host class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The test.
    pub test: TestId,
    /// Where it ran.
    pub class: HostClassId,
    /// What was measured.
    pub measure: Measure,
    /// Seconds or MiB.
    pub amount: f64,
}

/// A confirmed shift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// The test.
    pub test: TestId,
    /// Where it ran.
    pub class: HostClassId,
    /// What shifted.
    pub measure: Measure,
    /// From what to what, and between which uploads.
    pub change: Change,
    /// So many tests of the host class shifted in the same run that it is the machine's.
    pub machine_wide: bool,
}

/// Series and what else is known of a suite while uploads are folded.
#[derive(Debug, Clone, Default)]
pub struct Fold {
    /// The suite's part.
    pub suite: SuiteResources,
    /// Series of the tests in hand, by chunk and host class.
    pub chunks: HashMap<(i64, HostClassId), SeriesChunk>,
}

impl Fold {
    /// Takes the samples of one upload in, in the order of the uploads, and returns what shifted.
    pub fn fold(&mut self, upload: UploadId, run: RunId, at: Timestamp, samples: &[Sample]) -> Vec<Shift> {
        let mut shifts = Vec::new();
        for sample in samples {
            let chunk = self.chunks.entry((chunk_of(sample.test), sample.class)).or_default();
            let series = chunk.series_mut(sample.test, sample.measure);
            let taken = series.take(sample.measure, upload, at, sample.amount);
            self.suite.neighbours.note(sample.class, sample.measure, run, &taken);
            if let Some(change) = taken.change {
                let Sample { test, class, measure, amount: _ } = *sample;
                shifts.push(Shift { test, class, measure, change, machine_wide: false });
            }
        }
        for shift in &mut shifts {
            shift.machine_wide =
                self.suite.neighbours.are_shifting(shift.class, shift.measure, run, shift.change.direction());
        }
        shifts
    }

    /// Reads a chunk's stored bytes in.
    ///
    /// # Errors
    /// They are damaged.
    pub fn load(&mut self, chunk: i64, class: HostClassId, bytes: &[u8]) -> Result<(), Damaged> {
        self.chunks.insert((chunk, class), SeriesChunk::from_bytes(bytes)?);
        Ok(())
    }
}
