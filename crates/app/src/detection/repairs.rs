//! Commits that promise to repair a test: the promise is folded just before the upload that brings it, and kept among what is
//! said of tests, so that a replay folds it at the same place.

use super::lookup::{Counted, take_away};
use super::source::Source;
use super::states::Held;
use super::{Cause, store};
use crate::webhooks::outbox::Outbox;
use casebook_analysis::detector::decide;
use casebook_analysis::lookup::{PassBase, Passes};
use casebook_analysis::upload::Decision;
use casebook_model::execution::ExecutionFlags;
use casebook_model::id::{TestId, UploadId};
use casebook_model::mark::Statement;
use casebook_model::name::Commit;
use casebook_storage::ingest::FoldStep;
use casebook_storage::{Db, StorageError, detector as stored, marks};
use std::collections::HashMap;

/// Folds what the commit of an upload promises. The suite's counter row is locked.
pub(super) fn promise(
    db: &mut Db<'_>,
    held: &mut Held,
    outbox: &Outbox,
    step: &FoldStep<'_>,
    source: &Source,
) -> Result<(), StorageError> {
    let Some(commit) = step.commit else { return Ok(()) };
    for test in promised(step) {
        promise_test(db, held, outbox, step, (source, commit), test)?;
    }
    Ok(())
}

/// The tests that the upload says are repaired, and does not prove otherwise at once.
fn promised(step: &FoldStep<'_>) -> Vec<TestId> {
    let of_tests = step.executions.chunk_by(|a, b| a.id.test == b.id.test);
    let kept = of_tests.filter(|of_test| {
        of_test.iter().any(|execution| execution.flags.contains(ExecutionFlags::REPAIR))
            && !of_test.iter().any(|execution| execution.outcome.is_failing())
    });
    kept.map(|of_test| of_test[0].id.test).collect()
}

fn promise_test(
    db: &mut Db<'_>,
    held: &mut Held,
    outbox: &Outbox,
    step: &FoldStep<'_>,
    (source, commit): (&Source, &Commit),
    test: TestId,
) -> Result<(), StorageError> {
    let suite = step.suite;
    let Some((state, base)) = held.states.get(&test).cloned() else { return Ok(()) };
    // As they were before this upload: the roll-ups know it already.
    let mut days = stored::days(db, suite, &[test], base.from_day.unwrap_or(-1_000_000))?;
    take_away(&mut days, std::iter::once(Counted::this(step)).chain(Counted::later(step)));
    let days = days.remove(&test).unwrap_or_default();
    let cells = || days.iter().map(|count| (count.day, count.class, count.passed));
    let first_day = days.iter().map(|count| count.day).min();
    let passes = Passes { by_class: base.since(cells()), first_day };
    let since = passes.by_class.iter().sum();
    let clock = held.suite.clock().max(step.at);
    if !state.takes_repair(source.key, clock, since, held.rules) {
        return Ok(());
    }
    let decision = Decision::Repair(source.key);
    let done = decide(&mut held.suite, test, Some(state), passes, decision, step.at, held.rules);
    held.changed = true;
    let bases = HashMap::from([(test, PassBase::at(held.suite.clock(), cells()))]);
    let cause =
        Cause { suite, at: step.at, upload: None, commit: None, now: step.received_at, notify: step.notify };
    store(db, outbox, &cause, &done, &bases)?;
    for change in done.tests {
        let base = bases.get(&change.test).copied().unwrap_or_default();
        held.states.insert(change.test, (change.state, base));
    }
    let before = UploadId(step.upload.get() - 1);
    marks::insert(db, suite, before, test, &Statement::Repair(commit.clone()), step.at)
}
