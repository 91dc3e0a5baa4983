//! One step: a few uploads of a suite from their executions to baselines and shifts.

use super::host_class::HostClasses;
use super::samples;
use casebook_analysis::Damaged;
use casebook_analysis::resources::{Direction, Fold, Sample, Shift, SuiteResources, chunk_of};
use casebook_model::branch::{self, BranchClass};
use casebook_model::id::{SuiteId, UploadId};
use casebook_model::run::Protocol;
use casebook_model::suite::Suite;
use casebook_model::time::Timestamp;
use casebook_storage::shifts::{
    self as stored, Followed, FollowedUpload, MachineWide, NewShift, StoredChunk,
};
use casebook_storage::{Db, StorageError, ingest, suites};
use std::collections::{BTreeMap, BTreeSet};

/// Uploads looked at in one step at most.
const MOST_UPLOADS: i64 = 2_000;

/// Executions after which a step takes no further upload.
const MOST_EXECUTIONS: i64 = 20_000;

/// What a step comes to.
pub(super) struct Step {
    /// The last upload followed before it.
    from: UploadId,
    to: Followed,
    new_classes: Vec<(i64, String)>,
    chunks: Vec<StoredChunk>,
    shifts: Vec<NewShift>,
    machine_wide: Vec<MachineWide>,
}

/// Follows the next uploads of a suite; none if there are none. Changes nothing.
pub(super) fn compute(db: &mut Db<'_>, suite: SuiteId) -> Result<Option<Step>, StorageError> {
    let Some(suite) = suites::find_by_id(db, suite)? else { return Ok(None) };
    let followed = stored::followed(db, suite.id)?.unwrap_or(Followed {
        upload: UploadId(0),
        shifts: 0,
        body: SuiteResources::default().to_bytes(),
    });
    let from = followed.upload;
    let mut uploads = stored::uploads(db, suite.id, from, MOST_UPLOADS)?;
    let taken = choose(db, &suite, &mut uploads)?;
    let Some(last) = uploads.last() else { return Ok(None) };
    let mut fold = Fold { suite: or_new(SuiteResources::from_bytes(&followed.body)), ..Fold::default() };
    let mut classes = HostClasses::load(db, suite.id)?;
    let samples = samples::read(db, suite.id, &taken, &mut classes, &mut fold.suite.peaks)?;
    let touched: BTreeSet<(i64, i64)> = samples
        .iter()
        .flat_map(|(_, samples)| samples)
        .map(|sample| (chunk_of(sample.test), sample.class))
        .collect();
    load(db, suite.id, &mut fold, &touched)?;
    let mut step = Step {
        from,
        to: Followed { upload: last.id, shifts: followed.shifts, body: Vec::new() },
        new_classes: classes.into_new(),
        chunks: Vec::new(),
        shifts: Vec::new(),
        machine_wide: Vec::new(),
    };
    for (upload, samples) in &samples {
        step.fold(&mut fold, upload, samples);
    }
    step.to.body = fold.suite.to_bytes();
    step.chunks = touched
        .into_iter()
        .filter_map(|(chunk, class)| {
            let body = fold.chunks.get(&(chunk, class))?.to_bytes();
            Some(StoredChunk { chunk, class, body })
        })
        .collect();
    Ok(Some(step))
}

/// Stores what a step came to, unless another server has followed the suite meanwhile. Runs inside a transaction.
pub(super) fn store(db: &mut Db<'_>, suite: SuiteId, step: &Step) -> Result<(), StorageError> {
    ingest::lock_suite(db, suite)?;
    let now_at = stored::followed(db, suite)?.map_or(UploadId(0), |followed| followed.upload);
    if now_at != step.from {
        return Ok(());
    }
    for (number, name) in &step.new_classes {
        stored::put_host_class(db, suite, *number, name)?;
    }
    stored::put_chunks(db, suite, &step.chunks)?;
    stored::put_shifts(db, suite, &step.shifts)?;
    for wide in &step.machine_wide {
        stored::mark_machine_wide(db, suite, wide)?;
    }
    stored::put_followed(db, suite, &step.to)
}

