//! What people said of the health of tests, each at its place in the order of the fold.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::value::values;
use casebook_model::id::{SuiteId, TestId, UploadId};
use casebook_model::mark::Mark;
use casebook_model::time::Timestamp;

const INSERT: &str = "/* marks.insert */ insert into test_mark (suite_id, mark_id, after_upload, test_id, kind, at) \
     select suite_id, 1 + (select coalesce(max(mark_id), 0) from test_mark where suite_id = $1), uploads, $2, $3, $4 \
     from suite_counter where suite_id = $1";
const LIST: &str = "/* marks.list */ select after_upload, test_id, kind, at from test_mark where suite_id = $1 order by mark_id";

/// A mark as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredMark {
    /// The upload after which it was made; 0 before the first.
    pub after: UploadId,
    /// The test.
    pub test: TestId,
    /// What was said.
    pub mark: Mark,
    /// When.
    pub at: Timestamp,
}

/// Stores a mark after all uploads there are. The suite is locked ([`crate::ingest::lock_suite`]).
///
/// # Errors
/// The database fails.
pub fn insert(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    mark: Mark,
    at: Timestamp,
) -> Result<(), StorageError> {
    db.execute(INSERT, values![suite.get(), test.get(), mark.code(), at.as_microseconds()])?;
    Ok(())
}

/// Every mark of a suite, in the order in which they were made.
///
/// # Errors
/// The database fails.
pub fn list(db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<StoredMark>, StorageError> {
    db.query(LIST, values![suite.get()], |row| {
        let kind = row.get(2)?;
        Ok(StoredMark {
            after: UploadId(row.get(0)?),
            test: TestId(row.get(1)?),
            mark: member(Mark::from_code(kind), kind, "test_mark.kind")?,
            at: Timestamp(row.get(3)?),
        })
    })
}
