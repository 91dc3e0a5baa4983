//! What the detector says of tests, for those who ask.

use super::states;
use crate::App;
use casebook_analysis::explanation::Explanation;
use casebook_analysis::health::{Rules, health_without_state};
use casebook_analysis::rerun_policy::{RerunPolicy, policy_of};
use casebook_model::health::Health;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::public_id::Subject;
use casebook_model::run::Protocol;
use casebook_model::suite::Suite;
use casebook_model::time::Timestamp;
use casebook_storage::detector::{HealthChange, StoredEpisode, StoredEvidence};
use casebook_storage::monitor::scope::{self, Scope};
use casebook_storage::tests::{self, ShownTest};
use casebook_storage::{Db, StorageError, detector as stored};
use std::collections::HashMap;

/// Pieces of evidence and changes of health that are told of a test.
const MOST_TOLD: i64 = 50;

/// A test and what the detector says of it.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The test.
    pub test: ShownTest,
    /// Its health now.
    pub health: Health,
    /// Since when, if the detector has a state of it.
    pub since: Option<Timestamp>,
    /// Why; none for tests that never failed.
    pub explanation: Option<Explanation>,
    /// How often to run it again when it fails, if the detector would.
    pub policy: Option<RerunPolicy>,
}

/// What is known of one test.
#[derive(Debug, Clone)]
pub struct CaseHistory {
    /// The test and its health.
    pub judged: Judged,
    /// Why it has that health, in sentences; none for tests that never failed.
    pub sentences: Vec<String>,
    /// Evidence that its outcome does not depend on the code, newest first.
    pub evidence: Vec<StoredEvidence>,
    /// Its episodes, newest first.
    pub episodes: Vec<StoredEpisode>,
    /// Changes of its health, newest first.
    pub changes: Vec<HealthChange>,
}

impl App {
    /// Tests after `after` in order of first arrival, all or those with one of these healths and in a scope, at most `most`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn judged_tests(
        &self,
        suite: Suite,
        health: Vec<Health>,
        scope: Scope,
        after: Option<TestId>,
        most: i64,
    ) -> Result<Vec<Judged>, StorageError> {
        let now = self.now();
        let after = after.unwrap_or(TestId(0));
        self.read(move |db| {
            let ids = if scope.is_everything() {
                listed(db, suite.id, &health, after, most)?
            } else {
                within(db, suite.id, &health, &scope, after, most)?
            };
            judge(db, &suite, &ids, now)
        })
        .await
    }

    /// What is known of the test with that public id, if it belongs to the suite.
    ///
    /// # Errors
    /// The database fails.
    pub async fn case_history(
        &self,
        suite: Suite,
        public_id: &str,
    ) -> Result<Option<CaseHistory>, StorageError> {
        let test = match self.subject(public_id) {
            Some(Subject::Test(of, test)) if of == suite.id => test,
            _ => return Ok(None),
        };
        let now = self.now();
        self.read(move |db| {
            let Some(judged) = judge(db, &suite, &[test], now)?.pop() else { return Ok(None) };
            Ok(Some(CaseHistory {
                sentences: judged.explanation.as_ref().map(Explanation::sentences).unwrap_or_default(),
                judged,
                evidence: stored::evidence(db, suite.id, test, MOST_TOLD)?,
                episodes: stored::episodes(db, suite.id, test)?,
                changes: stored::changes(db, suite.id, test, MOST_TOLD)?,
            }))
        })
        .await
    }
}

fn listed(
    db: &mut Db<'_>,
    suite: SuiteId,
    health: &[Health],
    after: TestId,
    most: i64,
) -> Result<Vec<TestId>, StorageError> {
    match health.is_empty() {
        true => tests::after(db, suite, after, most),
        false => stored::with_health(db, suite, health, after, most),
    }
}

/// The same of the tests in a scope.
fn within(
    db: &mut Db<'_>,
    suite: SuiteId,
    health: &[Health],
    scope: &Scope,
    after: TestId,
    most: i64,
) -> Result<Vec<TestId>, StorageError> {
    let mut ids = scope::find(db, suite, scope)?.tests;
    ids.retain(|id| *id > after);
    if !health.is_empty() {
        let with_health = listed(db, suite, health, after, i64::MAX)?;
        ids.retain(|id| with_health.binary_search(id).is_ok());
    }
    ids.truncate(usize::try_from(most).unwrap_or(0));
    Ok(ids)
}

/// What the detector says of these tests at `now`.
fn judge(
    db: &mut Db<'_>,
    suite: &Suite,
    ids: &[TestId],
    now: Timestamp,
) -> Result<Vec<Judged>, StorageError> {
    let rules = Rules { detection: suite.attributes.sensitivity, resolve: suite.attributes.resolve_rule };
    let found = stored::states_of(db, suite.id, ids)?;
    let mut known = HashMap::new();
    for (test, body, since) in found {
        known.insert(test, (states::unpack(&body)?, since));
    }
    let days = stored::days(db, suite.id, ids, -1_000_000)?;
    // Tests are shown under the names they have everywhere, not in one protocol's spelling.
    let shown = tests::by_ids(db, suite.id, ids, Protocol::Buildkite)?;
    let judged = shown.into_iter().map(|test| {
        let days = days.get(&test.test.id).map_or(&[][..], Vec::as_slice);
        let cells = days.iter().map(|count| (count.day, count.class, count.passed));
        match known.remove(&test.test.id) {
            Some(((state, base), since)) => {
                let passes = base.since(cells).iter().sum();
                let explanation = state.explain(now, passes, rules);
                let policy = policy_of(&state);
                Judged {
                    test,
                    health: explanation.health,
                    since: Some(since),
                    explanation: Some(explanation),
                    policy,
                }
            }
            None => {
                let passes = cells.map(|(_, _, passed)| passed).sum();
                let first = days.iter().map(|count| count.day).min();
                let health = health_without_state(first, passes, now);
                Judged { test, health, since: None, explanation: None, policy: None }
            }
        }
    });
    Ok(judged.collect())
}
