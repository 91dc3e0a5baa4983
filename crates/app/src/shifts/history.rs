//! Reading what tests take: shifts of a suite, and the history of one test.

use super::host_class;
use crate::App;
use casebook_analysis::resources::{Baseline, SeriesChunk, chunk_of};
use casebook_model::branch::BranchClass;
use casebook_model::execution::{ExecutionFlags, Outcome};
use casebook_model::id::{RunId, SuiteId, TestId, VariantId};
use casebook_model::resources::{Measure, Resources};
use casebook_model::time::Timestamp;
use casebook_storage::shifts::{self as stored, RunFacts, ShiftFilter, StoredShift};
use casebook_storage::{Db, StorageError, executions};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Newest runs of a suite that are looked through for values.
const RUNS: i64 = 400;

/// Shifts told of one test.
const SHIFTS: i64 = 50;

/// What is usual for a test on a host class.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredBaseline {
    /// What is measured.
    pub measure: Measure,
    /// Where.
    pub host_class: String,
    /// Median and deviation.
    pub baseline: Baseline,
}

/// What one execution took.
#[derive(Debug, Clone, PartialEq)]
pub struct TestValue {
    /// The run.
    pub run: RunId,
    /// Which attempt.
    pub attempt: i64,
    /// When the run began.
    pub at: Timestamp,
    /// Class of its branch.
    pub branch_class: BranchClass,
    /// Its commit.
    pub commit: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Where it ran.
    pub host_class: String,
    /// Wall time.
    pub duration_us: Option<i64>,
    /// What else was measured, as it was reported.
    pub resources: Option<Resources>,
    /// Memory is the peak that the whole process had reached, not the test's own.
    pub is_process_peak: bool,
}

/// What a test takes and took.
#[derive(Debug, Clone, PartialEq)]
pub struct TestHistory {
    /// What is usual, by measure and host class.
    pub baselines: Vec<MeasuredBaseline>,
    /// What it took in the newest runs, newest first.
    pub values: Vec<TestValue>,
    /// What shifted, newest first.
    pub shifts: Vec<StoredShift>,
}

impl App {
    /// Shifts of a suite before number `before`, newest first, at most `most`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn shifts(
        &self,
        suite: SuiteId,
        filter: ShiftFilter,
        before: Option<i64>,
        most: i64,
    ) -> Result<Vec<StoredShift>, StorageError> {
        self.read(move |db| stored::shifts(db, suite, filter, before, most)).await
    }

    /// What a test takes and took in the newest 400 runs of its suite.
    ///
    /// # Errors
    /// The database fails.
    pub async fn baselines_of_test(&self, suite: SuiteId, test: TestId) -> Result<TestHistory, StorageError> {
        self.read(move |db| {
            let filter = ShiftFilter { test: Some(test), ..ShiftFilter::default() };
            Ok(TestHistory {
                baselines: baselines(db, suite, test)?,
                values: values(db, suite, test)?,
                shifts: stored::shifts(db, suite, filter, None, SHIFTS)?,
            })
        })
        .await
    }
}

fn baselines(db: &mut Db<'_>, suite: SuiteId, test: TestId) -> Result<Vec<MeasuredBaseline>, StorageError> {
    let classes: BTreeMap<i64, String> = stored::host_classes(db, suite)?.into_iter().collect();
    let mut found = Vec::new();
    for chunk in stored::chunks(db, suite, &[chunk_of(test)])? {
        let series = SeriesChunk::from_bytes(&chunk.body).map_err(|error| StorageError::Damaged {
            place: "resource_baseline.body",
            found: error.to_string(),
        })?;
        for measure in Measure::ALL {
            let baseline = series.series(test, *measure).and_then(|series| series.baseline(*measure));
            if let Some(baseline) = baseline {
                let host_class = classes.get(&chunk.class).cloned().unwrap_or_default();
                found.push(MeasuredBaseline { measure: *measure, host_class, baseline });
            }
        }
    }
    found.sort_by(|a, b| (a.measure, &a.host_class).cmp(&(b.measure, &b.host_class)));
    Ok(found)
}

fn values(db: &mut Db<'_>, suite: SuiteId, test: TestId) -> Result<Vec<TestValue>, StorageError> {
    let history = executions::history(db, suite, test, RUNS)?;
    let measured = stored::of_test(db, suite, test, RUNS)?;
    let measured: HashMap<(RunId, i64), Resources> =
        measured.into_iter().map(|found| ((found.run, found.attempt), found.resources)).collect();
    let runs: HashSet<RunId> = history.iter().map(|execution| execution.id.run).collect();
    let facts = stored::run_facts(db, suite, &runs.into_iter().collect::<Vec<_>>())?;
    let facts: HashMap<RunId, RunFacts> = facts.into_iter().map(|facts| (facts.run, facts)).collect();
    let mut classes: HashMap<VariantId, String> = HashMap::new();
    let mut values = Vec::with_capacity(history.len());
    for execution in history {
        let Some(run) = facts.get(&execution.id.run) else { continue };
        let class = match classes.entry(execution.variant) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(host_class::name(db, suite, execution.variant)?),
        };
        values.push(TestValue {
            run: run.run,
            attempt: execution.id.attempt,
            at: run.started_at,
            branch_class: run.class,
            commit: run.commit.clone(),
            outcome: execution.outcome,
            host_class: class.clone(),
            duration_us: execution.duration_us,
            resources: measured.get(&(run.run, execution.id.attempt)).copied(),
            is_process_peak: execution.flags.contains(ExecutionFlags::MEASURED),
        });
    }
    Ok(values)
}
