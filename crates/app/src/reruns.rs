//! What clients are told to run again: the flaky tests of a suite with their run counts, kept in memory and brought up to date
//! by version numbers.

mod counts;
mod list;
pub mod prompt;

use crate::{App, on_waiting_thread};
use casebook_model::disposition::Disposition;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::policy::RunCounts;
use casebook_model::suite::Suite;
use casebook_model::test::Identity;
use casebook_model::time::Timestamp;
use casebook_storage::{Db, StorageError, policies};
use counts::{Counted, Wanted};
use list::Kept;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Suites whose lists are kept; past it all are made again.
const MOST_LISTS: usize = 1_000;

/// What clients are told of a suite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RerunList {
    /// Tests that are not treated like all others; the one with the latest evidence last.
    pub tests: Vec<Arc<Listed>>,
    /// Some counts are estimates or of before the latest evidence, and better ones are on their way.
    pub(crate) estimated: bool,
}

/// A test that is not treated like all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The test.
    pub test: TestId,
    /// Its class name and name.
    pub identity: Identity,
    /// The shortest dotted ending of the class name that tells it from other tests of the same name
    /// (`aviator.md` 4.4).
    pub ending: String,
    /// Since when it is under suspicion or known to be flaky, if it is.
    pub opened_at: Option<Timestamp>,
    /// Counts for clients that obey the last run (`aviator.md` 4.5).
    pub last_run_counts: RunCounts,
    /// Counts for clients that need enough passes (detection rules, B.8).
    pub counts: RunCounts,
    /// Whether it runs, and may block.
    pub disposition: Disposition,
    /// Why it is muted or skipped.
    pub reason: Option<String>,
}

impl Listed {
    /// Whether clients that know dispositions treat it differently from other tests.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.counts.max_runs() > 1 || self.disposition != Disposition::Active
    }
}

/// The lists that are kept, by suite. Whoever makes one holds its place, so that many who ask at once make it once.
#[derive(Default)]
pub(crate) struct RerunLists {
    suites: Mutex<HashMap<SuiteId, Arc<Place>>>,
    /// Suites whose tests are being counted.
    counting: Mutex<HashSet<SuiteId>>,
}

/// A suite's place: whoever brings its list up holds it.
#[derive(Default)]
struct Place {
    kept: Mutex<Kept>,
    /// What was told last, and what has come in here since; none if something came in that it does not know.
    latest: Mutex<Option<Arc<RerunList>>>,
}

impl Place {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what was counted meanwhile.
    fn put(&self, counted: Vec<(TestId, Counted)>, now: Timestamp) -> Arc<RerunList> {
        let mut kept = self.lock();
        let list = kept.put(counted, now);
        // Without a list that is known to be up to date, counting changes nothing of that.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.is_some() {
            *latest = Some(Arc::clone(&list));
        }
        drop(latest);
        drop(kept);
        list
    }

    fn set_latest(&self, list: Option<Arc<RerunList>>) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = list;
    }
}

impl RerunLists {
    /// The list of `suite` as of `now`. A few tests are counted for it, unless somebody is at it; the others stay estimated.
    ///
    /// Counting needs histories, and nobody waits for those of others: the place is held only to look at what is known and to
    /// put down what was learned.
    pub(crate) fn get(
        &self,
        db: &mut Db<'_>,
        suite: &Arc<Suite>,
        now: Timestamp,
    ) -> Result<Arc<RerunList>, StorageError> {
        let place = self.place(suite.id);
        let wanted = {
            let mut kept = place.lock();
            let most = match kept.is_new() {
                true => counts::MOST_AT_ONCE,
                false if self.is_counting(suite.id) => 0,
                false => counts::MOST_A_TIME,
            };
            // Looked at under the lock, so that a list never goes back behind one that was answered.
            let versions = policies::versions(db, suite.id)?.ok_or(StorageError::NoSuchSuite)?;
            let list = kept.list(db, suite, versions, now)?;
            place.set_latest(Some(Arc::clone(&list)));
            let wanted = if list.estimated { kept.wanted(now, most) } else { Vec::new() };
            if wanted.is_empty() {
                return Ok(list);
            }
            wanted
        };
        let counted = counts::count(db, suite.id, &wanted, now)?;
        Ok(place.put(counted, now))
    }

