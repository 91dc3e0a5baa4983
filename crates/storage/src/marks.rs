//! What people and commits said of the health of tests, each at its place in the order of the fold.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::value::values;
use casebook_model::id::{SuiteId, TestId, UploadId};
use casebook_model::mark::{Mark, Statement};
use casebook_model::name::Commit;
use casebook_model::time::Timestamp;

const INSERT: &str = "/* marks.insert */ insert into test_mark (suite_id, mark_id, after_upload, test_id, kind, commit_sha, at) \
     select suite_id, 1 + (select coalesce(max(mark_id), 0) from test_mark where suite_id = $1), $2, $3, $4, $5, $6 \
     from suite_counter where suite_id = $1";
const LIST: &str = "/* marks.list */ select after_upload, test_id, kind, commit_sha, at from test_mark where suite_id = $1 order by mark_id";

/// What promises of commits are stored as, beside the codes of [`Mark`].
const REPAIR: i64 = 3;

/// A mark as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMark {
    /// The upload after which it was made; 0 before the first.
    pub after: UploadId,
    /// The test.
    pub test: TestId,
    /// What was said.
    pub said: Statement,
    /// When.
    pub at: Timestamp,
}

/// Stores what was said after the upload `after` and before the next. The suite is locked ([`crate::ingest::lock_suite`]).
///
/// # Errors
/// The database fails.
pub fn insert(
    db: &mut Db<'_>,
    suite: SuiteId,
    after: UploadId,
    test: TestId,
    said: &Statement,
    at: Timestamp,
) -> Result<(), StorageError> {
    let (kind, commit) = match said {
        Statement::Person(mark) => (mark.code(), None),
        Statement::Repair(commit) => (REPAIR, Some(commit.as_str())),
    };
    let values = values![suite.get(), after.get(), test.get(), kind, commit, at.as_microseconds()];
    db.execute(INSERT, values)?;
    Ok(())
}

/// Every mark of a suite, in the order in which they were made.
///
/// # Errors
/// The database fails.
pub fn list(db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<StoredMark>, StorageError> {
    db.query(LIST, values![suite.get()], |row| {
        let kind = row.get(2)?;
        let commit: Option<String> = row.get(3)?;
        let said = match kind {
            REPAIR => commit.as_deref().and_then(Commit::new).map(Statement::Repair),
            kind => Mark::from_code(kind).map(Statement::Person),
        };
        Ok(StoredMark {
            after: UploadId(row.get(0)?),
            test: TestId(row.get(1)?),
            said: member(said, kind, "test_mark.kind")?,
            at: Timestamp(row.get(4)?),
        })
    })
}
