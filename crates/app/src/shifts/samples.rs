//! From executions to the values that are followed: one of each test, host class and measure in an upload.

use super::host_class::HostClasses;
use casebook_analysis::resources::{Peaks, Sample, Worker};
use casebook_model::execution::ExecutionFlags;
use casebook_model::id::{RunId, SuiteId, TestId, UploadId};
use casebook_model::resources::Measure;
use casebook_storage::shifts::{self as stored, FollowedUpload, MeasuredExecution, OwnResources};
use casebook_storage::{Db, StorageError};
use std::collections::{BTreeMap, HashMap, HashSet};

/// CPU seconds and MiB of executions, by test and attempt.
type OfRun = HashMap<(TestId, i64), OwnResources>;

/// The values of each upload, in the order of the uploads. `peaks` goes with them.
pub(super) fn read(
    db: &mut Db<'_>,
    suite: SuiteId,
    uploads: &[FollowedUpload],
    classes: &mut HostClasses,
    peaks: &mut Peaks,
) -> Result<Vec<(FollowedUpload, Vec<Sample>)>, StorageError> {
    let mut ranges: BTreeMap<RunId, (UploadId, UploadId)> = BTreeMap::new();
    for upload in uploads {
        ranges.entry(upload.run).or_insert((upload.id, upload.id)).1 = upload.id;
    }
    let (mut executions, mut resources): (HashMap<UploadId, Vec<MeasuredExecution>>, HashMap<RunId, OfRun>) =
        Default::default();
    let mut any_peaks = false;
    for (run, (first, last)) in ranges {
        for execution in stored::executions(db, suite, run, first, last)? {
            any_peaks |= execution.flags.contains(ExecutionFlags::MEASURED);
            executions.entry(execution.upload).or_default().push(execution);
        }
        let own = stored::of_run(db, suite, run)?;
        resources.insert(run, own.into_iter().map(|own| ((own.test, own.attempt), own)).collect());
    }
    let unjudged: HashSet<TestId> =
        if any_peaks { stored::unjudged(db, suite)?.into_iter().collect() } else { HashSet::new() };
    let mut read = Vec::with_capacity(uploads.len());
    for upload in uploads {
        let mut of_upload = executions.remove(&upload.id).unwrap_or_default();
        of_upload.retain(|execution| !unjudged.contains(&execution.test));
        let mut none = OfRun::new();
        let resources = resources.get_mut(&upload.run).unwrap_or(&mut none);
        own_memory(upload.run, &of_upload, resources, peaks);
        read.push((upload.clone(), samples(db, &of_upload, resources, classes)?));
    }
    Ok(read)
}

/// Puts what a test added in the place of the peak that its process had reached, test by test in order of time.
fn own_memory(run: RunId, executions: &[MeasuredExecution], resources: &mut OfRun, peaks: &mut Peaks) {
    let mut in_time: Vec<&MeasuredExecution> =
        executions.iter().filter(|execution| execution.flags.contains(ExecutionFlags::MEASURED)).collect();
    in_time.sort_by_key(|execution| (execution.offset_ms, execution.test, execution.attempt));
    for execution in in_time {
        let Some(own) = resources.get_mut(&(execution.test, execution.attempt)) else { continue };
        let worker = Worker { run, variant: execution.variant };
        own.memory_mib = own.memory_mib.map(|peak| peaks.increase(worker, peak));
    }
}

/// Of each test and host class, what its first passing attempt took.
fn samples(
    db: &mut Db<'_>,
    executions: &[MeasuredExecution],
    resources: &OfRun,
    classes: &mut HostClasses,
) -> Result<Vec<Sample>, StorageError> {
    let mut samples = Vec::with_capacity(executions.len());
    let mut seen: HashSet<(TestId, i64)> = HashSet::new();
    for execution in executions {
        let class = classes.of(db, execution.variant)?;
        let test = execution.test;
        if !seen.insert((test, class)) {
            continue;
        }
        let mut add = |measure, amount: Option<f64>| {
            if let Some(amount) = amount {
                samples.push(Sample { test, class, measure, amount });
            }
        };
        add(Measure::Duration, execution.duration_us.map(|us| us as f64 / 1e6));
        let own = resources.get(&(test, execution.attempt));
        add(Measure::Cpu, own.and_then(|own| own.cpu_seconds));
        add(Measure::Memory, own.and_then(|own| own.memory_mib));
    }
    Ok(samples)
}
