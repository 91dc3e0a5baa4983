//! Run counts by `aviator.md` 4.5: from the share of failing first attempts on commits where the test also passed.

use super::list::Open;
use casebook_analysis::rerun_policy::aviator_counts;
use casebook_model::execution::{Execution, ExecutionFlags, Outcome};
use casebook_model::id::{RunId, SuiteId, TestId};
use casebook_model::policy::RunCounts;
use casebook_model::time::Timestamp;
use casebook_storage::detector::StoredEpisode;
use casebook_storage::{Db, StorageError, executions, runs};
use std::collections::{HashMap, HashSet};

/// The newest runs in which first attempts are looked for.
const RUNS: i64 = 400;

/// First attempts that count at most.
const MOST: usize = 200;

/// How long counts are kept while there is no new evidence, in microseconds.
const GOOD_FOR_US: i64 = 3_600 * 1_000_000;

/// Tests that are counted for one answer; the others are estimated until their turn comes.
pub(super) const MOST_A_TIME: usize = 2;

/// The same for the first answer, which nobody expects at once, and behind the answers.
pub(super) const MOST_AT_ONCE: usize = 64;

/// Counts, and what they were made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) counts: RunCounts,
    last_evidence_at: Timestamp,
    at: Timestamp,
}

impl Counted {
    /// Whether they say what the history of a test in that episode says.
    pub(super) fn is_good(&self, episode: &StoredEpisode, now: Timestamp) -> bool {
        self.last_evidence_at == episode.last_evidence_at && now < self.at.plus(GOOD_FOR_US)
    }
}

/// A test that is to be counted, and its last evidence.
pub(super) type Wanted = (TestId, Timestamp);

/// At most `most` of the tests that were not counted, or whose evidence or hour has changed since; those never counted first.
pub(super) fn wanted(open: &HashMap<TestId, Open>, now: Timestamp, most: usize) -> Vec<Wanted> {
    let waiting = open.iter().filter(|(_, open)| open.waits(now));
    let mut wanted: Vec<(bool, Wanted)> = waiting
        .map(|(test, open)| (open.counted.is_some(), (*test, open.episode.last_evidence_at)))
        .collect();
    wanted.sort_unstable();
    wanted.truncate(most);
    wanted.into_iter().map(|(_, wanted)| wanted).collect()
}

/// Counts the tests by what is stored of them now.
pub(super) fn count(
    db: &mut Db<'_>,
    suite: SuiteId,
    wanted: &[Wanted],
    now: Timestamp,
) -> Result<Vec<(TestId, Counted)>, StorageError> {
    let commits = Commits::of(runs::newest_commits(db, suite, RUNS)?);
    let count = |&(test, last_evidence_at): &Wanted| {
        let history = executions::history(db, suite, test, RUNS)?;
        let counts = of_share(share_of_failures(&history, &commits));
        Ok((test, Counted { counts, last_evidence_at, at: now }))
    };
    wanted.iter().map(count).collect()
}

/// The counts for a test of whose first attempts that share fails.
pub(super) fn of_share(q: f64) -> RunCounts {
    let (max_runs, min_passes) = aviator_counts(q);
    RunCounts::new(max_runs.into(), min_passes.into()).unwrap_or(RunCounts::ONCE)
}

/// Runs of one commit have the same number; a run without a commit stands alone.
struct Commits(HashMap<RunId, usize>);

impl Commits {
    fn of(runs: Vec<(RunId, Option<String>)>) -> Self {
        let mut numbers: HashMap<String, usize> = HashMap::new();
        let number = |(place, (run, commit)): (usize, (RunId, Option<String>))| match commit {
            Some(commit) => (run, *numbers.entry(commit).or_insert(place)),
            None => (run, place),
        };
        Self(runs.into_iter().enumerate().map(number).collect())
    }

    fn of_run(&self, run: RunId) -> Option<usize> {
        self.0.get(&run).copied()
    }
}

/// The share of the newest first attempts that failed, on commits where the test also passed; 0 if there is none. `history`
/// is newest run first, attempts in order.
fn share_of_failures(history: &[Execution], commits: &Commits) -> f64 {
    let judged = |execution: &&Execution| {
        matches!(execution.outcome, Outcome::Passed | Outcome::Failed)
            && !execution.flags.contains(ExecutionFlags::MEASURED)
    };
    let passed: HashSet<Option<usize>> = history
        .iter()
        .filter(judged)
        .filter(|execution| execution.outcome == Outcome::Passed)
        .map(|execution| commits.of_run(execution.id.run))
        .collect();
    let mut seen = HashSet::new();
    let first = history
        .iter()
        .filter(judged)
        .filter(|execution| passed.contains(&commits.of_run(execution.id.run)))
        .filter(|execution| seen.insert((execution.id.run, execution.variant, execution.instance)))
        .take(MOST);
    let (failed, all) = first.fold((0u32, 0u32), |(failed, all), execution| {
        (failed + u32::from(execution.outcome == Outcome::Failed), all + 1)
    });
    if all == 0 { 0.0 } else { f64::from(failed) / f64::from(all) }
}
