//! The detector on stored data: folds each upload inside its transaction, and lets time pass.
//!
//! A suite's states are kept in memory while their version is the stored one, so that uploads without failures ask the
//! database for next to nothing.

mod audit;
mod export;
mod health;
mod lookup;
mod marks;
mod repairs;
mod source;
pub(crate) mod states;
mod tick;

use crate::webhooks::outbox::{Happening, Outbox};
use casebook_analysis::detector::{self, EvidenceChange, Step, TestChange};
use casebook_analysis::health::{EpisodeChange, Rules};
use casebook_analysis::lookup::PassBase;
use casebook_analysis::upload::{Attempt, Upload};
use casebook_model::execution::{Execution, ExecutionFlags, Outcome};
use casebook_model::health::Health;
use casebook_model::id::{SuiteId, TestId, UploadId};
use casebook_model::name::Commit;
use casebook_model::time::Timestamp;
use casebook_storage::detector::{HealthChange, StoredEpisode, StoredEvidence};
use casebook_storage::ingest::{Fold, FoldStep};
use casebook_storage::{Db, StorageError, detector as stored, policies, suites};
use lookup::StoredLookup;
use source::{Lanes, Source};
use states::{Held, States};
use std::collections::HashMap;

pub use audit::{Audit, audit};
pub use export::{Exported, ExportedMark, Item, export};
pub use health::{CaseHistory, Judged};
pub use marks::mark;
pub(crate) use states::Detector;

/// Folds the uploads of one transaction.
pub(crate) struct Detection<'a> {
    detector: &'a Detector,
    outbox: &'a Outbox,
    held: Option<Held>,
}

impl<'a> Detection<'a> {
    pub(crate) const fn new(detector: &'a Detector, outbox: &'a Outbox) -> Self {
        Self { detector, outbox, held: None }
    }
}

impl Fold for Detection<'_> {
    fn begin(&mut self, db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
        let attributes = suites::find_by_id(db, suite)?.ok_or(StorageError::NoSuchSuite)?.attributes;
        let rules = Rules { detection: attributes.sensitivity, resolve: attributes.resolve_rule };
        self.held = Some(self.detector.take(db, suite, rules)?);
        Ok(())
    }

    fn fold(&mut self, db: &mut Db<'_>, step: &FoldStep<'_>) -> Result<(), StorageError> {
        match &mut self.held {
            Some(held) => fold(db, held, self.outbox, step),
            None => Ok(()),
        }
    }

    fn finish(&mut self, db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
        if let Some(held) = self.held.take() {
            self.detector.put_back(db, suite, held)?;
        }
        Ok(())
    }
}

fn fold(db: &mut Db<'_>, held: &mut Held, outbox: &Outbox, step: &FoldStep<'_>) -> Result<(), StorageError> {
    let executions = step.executions.iter().filter(|execution| counts(execution)).count() as u64;
    if executions == 0 {
        return Ok(());
    }
    let source = Source::of(step);
    repairs::promise(db, held, outbox, step, &source)?;
    let position = held.position(db, step, &source)?;
    let mut upload = Upload {
        upload: step.upload,
        run: step.run,
        commit: source.key,
        branch: source.branch,
        branch_class: step.branch_class,
        position,
        at: step.at,
        attempts: &[],
        executions,
    };
    let mut lanes = Lanes::new(step.suite, &mut held.variants);
    let attempts = attempts(db, step, &held.states, &upload, &mut lanes)?;
    upload.attempts = &attempts;
    let mut lookup = StoredLookup::new(db, step, &source, &held.states, &mut lanes);
    let done = detector::fold(&mut held.suite, &upload, held.rules, &mut lookup)?;
    let bases = lookup.bases(&done, held.suite.clock())?;
    held.changed = true;
    let cause = Cause {
        suite: step.suite,
        at: step.at,
        upload: Some(step.upload),
        commit: step.commit,
        now: step.received_at,
        notify: step.notify,
    };
    store(db, outbox, &cause, &done, &bases)?;
    end_what_came_late(db, outbox, held, &cause, &done)?;
    for change in &done.tests {
        let base = bases.get(&change.test).copied().unwrap_or_default();
        held.states.insert(change.test, (change.state.clone(), base));
    }
    judge(db, held, step, &done)
}

