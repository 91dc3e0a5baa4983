//! What one upload says about one test, before it is weighed against the rest of the run.

use super::Touched;
use crate::health::broken_factor;
use crate::judgement::Judgement;
use crate::suite_state::SuiteState;
use crate::test_state::{Block, MOST_BLOCKS, MOST_PENDING, Pending, TestState, origin};
use crate::upload::{Attempt, CommitKey, Comparison, Lane, Signature, Upload};
use casebook_model::branch::BranchClass;
use casebook_model::evidence::{EpisodeEnd, EvidenceKind};
use casebook_model::execution::Outcome;
use casebook_model::id::RunId;
use casebook_model::time::Timestamp;

/// Evidence whose surplus is not known yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) kind: EvidenceKind,
    /// Streak times kind.
    pub(super) weight: f64,
    pub(super) run: RunId,
    pub(super) commit: CommitKey,
    pub(super) origin: u64,
    pub(super) at: Timestamp,
    pub(super) signature: u64,
    pub(super) position: i64,
    /// Failing attempts on code that is now known to be able to pass.
    pub(super) attempts: u32,
}

/// The failing attempts of a lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct FailedLane {
    pub(super) lane: Lane,
    pub(super) signature: u64,
    /// Probability that they happened on good code.
    pub(super) good: f64,
    /// Whether the same source also passed.
    pub(super) mixed: bool,
    pub(super) attempts: u32,
    pub(super) judgement: Judgement,
}

/// Weight of evidence of a test that failed on the two default-branch sources before.
const STREAK: f64 = 0.1;
/// Weight of both outcomes in different jobs whose variants are not known.
const CROSS_JOB: f64 = 0.5;
/// Odds for broken code, as a logarithm, at which a stretch of failures is called broken: ln 10,000.
const BROKEN: f64 = 9.210_340_371_976_184;

/// The attempts of one lane in the upload.
struct LaneAttempts {
    lane: Lane,
    passed: u32,
    failed: u32,
    failed_at: Timestamp,
    latest_at: Timestamp,
    signature: u64,
}

pub(super) fn observe(suite: &mut SuiteState, upload: &Upload<'_>, test: &mut Touched<'_>) {
    let mut lanes = lanes(test.attempts);
    lanes.sort_by_key(|lane| lane.lane);
    if lanes.iter().any(|lane| lane.failed > 0) {
        // It does not keep its promise.
        test.state.repair = test.state.repair.filter(|repair| repair.commit != upload.commit);
    }
    for attempts in lanes {
        if attempts.failed > 0 {
            failing(suite, upload, test, &attempts);
        }
        if attempts.passed > 0 {
            passing(suite, upload, test, &attempts);
        }
    }
}

fn lanes(attempts: &[Attempt]) -> Vec<LaneAttempts> {
    let mut lanes: Vec<LaneAttempts> = Vec::with_capacity(1);
    for attempt in attempts {
        let failed = match attempt.outcome {
            Outcome::Passed => false,
            Outcome::Failed => true,
            Outcome::Error | Outcome::Skipped | Outcome::Unknown => continue,
        };
        let index = lanes.iter().position(|lane| lane.lane == attempt.lane).unwrap_or_else(|| {
            lanes.push(LaneAttempts {
                lane: attempt.lane,
                passed: 0,
                failed: 0,
                failed_at: Timestamp(i64::MIN),
                latest_at: Timestamp(i64::MIN),
                signature: 0,
            });
            lanes.len() - 1
        });
        let lane = &mut lanes[index];
        lane.latest_at = lane.latest_at.max(attempt.at);
        if failed {
            lane.failed += 1;
            lane.failed_at = lane.failed_at.max(attempt.at);
            lane.signature = attempt.signature.map_or(lane.signature, short);
        } else {
            lane.passed += 1;
        }
    }
    lanes
}

/// Enough of a signature to compare it within one test.
pub(crate) fn short(signature: Signature) -> u64 {
    (signature.0 >> 64) as u64
}

