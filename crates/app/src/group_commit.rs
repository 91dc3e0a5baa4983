//! Group commit: uploads that wait at the same time share one durable transaction.
//!
//! On SQLite one thread takes everything that waits, of any suite. On PostgreSQL a transaction touches one suite, several
//! threads take different suites, and a suite is never in two hands, because its fold is serial.

use crate::clock::Clock;
use crate::detection::{Detection, Detector};
use crate::metrics::Metrics;
use crate::reruns::RerunLists;
use crate::webhooks::outbox::Outbox;
use crate::workers;
use casebook_model::id::SuiteId;
use casebook_storage::catalog::Catalogs;
use casebook_storage::ingest::{self, NewUpload, Receipt, Refusal};
use casebook_storage::{Engine, StorageError, Store};
use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Results in one transaction at most: bounds memory and the time others wait.
const MOST_RESULTS: usize = 10_000;

/// Uploads in one transaction at most.
const MOST_UPLOADS: usize = 512;

/// Threads that write to PostgreSQL, each for one suite at a time.
const POSTGRES_WRITERS: usize = 4;

/// An upload was not stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotRecorded {
    /// The database failed.
    #[error("the results could not be stored: send them again later")]
    Storage(#[source] Arc<StorageError>),
    /// The suite was deleted while the results were on their way.
    #[error("there is no such suite")]
    NoSuchSuite,
    /// The protocol of the upload refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server is stopping.
    #[error("the server is stopping: send the results again later")]
    Closed,
}

impl From<StorageError> for NotRecorded {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::NoSuchSuite => Self::NoSuchSuite,
            error => Self::Storage(Arc::new(error)),
        }
    }
}

struct Job {
    upload: NewUpload,
    done: oneshot::Sender<Answer>,
}

/// What became of an upload, and the upload itself: whoever asked frees its memory, not the one thread that writes.
type Answer = (Stored, NewUpload);

/// What came of one upload.
type Stored = Result<Receipt, NotRecorded>;

/// A group was not stored.
struct GroupFailed {
    error: NotRecorded,
    /// One of its uploads failed, not the database.
    by_upload: bool,
}

/// Jobs of a few suites that go into one transaction.
type Group = Vec<(SuiteId, Vec<Job>)>;

#[derive(Default)]
struct State {
    waiting: HashMap<SuiteId, VecDeque<Job>>,
    /// Suites with waiting jobs, in the order in which they began to wait.
    order: VecDeque<SuiteId>,
    in_hand: HashSet<SuiteId>,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    store: Arc<Store>,
    catalogs: Arc<Catalogs>,
    detector: Detector,
    metrics: Arc<Metrics>,
    outbox: Arc<Outbox>,
    rerun_lists: Arc<RerunLists>,
    clock: Clock,
    /// Groups that are being stored.
    storing: AtomicUsize,
}