    /// Brings the list of `suite` up to what was just stored, if somebody asked for it lately.
    pub(crate) fn bring_up(
        &self,
        db: &mut Db<'_>,
        suite: SuiteId,
        now: Timestamp,
    ) -> Result<(), StorageError> {
        let known = self.suites.lock().unwrap_or_else(PoisonError::into_inner).get(&suite).cloned();
        let Some(place) = known else { return Ok(()) };
        let mut kept = place.lock();
        let list = match kept.suite_asked_for(now) {
            Some(suite) => policies::versions(db, suite.id)
                .and_then(|versions| versions.ok_or(StorageError::NoSuchSuite))
                .and_then(|versions| kept.list(db, &suite, versions, now))
                .map(Some),
            None => Ok(None),
        };
        place.set_latest(list.as_ref().ok().cloned().flatten());
        list.map(drop)
    }

    /// The list of `suite` as it was told last, with what has come in since.
    fn latest(&self, suite: SuiteId) -> Option<Arc<RerunList>> {
        let place = self.suites.lock().unwrap_or_else(PoisonError::into_inner).get(&suite).cloned()?;
        let latest = place.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.clone()
    }

    /// Tests of the suite that are to be counted.
    fn wanted(&self, suite: SuiteId, now: Timestamp) -> Vec<Wanted> {
        self.place(suite).lock().wanted(now, counts::MOST_AT_ONCE)
    }

    fn put(&self, suite: SuiteId, counted: Vec<(TestId, Counted)>, now: Timestamp) {
        self.place(suite).put(counted, now);
    }

    /// Whether nobody counts the suite's tests yet; then the caller does.
    fn begin_counting(&self, suite: SuiteId) -> bool {
        self.counting.lock().unwrap_or_else(PoisonError::into_inner).insert(suite)
    }

    fn is_counting(&self, suite: SuiteId) -> bool {
        self.counting.lock().unwrap_or_else(PoisonError::into_inner).contains(&suite)
    }

    fn end_counting(&self, suite: SuiteId) {
        self.counting.lock().unwrap_or_else(PoisonError::into_inner).remove(&suite);
    }

    fn place(&self, suite: SuiteId) -> Arc<Place> {
        let mut suites = self.suites.lock().unwrap_or_else(PoisonError::into_inner);
        if suites.len() >= MOST_LISTS && !suites.contains_key(&suite) {
            suites.clear();
        }
        Arc::clone(suites.entry(suite).or_default())
    }
}

impl App {
    /// What clients are told of the tests of `suite`.
    ///
    /// # Errors
    /// The database fails, or the suite was deleted.
    pub async fn rerun_list(self: &Arc<Self>, suite: Arc<Suite>) -> Result<Arc<RerunList>, StorageError> {
        let (app, now) = (Arc::clone(self), self.now());
        let id = suite.id;
        let list = self.read(move |db| app.rerun_lists.get(db, &suite, now)).await?;
        self.count_the_rest(id, &list);
        Ok(list)
    }

    /// Goes on counting what an answer did not wait for, while others are answered.
    pub(crate) fn count_the_rest(self: &Arc<Self>, suite: SuiteId, list: &RerunList) {
        if !list.estimated || !self.rerun_lists.begin_counting(suite) {
            return;
        }
        let app = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(error) = app.count(suite).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "run counts stay estimates for now");
            }
            app.rerun_lists.end_counting(suite);
        });
    }

    /// Counts until nothing waits. Only the histories are read by a thread that gives way to others: those who ask would wait
    /// for it if it held the suite's place.
    async fn count(self: &Arc<Self>, suite: SuiteId) -> Result<(), StorageError> {
        loop {
            let (app, now) = (Arc::clone(self), self.now());
            let wanted = on_waiting_thread(move || app.rerun_lists.wanted(suite, now)).await;
            if wanted.is_empty() {
                return Ok(());
            }
            let store = Arc::clone(&self.store);
            let read = move || store.read(|db| counts::count(db, suite, &wanted, now));
            let counted = self.workers.run(read).await?;
            let app = Arc::clone(self);
            on_waiting_thread(move || app.rerun_lists.put(suite, counted, now)).await;
        }
    }

    /// The run counts of the suite's flaky tests, if somebody has set them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn suite_policy(&self, suite: SuiteId) -> Result<Option<RunCounts>, StorageError> {
        self.read(move |db| policies::of_suite(db, suite)).await
    }

    /// Sets the run counts of a test, or without one of the flaky tests of the suite; without counts the history says them
    /// again.
    ///
    /// # Errors
    /// The database fails.
    pub async fn set_policy(
        &self,
        suite: SuiteId,
        test: Option<TestId>,
        counts: Option<RunCounts>,
    ) -> Result<(), StorageError> {
        let now = self.now();
        self.write_decision(move |db| match counts {
            Some(counts) => policies::set(db, suite, test, counts, now),
            None => policies::clear(db, suite, test).map(drop),
        })
        .await
    }
}
