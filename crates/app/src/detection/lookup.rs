//! What the fold asks of stored data.

use super::counts;
use super::source::{Lanes, Source};
use super::states::States;
use casebook_analysis::detector::Step;
use casebook_analysis::lookup::{Lookup, MOST_RUNS, Other, PassBase, Passes};
use casebook_analysis::test_state::TestState;
use casebook_analysis::upload::{CommitKey, Lane};
use casebook_model::branch::BranchClass;
use casebook_model::execution::{Execution, Outcome};
use casebook_model::id::{RunId, TestId, UploadId};
use casebook_model::time::Timestamp;
use casebook_storage::detector::{DayCount, SourceUpload};
use casebook_storage::ingest::FoldStep;
use casebook_storage::{Db, StorageError, detector as stored};
use std::collections::{BTreeMap, HashMap};

/// Answers the fold of one upload.
pub(crate) struct StoredLookup<'a, 'db, 'l> {
    db: &'a mut Db<'db>,
    step: &'a FoldStep<'a>,
    source: &'a Source,
    known: &'a States,
    lanes: &'a mut Lanes<'l>,
    /// Counts by day of the tests that were asked for, as they were when this upload had just been counted.
    days: BTreeMap<TestId, Vec<DayCount>>,
}

impl<'a, 'db, 'l> StoredLookup<'a, 'db, 'l> {
    pub(crate) fn new(
        db: &'a mut Db<'db>,
        step: &'a FoldStep<'a>,
        source: &'a Source,
        known: &'a States,
        lanes: &'a mut Lanes<'l>,
    ) -> Self {
        Self { db, step, source, known, lanes, days: BTreeMap::new() }
    }

    /// What tells the passes of changed tests from now on.
    /// `clock` is the suite's after the fold.
    pub(crate) fn bases(
        mut self,
        done: &Step,
        clock: Timestamp,
    ) -> Result<HashMap<TestId, PassBase>, StorageError> {
        let missing: Vec<TestId> = done
            .tests
            .iter()
            .map(|change| change.test)
            .filter(|test| !self.days.contains_key(test))
            .collect();
        self.load(&missing)?;
        let base = |change: &casebook_analysis::detector::TestChange| {
            let cells = self.days.get(&change.test).map_or(&[][..], Vec::as_slice);
            (change.test, PassBase::at(clock, cells.iter().map(cell)))
        };
        Ok(done.tests.iter().map(base).collect())
    }

    /// Reads the days that count for these tests.
    fn load(&mut self, tests: &[TestId]) -> Result<(), StorageError> {
        if tests.is_empty() {
            return Ok(());
        }
        let from =
            |test: &TestId| self.known.get(test).and_then(|(_, base)| base.from_day).unwrap_or(i64::MIN);
        let first = tests.iter().map(from).min().unwrap_or(i64::MIN);
        // A day number fits every column.
        let mut found = stored::days(self.db, self.step.suite, tests, first.max(-1_000_000))?;
        for test in tests {
            found.entry(*test).or_default();
        }
        take_away(&mut found, Counted::later(self.step));
        self.days.append(&mut found);
        Ok(())
    }

    /// The newest runs of the source, and their uploads before this one.
    fn uploads(&mut self, since: Timestamp) -> Result<HashMap<UploadId, SourceUpload>, StorageError> {
        let commit = self.step.commit.map(casebook_model::name::Commit::as_str);
        let found = stored::uploads_of_source(
            self.db,
            self.step.suite,
            commit,
            self.step.run,
            self.step.upload,
            since,
        )?;
        let mut runs: Vec<RunId> = found.iter().map(|upload| upload.run).collect();
        runs.sort_unstable_by(|a, b| b.cmp(a));
        runs.dedup();
        runs.truncate(MOST_RUNS);
        let recent = found.into_iter().filter(|upload| runs.contains(&upload.run));
        Ok(recent.map(|upload| (upload.upload, upload)).collect())
    }
}

/// An upload that the roll-ups know already.
pub(super) struct Counted<'a> {
    at: Timestamp,
    class: BranchClass,
    executions: &'a [Execution],
}

