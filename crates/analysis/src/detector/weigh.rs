//! Weighs what the tests of an upload say against the rest of their run: too much at a time is an incident, not flakiness.

use super::observe::Candidate;
use super::{EvidenceChange, LIGHTEST, Step, Touched, settle};
use crate::health::{EpisodeChange, Rules};
use crate::judgement::{self, RunShare};
use crate::lookup::{Lookup, Passes};
use crate::suite_state::{GROUPS, MOST_FULL, OpenRun, SuiteState, Usual, group};
use crate::test_state::{Episode, Mark, TestState};
use crate::upload::Upload;
use casebook_model::evidence::{EpisodeEnd, EvidenceKind};
use casebook_model::id::{RunId, TestId};
use casebook_model::time::Timestamp;

/// Share of executions that ended in error from which a run is an incident.
const ERRORS: f64 = 0.3;
/// Times the usual amount of evidence from which a run is an incident.
const FLOOD: f64 = 20.0;
/// Share of a run's executions from which it is an incident while the usual amount is not known, if that is more: six times as
/// many as tests of the data are flaky enough to show in one run.
const EARLY_FLOOD: f64 = 0.018;

/// Share of its weight below which evidence that was given before is taken back.
const LOST: f64 = 0.5;

pub(super) fn weigh<L: Lookup>(
    suite: &mut SuiteState,
    run: usize,
    upload: &Upload<'_>,
    rules: Rules,
    touched: &mut Vec<Touched<'_>>,
    lookup: &mut L,
    step: &mut Step,
) -> Result<(), L::Error> {
    count(&mut suite.open[run], touched);
    let shares = shares(suite, run);
    if shares.here && !suite.open[run].incident {
        step.incidents.push(upload.run);
    }
    suite.open[run].incident |= shares.here;
    revise(suite, run, upload, rules, &shares, touched, lookup, step)?;
    let open = &mut suite.open[run];
    for test in touched.iter_mut() {
        for candidate in std::mem::take(&mut test.candidates) {
            let share = shares.evidence[group(candidate.kind)];
            apply(test, &candidate, share, rules, step);
            if share == 1.0 && !test.known && open.full.len() < MOST_FULL {
                open.full.push((test.test, candidate.run, candidate.kind));
            }
            if share == 0.0 && candidate.run != upload.run && !step.incidents.contains(&candidate.run) {
                step.incidents.push(candidate.run);
            }
        }
        for failed in &mut test.failures {
            let seen = judgement::seen(&test.state, failed.signature);
            let run = RunShare {
                incident: shares.here,
                share: if failed.mixed { shares.mixed } else { shares.failing },
            };
            failed.judgement = judgement::judge(failed.good, failed.mixed, failed.attempts, seen, run);
        }
    }
    Ok(())
}

