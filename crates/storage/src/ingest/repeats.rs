//! Uploads that are repetitions as a whole: their run holds a report with the same digest.

use super::{NewUpload, TouchedRun};
use crate::db::Db;
use crate::error::StorageError;
use crate::value::values;
use casebook_model::id::{SuiteId, UploadId};
use casebook_model::key::Key;
use std::collections::HashMap;

const BY_DIGEST: &str = "/* ingest.by_digest */ select upload_id from upload where suite_id = $1 and run_id = $2 and digest = $3 limit 1";

/// Where an upload that is a repetition as a whole was stored first.
#[derive(Clone, Copy)]
pub(crate) enum Origin {
    /// Before this group.
    Stored(UploadId),
    /// Within this group, at this index.
    Here(usize),
}

/// Uploads whose digest the run holds already.
pub(super) fn find(
    db: &mut Db<'_>,
    suite: SuiteId,
    uploads: &[NewUpload],
    touched: &[TouchedRun],
    run_of: &[usize],
) -> Result<Vec<Option<Origin>>, StorageError> {
    let mut seen: HashMap<(usize, Key), usize> = HashMap::new();
    let mut repeats = Vec::with_capacity(uploads.len());
    for (index, upload) in uploads.iter().enumerate() {
        let run = run_of[index];
        let mut origin = None;
        if let Some(digest) = upload.digest {
            origin = seen.get(&(run, digest)).map(|first| Origin::Here(*first));
            if origin.is_none() && !touched[run].is_new {
                let values = values![suite.get(), touched[run].run.id.get(), &digest];
                let stored = db.find(BY_DIGEST, values, |row| Ok(UploadId(row.get(0)?)))?;
                origin = stored.map(Origin::Stored);
            }
            seen.entry((run, digest)).or_insert(index);
        }
        repeats.push(origin);
    }
    Ok(repeats)
}
