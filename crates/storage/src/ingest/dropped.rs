//! Uploads whose run retention has dropped: their results were counted, and are not counted again.

use super::{Counter, NewUpload, Receipt};
use crate::db::Db;
use crate::error::StorageError;
use crate::value::Value;
use casebook_model::execution::ExecutionFlags;
use casebook_model::id::{RunId, SuiteId, UploadId};
use casebook_model::key::Key;
use casebook_model::time::Timestamp;
use std::collections::HashMap;

pub(crate) const BY_KEYS: &str = "/* ingest.dropped_runs */ select run_key, run_id, upload_id, last_at from dropped_run \
     where suite_id = $1 and run_key = any($2::bytea[])";

/// The answer to each upload of a dropped run that is not younger than what was dropped with it; empty if there is none. What
/// is younger is new: some clients give their runs the same key again and again.
pub(super) fn answers(
    db: &mut Db<'_>,
    suite: SuiteId,
    uploads: &[NewUpload],
    counter: &Counter,
) -> Result<Vec<Option<Receipt>>, StorageError> {
    if counter.runs == counter.runs_kept {
        return Ok(Vec::new());
    }
    let keys: Vec<Key> = uploads.iter().map(|upload| upload.protocol.run_key(&upload.run_key)).collect();
    let mut distinct = keys.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let dropped = db.query(BY_KEYS, &[suite.get().into(), Value::Keys(&distinct)], |row| {
        Ok((row.get(0)?, (RunId(row.get(1)?), UploadId(row.get(2)?), Timestamp(row.get(3)?))))
    })?;
    if dropped.is_empty() {
        return Ok(Vec::new());
    }
    let dropped: HashMap<Key, (RunId, UploadId, Timestamp)> = dropped.into_iter().collect();
    let answers = uploads.iter().zip(keys).map(|(upload, key)| {
        let (run, last, _) = *dropped.get(&key).filter(|(.., last_at)| upload.at <= *last_at)?;
        let whole = upload.results.iter().filter(|result| !result.flags.contains(ExecutionFlags::EARLIER));
        Some(Receipt {
            run,
            upload: last,
            accepted: 0,
            duplicate: whole.count() as i64,
            rejected: 0,
            records: Vec::new(),
        })
    });
    Ok(answers.collect())
}
