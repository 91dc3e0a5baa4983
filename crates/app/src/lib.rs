//! What Casebook does, whoever asks: every protocol, page and command makes the same calls.

pub mod access;
pub mod avocado;
pub mod checks;
pub mod clock;
pub mod detection;
pub mod dispositions;
mod group_commit;
pub mod known_tests;
pub mod machines;
pub mod metrics;
pub mod monitor;
pub mod passwords;
pub mod reruns;
pub mod resources;
pub mod retention;
pub mod runs;
pub mod secrets;
pub mod setup;
pub mod shifts;
pub mod suites;
pub mod tests;
pub mod uploads;
pub mod webhooks;

mod attempts;
mod background;
mod cancel;
mod windows;
mod workers;

use attempts::Attempts;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::public_id::{PublicIdKey, Subject};
use casebook_model::time::Timestamp;
use casebook_storage::{Db, Store, catalog::Catalogs};
use clock::Clock;
use group_commit::GroupCommit;
use metrics::Metrics;
use passwords::Passwords;
use reruns::RerunLists;
use reruns::prompt::Remembered;
use shifts::Follower;
use std::sync::Arc;
use tokio::sync::Notify;
use webhooks::Webhooks;
use windows::Windows;
use workers::Workers;

pub use casebook_storage::StorageError;
pub use casebook_storage::page::{Listed, Page};

/// Who may do what without a credential, in suite `default/default` only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anonymous {
    /// Nothing.
    #[default]
    None,
    /// Read.
    Read,
    /// Read, and send results and records.
    Write,
}

/// How an [`App`] is set up.
pub struct Options {
    /// Where people and programs reach the server, without a final slash.
    pub public_url: String,
    /// What needs no credential.
    pub anonymous: Anonymous,
    /// Where the time comes from.
    pub clock: Clock,
    /// How webhooks are told of events.
    pub webhooks: webhooks::Settings,
    /// Days that runs are kept, of [`retention::DAYS`]; for ever unless told.
    pub keep_days: Option<i64>,
}

/// The running application: everything that requests share.
pub struct App {
    store: Arc<Store>,
    group_commit: GroupCommit,
    passwords: Passwords,
    attempts: Attempts,
    ids: PublicIdKey,
    metrics: Arc<Metrics>,
    /// Reports being read at one time: more than there are processors only take memory.
    workers: Workers,
    /// There are records of deleted suites to clear away.
    cleaning: Notify,
    windows: Windows,
    webhooks: Arc<Webhooks>,
    rerun_lists: Arc<RerunLists>,
    remembered: Remembered,
    known_tests: known_tests::Lists,
    follower: Follower,
    options: Options,
}

impl App {
    /// Takes an opened database into service.
    ///
    /// # Errors
    /// The database fails.
    pub fn start(store: Store, options: Options) -> Result<Arc<Self>, StorageError> {
        let store = Arc::new(store);
        let fresh = secrets::random();
        let ids = store.write(|db| casebook_storage::installation::public_id_key(db, fresh))?;
        let metrics = Arc::new(Metrics::default());
        let webhooks = Webhooks::new(Arc::clone(&store), &options.webhooks, options.clock.clone())?;
        let rerun_lists = Arc::new(RerunLists::default());
        let group_commit = GroupCommit::start(
            Arc::clone(&store),
            Arc::new(Catalogs::default()),
            Arc::clone(&metrics),
            Arc::clone(&webhooks.outbox),
            Arc::clone(&rerun_lists),
            options.clock.clone(),
        );
        let (passwords, attempts) = (Passwords::default(), Attempts::default());
        let cleaning = Notify::new();
        Ok(Arc::new(Self {
            store,
            group_commit,
            passwords,
            attempts,
            ids,
            metrics,
            workers: Workers::start(),
            cleaning,
            windows: Windows::default(),
            webhooks: Arc::new(webhooks),
            rerun_lists,
            remembered: Remembered::default(),
            known_tests: known_tests::Lists::default(),
            follower: Follower::new(secrets::random()),
            options,
        }))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    /// The public id of `subject`.
    #[must_use]
    pub fn public_id(&self, subject: Subject) -> String {
        self.ids.encode(subject)
    }

    /// What a public id stands for.
    #[must_use]
    pub fn subject(&self, public_id: &str) -> Option<Subject> {
        self.ids.decode(public_id)
    }

    /// The number of a test's page.
    #[must_use]
    pub fn test_number(&self, suite: SuiteId, test: TestId) -> i64 {
        self.ids.test_number(suite, test)
    }

    /// The test whose page has that number, if it exists.
    #[must_use]
    pub fn test_of_number(&self, number: i64) -> Option<(SuiteId, TestId)> {
        self.ids.test_of_number(number)
    }

    /// A public id as GraphQL writes it: base64 of kind, three dashes and id.
    #[must_use]
    pub fn graphql_id(&self, kind: &str, public_id: &str) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{kind}---{public_id}"))
    }

