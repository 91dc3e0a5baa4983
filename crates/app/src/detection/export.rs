//! The executions of a suite as a stream, from which the detector comes to the same states (`docs/detector.md`, replay).

use super::source::lane_text;
use casebook_model::branch::{self, BranchClass};
use casebook_model::execution::{ExecutionFlags, Outcome};
use casebook_model::id::{SuiteId, TestId, UploadId};
use casebook_model::key::Key;
use casebook_model::mark::Statement;
use casebook_model::run::Protocol;
use casebook_model::test::Identity;
use casebook_model::time::Timestamp;
use casebook_storage::stream::{self, StreamUpload};
use casebook_storage::{Db, StorageError, detector as stored, tests};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;

/// Uploads that are read at one time.
const MOST: i64 = 200;

/// One execution of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// When it ran.
    pub at: Timestamp,
    /// Key of its run; of runs that did not come by Buildkite's protocol with the protocol before it.
    pub run: String,
    /// Number of its run.
    pub run_id: i64,
    /// Number of its upload.
    pub upload: i64,
    /// When the results of the upload began.
    pub upload_at: Timestamp,
    /// The branch, without `refs/heads/`.
    pub branch: Option<String>,
    /// What the server took the branch for.
    pub branch_class: BranchClass,
    /// The commit.
    pub commit: Option<String>,
    /// Place of the commit on the default branch.
    pub position: Option<i64>,
    /// The CI job.
    pub job: Option<String>,
    /// Class name of the test.
    pub class_name: String,
    /// Name of the test.
    pub name: String,
    /// How it ended; one that did not say, but said why it failed, has failed.
    pub outcome: Outcome,
    /// Which attempt in its run, from 1.
    pub attempt: i64,
    /// What is known of its environment.
    pub variant: Option<String>,
    /// What identifies the failure.
    pub signature: Option<Key>,
}

/// What was said of a test, at its place in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedMark {
    /// When.
    pub at: Timestamp,
    /// Class name of the test.
    pub class_name: String,
    /// Name of the test.
    pub name: String,
    /// What was said.
    pub said: Statement,
}

/// One item of the stream.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// An execution.
    Execution(&'a Exported),
    /// A mark.
    Mark(&'a ExportedMark),
}

/// Gives every execution and mark of a suite to `visit`, in the order of the fold, until it breaks off. Executions that come
/// from metrics are left out.
///
/// # Errors
/// The database fails.
pub fn export(
    db: &mut Db<'_>,
    suite: SuiteId,
    mut visit: impl FnMut(Item<'_>) -> ControlFlow<()>,
) -> Result<(), StorageError> {
    let identities = tests::identities(db, suite)?;
    let mut marks = marks(db, suite, &identities)?.into_iter().peekable();
    let mut variants = HashMap::new();
    let mut after = UploadId(0);
    loop {
        let uploads = stream::uploads(db, suite, after, MOST)?;
        let Some(last) = uploads.last() else { break };
        after = last.id;
        for upload in uploads {
            while let Some((_, mark)) = marks.next_if(|(after, _)| *after < upload.id) {
                if visit(Item::Mark(&mark)).is_break() {
                    return Ok(());
                }
            }
            let position = position(db, suite, &upload)?;
            for execution in stream::executions(db, suite, &upload)? {
                let Some(identity) = identities.get(&execution.test) else { continue };
                if execution.flags.contains(ExecutionFlags::MEASURED) {
                    continue;
                }
                let tags: &Option<String> = match variants.entry(execution.variant) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => place.insert(stored::variant_tags(db, suite, execution.variant)?),
                };
                let went_on = visit(Item::Execution(&Exported {
                    at: upload.at.plus(execution.offset_ms * 1000),
                    run: run_name(&upload),
                    run_id: upload.run.get(),
                    upload: upload.id.get(),
                    upload_at: upload.at,
                    branch: upload.branch.as_deref().map(|name| branch::compared(name).to_owned()),
                    branch_class: upload.class,
                    commit: upload.commit.clone(),
                    position,
                    job: upload.job.clone(),
                    class_name: identity.class_name.clone(),
                    name: identity.name.clone(),
                    outcome: match execution.outcome {
                        Outcome::Unknown if execution.said => Outcome::Failed,
                        outcome => outcome,
                    },
                    attempt: execution.attempt,
                    variant: lane_text(tags.as_deref(), execution.instance),
                    signature: execution.signature,
                }));
                if went_on.is_break() {
                    return Ok(());
                }
            }
        }
    }
    for (_, mark) in marks {
        if visit(Item::Mark(&mark)).is_break() {
            break;
        }
    }
    Ok(())
}

/// Every mark with the upload after which it was made.
fn marks(
    db: &mut Db<'_>,
    suite: SuiteId,
    identities: &HashMap<TestId, Identity>,
) -> Result<Vec<(UploadId, ExportedMark)>, StorageError> {
    let marks = casebook_storage::marks::list(db, suite)?.into_iter().filter_map(|stored| {
        let Identity { class_name, name } = identities.get(&stored.test)?.clone();
        Some((stored.after, ExportedMark { at: stored.at, class_name, name, said: stored.said }))
    });
    Ok(marks.collect())
}

fn run_name(upload: &StreamUpload) -> String {
    match upload.protocol {
        Protocol::Buildkite => upload.run_key.clone(),
        other => format!("{other}:{}", upload.run_key),
    }
}

fn position(db: &mut Db<'_>, suite: SuiteId, upload: &StreamUpload) -> Result<Option<i64>, StorageError> {
    if upload.class != BranchClass::Default {
        return Ok(None);
    }
    match &upload.commit {
        Some(commit) => stored::position(db, suite, commit),
        None => stored::position(db, suite, &format!("run {}", upload.run.get())),
    }
}