/// Counts the tests of the upload that nobody expected to bring evidence, and those that newly fail.
fn count(open: &mut OpenRun, touched: &[Touched<'_>]) {
    for test in touched.iter().filter(|test| !test.known) {
        let mut groups = [false; GROUPS];
        test.candidates.iter().for_each(|candidate| groups[group(candidate.kind)] = true);
        for (index, surprising) in open.surprising.iter_mut().enumerate() {
            let counted =
                open.full.iter().any(|(known, _, kind)| *known == test.test && group(*kind) == index);
            *surprising += u32::from(groups[index] && !counted);
        }
        open.failing += u32::from(test.failures.iter().any(|failed| !failed.mixed));
    }
}

struct Shares {
    /// The run is an incident itself, and does not only show that others were.
    here: bool,
    /// How much of its weight evidence of a group keeps.
    evidence: [f64; GROUPS],
    /// Share of tests that failed and passed which is usual.
    mixed: f64,
    /// The same for new failures.
    failing: f64,
}

fn shares(suite: &SuiteState, run: usize) -> Shares {
    let open = &suite.open[run];
    let most = |usual: &Usual| {
        if usual.is_early() {
            (EARLY_FLOOD * open.executions as f64).max(FLOOD)
        } else {
            FLOOD * usual.mean.max(1.0)
        }
    };
    let flood = |index: usize| f64::from(open.surprising[index]) > most(&suite.usual[index]);
    let errors = open.errors as f64 > ERRORS * open.executions as f64;
    let here = open.incident || errors || flood(group(EvidenceKind::Retry));
    let usual = |index: usize| suite.usual[index].share(open.surprising[index]);
    // A flood between runs shows that other runs failed; it says nothing against retries in this one.
    let evidence = std::array::from_fn(|index| if here || flood(index) { 0.0 } else { usual(index) });
    let mixed = usual(group(EvidenceKind::Retry));
    Shares { here, evidence, mixed, failing: suite.usual_failing.share(open.failing) }
}

/// Takes back evidence that was given before the run showed itself to bring too much.
#[expect(clippy::too_many_arguments, reason = "the parts of one step")]
fn revise<L: Lookup>(
    suite: &mut SuiteState,
    run: usize,
    upload: &Upload<'_>,
    rules: Rules,
    shares: &Shares,
    touched: &mut Vec<Touched<'_>>,
    lookup: &mut L,
    step: &mut Step,
) -> Result<(), L::Error> {
    let lost = |kind: EvidenceKind| shares.evidence[group(kind)] < LOST;
    let (revised, full): (Vec<_>, Vec<_>) =
        suite.open[run].full.iter().copied().partition(|(_, _, kind)| lost(*kind));
    suite.open[run].full = full;
    let mut missing: Vec<TestId> = revised.iter().map(|(test, ..)| *test).collect();
    missing.sort_unstable();
    missing.dedup();
    missing.retain(|test| touched.binary_search_by_key(test, |touched| touched.test).is_err());
    if !missing.is_empty() {
        let mut passes = lookup.passes(&missing)?;
        passes.sort_by_key(|(test, _)| *test);
        for (test, state) in lookup.states(&missing)? {
            let count = passes.binary_search_by_key(&test, |(test, _)| *test);
            let count = count.map_or(Passes::default(), |index| passes[index].1);
            touched.push(settle(suite, upload, rules, &[], test, Some(state), count, Vec::new()));
        }
        touched.sort_by_key(|touched| touched.test);
    }
    for (test, failed_run, kind) in revised {
        if let Ok(index) = touched.binary_search_by_key(&test, |touched| touched.test) {
            take_back(&mut touched[index], failed_run, kind, rules, step);
        }
    }
    Ok(())
}

/// Takes a piece of evidence back: whatever share of its weight the crowd leaves is too little to keep.
fn take_back(test: &mut Touched<'_>, run: RunId, kind: EvidenceKind, rules: Rules, step: &mut Step) {
    let state = &mut test.state;
    let Some(index) = state.evidence.iter().position(|mark| (mark.run, mark.kind) == (run, kind)) else {
        return;
    };
    let mark = Mark { weight: 0.0, ..state.evidence.remove(index) };
    withdraw(test, &mark, rules);
    step.evidence.push(change(test.test, &mark));
}

/// Ends the episode that has nothing left to stand on. What is left of one that was announced opens a new one.
fn withdraw(test: &mut Touched<'_>, mark: &Mark, rules: Rules) {
    let state = &mut test.state;
    let Some(episode) = state.episode else { return };
    let left: Vec<Timestamp> =
        state.evidence.iter().map(|left| left.at).filter(|at| *at >= episode.opened_at).collect();
    let is_announced = episode.announced_at.is_some();
    let stands = if is_announced { state.still_flags(&episode, rules) } else { !left.is_empty() };
    if stands {
        return;
    }
    let how = if is_announced { EpisodeEnd::Retracted } else { EpisodeEnd::Lapsed };
    test.episodes.push(state.change(&episode, Some((mark.at, how))));
    state.episode = None;
    if let (Some(opened_at), Some(last_at)) = (left.iter().min(), left.iter().max()) {
        state.episodes += 1;
        let rest = Episode { opened_at: *opened_at, announced_at: None, last_at: *last_at, ..episode };
        state.episode = Some(rest);
        test.episodes.push(EpisodeChange { opened_now: true, ..state.change(&rest, None) });
    }
}

/// Takes one candidate in with what the run leaves of its weight.
fn apply(test: &mut Touched<'_>, candidate: &Candidate, share: f64, rules: Rules, step: &mut Step) {
    let state: &mut TestState = &mut test.state;
    // Failures of an incident say nothing about the test.
    state.rates.failures += f64::from(candidate.attempts) * share;
    let weight = rounded(candidate.weight * share);
    if weight < LIGHTEST {
        return;
    }
    let Candidate { kind, run, commit, origin, at, signature, position, .. } = *candidate;
    let mark = Mark { commit, origin, run, kind, weight, at, signature, position };
    test.episodes.extend(state.add_evidence(mark, rules));
    step.evidence.push(change(test.test, &mark));
}

fn change(test: TestId, mark: &Mark) -> EvidenceChange {
    let Mark { commit, run, kind, weight, at, signature, .. } = *mark;
    EvidenceChange { test, run, commit, kind, weight, at, signature }
}

/// Weights are whole millionths, so that sums do not depend on how they came about.
fn rounded(weight: f64) -> f64 {
    libm::round(weight * 1e6) / 1e6
}
