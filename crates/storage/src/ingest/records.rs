//! Records that a protocol keeps of its own, which come with an upload and are stored in its transaction.
//!
//! A protocol looks at the records of a whole group twice, set by set: before anything is planned, when it may refuse uploads,
//! and after the rows of the executions are written, when run, test and attempt of each result are known.

use super::{Counter, NewUpload, Received};
use crate::catalog::SuiteCatalog;
use crate::db::Db;
use crate::error::StorageError;
use crate::{avocado, monitor};
use casebook_model::id::SuiteId;

/// A record that a protocol keeps of its own.
#[derive(Debug, Clone)]
pub enum Record {
    /// pytest-monitor's.
    Monitor(monitor::Record),
    /// Avocado's, of one job.
    Avocado(avocado::records::Batch),
}

/// Why a protocol does not take an upload. Nothing of it is stored, its results included.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// pytest-monitor's records.
    #[error(transparent)]
    Monitor(#[from] monitor::Refusal),
    /// Avocado's records.
    #[error(transparent)]
    Avocado(#[from] avocado::records::Refusal),
}

/// A group of uploads whose executions are written.
pub(crate) struct Written<'a> {
    pub(crate) suite: SuiteId,
    pub(crate) uploads: &'a [NewUpload],
    /// For each upload its run, and whether it was stored: a repetition is not, and its records are not either.
    pub(crate) received: &'a [Received],
}

/// Whether an upload brings only what is kept beside runs: it neither makes a run nor counts as an upload of one.
pub(crate) fn is_beside_runs(upload: &NewUpload) -> bool {
    let beside = |record: &Record| matches!(record, Record::Avocado(batch) if batch.is_beside_runs());
    upload.results.is_empty() && !upload.records.is_empty() && upload.records.iter().all(beside)
}

/// Which uploads are refused, and why; empty if none has records. Avocado's records, which nothing of an execution is needed
/// for, are stored at once. The suite's counter row is locked.
pub(crate) fn examine(
    db: &mut Db<'_>,
    suite: SuiteId,
    uploads: &[NewUpload],
) -> Result<Vec<Option<Refusal>>, StorageError> {
    if uploads.iter().all(|upload| upload.records.is_empty()) {
        return Ok(Vec::new());
    }
    let mut refusals = vec![None; uploads.len()];
    monitor::examine(db, suite, uploads, &mut refusals)?;
    avocado::examine(db, suite, uploads, &mut refusals)?;
    Ok(refusals)
}

/// Writes the records, and returns their running numbers for each upload, in the order of its records.
pub(crate) fn write(
    db: &mut Db<'_>,
    written: &Written<'_>,
    counter: &mut Counter,
    catalog: &mut SuiteCatalog,
) -> Result<Vec<Vec<i64>>, StorageError> {
    let mut numbers = vec![Vec::new(); written.uploads.len()];
    if written.uploads.iter().any(|upload| !upload.records.is_empty()) {
        monitor::write(db, written, counter, &mut catalog.monitor, &mut numbers)?;
    }
    Ok(numbers)
}