/// Results that come late may open an episode that is over by the suite's clock: nothing is due for it any more, so it ends
/// here.
fn end_what_came_late(
    db: &mut Db<'_>,
    outbox: &Outbox,
    held: &Held,
    cause: &Cause<'_>,
    done: &Step,
) -> Result<(), StorageError> {
    let Cause { suite, now, notify, .. } = *cause;
    for TestChange { test, state, episodes, .. } in &done.tests {
        if episodes.last().is_none_or(|episode| episode.ended.is_some()) {
            continue;
        }
        let by_clock = state.episode(held.suite.clock(), 0, held.rules);
        let Some(change) = by_clock.filter(|episode| episode.ended.is_some()) else { continue };
        let version = policies::next_episode_version(db, suite)?;
        stored::put_episode(db, suite, *test, &stored_episode(&change), None, Some(version))?;
        outbox.tell(db, &Happening { suite, test: *test, change, commit: None, now, notify })?;
    }
    Ok(())
}

/// What changed a state.
struct Cause<'a> {
    suite: SuiteId,
    at: Timestamp,
    upload: Option<UploadId>,
    commit: Option<&'a Commit>,
    /// When it is found out.
    now: Timestamp,
    /// Whether webhooks are told of what follows.
    notify: bool,
}

/// Executions that come from metrics take no part.
fn counts(execution: &Execution) -> bool {
    !execution.flags.contains(ExecutionFlags::MEASURED)
}

/// The attempts that can matter: of tests that failed, and of those whose passes somebody waits for.
fn attempts(
    db: &mut Db<'_>,
    step: &FoldStep<'_>,
    states: &States,
    upload: &Upload<'_>,
    lanes: &mut Lanes<'_>,
) -> Result<Vec<Attempt>, StorageError> {
    let said: HashMap<(TestId, i64), _> =
        step.said.iter().map(|said| ((said.test, said.attempt), said.signature)).collect();
    let outcome = |execution: &Execution| match execution.outcome {
        // It does not say how it ended, but why it failed (design, attempts).
        Outcome::Unknown if said.contains_key(&(execution.id.test, execution.id.attempt)) => Outcome::Failed,
        outcome => outcome,
    };
    // Few have a state, and fewer wait for anything.
    let mut waiting: Vec<TestId> =
        states.iter().filter(|(_, (state, _))| state.watches(upload)).map(|(test, _)| *test).collect();
    waiting.sort_unstable();
    let mut attempts = Vec::new();
    for of_test in step.executions.chunk_by(|a, b| a.id.test == b.id.test) {
        let failed = of_test.iter().any(|execution| counts(execution) && outcome(execution).is_failing());
        if !failed && (waiting.is_empty() || waiting.binary_search(&of_test[0].id.test).is_err()) {
            continue;
        }
        for execution in of_test.iter().filter(|execution| counts(execution)) {
            let place = (execution.id.test, execution.id.attempt);
            attempts.push(Attempt {
                test: execution.id.test,
                lane: lanes.lane(
                    db,
                    execution.variant,
                    execution.instance,
                    step.job.map(casebook_model::name::Job::as_str),
                )?,
                outcome: outcome(execution),
                at: step.at.plus(execution.offset_ms * 1000),
                signature: said.get(&place).copied().flatten().map(source::signature),
            });
        }
    }
    Ok(attempts)
}

/// Stores what a step changed.
fn store(
    db: &mut Db<'_>,
    outbox: &Outbox,
    cause: &Cause<'_>,
    done: &Step,
    bases: &HashMap<TestId, PassBase>,
) -> Result<(), StorageError> {
    let suite = cause.suite;
    let mut version = None;
    if done.tests.iter().flat_map(|change| &change.episodes).any(is_told) {
        version = Some(policies::next_episode_version(db, suite)?);
    }
    let mut reopened = Vec::new();
    for change in &done.tests {
        let base = bases.get(&change.test).copied().unwrap_or_default();
        if store_test(db, cause, change, &states::pack(&change.state, &base), &mut version)? {
            reopened.push(change.test);
        }
    }
    for evidence in &done.evidence {
        let EvidenceChange { test, run, commit: _, kind, weight, at, signature } = *evidence;
        let mut key = [0; 16];
        key[..8].copy_from_slice(&signature.to_be_bytes());
        let evidence = StoredEvidence { run, kind, at, commit: None, weight };
        stored::put_evidence(db, suite, test, &evidence, (signature != 0).then_some(&key))?;
    }
    for run in &done.incidents {
        stored::mark_incident(db, suite, *run)?;
    }
    tell(db, outbox, cause, done, &reopened)
}

