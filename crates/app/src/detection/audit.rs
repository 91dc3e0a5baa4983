//! Whether the states that are stored are those that the stored uploads give when they are folded again from the first.

use super::marks::decision;
use super::source::{Lanes, signature};
use super::states;
use casebook_analysis::health::Rules;
use casebook_analysis::memory::Memory;
use casebook_analysis::upload::{Attempt, BranchKey, CommitKey, Upload};
use casebook_model::branch::{self, BranchClass};
use casebook_model::execution::{ExecutionFlags, Outcome};
use casebook_model::id::{SuiteId, TestId, UploadId};
use casebook_storage::stream::{self, StreamExecution, StreamUpload};
use casebook_storage::{Db, StorageError, detector as stored, marks, suites};
use std::collections::HashMap;

/// Uploads that are read at one time.
const MOST: i64 = 200;

/// What an audit of a suite found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Uploads that were folded again.
    pub uploads: u64,
    /// States that are as they should be.
    pub equal: u64,
    /// Tests whose states differ, are missing, or should not be there.
    pub different: Vec<TestId>,
    /// The suite's own part differs.
    pub suite_differs: bool,
}

/// Folds the stored uploads of a suite and what people said of its tests again, and compares.
///
/// # Errors
/// The database fails, or there is no such suite.
pub fn audit(db: &mut Db<'_>, suite: SuiteId) -> Result<Audit, StorageError> {
    let found = suites::find_by_id(db, suite)?.ok_or(StorageError::NoSuchSuite)?;
    let rules = Rules { detection: found.attributes.sensitivity, resolve: found.attributes.resolve_rule };
    let mut memory = Memory::new(rules);
    let mut variants = HashMap::new();
    let mut audit = Audit::default();
    let mut after = UploadId(0);
    let marks = marks::list(db, suite)?;
    let is_empty = marks.is_empty();
    let mut marks = marks.into_iter().peekable();
    loop {
        let uploads = stream::uploads(db, suite, after, MOST)?;
        let Some(last) = uploads.last() else { break };
        after = last.id;
        for upload in &uploads {
            while let Some(mark) = marks.next_if(|mark| mark.after < upload.id) {
                let _ = memory.decide(mark.test, decision(&mark.said), mark.at, |_| {});
            }
            let executions = stream::executions(db, suite, upload)?;
            let mut lanes = Lanes::new(suite, &mut variants);
            audit.uploads += u64::from(fold(db, &mut memory, upload, &executions, &mut lanes)?);
        }
    }
    for mark in marks {
        let _ = memory.decide(mark.test, decision(&mark.said), mark.at, |_| {});
    }
    compare(db, suite, &memory, &mut audit)?;
    audit.suite_differs &= audit.uploads > 0 || !is_empty;
    Ok(audit)
}

fn fold(
    db: &mut Db<'_>,
    memory: &mut Memory,
    upload: &StreamUpload,
    executions: &[StreamExecution],
    lanes: &mut Lanes<'_>,
) -> Result<bool, StorageError> {
    let mut attempts = Vec::with_capacity(executions.len());
    for execution in executions.iter().filter(|execution| !execution.flags.contains(ExecutionFlags::MEASURED))
    {
        let outcome = match execution.outcome {
            Outcome::Unknown if execution.said => Outcome::Failed,
            outcome => outcome,
        };
        attempts.push(Attempt {
            test: execution.test,
            lane: lanes.lane(db, execution.variant, execution.instance, upload.job.as_deref())?,
            outcome,
            at: upload.at.plus(execution.offset_ms * 1000),
            signature: execution.signature.map(signature),
        });
    }
    if attempts.is_empty() {
        return Ok(false);
    }
    let commit = upload.commit.as_deref().map_or_else(|| CommitKey::of_run(upload.run), CommitKey::of);
    let position = (upload.class == BranchClass::Default).then(|| memory.position(commit));
    let upload = Upload {
        upload: upload.id,
        run: upload.run,
        commit,
        branch: upload.branch.as_deref().map(|name| BranchKey::of(branch::compared(name))),
        branch_class: upload.class,
        position,
        at: upload.at,
        attempts: &attempts,
        executions: attempts.len() as u64,
    };
    let _ = memory.fold(&upload, |_| {});
    Ok(true)
}

fn compare(db: &mut Db<'_>, suite: SuiteId, memory: &Memory, audit: &mut Audit) -> Result<(), StorageError> {
    let mut kept: HashMap<TestId, Vec<u8>> = HashMap::new();
    for (test, body) in stored::states(db, suite)? {
        kept.insert(test, states::unpack(&body)?.0.to_bytes());
    }
    for (test, state) in memory.states() {
        if kept.remove(&test).is_some_and(|bytes| bytes == state.to_bytes()) {
            audit.equal += 1;
        } else {
            audit.different.push(test);
        }
    }
    audit.different.extend(kept.into_keys());
    audit.different.sort_unstable();
    let body = stored::suite(db, suite)?.map(|stored| stored.body);
    audit.suite_differs = body != Some(memory.suite().to_bytes());
    Ok(())
}
