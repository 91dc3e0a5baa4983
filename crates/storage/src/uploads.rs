//! Uploads: what arrived, and what was wrong with it.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::ingest::{NewUpload, Received, tags_from_json, tags_json};
use crate::insert::Insert;
use crate::value::{Row, Value, values};
use casebook_model::id::{RunId, SuiteId, UploadId};
use casebook_model::name::{Branch, Commit, Job, Shard};
use casebook_model::run::Protocol;
use casebook_model::tags::Tags;
use casebook_model::time::Timestamp;

macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ",
            $name,
            " */ select upload_id, run_id, protocol, format, received_at, at, branch, commit_sha, job, shard, collector, tags, \
             accepted, repaired, rejected, duplicate, problems from upload ",
            $rest
        )
    };
}

const FIND: &str = select!("uploads.find", "where suite_id = $1 and upload_id = $2");
pub(crate) const LIST: &str =
    select!("uploads.list", "where suite_id = $1 and upload_id < $2 order by upload_id desc limit $3");
pub(crate) const OF_RUN: &str = select!(
    "uploads.of_run",
    "/*+ upload_by_run */ where suite_id = $1 and upload_id < $2 and run_id = $4 order by upload_id desc limit $3"
);
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
    /// Who brought it.
    pub protocol: Protocol,
    /// Number of the report's format.
    pub format: i64,
    /// When it arrived.
    pub received_at: Timestamp,
    /// The time of its results.
    pub at: Timestamp,
    /// The branch, as sent.
    pub branch: Option<String>,
    /// The commit.
    pub commit: Option<String>,
    /// The CI job.
    pub job: Option<String>,
    /// The shard within the job.
    pub shard: Option<String>,
    /// Name and version of the client.
    pub collector: Option<String>,
    /// Tags of every execution in it.
    pub tags: Tags,
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
    db.find(FIND, values![suite.get(), id.get()], read)
}

/// Uploads before `before`, or the newest, at most `limit`, newest first; with `run` only those of it.
///
/// # Errors
/// The database fails.
pub fn list(
    db: &mut Db<'_>,
    suite: SuiteId,
    run: Option<RunId>,
    before: Option<UploadId>,
    limit: i64,
) -> Result<Vec<Upload>, StorageError> {
    let before = before.map_or(i64::from(i32::MAX), UploadId::get);
    match run {
        None => db.query(LIST, values![suite.get(), before, limit], read),
        Some(run) => db.query(OF_RUN, values![suite.get(), before, limit, run.get()], read),
    }
}

fn read(row: &Row<'_>) -> Result<Upload, StorageError> {
    let (protocol, tags): (i64, Option<String>) = (row.get(2)?, row.get(11)?);
    let problems: Option<Vec<u8>> = row.get(16)?;
    Ok(Upload {
        id: UploadId(row.get(0)?),
        run: RunId(row.get(1)?),
        protocol: member(Protocol::from_code(protocol), protocol, "upload.protocol")?,
        format: row.get(3)?,
        received_at: Timestamp(row.get(4)?),
        at: Timestamp(row.get(5)?),
        branch: row.get(6)?,
        commit: row.get(7)?,
        job: row.get(8)?,
        shard: row.get(9)?,
        collector: row.get(10)?,
        tags: tags.map(|text| tags_from_json(&text)).unwrap_or_default(),
        accepted: row.get(12)?,
        repaired: row.get(13)?,
        rejected: row.get(14)?,
        duplicate: row.get(15)?,
        problems: problems.map_or_else(Vec::new, |bytes| {
            serde_json::from_slice(&crate::failures::inflate(&bytes)).unwrap_or_default()
        }),
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
