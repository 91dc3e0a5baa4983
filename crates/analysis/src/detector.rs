//! The fold: one call for each upload, in the order of commit.
//!
//! The caller keeps [`SuiteState`] and a [`TestState`] for each test of interest as bytes, answers a [`Lookup`], and stores
//! what a [`Step`] says. A clean pass of a test without a state touches nothing but the counters the caller keeps anyway.

mod decide;
mod observe;
mod weigh;

use crate::health::{EpisodeChange, Rules, health_without_state};
use crate::judgement::Judgement;
use crate::lookup::{HORIZON_US, LATE_DAYS, Lookup, Other, Passes};
use crate::suite_state::SuiteState;
use crate::test_state::{PENDING_US, TestState};
use crate::upload::{Attempt, CommitKey, Lane, Upload};
use casebook_model::evidence::EvidenceKind;
use casebook_model::execution::Outcome;
use casebook_model::health::Health;
use casebook_model::id::{RunId, TestId};
use casebook_model::time::Timestamp;
use observe::Candidate;

pub use decide::{Due, advance, decide};

/// Evidence lighter than this is not kept.
pub const LIGHTEST: f64 = 0.05;

/// What one upload changes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// Tests whose state changed, by test.
    pub tests: Vec<TestChange>,
    /// Evidence to store, by test; an entry with an equal test, run and kind replaces the stored one.
    pub evidence: Vec<EvidenceChange>,
    /// What is to be thought of each failure of the upload.
    pub judged: Vec<Judged>,
    /// Runs that turned out to be incidents.
    pub incidents: Vec<RunId>,
}

/// A changed state.
#[derive(Debug, Clone, PartialEq)]
pub struct TestChange {
    /// The test.
    pub test: TestId,
    /// Its new state.
    pub state: TestState,
    /// Health before, as of the suite's clock.
    pub before: Health,
    /// Health after.
    pub after: Health,
    /// When the clock alone may change it next.
    pub due_at: Option<Timestamp>,
    /// What happened to its episodes, in order.
    pub episodes: Vec<EpisodeChange>,
}

/// A piece of evidence that is new or has changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvidenceChange {
    /// The test.
    pub test: TestId,
    /// The run whose failure turned out not to depend on the code.
    pub run: RunId,
    /// The commit of that run.
    pub commit: CommitKey,
    /// What was observed.
    pub kind: EvidenceKind,
    /// At most 1; 0 withdraws what was stored.
    pub weight: f64,
    /// When the result that completed it was made.
    pub at: Timestamp,
    /// First half of the failure's signature; 0 without one.
    pub signature: u64,
}

/// A failure and what is to be thought of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// The test.
    pub test: TestId,
    /// Where it ran.
    pub lane: Lane,
    /// The judgement of all its failing attempts there in this upload.
    pub judgement: Judgement,
}

/// A test of the upload that the fold has to look at.
struct Touched<'a> {
    test: TestId,
    attempts: &'a [Attempt],
    state: TestState,
    before: Health,
    /// Known to be flaky before this upload.
    known: bool,
    others: Vec<Other>,
    episodes: Vec<EpisodeChange>,
    candidates: Vec<Candidate>,
    failures: Vec<observe::FailedLane>,
}

/// Folds one upload.
///
/// # Errors
/// A look-up fails; then `suite` must not be stored.
pub fn fold<L: Lookup>(
    suite: &mut SuiteState,
    upload: &Upload<'_>,
    rules: Rules,
    lookup: &mut L,
) -> Result<Step, L::Error> {
    suite.move_clock(upload.at);
    let run = suite.open_run(upload.run, upload.branch_class);
    suite.count_verdicts(upload.branch_class, upload.executions);
    suite.open[run].executions += upload.executions;
    suite.open[run].errors +=
        upload.attempts.iter().filter(|attempt| attempt.outcome == Outcome::Error).count() as u64;

    let mut touched = touch(suite, upload, rules, lookup)?;
    for test in &mut touched {
        observe::observe(suite, upload, test);
    }
    let mut step = Step::default();
    weigh::weigh(suite, run, upload, rules, &mut touched, lookup, &mut step)?;
    for test in touched {
        finish(test, suite.clock, rules, &mut step);
    }
    step.evidence.sort_by_key(|evidence| (evidence.test, evidence.run, evidence.kind));
    Ok(step)
}