impl Step {
    fn fold(&mut self, fold: &mut Fold, upload: &FollowedUpload, samples: &[Sample]) {
        // Of each host class, measure and direction, everything between the earliest place and now.
        let mut wide: BTreeMap<(i64, i64, Direction), MachineWide> = BTreeMap::new();
        for shift in fold.fold(upload.id, upload.run, upload.at, samples) {
            self.to.shifts += 1;
            self.shifts.push(new_shift(self.to.shifts, upload.at, &shift));
            if shift.machine_wide {
                let Shift { class, measure, change, .. } = shift;
                let until = upload.id;
                let found = wide.entry((class, measure.code(), change.direction())).or_insert(MachineWide {
                    class,
                    measure,
                    after: change.after,
                    until,
                    share: change.share,
                });
                found.after = found.after.min(change.after);
            }
        }
        self.machine_wide.extend(wide.into_values());
    }
}

fn new_shift(number: i64, at: Timestamp, shift: &Shift) -> NewShift {
    let Shift { test, class, measure, change, machine_wide } = *shift;
    NewShift {
        number,
        test,
        class,
        measure,
        at,
        after: change.after,
        upload: change.upload,
        until: change.until,
        before_amount: change.before_amount,
        after_amount: change.after_amount,
        share: change.share,
        p: change.p,
        values_before: i64::from(change.values_before),
        values_after: i64::from(change.values_after),
        machine_wide,
    }
}

/// Shortens `uploads` to what one step takes on, and returns those that say something of the default branch.
fn choose(
    db: &mut Db<'_>,
    suite: &Suite,
    uploads: &mut Vec<FollowedUpload>,
) -> Result<Vec<FollowedUpload>, StorageError> {
    let (mut taken, mut executions) = (Vec::new(), 0);
    let mut of_pipelines = BTreeMap::new();
    for (index, upload) in uploads.iter().enumerate() {
        if upload.executions == 0 || !is_of_default_branch(db, suite, upload, &mut of_pipelines)? {
            continue;
        }
        if executions > 0 && executions + upload.executions > MOST_EXECUTIONS {
            uploads.truncate(index);
            break;
        }
        executions += upload.executions;
        taken.push(upload.clone());
    }
    Ok(taken)
}

/// Sessions of pytest-monitor name no branch but, if anything, that of their pipeline; one without counts.
fn is_of_default_branch(
    db: &mut Db<'_>,
    suite: &Suite,
    upload: &FollowedUpload,
    of_pipelines: &mut BTreeMap<i64, bool>,
) -> Result<bool, StorageError> {
    if upload.protocol != Protocol::Monitor || upload.has_branch {
        return Ok(upload.class == BranchClass::Default);
    }
    if let Some(known) = of_pipelines.get(&upload.run.get()) {
        return Ok(*known);
    }
    let tags = stored::session_tags(db, suite.id, upload.run)?;
    let default = branch::compared(&suite.attributes.default_branch);
    let counts = tags.get("pipeline_branch").is_none_or(|name| branch::compared(name) == default);
    of_pipelines.insert(upload.run.get(), counts);
    Ok(counts)
}

fn load(
    db: &mut Db<'_>,
    suite: SuiteId,
    fold: &mut Fold,
    touched: &BTreeSet<(i64, i64)>,
) -> Result<(), StorageError> {
    let mut chunks: Vec<i64> = touched.iter().map(|(chunk, _)| *chunk).collect();
    chunks.dedup();
    for StoredChunk { chunk, class, body } in stored::chunks(db, suite, &chunks)? {
        if touched.contains(&(chunk, class)) {
            or_new(fold.load(chunk, class, &body));
        }
    }
    Ok(())
}

/// States that cannot be read begin anew: they are found again within a few runs.
fn or_new<T: Default>(read: Result<T, Damaged>) -> T {
    read.unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "a state of what tests take begins anew");
        T::default()
    })
}