/// Whether the same source passed too: what kind of evidence that makes, and its weight.
fn pass_elsewhere(
    upload: &Upload<'_>,
    test: &Touched<'_>,
    own: &LaneAttempts,
) -> Option<(EvidenceKind, f64)> {
    let passed = |comparison: Comparison| {
        test.others.iter().filter(move |other| other.passed > 0 && own.lane.compare(other.lane) == comparison)
    };
    if own.passed > 0 || passed(Comparison::Same).any(|other| other.run == upload.run) {
        return Some((EvidenceKind::Retry, 1.0));
    }
    if passed(Comparison::Same).next().is_some() {
        return Some((EvidenceKind::CrossRun, 1.0));
    }
    let mut perhaps = passed(Comparison::PerhapsSame).peekable();
    perhaps.peek()?;
    if perhaps.any(|other| own.failed_at < other.pass_started_at) {
        Some((EvidenceKind::CrossRun, 1.0))
    } else {
        Some((EvidenceKind::CrossJob, CROSS_JOB))
    }
}

fn failing(suite: &mut SuiteState, upload: &Upload<'_>, test: &mut Touched<'_>, own: &LaneAttempts) {
    let origin = origin(upload.branch_class, upload.branch, upload.commit);
    let found = pass_elsewhere(upload, test, own);
    let position = upload.position.unwrap_or(0);
    let good;
    if let Some((kind, weight)) = found {
        good = 1.0;
        let weight = weight * streak(&test.state, false);
        test.candidates.push(Candidate {
            kind,
            weight,
            run: upload.run,
            commit: upload.commit,
            origin,
            at: own.latest_at,
            signature: own.signature,
            position,
            attempts: own.failed,
        });
        if upload.branch_class == BranchClass::Default {
            mixed_on_default(suite, upload, &mut test.state, own.lane);
        }
    } else {
        let pending = Pending {
            commit: upload.commit,
            lane: own.lane,
            run: upload.run,
            class: upload.branch_class,
            origin,
            attempts: own.failed,
            at: own.failed_at,
            signature: own.signature,
            contribution: 0.0,
        };
        good = match (upload.branch_class, upload.position) {
            (BranchClass::Default, Some(position)) => {
                bad_on_default(suite, position, own, &pending, &mut test.state)
            }
            _ => bad_on_change(suite, &pending, &mut test.state),
        };
    }
    test.failures.push(FailedLane {
        lane: own.lane,
        signature: own.signature,
        good,
        mixed: found.is_some(),
        attempts: own.failed,
        judgement: Judgement::default(),
    });
}

/// Weight left when the default branch failed on the two sources before; `inside` if the failure was counted.
fn streak(state: &TestState, inside: bool) -> f64 {
    if state.failing_sources >= 2 + u32::from(inside) { STREAK } else { 1.0 }
}

/// Remembers the failed source until it passes or is forgotten.
fn remember(state: &mut TestState, pending: &Pending) {
    let same = |known: &&mut Pending| {
        (known.commit, known.lane, known.run) == (pending.commit, pending.lane, pending.run)
    };
    if let Some(known) = state.pending.iter_mut().find(same) {
        known.attempts += pending.attempts;
        known.at = known.at.max(pending.at);
        known.signature = pending.signature;
        return;
    }
    if state.pending.len() == MOST_PENDING {
        state.pending.remove(0);
    }
    state.pending.push(*pending);
}

/// A failure on a change: all pushes of one change are one event.
fn bad_on_change(suite: &mut SuiteState, pending: &Pending, state: &mut TestState) -> f64 {
    remember(state, pending);
    let is_part = |p: &&Pending| p.origin == pending.origin && p.class == pending.class;
    let before: f64 = state.pending.iter().filter(is_part).map(|p| p.contribution).sum();
    let attempts: u32 = state.pending.iter().filter(is_part).map(|p| p.attempts).sum();
    let q = state.rates.mean_without(before);
    let good = suite.breaks(pending.class).good_while_open(q, attempts);
    if attempts == pending.attempts {
        suite.count_block(pending.class, 1.0 - good, 1);
    }
    for part in &mut state.pending {
        if part.origin == pending.origin && part.class == pending.class {
            part.contribution = f64::from(part.attempts) * good;
        }
    }
    state.rates.failures = (state.rates.failures - before).max(0.0) + f64::from(attempts) * good;
    good
}

