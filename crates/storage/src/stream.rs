//! The uploads of a suite in the order in which they were recorded, with their executions: what the detector was told.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::value::values;
use casebook_model::branch::BranchClass;
use casebook_model::execution::{ExecutionFlags, Outcome};
use casebook_model::id::{RunId, SuiteId, TestId, UploadId, VariantId};
use casebook_model::key::Key;
use casebook_model::run::Protocol;
use casebook_model::time::Timestamp;

const UPLOADS: &str = "/* stream.uploads */ select upload.upload_id, upload.run_id, upload.at, upload.branch, upload.branch_class, \
     upload.commit_sha, upload.job, run.key, run.protocol from upload \
     join run on run.suite_id = upload.suite_id and run.run_id = upload.run_id \
     where upload.suite_id = $1 and upload.upload_id > $2 order by upload.upload_id limit $3";
const EXECUTIONS: &str = "/* stream.executions */ select execution.test_id, execution.attempt, execution.outcome, execution.flags, \
     execution.variant_id, execution.instance, execution.offset_ms, failure.text_key, failure.signature \
     from execution left join failure on failure.suite_id = execution.suite_id and failure.run_id = execution.run_id \
     and failure.test_id = execution.test_id and failure.attempt = execution.attempt \
     where execution.suite_id = $1 and execution.run_id = $2 and execution.upload_id = $3 \
     order by execution.test_id, execution.attempt";

/// An upload as the detector was told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamUpload {
    /// Its number, which is its place in the order.
    pub id: UploadId,
    /// Its run.
    pub run: RunId,
    /// Key of the run.
    pub run_key: String,
    /// Who brought the run.
    pub protocol: Protocol,
    /// When its results began.
    pub at: Timestamp,
    /// Its branch, as sent.
    pub branch: Option<String>,
    /// Class of the branch.
    pub class: BranchClass,
    /// Its commit.
    pub commit: Option<String>,
    /// Its job.
    pub job: Option<String>,
}

/// One of its executions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamExecution {
    /// The test.
    pub test: TestId,
    /// Which attempt.
    pub attempt: i64,
    /// How it ended, as sent.
    pub outcome: Outcome,
    /// What else is true of it.
    pub flags: ExecutionFlags,
    /// Its environment.
    pub variant: VariantId,
    /// Which of several instances of one name.
    pub instance: i64,
    /// Milliseconds after the upload's time.
    pub offset_ms: i64,
    /// It said something of a failure.
    pub said: bool,
    /// What identifies the failure.
    pub signature: Option<Key>,
}

/// The next uploads after `after`, in order, at most `most`.
///
/// # Errors
/// The database fails.
pub fn uploads(
    db: &mut Db<'_>,
    suite: SuiteId,
    after: UploadId,
    most: i64,
) -> Result<Vec<StreamUpload>, StorageError> {
    db.query(UPLOADS, values![suite.get(), after.get(), most], |row| {
        let (class, protocol) = (row.get(4)?, row.get(8)?);
        Ok(StreamUpload {
            id: UploadId(row.get(0)?),
            run: RunId(row.get(1)?),
            run_key: row.get(7)?,
            protocol: member(Protocol::from_code(protocol), protocol, "run.protocol")?,
            at: Timestamp(row.get(2)?),
            branch: row.get(3)?,
            class: member(BranchClass::from_code(class), class, "upload.branch_class")?,
            commit: row.get(5)?,
            job: row.get(6)?,
        })
    })
}

/// The executions of an upload, by test and attempt.
///
/// # Errors
/// The database fails.
pub fn executions(
    db: &mut Db<'_>,
    suite: SuiteId,
    upload: &StreamUpload,
) -> Result<Vec<StreamExecution>, StorageError> {
    db.query(EXECUTIONS, values![suite.get(), upload.run.get(), upload.id.get()], |row| {
        let outcome = row.get(2)?;
        let signature: Option<Vec<u8>> = row.get(8)?;
        Ok(StreamExecution {
            test: TestId(row.get(0)?),
            attempt: row.get(1)?,
            outcome: member(Outcome::from_code(outcome), outcome, "execution.outcome")?,
            flags: ExecutionFlags::from_bits(row.get(3)?),
            variant: VariantId(row.get(4)?),
            instance: row.get(5)?,
            offset_ms: row.get(6)?,
            said: row.get::<Option<Vec<u8>>>(7)?.is_some(),
            signature: signature.and_then(|bytes| bytes.try_into().ok()),
        })
    })
}