/// Stores what changed of a test. True if evidence that came late continues an episode that had ended: the clock, which
/// no state knows of, may have ended it, or results of a later time.
fn store_test(
    db: &mut Db<'_>,
    cause: &Cause<'_>,
    change: &TestChange,
    body: &[u8],
    version: &mut Option<i64>,
) -> Result<bool, StorageError> {
    let Cause { suite, at, upload, commit, .. } = *cause;
    let TestChange { test, state: _, before, after, due_at, episodes } = change;
    let stored = if before == after { stored::stored_health(db, suite, *test)? } else { None };
    let was = stored.map_or(*before, |(health, _)| health);
    let goes_on = episodes.last().is_some_and(|episode| episode.ended.is_none() && !is_told(episode));
    let doubted = |health| !matches!(health, Health::New | Health::Healthy | Health::Resolved);
    let reopened = goes_on && !doubted(was) && doubted(*after);
    let before = if reopened { was } else { *before };
    let since = stored.filter(|_| before == *after).map_or(at, |(_, since)| since);
    stored::put_state(db, suite, *test, (*after, since), *due_at, body)?;
    if reopened && version.is_none() {
        *version = Some(policies::next_episode_version(db, suite)?);
    }
    for episode in episodes {
        let commit = commit.filter(|_| episode.announced_now).map(Commit::as_str);
        let version = version.filter(|_| reopened || is_told(episode));
        stored::put_episode(db, suite, *test, &stored_episode(episode), commit, version)?;
    }
    if before != *after {
        stored::put_change(db, suite, *test, HealthChange { at, from: before, to: *after }, upload)?;
    }
    Ok(reopened)
}

/// Whether clients are told of a change, who do not see single pieces of evidence.
const fn is_told(episode: &EpisodeChange) -> bool {
    episode.opened_now || episode.announced_now || episode.ended.is_some()
}

fn stored_episode(episode: &EpisodeChange) -> StoredEpisode {
    let EpisodeChange { number, opened_at, announced_at, last_evidence_at, ended, .. } = *episode;
    StoredEpisode { number: i64::from(number), opened_at, announced_at, last_evidence_at, ended }
}

/// Tells webhooks of episodes that were announced or ended; their evidence is stored by now.
fn tell(
    db: &mut Db<'_>,
    outbox: &Outbox,
    cause: &Cause<'_>,
    done: &Step,
    reopened: &[TestId],
) -> Result<(), StorageError> {
    let Cause { suite, commit, now, notify, .. } = *cause;
    let commit = commit.map(Commit::as_str);
    for test in &done.tests {
        for change in &test.episodes {
            let (test, change) = (test.test, *change);
            let happening = Happening { suite, test, change, commit, now, notify };
            if reopened.contains(&test) && change.ended.is_none() {
                outbox.tell_again(db, &happening)?;
            } else {
                outbox.tell(db, &happening)?;
            }
        }
    }
    Ok(())
}

/// Stores what is to be thought of each failing execution of the upload.
fn judge(db: &mut Db<'_>, held: &mut Held, step: &FoldStep<'_>, done: &Step) -> Result<(), StorageError> {
    if done.judged.is_empty() {
        return Ok(());
    }
    let judged: HashMap<_, _> =
        done.judged.iter().map(|judged| ((judged.test, judged.lane), judged)).collect();
    let mut lanes = Lanes::new(step.suite, &mut held.variants);
    for execution in step.executions.iter().filter(|execution| counts(execution)) {
        if matches!(execution.outcome, Outcome::Passed | Outcome::Skipped) {
            continue;
        }
        let lane = lanes.lane(
            db,
            execution.variant,
            execution.instance,
            step.job.map(casebook_model::name::Job::as_str),
        )?;
        let Some(judged) = judged.get(&(execution.id.test, lane)) else { continue };
        let judgement = &judged.judgement;
        let place = (execution.id.run, execution.id.test, execution.id.attempt);
        stored::judge(db, step.suite, place, [judgement.flake, judgement.regression, judgement.incident])?;
    }
    Ok(())
}
