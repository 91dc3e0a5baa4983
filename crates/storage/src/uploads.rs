//! Uploads: what arrived, and what was wrong with it.

use crate::db::Db;
use crate::error::StorageError;
use crate::ingest::{NewUpload, Received, tags_json};
use crate::insert::Insert;
use crate::value::{Value, values};
use casebook_model::id::{RunId, SuiteId, UploadId};
use casebook_model::name::{Branch, Commit, Job, Shard};
use casebook_model::time::Timestamp;

const FIND: &str = "/* uploads.find */ select run_id, received_at, at, accepted, repaired, rejected, duplicate, problems from upload \
     where suite_id = $1 and upload_id = $2";
const INSERT: Insert = Insert {
    into: "upload (suite_id, upload_id, run_id, protocol, format, received_at, at, digest, branch, branch_class, commit_sha, job, \
           shard, collector, tags, accepted, repaired, rejected, duplicate, problems)",
    columns: 20,
    conflict: "",
};

/// Problems of one upload that are kept; the counts always tell all.
const MOST_PROBLEMS: usize = 200;

/// An upload as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its number.
    pub id: UploadId,
    /// The run it belongs to.
    pub run: RunId,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The time of its results.
    pub at: Timestamp,
    /// Results stored.
    pub accepted: i64,
    /// Results mended and stored.
    pub repaired: i64,
    /// Results that could not be used.
    pub rejected: i64,
    /// Results that were there already.
    pub duplicate: i64,
    /// What was wrong, one sentence each.
    pub problems: Vec<String>,
}

/// The upload with that number.
///
/// # Errors
/// The database fails.
pub fn find(db: &mut Db<'_>, suite: SuiteId, id: UploadId) -> Result<Option<Upload>, StorageError> {
    db.find(FIND, values![suite.get(), id.get()], |row| {
        let problems: Option<Vec<u8>> = row.get(7)?;
        Ok(Upload {
            id,
            run: RunId(row.get(0)?),
            received_at: Timestamp(row.get(1)?),
            at: Timestamp(row.get(2)?),
            accepted: row.get(3)?,
            repaired: row.get(4)?,
            rejected: row.get(5)?,
            duplicate: row.get(6)?,
            problems: problems.map_or_else(Vec::new, |bytes| {
                serde_json::from_slice(&crate::failures::inflate(&bytes)).unwrap_or_default()
            }),
        })
    })
}

pub(crate) fn insert(
    db: &mut Db<'_>,
    uploads: &[NewUpload],
    received: &[Received],
) -> Result<(), StorageError> {
    let recorded: Vec<_> = uploads
        .iter()
        .zip(received)
        .filter(|(_, received)| received.recorded)
        .map(|(upload, received)| {
            let tags = (!upload.tags.is_empty()).then(|| tags_json(&upload.tags));
            (upload, received, tags, problems(upload))
        })
        .collect();
    let mut rows: Vec<Value<'_>> = Vec::with_capacity(recorded.len() * INSERT.columns);
    for (upload, Received { receipt, .. }, tags, problems) in &recorded {
        rows.extend_from_slice(values![
            upload.suite.get(),
            receipt.upload.get(),
            receipt.run.get(),
            upload.protocol.code(),
            upload.format,
            upload.received_at.as_microseconds(),
            upload.at.as_microseconds(),
            upload.digest.as_ref(),
            upload.attributes.branch.as_ref().map(Branch::as_str),
            upload.branch_class.code(),
            upload.attributes.commit.as_ref().map(Commit::as_str),
            upload.job.as_ref().map(Job::as_str),
            upload.shard.as_ref().map(Shard::as_str),
            upload.collector.as_deref(),
            tags.as_deref(),
            receipt.accepted,
            upload.repaired,
            upload.rejected + receipt.rejected,
            receipt.duplicate,
            problems.as_deref(),
        ]);
    }
    INSERT.rows(db, &rows)
}

/// The problems as they are stored: a packed JSON list of sentences.
fn problems(upload: &NewUpload) -> Option<Vec<u8>> {
    if upload.problems.is_empty() {
        return None;
    }
    let sentences: Vec<serde_json::Value> =
        upload.problems.iter().take(MOST_PROBLEMS).map(|problem| problem.to_string().into()).collect();
    Some(crate::failures::deflate(serde_json::Value::Array(sentences).to_string().as_bytes()))
}
