//! What tests take: the uploads that are followed, baselines of each test and host class, and shifts. The bytes are those of
//! the analysis.

mod follow;
mod found;
mod history;

pub use follow::{
    FollowedUpload, MeasuredExecution, OwnResources, executions, of_run, session_tags, unjudged, uploads,
    variant_tags,
};
pub use found::{
    MachineWide, NewShift, ShiftFilter, ShiftUpload, StoredShift, mark_machine_wide, put_shifts, shifts,
};
pub use history::{RunFacts, TestResources, of_test, run_facts};

pub(crate) use follow::EXECUTIONS;
pub(crate) use found::{NEWEST, OF_TEST as SHIFTS_OF_TEST};
pub(crate) use history::OF_TEST;

use crate::db::Db;
use crate::error::StorageError;
use crate::insert::Insert;
use crate::value::{Value, values};
use casebook_model::id::{SuiteId, UploadId};
use casebook_model::key::key_of;

const BEHIND: &str = "/* shifts.behind */ select c.suite_id from suite_counter c \
     left join resource_suite r on r.suite_id = c.suite_id where c.uploads > coalesce(r.upload_id, 0) order by c.suite_id";
const SUITE: &str =
    "/* shifts.suite */ select upload_id, shifts, body from resource_suite where suite_id = $1";
const PUT_SUITE: &str = "/* shifts.put_suite */ insert into resource_suite (suite_id, upload_id, shifts, body) \
     values ($1, $2, $3, $4) on conflict (suite_id) do update set upload_id = excluded.upload_id, \
     shifts = excluded.shifts, body = excluded.body";
const CHUNKS: &str = "/* shifts.chunks */ select chunk, host_class_id, body from resource_baseline \
     where suite_id = $1 and chunk = any($2)";
const PUT_CHUNKS: Insert = Insert {
    into: "resource_baseline (suite_id, chunk, host_class_id, body)",
    columns: 4,
    conflict: "on conflict (suite_id, chunk, host_class_id) do update set body = excluded.body",
};
const CLASSES: &str = "/* shifts.classes */ select host_class_id, name from host_class where suite_id = $1";
const PUT_CLASS: &str = "/* shifts.put_class */ insert into host_class (suite_id, host_class_id, class_key, name) \
     values ($1, $2, $3, $4)";

/// Suites with uploads that were not followed yet.
///
/// # Errors
/// The database fails.
pub fn behind(db: &mut Db<'_>) -> Result<Vec<SuiteId>, StorageError> {
    db.query(BEHIND, &[], |row| Ok(SuiteId(row.get(0)?)))
}

/// How far a suite was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The last upload that was.
    pub upload: UploadId,
    /// Shifts found so far.
    pub shifts: i64,
    /// The analysis's bytes.
    pub body: Vec<u8>,
}

/// How far a suite was followed; none at the beginning.
///
/// # Errors
/// The database fails.
pub fn followed(db: &mut Db<'_>, suite: SuiteId) -> Result<Option<Followed>, StorageError> {
    db.find(SUITE, values![suite.get()], |row| {
        Ok(Followed { upload: UploadId(row.get(0)?), shifts: row.get(1)?, body: row.get(2)? })
    })
}

/// Stores how far a suite was followed.
///
/// # Errors
/// The database fails.
pub fn put_followed(db: &mut Db<'_>, suite: SuiteId, followed: &Followed) -> Result<(), StorageError> {
    let Followed { upload, shifts, body } = followed;
    db.execute(PUT_SUITE, values![suite.get(), upload.get(), *shifts, body.as_slice()])?;
    Ok(())
}

/// A packed chunk of baselines on one host class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChunk {
    /// Which tests.
    pub chunk: i64,
    /// Which host class.
    pub class: i64,
    /// The analysis's bytes.
    pub body: Vec<u8>,
}

/// The baselines of some chunks on every host class.
///
/// # Errors
/// The database fails.
pub fn chunks(db: &mut Db<'_>, suite: SuiteId, chunks: &[i64]) -> Result<Vec<StoredChunk>, StorageError> {
    db.query(CHUNKS, &[suite.get().into(), Value::Ints(chunks)], |row| {
        Ok(StoredChunk { chunk: row.get(0)?, class: row.get(1)?, body: row.get(2)? })
    })
}

/// Stores baselines.
///
/// # Errors
/// The database fails.
pub fn put_chunks(db: &mut Db<'_>, suite: SuiteId, chunks: &[StoredChunk]) -> Result<(), StorageError> {
    let mut rows: Vec<Value<'_>> = Vec::with_capacity(chunks.len() * PUT_CHUNKS.columns);
    for StoredChunk { chunk, class, body } in chunks {
        rows.extend_from_slice(values![suite.get(), *chunk, *class, body.as_slice()]);
    }
    PUT_CHUNKS.rows(db, &rows)
}

/// The host classes of a suite: numbers and names.
///
/// # Errors
/// The database fails.
pub fn host_classes(db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<(i64, String)>, StorageError> {
    db.query(CLASSES, values![suite.get()], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Stores a new host class under a number that is free.
///
/// # Errors
/// The database fails, or it is there.
pub fn put_host_class(db: &mut Db<'_>, suite: SuiteId, number: i64, name: &str) -> Result<(), StorageError> {
    db.execute(PUT_CLASS, values![suite.get(), number, &key_of(&[name]), name])?;
    Ok(())
}
