//! What the clock alone does to tests: resolutions, lapses, the end of a watch. States do not change, only what is told of
//! them, so a server that was down catches up as if it had never been.

use super::{states, stored_episode};
use crate::App;
use crate::webhooks::outbox::{Happening, Outbox};
use casebook_analysis::detector::{Due, advance};
use casebook_analysis::health::Rules;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::time::Timestamp;
use casebook_storage::detector::HealthChange;
use casebook_storage::{Db, StorageError, detector as stored, ingest, policies, suites};
use std::sync::Arc;

/// Tests that are looked at in one transaction.
const MOST: i64 = 200;

impl App {
    /// Does what is due by now, in order of time; returns how many tests were looked at.
    ///
    /// # Errors
    /// The database fails.
    pub async fn let_time_pass(&self) -> Result<usize, StorageError> {
        let now = self.now();
        let mut done = 0;
        loop {
            let due = self.read(move |db| stored::due(db, now, MOST)).await?;
            if due.is_empty() {
                return Ok(done);
            }
            done += due.len();
            // A transaction touches one suite; what is due of a suite stays in order.
            let mut by_suite: Vec<(SuiteId, Vec<TestId>)> = Vec::new();
            for (suite, test, _) in due {
                match by_suite.iter_mut().find(|(other, _)| *other == suite) {
                    Some((_, tests)) => tests.push(test),
                    None => by_suite.push((suite, vec![test])),
                }
            }
            for (suite, tests) in by_suite {
                let outbox = Arc::clone(&self.webhooks.outbox);
                let written = outbox.written();
                match self.write(move |db| advance_tests(db, &outbox, suite, &tests, now)).await {
                    // It was deleted, and its states are still being cleared away.
                    Err(StorageError::NoSuchSuite) => {
                        self.write(move |db| stored::forget_due(db, suite)).await?;
                    }
                    other => other?,
                }
                self.webhooks.outbox.wake(written);
            }
        }
    }
}

fn advance_tests(
    db: &mut Db<'_>,
    outbox: &Outbox,
    suite: SuiteId,
    tests: &[TestId],
    now: Timestamp,
) -> Result<(), StorageError> {
    ingest::lock_suite(db, suite)?;
    let found = suites::find_by_id(db, suite)?.ok_or(StorageError::NoSuchSuite)?;
    let rules = Rules { detection: found.attributes.sensitivity, resolve: found.attributes.resolve_rule };
    for test in tests {
        advance_test(db, outbox, suite, *test, now, rules)?;
    }
    Ok(())
}

pub(super) fn advance_test(
    db: &mut Db<'_>,
    outbox: &Outbox,
    suite: SuiteId,
    test: TestId,
    now: Timestamp,
    rules: Rules,
) -> Result<(), StorageError> {
    let (Some(body), Some(due_at)) =
        (stored::state(db, suite, test)?, stored::due_at(db, suite, test)?.filter(|due| *due <= now))
    else {
        return Ok(());
    };
    let (state, base) = states::unpack(&body)?;
    let days = stored::days(db, suite, &[test], base.from_day.unwrap_or(-1_000_000))?;
    let cells = days.into_values().flatten().map(|count| (count.day, count.class, count.passed));
    let since = base.since(cells).iter().sum();
    let (due, next) = advance(&state, due_at.plus(-1), now, since, rules);
    for due in &due {
        let Due { at, before, after, ended, .. } = *due;
        if before != after {
            stored::put_change(db, suite, test, HealthChange { at, from: before, to: after }, None)?;
        }
        if let Some(episode) = ended {
            let version = policies::next_episode_version(db, suite)?;
            stored::put_episode(db, suite, test, &stored_episode(&episode), None, Some(version))?;
            let (change, notify) = (episode, true);
            outbox.tell(db, &Happening { suite, test, change, commit: None, now, notify })?;
        }
    }
    let changed = due.iter().rev().find(|due| due.before != due.after);
    let health = match changed {
        Some(due) => (due.after, due.at),
        None => {
            let since_when = stored::stored_health(db, suite, test)?.map_or(due_at, |(_, since)| since);
            (state.health(now, since, rules), since_when)
        }
    };
    stored::advance(db, suite, test, health, next)
}