impl<'a> Counted<'a> {
    /// The upload that is folded.
    pub(super) const fn this(step: &FoldStep<'a>) -> Self {
        Self { at: step.at, class: step.branch_class, executions: step.executions }
    }

    /// Uploads of the same transaction that come later in the order of the fold.
    pub(super) fn later(step: &FoldStep<'a>) -> impl Iterator<Item = Self> + use<'a> {
        let later = step.later_uploads.iter().zip(step.later);
        later.map(|(upload, executions)| Self { at: upload.at, class: upload.branch_class, executions })
    }
}

/// Counts of days as they were before these uploads.
pub(super) fn take_away<'a>(
    found: &mut BTreeMap<TestId, Vec<DayCount>>,
    uploads: impl Iterator<Item = Counted<'a>>,
) {
    for Counted { at, class, executions } in uploads {
        for execution in executions.iter().filter(|execution| counts(execution)) {
            let Some(days) = found.get_mut(&execution.id.test) else { continue };
            let day = at.plus(execution.offset_ms * 1000).day();
            let same = days.iter_mut().find(|count| (count.day, count.class) == (day, class));
            if let Some(count) = same {
                count.executions -= 1;
                count.passed -= u64::from(execution.outcome == Outcome::Passed);
            }
        }
    }
    for days in found.values_mut() {
        days.retain(|count| count.executions > 0);
    }
}

fn cell(count: &DayCount) -> (i64, BranchClass, u64) {
    (count.day, count.class, count.passed)
}

impl Lookup for StoredLookup<'_, '_, '_> {
    type Error = StorageError;

    fn states(&mut self, tests: &[TestId]) -> Result<Vec<(TestId, TestState)>, StorageError> {
        let found = tests.iter().filter_map(|test| Some((*test, self.known.get(test)?.0.clone())));
        Ok(found.collect())
    }

    fn passes(&mut self, tests: &[TestId]) -> Result<Vec<(TestId, Passes)>, StorageError> {
        let missing: Vec<TestId> =
            tests.iter().copied().filter(|test| !self.days.contains_key(test)).collect();
        self.load(&missing)?;
        let answer = |test: &TestId| {
            let days = self.days.get(test).map_or(&[][..], Vec::as_slice);
            let base = self.known.get(test).map(|(_, base)| *base).unwrap_or_default();
            let first_day = days.iter().map(|count| count.day).min();
            (*test, Passes { by_class: base.since(days.iter().map(cell)), first_day })
        };
        Ok(tests.iter().map(answer).collect())
    }

    fn others(
        &mut self,
        tests: &[TestId],
        commit: CommitKey,
        since: Timestamp,
    ) -> Result<Vec<(TestId, Other)>, StorageError> {
        debug_assert_eq!(commit, self.source.key);
        let uploads = self.uploads(since)?;
        let mut runs: Vec<RunId> = uploads.values().map(|upload| upload.run).collect();
        runs.sort_unstable();
        runs.dedup();
        if runs.is_empty() {
            return Ok(Vec::new());
        }
        // A test counts once for each upload and lane in which it passed.
        let mut seen: BTreeMap<(TestId, RunId, Lane, UploadId), Timestamp> = BTreeMap::new();
        for pass in stored::passes(self.db, self.step.suite, &runs, tests)? {
            let Some(upload) = uploads.get(&pass.upload) else { continue };
            let lane = self.lanes.lane(self.db, pass.variant, pass.instance, upload.job.as_deref())?;
            seen.insert((pass.test, upload.run, lane, pass.upload), upload.at);
        }
        let mut found: Vec<(TestId, Other)> = Vec::new();
        for ((test, run, lane, _), at) in seen {
            match found.last_mut() {
                Some((last, other)) if (*last, other.run, other.lane) == (test, run, lane) => {
                    other.passed += 1;
                    other.pass_started_at = other.pass_started_at.max(at);
                }
                _ => found.push((test, Other { run, lane, passed: 1, pass_started_at: at })),
            }
        }
        Ok(found)
    }
}