/// Takes uploads in, and answers when they are durable.
pub(crate) struct GroupCommit {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl GroupCommit {
    pub(crate) fn start(
        store: Arc<Store>,
        catalogs: Arc<Catalogs>,
        metrics: Arc<Metrics>,
        outbox: Arc<Outbox>,
        rerun_lists: Arc<RerunLists>,
        clock: Clock,
    ) -> Self {
        let writers = match store.engine() {
            Engine::Sqlite => 1,
            Engine::Postgres => POSTGRES_WRITERS,
        };
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
            store,
            catalogs,
            detector: Detector::default(),
            metrics,
            outbox,
            rerun_lists,
            clock,
            storing: AtomicUsize::new(0),
        });
        let threads = (0..writers)
            .map(|number| {
                let shared = Arc::clone(&shared);
                let name = format!("casebook-writer-{number}");
                workers::spawn(name, move || shared.work())
            })
            .collect();
        Self { shared, threads: Mutex::new(threads) }
    }

    /// Stores `upload`; the answer comes when it is durable.
    pub(crate) async fn record(&self, upload: NewUpload) -> Result<Receipt, NotRecorded> {
        let (done, answer) = oneshot::channel();
        {
            let mut state = self.shared.lock();
            if state.closed {
                return Err(NotRecorded::Closed);
            }
            let suite = upload.suite;
            let waiting = state.waiting.entry(suite).or_default();
            let first = waiting.is_empty();
            waiting.push_back(Job { upload, done });
            if first {
                state.order.push_back(suite);
            }
        }
        self.shared.changed.notify_one();
        answer.await.map_or(Err(NotRecorded::Closed), |(result, _upload)| result)
    }

    /// Whether uploads are being stored.
    pub(crate) fn is_storing(&self) -> bool {
        self.shared.storing.load(Ordering::Acquire) > 0
    }

    /// Stores what waits, then ends the threads. Later uploads are refused.
    pub(crate) fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a writer thread had panicked");
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(group) = self.next_group() {
            let suites: Vec<SuiteId> = group.iter().map(|(suite, _)| *suite).collect();
            // A panic must not take this thread away: everybody after it would wait for ever. The senders of the answers are
            // gone with it, so the uploads of the group are refused.
            let stored = catch_unwind(AssertUnwindSafe(|| self.store_group(group)));
            if stored.is_err() {
                tracing::error!("storing a group of uploads panicked; it was refused");
                self.catalogs.forget(suites.iter().copied());
            }
            let mut state = self.lock();
            for suite in suites {
                state.in_hand.remove(&suite);
            }
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Waits for work; none when the server stops and everything is stored.
    fn next_group(&self) -> Option<Group> {
        let most_suites = match self.store.engine() {
            Engine::Sqlite => usize::MAX,
            Engine::Postgres => 1,
        };
        let mut state = self.lock();
        loop {
            let group = state.take(most_suites);
            if !group.is_empty() {
                return Some(group);
            }
            if state.closed && state.order.is_empty() {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn store_group(&self, group: Group) {
        let uploads: usize = group.iter().map(|(_, jobs)| jobs.len()).sum();
        self.metrics.group_size.observe(uploads as f64);
        let (prepared, answers): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|(suite, jobs)| {
                let (uploads, done): (Vec<_>, Vec<_>) =
                    jobs.into_iter().map(|job| (job.upload, job.done)).unzip();
                ((suite, uploads), done)
            })
            .unzip();
        let group: Vec<(SuiteId, &[NewUpload])> =
            prepared.iter().map(|(suite, uploads)| (*suite, uploads.as_slice())).collect();
        let storing = Storing::begin(&self.storing);
        let results = self.store_together(&group).unwrap_or_else(|failed| self.store_alone(&group, &failed));
        // Whoever is answered finds it ended.
        drop(storing);
        let uploads = prepared.into_iter().flat_map(|(_, uploads)| uploads);
        for ((answer, result), upload) in answers.into_iter().flatten().zip(results).zip(uploads) {
            self.count(&result, &upload);
            // The client may have gone away; its results are stored all the same.
            drop(answer.send((result, upload)));
        }
    }

    /// Stores everything in one transaction, or nothing.
    fn store_together(&self, group: &[(SuiteId, &[NewUpload])]) -> Result<Vec<Stored>, GroupFailed> {
        let written = self.outbox.written();
        let mut by_upload = false;
        let results = self.store.write(|db| {
            let mut all = Vec::new();
            for (suite, uploads) in group {
                let mut detection = Detection::new(&self.detector, &self.outbox);
                let answers = ingest::record(db, *suite, uploads, &self.catalogs, &mut detection)
                    .inspect_err(|error| by_upload = !error.is_connection_lost())?;
                all.extend(answers.into_iter().map(|answer| answer.map_err(NotRecorded::Refused)));
            }
            Ok::<_, StorageError>(all)
        });
        self.outbox.wake(written);
        if results.is_ok() {
            self.bring_up_lists(group);
        }
        results.map_err(|error| {
            let suites = || group.iter().map(|(suite, _)| *suite);
            self.catalogs.forget(suites());
            self.detector.forget(suites());
            tracing::error!(
                error = &error as &dyn std::error::Error,
                uploads = group.iter().map(|(_, uploads)| uploads.len()).sum::<usize>(),
                "uploads were not stored"
            );
            GroupFailed { error: NotRecorded::from(error), by_upload }
        })
    }

    /// Stores the uploads of a group that failed one by one, so that a bad one harms no other; none if it was not an upload
    /// that failed but the database.
    fn store_alone(&self, group: &[(SuiteId, &[NewUpload])], failed: &GroupFailed) -> Vec<Stored> {
        let uploads =
            || group.iter().flat_map(|(suite, uploads)| uploads.iter().map(|upload| (*suite, upload)));
        if !failed.by_upload || uploads().nth(1).is_none() {
            return uploads().map(|_| Err(failed.error.clone())).collect();
        }
        let alone = |(suite, upload): (SuiteId, &NewUpload)| {
            let stored = self.store_together(&[(suite, std::slice::from_ref(upload))]);
            stored.map_or_else(|failed| Err(failed.error), |mut stored| stored.remove(0))
        };
        uploads().map(alone).collect()
    }

    /// Lets clients be told of what was stored before its sender is answered.
    fn bring_up_lists(&self, group: &[(SuiteId, &[NewUpload])]) {
        let now = self.clock.now();
        for (suite, _) in group {
            if let Err(error) = self.store.read(|db| self.rerun_lists.bring_up(db, *suite, now)) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a list is made when it is asked for"
                );
            }
        }
    }

    fn count(&self, result: &Result<Receipt, NotRecorded>, upload: &NewUpload) {
        let Ok(receipt) = result else { return };
        let stored = receipt.accepted > 0 || receipt.duplicate == 0;
        self.metrics.uploads.inc_by(u64::from(stored));
        self.metrics.results.inc_by(receipt.accepted.max(0).cast_unsigned());
        self.metrics.duplicates.inc_by(receipt.duplicate.max(0).cast_unsigned());
        self.metrics.rejected.inc_by((receipt.rejected + upload.rejected).max(0).cast_unsigned());
    }
}

/// A group that is being stored, until this is dropped.
struct Storing<'a>(&'a AtomicUsize);

impl<'a> Storing<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }
}

impl Drop for Storing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl State {
    /// Takes what fits into one transaction, of at most `most_suites` suites that are in nobody's hand.
    fn take(&mut self, most_suites: usize) -> Group {
        let mut group = Group::new();
        let (mut uploads, mut results) = (0, 0);
        let mut later = VecDeque::new();
        while let Some(suite) = self.order.pop_front() {
            let full = uploads >= MOST_UPLOADS || results >= MOST_RESULTS || group.len() >= most_suites;
            let (false, false, Some(waiting)) =
                (full, self.in_hand.contains(&suite), self.waiting.get_mut(&suite))
            else {
                later.push_back(suite);
                continue;
            };
            let mut jobs = Vec::new();
            while let Some(job) = waiting.front() {
                let size = job.upload.results.len();
                if uploads > 0 && (uploads >= MOST_UPLOADS || results + size > MOST_RESULTS) {
                    break;
                }
                uploads += 1;
                results += size;
                jobs.extend(waiting.pop_front());
            }
            if waiting.is_empty() {
                self.waiting.remove(&suite);
            } else {
                later.push_back(suite);
            }
            if !jobs.is_empty() {
                self.in_hand.insert(suite);
                group.push((suite, jobs));
            }
        }
        self.order = later;
        group
    }
}