fn bad_on_default(
    suite: &SuiteState,
    position: i64,
    own: &LaneAttempts,
    pending: &Pending,
    state: &mut TestState,
) -> f64 {
    let is_known = state.pending.iter().any(|p| (p.commit, p.lane) == (pending.commit, pending.lane));
    remember(state, pending);
    let clean_before = state.default_clean == Some(true);
    let index = match state.blocks.iter().position(|block| block.lane == own.lane) {
        Some(index) => index,
        None if state.blocks.len() == MOST_BLOCKS => return 0.0,
        None => {
            state.blocks.push(Block {
                lane: own.lane,
                first: position,
                last: position,
                attempts: 0,
                sources: 0,
                contribution: 0.0,
                clean_before,
                broken_at: None,
                clean_after: 0,
            });
            state.blocks.len() - 1
        }
    };
    let block = &mut state.blocks[index];
    if position < block.first {
        return suite.breaks(BranchClass::Default).good_while_open(state.rates.mean(), own.failed);
    }
    block.clean_after = 0;
    block.last = block.last.max(position);
    block.attempts += own.failed;
    block.sources += u32::from(!is_known || block.sources == 0);
    state.note_failing_source(position);
    let good = reopen(suite, state, index);
    let block = &mut state.blocks[index];
    let q = state.rates.mean_without(block.contribution);
    let fails = suite.breaks(BranchClass::Default).fails;
    if block.sources >= 3 && broken_factor(q, fails, block.attempts) > BROKEN {
        block.broken_at = block.broken_at.or(Some(own.failed_at));
    }
    good
}

/// Computes the part of an open block in the expected failures anew.
fn reopen(suite: &SuiteState, state: &mut TestState, index: usize) -> f64 {
    let block = &mut state.blocks[index];
    let q = state.rates.mean_without(block.contribution);
    let good = suite.breaks(BranchClass::Default).good_while_open(q, block.attempts);
    let contribution = f64::from(block.attempts) * good;
    state.rates.failures = (state.rates.failures - block.contribution).max(0.0) + contribution;
    block.contribution = contribution;
    good
}

/// The default branch failed and passed on one source: a single failure before it is over, a stretch goes on.
fn mixed_on_default(suite: &mut SuiteState, upload: &Upload<'_>, state: &mut TestState, lane: Lane) {
    let Some(position) = upload.position else { return };
    state.note_failing_source(position);
    let found = state.blocks.iter().position(|block| block.lane == lane && block.sources == 1);
    if let Some(index) = found
        && state.blocks[index].last < position
    {
        close(suite, state, index);
        state.blocks.remove(index);
    }
}

fn passing(suite: &mut SuiteState, upload: &Upload<'_>, test: &mut Touched<'_>, own: &LaneAttempts) {
    let state = &mut test.state;
    state.rates.passes += f64::from(own.passed);
    state.passes += u64::from(own.passed);
    state.clean += u64::from(own.passed);
    let mut mixed = own.failed > 0;
    let mut index = 0;
    while index < state.pending.len() {
        let pending = state.pending[index];
        let comparison = if pending.commit == upload.commit {
            pending.lane.compare(own.lane)
        } else {
            Comparison::Different
        };
        let (kind, weight) = match comparison {
            Comparison::Different => {
                index += 1;
                continue;
            }
            Comparison::Same if pending.run == upload.run => (EvidenceKind::Retry, 1.0),
            Comparison::PerhapsSame if pending.at >= upload.at => (EvidenceKind::CrossJob, CROSS_JOB),
            Comparison::Same | Comparison::PerhapsSame => (EvidenceKind::CrossRun, 1.0),
        };
        mixed |= comparison == Comparison::Same;
        state.pending.remove(index);
        let weight = weight * release(suite, state, &pending);
        test.candidates.push(Candidate {
            kind,
            weight,
            run: pending.run,
            commit: pending.commit,
            origin: pending.origin,
            at: own.latest_at.max(pending.at),
            signature: pending.signature,
            position: upload.position.unwrap_or(0),
            attempts: pending.attempts,
        });
    }
    if let (BranchClass::Default, Some(position), false) = (upload.branch_class, upload.position, mixed) {
        clean_on_default(suite, upload, position, test, own);
    }
    repair(suite.clock, upload, test, own);
}