    /// Where people and programs reach the server, without a final slash.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.options.public_url
    }

    /// What the server has counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn check_database(&self) -> Result<(), StorageError> {
        self.read(casebook_storage::installation::check).await
    }

    /// Runs `work` with a database connection on a thread that may wait.
    ///
    /// # Errors
    /// What `work` failed with.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db<'_>) -> Result<T, StorageError> + Send + 'static,
    {
        let store = Arc::clone(&self.store);
        on_waiting_thread(move || store.read(work)).await
    }

    /// Like [`Self::read`] for a few indexed look-ups: at once if nothing has to be waited for, because a hop to another thread
    /// costs more than they do.
    ///
    /// # Errors
    /// What `work` failed with.
    pub(crate) async fn look_up<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db<'_>) -> Result<T, StorageError> + Send + 'static,
    {
        match self.store.read_at_once(work) {
            Ok(found) => found,
            Err(work) => self.read(work).await,
        }
    }

    /// Runs `work` in a durable transaction on a thread that may wait.
    ///
    /// # Errors
    /// What `work` failed with; then nothing is changed.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db<'_>) -> Result<T, StorageError> + Send + 'static,
    {
        let store = Arc::clone(&self.store);
        on_waiting_thread(move || store.write(work)).await
    }

    /// Like [`Self::write`] for decisions that change what clients are told: whoever asks after this knows of them.
    ///
    /// # Errors
    /// What `work` failed with; then nothing is changed.
    pub(crate) async fn write_decision<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Db<'_>) -> Result<T, StorageError> + Send + 'static,
    {
        let decided = self.write(work).await;
        self.remembered.forget();
        decided
    }

    /// Runs `work` with the webhooks on a thread that may wait.
    pub async fn with_webhooks<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Webhooks) -> T + Send + 'static,
    ) -> T {
        let webhooks = Arc::clone(&self.webhooks);
        on_waiting_thread(move || work(&webhooks)).await
    }

    /// Whether the secrets of webhooks can be read.
    ///
    /// # Errors
    /// There are some, and the key file is not given, missing, or another one.
    pub fn check_webhook_key(&self) -> Result<(), webhooks::KeyError> {
        self.webhooks.check_key()
    }

    /// Runs the work that is due now and then, and sends deliveries, until `shutdown` says stop.
    pub async fn run_background(self: Arc<Self>, shutdown: tokio::sync::watch::Receiver<bool>) {
        let deliveries = webhooks::dispatcher::run(Arc::clone(&self.webhooks), shutdown.clone());
        tokio::join!(background::run(self, shutdown), deliveries);
    }

    /// Stores what was accepted and stops taking more. Blocks until it is durable.
    pub fn close(&self) {
        self.group_commit.close();
    }
}

/// Runs `work` on a thread that may wait. A panic in it goes on here, where the request ends with it.
pub(crate) async fn on_waiting_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => unreachable!("work on a waiting thread is never cancelled"),
        },
    }
}
