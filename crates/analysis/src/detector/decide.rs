//! What changes a test besides uploads: the clock, and people.

use super::{EvidenceChange, Step, TestChange, Touched, settle};
use crate::health::{EpisodeChange, Rules, proof};
use crate::lookup::Passes;
use crate::suite_state::SuiteState;
use crate::test_state::{Mark, Repair, TestState};
use crate::upload::{BranchKey, CommitKey, Decision, Upload};
use casebook_model::branch::BranchClass;
use casebook_model::evidence::{EpisodeEnd, EvidenceKind};
use casebook_model::health::Health;
use casebook_model::id::{RunId, TestId, UploadId};
use casebook_model::time::Timestamp;

/// What the clock did to a test. The state itself does not change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Due {
    /// Exactly when: the time it was due, not the time somebody looked.
    pub at: Timestamp,
    /// Health before.
    pub before: Health,
    /// Health from then on.
    pub after: Health,
    /// The episode, if it has ended by then.
    pub ended: Option<EpisodeChange>,
    /// Confidence that the test is repaired, from the passes since its last evidence.
    pub confidence: f64,
    /// Those passes.
    pub clean: u64,
}

/// What became due for a test after `from` and until `now`, in order of time, and what is due next. `since` are the
/// passes since the state was stored. Callers take the due tests of a suite by time and then by test.
#[must_use]
pub fn advance(
    state: &TestState,
    from: Timestamp,
    now: Timestamp,
    since: u64,
    rules: Rules,
) -> (Vec<Due>, Option<Timestamp>) {
    let mut due = Vec::new();
    let mut before = state.health(from, since, rules);
    let mut was_open = state.episode(from, since, rules).is_some_and(|episode| episode.ended.is_none());
    let mut next = state.due_at(from, rules);
    while let Some(at) = next.filter(|at| *at <= now) {
        let after = state.health(at, since, rules);
        let episode = state.episode(at, since, rules).filter(|episode| episode.ended.is_some());
        let ended = episode.filter(|_| was_open);
        if after != before || ended.is_some() {
            let clean = state.clean + since;
            let confidence = state.confidence(since);
            due.push(Due { at, before, after, ended, confidence, clean });
        }
        was_open &= ended.is_none();
        before = after;
        next = state.due_at(at, rules);
    }
    (due, next)
}

/// Folds a person's decision about a test, made at `at`. `passes` are those since the state was stored.
#[must_use]
pub fn decide(
    suite: &mut SuiteState,
    test: TestId,
    state: Option<TestState>,
    passes: Passes,
    decision: Decision,
    at: Timestamp,
    rules: Rules,
) -> Step {
    suite.move_clock(at);
    let upload = Upload {
        upload: UploadId(0),
        run: RunId(0),
        commit: CommitKey(0),
        branch: None::<BranchKey>,
        branch_class: BranchClass::PullRequest,
        position: None,
        at,
        attempts: &[],
        executions: 0,
    };
    let mut touched = settle(suite, &upload, rules, &[], test, state, passes, Vec::new());
    let mut step = Step::default();
    match decision {
        Decision::Flaky => {
            touched.state.dismissed_at = None;
            let evidence = mark_flaky(&mut touched, at, rules);
            step.evidence.push(evidence);
        }
        Decision::NotFlaky => dismiss(&mut touched, at),
        Decision::Repair(commit) => {
            let q = touched.state.episode.map_or(touched.state.failure_probability(), |episode| episode.q);
            touched.state.repair = Some(Repair { commit, needed: proof(q), passed: 0 });
        }
    }
    let after = touched.state.health(suite.clock, 0, rules);
    let due_at = touched.state.due_at(suite.clock, rules);
    let Touched { state, before, episodes, .. } = touched;
    step.tests.push(TestChange { test, state, before, after, due_at, episodes });
    step
}

fn mark_flaky(touched: &mut Touched<'_>, at: Timestamp, rules: Rules) -> EvidenceChange {
    let mark = Mark {
        commit: CommitKey(0),
        origin: 0,
        run: RunId(0),
        kind: EvidenceKind::Manual,
        weight: 1.0,
        at,
        signature: 0,
        position: 0,
    };
    touched.episodes.extend(touched.state.add_evidence(mark, rules));
    let Mark { commit, run, kind, weight, at, signature, .. } = mark;
    EvidenceChange { test: touched.test, run, commit, kind, weight, at, signature }
}

fn dismiss(touched: &mut Touched<'_>, at: Timestamp) {
    let state = &mut touched.state;
    if let Some(episode) = state.episode.take() {
        touched.episodes.push(state.change(&episode, Some((at, EpisodeEnd::Dismissed))));
    }
    state.evidence.clear();
    // What failed until now says nothing of what comes.
    state.failing_sources = 0;
    state.resolved_at = None;
    state.dismissed_at = Some(at);
}