/// A failed source turned out to be able to pass: takes its part out of blocks. Returns the streak factor.
fn release(suite: &SuiteState, state: &mut TestState, pending: &Pending) -> f64 {
    let block = state
        .blocks
        .iter()
        .position(|block| block.lane == pending.lane && pending.class == BranchClass::Default);
    let Some(index) = block.filter(|_| pending.contribution == 0.0) else {
        state.rates.failures = (state.rates.failures - pending.contribution).max(0.0);
        return streak(state, false);
    };
    let factor = streak(state, true);
    let block = &mut state.blocks[index];
    block.attempts = block.attempts.saturating_sub(pending.attempts);
    block.sources = block.sources.saturating_sub(1);
    let is_over = block.sources == 0;
    reopen(suite, state, index);
    if is_over {
        state.blocks.remove(index);
    }
    factor
}

/// A clean source of the default branch ends the block of its lane.
fn clean_on_default(
    suite: &mut SuiteState,
    upload: &Upload<'_>,
    position: i64,
    test: &mut Touched<'_>,
    own: &LaneAttempts,
) {
    let state = &mut test.state;
    let Some(index) = state.blocks.iter().position(|block| block.lane == own.lane) else {
        state.note_clean_source();
        return;
    };
    let block = state.blocks[index];
    if position <= block.last {
        return;
    }
    state.note_clean_source();
    if block.clean_after > 0 {
        state.blocks.remove(index);
        return;
    }
    let failed = state
        .pending
        .iter()
        .rev()
        .find(|p| p.lane == own.lane && p.class == BranchClass::Default && p.contribution == 0.0)
        .copied();
    close(suite, state, index);
    if block.broken_at.is_some() {
        let block = &mut state.blocks[index];
        block.clean_after = 1;
        block.last = position;
        block.contribution = 0.0;
        return;
    }
    state.blocks.remove(index);
    if let (1, true, Some(failed)) = (block.sources, block.clean_before, failed) {
        test.candidates.push(Candidate {
            kind: EvidenceKind::Isolated,
            weight: 1.0,
            run: failed.run,
            commit: failed.commit,
            origin: failed.origin,
            at: own.latest_at.max(upload.at),
            signature: failed.signature,
            position: block.last,
            attempts: 0,
        });
    }
}

/// Settles how much of a block happened on good code.
fn close(suite: &mut SuiteState, state: &mut TestState, index: usize) {
    let block = state.blocks[index];
    let breaks = suite.breaks(BranchClass::Default);
    let q = state.rates.mean_without(block.contribution);
    let good = breaks.good_once_closed(q, block.attempts, block.sources);
    suite.count_block(BranchClass::Default, 1.0 - good, block.sources);
    let contribution = f64::from(block.attempts) * good;
    state.rates.failures = (state.rates.failures - block.contribution).max(0.0) + contribution;
    for pending in &mut state.pending {
        let is_part = pending.lane == block.lane && pending.class == BranchClass::Default;
        if is_part && pending.contribution == 0.0 {
            // Never exactly 0, which would mean that a block still carries it.
            pending.contribution = (f64::from(pending.attempts) * good).max(f64::MIN_POSITIVE);
        }
    }
}

/// Counts clean runs of a commit that promised a repair. Enough of them end the episode; if results came ahead of the suite's
/// clock, the clock ends it.
fn repair(clock: Timestamp, upload: &Upload<'_>, test: &mut Touched<'_>, own: &LaneAttempts) {
    let state = &mut test.state;
    let Some(repair) = state.repair.as_mut().filter(|repair| repair.commit == upload.commit) else { return };
    repair.passed += own.passed;
    if repair.passed >= repair.needed {
        state.repair = None;
        let Some(episode) = &mut state.episode else { return };
        let at = own.latest_at.max(episode.last_at);
        episode.repaired_at = Some(at);
        let ended = *episode;
        if at <= clock {
            test.episodes.push(state.change(&ended, Some((at, EpisodeEnd::Resolved))));
        }
    }
}