/// Finds the tests that failed, and those that passed while somebody waits for it; loads what is known of them.
fn touch<'a, L: Lookup>(
    suite: &SuiteState,
    upload: &Upload<'a>,
    rules: Rules,
    lookup: &mut L,
) -> Result<Vec<Touched<'a>>, L::Error> {
    let groups: Vec<&'a [Attempt]> = upload.attempts.chunk_by(|a, b| a.test == b.test).collect();
    let tests: Vec<TestId> = groups.iter().map(|group| group[0].test).collect();
    if tests.is_empty() {
        return Ok(Vec::new());
    }
    let mut states = lookup.states(&tests)?;
    states.sort_by_key(|(test, _)| *test);
    let mut states = states.into_iter().peekable();
    let mut found: Vec<(&'a [Attempt], Option<TestState>)> = Vec::new();
    for group in groups {
        let state = states.next_if(|(test, _)| *test == group[0].test).map(|(_, state)| state);
        let failed = group.iter().any(|attempt| attempt.outcome == Outcome::Failed);
        let waits = state.as_ref().is_some_and(|state| state.watches(upload));
        if failed || waits && group.iter().any(|attempt| attempt.outcome == Outcome::Passed) {
            found.push((group, state));
        }
    }
    let tests: Vec<TestId> = found.iter().map(|(group, _)| group[0].test).collect();
    if tests.is_empty() {
        return Ok(Vec::new());
    }
    let mut passes = lookup.passes(&tests)?;
    passes.sort_by_key(|(test, _)| *test);
    let failing: Vec<TestId> = found
        .iter()
        .filter(|(group, _)| group.iter().any(|attempt| attempt.outcome == Outcome::Failed))
        .map(|(group, _)| group[0].test)
        .collect();
    let mut others = Vec::new();
    if !failing.is_empty() {
        let since = Timestamp(suite.clock.as_microseconds().saturating_sub(HORIZON_US));
        others = lookup.others(&failing, upload.commit, since)?;
        others.sort_by_key(|(test, other)| (*test, other.run, other.lane));
    }
    let touched = found.into_iter().map(|(attempts, state)| {
        let test = attempts[0].test;
        let count = |index: usize| passes[index].1;
        let passes = passes.binary_search_by_key(&test, |(test, _)| *test).map(count).unwrap_or_default();
        let start = others.partition_point(|(other, _)| *other < test);
        let others =
            others[start..].iter().take_while(|(other, _)| *other == test).map(|(_, o)| *o).collect();
        settle(suite, upload, rules, attempts, test, state, passes, others)
    });
    Ok(touched.collect())
}

/// Brings a state up to the suite's clock: decay, and what the counters say happened since.
#[expect(clippy::too_many_arguments, reason = "what is known of one test")]
fn settle<'a>(
    suite: &SuiteState,
    upload: &Upload<'_>,
    rules: Rules,
    attempts: &'a [Attempt],
    test: TestId,
    state: Option<TestState>,
    passes: Passes,
    others: Vec<Other>,
) -> Touched<'a> {
    let day = suite.clock.day();
    let is_new = state.is_none();
    let first_day = attempts.iter().map(|attempt| attempt.at.day()).chain(passes.first_day).min();
    let mut state = state.unwrap_or_else(|| TestState::new(day, first_day.unwrap_or(day)));
    // The counters include the upload's own passes, except those too late to count.
    let oldest = if is_new { i64::MIN } else { state.rates.day - LATE_DAYS };
    let own = attempts.iter().filter(|a| a.outcome == Outcome::Passed && a.at.day() >= oldest).count() as u64;
    let since = passes.total().saturating_sub(own);
    let default_own = if upload.branch_class.code() == 1 { own } else { 0 };
    if passes.by_class[0] > default_own && state.blocks.is_empty() {
        state.note_clean_source();
    }
    let before = if is_new {
        health_without_state(passes.first_day, since, suite.clock)
    } else {
        state.health(suite.clock, since, rules)
    };
    let known = state.is_announced(suite.clock, since, rules);
    let factor = state.rates.settle(day, since);
    state.passes += since;
    state.clean += since;
    state.blocks.iter_mut().for_each(|block| block.contribution *= factor);
    state.pending.iter_mut().for_each(|pending| pending.contribution *= factor);
    state.pending.retain(|pending| pending.at.plus(PENDING_US) > suite.clock);
    Touched {
        test,
        attempts,
        state,
        before,
        known,
        others,
        episodes: Vec::new(),
        candidates: Vec::new(),
        failures: Vec::new(),
    }
}

fn finish(test: Touched<'_>, clock: Timestamp, rules: Rules, step: &mut Step) {
    for failed in &test.failures {
        let judgement = failed.judgement;
        step.judged.push(Judged { test: test.test, lane: failed.lane, judgement });
    }
    let after = test.state.health(clock, 0, rules);
    let due_at = test.state.due_at(clock, rules);
    let Touched { test, state, before, episodes, .. } = test;
    step.tests.push(TestChange { test, state, before, after, due_at, episodes });
}
