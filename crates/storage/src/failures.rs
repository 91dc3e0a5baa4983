//! Failures: packed texts shared by content, and the failing executions of a run.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::ingest::{PackedFailure, tags_from_json};
use crate::page::{Listed, Page};
use crate::value::Value;
use casebook_model::execution::Outcome;
use casebook_model::failure::{Failure, FailureDetail};
use casebook_model::id::{ExecutionId, RunId, SuiteId, TestId, UploadId};
use casebook_model::key::{Key, digest};
use casebook_model::name::{Branch, Commit};
use casebook_model::run::Run;
use casebook_model::tags::Tags;
use casebook_model::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};

pub(crate) const OF_RUN: &str = "/* failures.of_run */ select failure.test_id, failure.attempt, failure.outcome, failure.location, \
     failure.text_key, execution.upload_id, execution.duration_us, execution.offset_ms, upload.at, upload.branch, \
     upload.commit_sha, upload.tags, execution_tags.tags, failure.file, failure.signature, \
     failure.p_flake, failure.p_regression, failure.p_incident \
     from failure \
     join execution on execution.suite_id = failure.suite_id and execution.run_id = failure.run_id \
       and execution.test_id = failure.test_id and execution.attempt = failure.attempt \
     join upload on upload.suite_id = failure.suite_id and upload.upload_id = execution.upload_id \
     left join execution_tags on execution_tags.suite_id = failure.suite_id and execution_tags.run_id = failure.run_id \
       and execution_tags.test_id = failure.test_id and execution_tags.attempt = failure.attempt \
     where failure.suite_id = $1 and failure.run_id = $2 and failure.outcome = any($3) \
     order by failure.test_id, failure.attempt limit $4 offset $5";
const TEXTS: &str = "/* failures.texts */ select text_key, body from failure_text where suite_id = $1 and text_key = any($2::bytea[])";

/// Longest text a packed body may unpack to: damaged or forged bytes cannot fill the memory.
const MOST_UNPACKED: u64 = 16 * 1024 * 1024;

/// How a failure is written inside its packed body.
#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(rename = "r")]
    reason: Option<String>,
    #[serde(rename = "d")]
    details: Vec<BodyDetail>,
}

#[derive(Serialize, Deserialize)]
struct BodyDetail {
    #[serde(rename = "e")]
    expanded: Vec<String>,
    #[serde(rename = "b")]
    backtrace: Vec<String>,
}

/// A failing execution with everything that is shown of it.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedExecution {
    /// Run, test and attempt.
    pub id: ExecutionId,
    /// Failed or error.
    pub outcome: Outcome,
    /// Where the test was then.
    pub location: Option<String>,
    /// The file it was in then.
    pub file: Option<String>,
    /// What it said.
    pub failure: Failure,
    /// The upload that brought it.
    pub upload: UploadId,
    /// Wall time.
    pub duration_us: Option<i64>,
    /// When it ran.
    pub at: Timestamp,
    /// Its upload's branch.
    pub branch: Option<Branch>,
    /// Its upload's commit.
    pub commit: Option<Commit>,
    /// Its upload's tags and its own, which win.
    pub tags: Tags,
    /// What identifies the failure, if it said anything.
    pub signature: Option<Key>,
    /// P(flake), P(regression), P(incident), if the detector has judged it.
    pub judgement: Option<[f64; 3]>,
}

