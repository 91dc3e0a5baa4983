//! What Avocado's protocol keeps of its own: jobs, and below each its tests, activities and data in order of arrival; and
//! the small tables of software and systems.

mod counter;
mod table;

pub mod jobs;
pub mod notes;
pub mod records;
pub mod software;
pub mod systems;
pub mod tests;

pub use table::{Removal, Table};

use crate::db::Db;
use crate::error::StorageError;
use crate::ingest::{self, NewUpload};
use casebook_model::avocado::Standing;
use casebook_model::id::SuiteId;
use records::Batch;

/// Jobs or tests by how they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Passed.
    pub passed: i64,
    /// Failed, or ended in an error.
    pub failed: i64,
    /// The rest.
    pub other: i64,
}

impl Summary {
    fn of(all: i64, passed: i64, failed: i64) -> Self {
        Self { passed, failed, other: all - passed - failed }
    }
}

/// One term of an ordering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term<F> {
    /// What is compared.
    pub field: F,
    /// The largest first.
    pub descending: bool,
}

/// Counts of rows by how they stand, as they are stored: all, passed, failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    all: i64,
    passed: i64,
    failed: i64,
}

impl Tally {
    /// Counts a row in (`by` 1) or out (-1).
    fn add(&mut self, standing: Option<Standing>, by: i64) {
        self.all += by;
        match standing {
            Some(Standing::Passed) => self.passed += by,
            Some(Standing::Failed) => self.failed += by,
            Some(Standing::Other) | None => {}
        }
    }
}

/// Fills the small tables of a new suite with the rows that every Avocado Server begins with.
pub(crate) fn seed(db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
    software::seed(db, suite)?;
    systems::seed(db, suite)
}

/// Takes in what the uploads of a group bring for Avocado, and notes which of them are refused.
pub(crate) fn examine(
    db: &mut Db<'_>,
    suite: SuiteId,
    uploads: &[NewUpload],
    refusals: &mut [Option<ingest::Refusal>],
) -> Result<(), StorageError> {
    let batches = uploads.iter().enumerate().flat_map(|(index, upload)| {
        upload.records.iter().filter_map(move |record| match record {
            ingest::Record::Avocado(batch) => Some((index, batch)),
            ingest::Record::Monitor(_) => None,
        })
    });
    let (indexes, batches): (Vec<usize>, Vec<&Batch>) = batches.unzip();
    if batches.is_empty() {
        return Ok(());
    }
    for (index, answer) in indexes.into_iter().zip(records::take_in(db, suite, &batches)?) {
        refusals[index] = answer.err().map(ingest::Refusal::Avocado).or_else(|| refusals[index].take());
    }
    Ok(())
}
