//! Reading what new uploads brought, a few uploads at a time.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::ingest::tags_from_json;
use crate::value::values;
use casebook_model::branch::BranchClass;
use casebook_model::execution::ExecutionFlags;
use casebook_model::id::{RunId, SuiteId, TestId, UploadId, VariantId};
use casebook_model::run::Protocol;
use casebook_model::tags::Tags;
use casebook_model::time::Timestamp;

const UPLOADS: &str = "/* shifts.uploads */ select upload_id, run_id, at, branch, branch_class, protocol, accepted from upload \
     where suite_id = $1 and upload_id > $2 order by upload_id limit $3";
pub(crate) const EXECUTIONS: &str = "/* shifts.executions */ select upload_id, test_id, attempt, variant_id, flags, offset_ms, duration_us \
     from execution where suite_id = $1 and run_id = $2 and upload_id >= $3 and upload_id <= $4 and outcome = 0 and instance = 0 \
     order by test_id, attempt";
const OF_RUN: &str = "/* shifts.of_run */ select test_id, attempt, user_seconds, system_seconds, memory_mib \
     from execution_resources where suite_id = $1 and run_id = $2";
const SESSION_TAGS: &str = "/* shifts.session_tags */ select tags from upload /*+ upload_by_run */ \
     where suite_id = $1 and run_id = $2 and tags is not null order by upload_id limit 1";
const UNJUDGED: &str = "/* shifts.unjudged */ select test_id from test where suite_id = $1 and judged = 0";

/// An upload in the order of the uploads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowedUpload {
    /// Its number.
    pub id: UploadId,
    /// Its run.
    pub run: RunId,
    /// The time of its results.
    pub at: Timestamp,
    /// Whether it names a branch.
    pub has_branch: bool,
    /// Class of the branch.
    pub class: BranchClass,
    /// Who brought it.
    pub protocol: Protocol,
    /// Executions that it brought.
    pub executions: i64,
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
) -> Result<Vec<FollowedUpload>, StorageError> {
    db.query(UPLOADS, values![suite.get(), after.get(), most], |row| {
        let (class, protocol) = (row.get(4)?, row.get(5)?);
        Ok(FollowedUpload {
            id: UploadId(row.get(0)?),
            run: RunId(row.get(1)?),
            at: Timestamp(row.get(2)?),
            has_branch: row.get::<Option<String>>(3)?.is_some(),
            class: member(BranchClass::from_code(class), class, "upload.branch_class")?,
            protocol: member(Protocol::from_code(protocol), protocol, "upload.protocol")?,
            executions: row.get(6)?,
        })
    })
}

/// A passing execution of an upload that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasuredExecution {
    /// The upload that brought it.
    pub upload: UploadId,
    /// The test.
    pub test: TestId,
    /// Which attempt.
    pub attempt: i64,
    /// Its environment.
    pub variant: VariantId,
    /// What else is true of it.
    pub flags: ExecutionFlags,
    /// Milliseconds after the upload's time.
    pub offset_ms: i64,
    /// Wall time.
    pub duration_us: Option<i64>,
}

/// The passing executions that uploads of a range brought into a run, by test and attempt.
///
/// # Errors
/// The database fails.
pub fn executions(
    db: &mut Db<'_>,
    suite: SuiteId,
    run: RunId,
    first: UploadId,
    last: UploadId,
) -> Result<Vec<MeasuredExecution>, StorageError> {
    db.query(EXECUTIONS, values![suite.get(), run.get(), first.get(), last.get()], |row| {
        Ok(MeasuredExecution {
            upload: UploadId(row.get(0)?),
            test: TestId(row.get(1)?),
            attempt: row.get(2)?,
            variant: VariantId(row.get(3)?),
            flags: ExecutionFlags::from_bits(row.get(4)?),
            offset_ms: row.get(5)?,
            duration_us: row.get(6)?,
        })
    })
}

/// What an execution took beside its time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OwnResources {
    /// The test.
    pub test: TestId,
    /// Which attempt.
    pub attempt: i64,
    /// CPU seconds of user and system.
    pub cpu_seconds: Option<f64>,
    /// Memory, as it was reported.
    pub memory_mib: Option<f64>,
}

/// What the executions of a run took, of those that told.
///
/// # Errors
/// The database fails.
pub fn of_run(db: &mut Db<'_>, suite: SuiteId, run: RunId) -> Result<Vec<OwnResources>, StorageError> {
    db.query(OF_RUN, values![suite.get(), run.get()], |row| {
        let (user, system): (Option<f64>, Option<f64>) = (row.get(2)?, row.get(3)?);
        Ok(OwnResources {
            test: TestId(row.get(0)?),
            attempt: row.get(1)?,
            cpu_seconds: user.zip(system).map(|(user, system)| user + system),
            memory_mib: row.get(4)?,
        })
    })
}

/// The tags of the first upload of a run that has any.
///
/// # Errors
/// The database fails.
pub fn session_tags(db: &mut Db<'_>, suite: SuiteId, run: RunId) -> Result<Tags, StorageError> {
    let found = db.find(SESSION_TAGS, values![suite.get(), run.get()], |row| row.get::<Option<String>>(0))?;
    Ok(found.flatten().map(|text| tags_from_json(&text)).unwrap_or_default())
}

/// The tags of an environment.
///
/// # Errors
/// The database fails.
pub fn variant_tags(db: &mut Db<'_>, suite: SuiteId, variant: VariantId) -> Result<Tags, StorageError> {
    let found = crate::detector::variant_tags(db, suite, variant)?;
    Ok(found.map(|text| tags_from_json(&text)).unwrap_or_default())
}

/// Tests that are none, such as whole modules.
///
/// # Errors
/// The database fails.
pub fn unjudged(db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<TestId>, StorageError> {
    db.query(UNJUDGED, values![suite.get()], |row| Ok(TestId(row.get(0)?)))
}