/// The failing executions of a run by test and attempt, retries included.
///
/// # Errors
/// The database fails.
pub fn of_run(db: &mut Db<'_>, run: &Run, page: Page) -> Result<Listed<FailedExecution>, StorageError> {
    let suite = run.suite;
    let failing = [Outcome::Failed.code(), Outcome::Error.code()];
    let values = [
        suite.get().into(),
        run.id.get().into(),
        Value::Ints(&failing),
        page.limit.into(),
        page.offset.into(),
    ];
    let rows = db.query(OF_RUN, &values, |row| {
        let outcome = row.get(2)?;
        let (upload_tags, own_tags): (Option<String>, Option<String>) = (row.get(11)?, row.get(12)?);
        let upload_tags = upload_tags.map(|text| tags_from_json(&text)).unwrap_or_default();
        let own_tags = own_tags.map(|text| tags_from_json(&text)).unwrap_or_default();
        let execution = FailedExecution {
            id: ExecutionId { run: RunId(run.id.get()), test: TestId(row.get(0)?), attempt: row.get(1)? },
            outcome: member(Outcome::from_code(outcome), outcome, "failure.outcome")?,
            location: row.get(3)?,
            file: row.get(13)?,
            failure: Failure::default(),
            upload: UploadId(row.get(5)?),
            duration_us: row.get(6)?,
            at: Timestamp(row.get(8)?).plus(row.get::<i64>(7)? * 1000),
            branch: row.get::<Option<String>>(9)?.as_deref().and_then(Branch::new),
            commit: row.get::<Option<String>>(10)?.as_deref().and_then(Commit::new),
            tags: upload_tags.overlaid(&own_tags),
            signature: key(row.get::<Option<Vec<u8>>>(14)?),
            judgement: match (row.get(15)?, row.get(16)?, row.get(17)?) {
                (Some(flake), Some(regression), Some(incident)) => Some([flake, regression, incident]),
                _ => None,
            },
        };
        Ok((execution, key(row.get::<Option<Vec<u8>>>(4)?)))
    })?;
    let keys: Vec<Key> = rows.iter().filter_map(|(_, key)| *key).collect();
    let texts = texts(db, suite, &keys)?;
    let items = rows.into_iter().map(|(mut execution, key)| {
        execution.failure = key.and_then(|key| texts.get(&key).cloned()).unwrap_or_default();
        execution
    });
    Ok(Listed { items: items.collect(), total: run.outcomes.failing() })
}

fn key(bytes: Option<Vec<u8>>) -> Option<Key> {
    bytes.and_then(|bytes| bytes.try_into().ok())
}

fn texts(db: &mut Db<'_>, suite: SuiteId, keys: &[Key]) -> Result<HashMap<Key, Failure>, StorageError> {
    let rows = db.query(TEXTS, &[suite.get().into(), Value::Keys(keys)], |row| {
        Ok((row.get::<Key>(0)?, unpack(&row.get::<Vec<u8>>(1)?)))
    })?;
    Ok(rows.into_iter().collect())
}

/// Packs a failure for storage, with what identifies it; equal failures pack to equal keys.
#[must_use]
pub fn pack(failure: &Failure, signature: Option<(Key, i64)>) -> PackedFailure {
    let details = failure.details.iter();
    let body = Body {
        reason: failure.reason.clone(),
        details: details
            .map(|detail| BodyDetail {
                expanded: detail.expanded.clone(),
                backtrace: detail.backtrace.clone(),
            })
            .collect(),
    };
    let text = serde_json::to_vec(&body).unwrap_or_default();
    PackedFailure { signature, key: digest(&text), body: deflate(&text) }
}

fn unpack(bytes: &[u8]) -> Failure {
    let Ok(body) = serde_json::from_slice::<Body>(&inflate(bytes)) else {
        return Failure {
            reason: Some("the stored text of this failure is damaged".to_owned()),
            details: Vec::new(),
        };
    };
    let details = body.details.into_iter();
    Failure {
        reason: body.reason,
        details: details
            .map(|detail| FailureDetail { expanded: detail.expanded, backtrace: detail.backtrace })
            .collect(),
    }
}

/// Packs bytes for storage.
#[must_use]
pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(4));
    // Writing into memory cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Reads packed bytes, as far as they can be read.
#[must_use]
pub fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // A damaged tail leaves what came before it.
    let _ = flate2::read::DeflateDecoder::new(bytes).take(MOST_UNPACKED).read_to_end(&mut out);
    out
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn failures_come_back_and_equal_ones_share_a_key() {
        let failure = Failure {
            reason: Some("1 != 2".to_owned()),
            details: vec![FailureDetail { expanded: vec!["a".to_owned(), String::new()], backtrace: vec![] }],
        };
        let packed = pack(&failure, None);
        assert_eq!(unpack(&packed.body), failure);
        assert_eq!(pack(&failure.clone(), None), packed);
        assert!(unpack(b"nonsense").reason.is_some());
    }
}
