//! What people say of tests, folded like an upload: at its place in the order, under the suite's lock.

use super::{Cause, states, store, tick};
use crate::App;
use crate::webhooks::Webhooks;
use casebook_analysis::detector::decide;
use casebook_analysis::health::Rules;
use casebook_analysis::lookup::{PassBase, Passes};
use casebook_analysis::suite_state::SuiteState;
use casebook_analysis::upload::{CommitKey, Decision};
use casebook_model::id::{SuiteId, TestId};
use casebook_model::mark::{Mark, Statement};
use casebook_model::time::Timestamp;
use casebook_storage::detector::StoredSuite;
use casebook_storage::{Db, StorageError, detector as stored, ingest, marks, suites};
use std::collections::HashMap;
use std::sync::Arc;

impl App {
    /// Marks a test of `suite`.
    ///
    /// # Errors
    /// The database fails, or there is no such suite any more.
    pub async fn mark(&self, suite: SuiteId, test: TestId, said: Mark) -> Result<(), StorageError> {
        let now = self.now();
        let webhooks = Arc::clone(&self.webhooks);
        let written = webhooks.outbox.written();
        let marked = self.write_decision(move |db| mark(db, &webhooks, suite, test, said, now)).await;
        self.webhooks.outbox.wake(written);
        marked
    }
}

/// What was said, as the fold takes it.
pub(super) fn decision(said: &Statement) -> Decision {
    match said {
        Statement::Person(Mark::Flaky) => Decision::Flaky,
        Statement::Person(Mark::NotFlaky) => Decision::NotFlaky,
        Statement::Repair(commit) => Decision::Repair(CommitKey::of(commit.as_str())),
    }
}

/// Marks a test of `suite` at `now`, and tells webhooks what follows from it. Runs inside a transaction.
///
/// # Errors
/// The database fails, or there is no such suite.
pub fn mark(
    db: &mut Db<'_>,
    webhooks: &Webhooks,
    suite: SuiteId,
    test: TestId,
    mark: Mark,
    now: Timestamp,
) -> Result<(), StorageError> {
    let after = ingest::lock_suite(db, suite)?;
    let attributes = suites::find_by_id(db, suite)?.ok_or(StorageError::NoSuchSuite)?.attributes;
    let rules = Rules { detection: attributes.sensitivity, resolve: attributes.resolve_rule };
    // What the clock has ended by now is told as the clock's doing.
    let outbox = &webhooks.outbox;
    tick::advance_test(db, outbox, suite, test, now, rules)?;

    let found = stored::suite(db, suite)?;
    let StoredSuite { version, positions, body } = found.unwrap_or_default();
    let mut state = match body.as_slice() {
        [] => SuiteState::default(),
        body => SuiteState::from_bytes(body).map_err(|error| states::damaged(&error))?,
    };
    let known = stored::state(db, suite, test)?.map(|body| states::unpack(&body)).transpose()?;
    let base = known.as_ref().map(|(_, base)| *base).unwrap_or_default();
    let days = stored::days(db, suite, &[test], base.from_day.unwrap_or(-1_000_000))?;
    let days = days.get(&test).map_or(&[][..], Vec::as_slice);
    let cells = days.iter().map(|count| (count.day, count.class, count.passed));
    let first_day = days.iter().map(|count| count.day).min();
    let passes = Passes { by_class: base.since(cells.clone()), first_day };

    let known = known.map(|(state, _)| state);
    let said = Statement::Person(mark);
    let done = decide(&mut state, test, known, passes, decision(&said), now, rules);
    let bases = HashMap::from([(test, PassBase::at(state.clock(), cells))]);
    let cause = Cause { suite, at: now, upload: None, commit: None, now, notify: true };
    store(db, outbox, &cause, &done, &bases)?;
    // Whoever holds the suite's states in memory sees by the version that they are no longer what is stored.
    let stored_suite = StoredSuite { version: version + 1, positions, body: state.to_bytes() };
    stored::put_suite(db, suite, &stored_suite)?;
    marks::insert(db, suite, after, test, &said, now)
}
