//! Events, written in the transaction that causes them: no change without its event, no event without its change.

use super::Settings;
use super::retry_schedule::MOST_ATTEMPTS;
use casebook_analysis::health::EpisodeChange;
use casebook_model::evidence::EpisodeEnd;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::run::Protocol;
use casebook_model::suite::Suite;
use casebook_model::time::{DAY_US, Timestamp};
use casebook_model::webhook::{EventKind, Webhook};
use casebook_storage::deliveries::{self, NewDelivery};
use casebook_storage::events::{self, NewEvent};
use casebook_storage::{Db, StorageError, detector, suites, tests, webhooks};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// What receivers are told. The values are those of the moment at which it was found out.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    /// What happened.
    pub event: EventKind,
    /// Where.
    pub suite: Suite,
    /// The test's class name.
    pub class_name: String,
    /// The test's name.
    pub name: String,
    /// Time of the evidence that opened the episode.
    pub first_evidence_at: Timestamp,
    /// Time of its latest evidence.
    pub last_evidence_at: Timestamp,
    /// Runs that gave evidence in the last 24 hours.
    pub last_24_hours: i64,
    /// The commit that showed it, if known.
    pub commit: Option<String>,
}

/// Writes an announcement as the bytes that are sent: the business of a protocol.
pub type Render = fn(&Announcement) -> Vec<u8>;

/// Where events go, and who is woken when there are some.
pub(crate) struct Outbox {
    render: Render,
    /// Events written so far, in transactions that are committed, undone, or still open.
    written: AtomicU64,
    pub(crate) due: Notify,
}

/// What happened to an episode.
pub(crate) struct Happening<'a> {
    pub(crate) suite: SuiteId,
    pub(crate) test: TestId,
    pub(crate) change: EpisodeChange,
    /// The commit of the evidence, if the episode was announced now.
    pub(crate) commit: Option<&'a str>,
    /// When it is found out: by the wall clock, not by the results.
    pub(crate) now: Timestamp,
    /// Whether it comes of results that were sent, not of history that was brought.
    pub(crate) notify: bool,
}

impl Outbox {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { render: settings.render, written: AtomicU64::new(0), due: Notify::new() }
    }

    /// Keeps the events that follow from a change of an episode, with a delivery for each webhook that asked for them. Once for
    /// each episode, however often the change is told. Runs inside the transaction that stores the change, after its
    /// evidence.
    ///
    /// # Errors
    /// The database fails.
    pub(crate) fn tell(&self, db: &mut Db<'_>, happening: &Happening<'_>) -> Result<(), StorageError> {
        let Happening { suite, test, change, .. } = *happening;
        if change.announced_now {
            return self.tell_of(db, happening, EventKind::NewFlakyTest, happening.notify);
        }
        let Some((ended_at, how)) = change.ended else { return Ok(()) };
        // Nobody was told of it; it ends as silently.
        if change.announced_at.is_none() || how == EpisodeEnd::Lapsed {
            return Ok(());
        }
        // What was over when it was brought concerns nobody either.
        let announced = events::announced(db, suite, test, i64::from(change.number))?;
        let was_over = announced.is_some_and(|(at, notified)| !notified && ended_at <= at);
        self.tell_of(db, happening, EventKind::ResolvedFlakyTest, happening.notify && !was_over)
    }

    /// Tells of an episode whose end was told and which goes on all the same, because evidence came late that is older than
    /// that end. Runs like [`Self::tell`].
    ///
    /// # Errors
    /// The database fails.
    pub(crate) fn tell_again(&self, db: &mut Db<'_>, happening: &Happening<'_>) -> Result<(), StorageError> {
        let Happening { suite, test, change, notify, .. } = *happening;
        if change.announced_at.is_none() || !events::take_back(db, suite, test, i64::from(change.number))? {
            return Ok(());
        }
        self.tell_of(db, happening, EventKind::NewFlakyTest, notify)
    }

    fn tell_of(
        &self,
        db: &mut Db<'_>,
        happening: &Happening<'_>,
        kind: EventKind,
        notified: bool,
    ) -> Result<(), StorageError> {
        let Happening { suite, test, change, commit, now, notify: _ } = *happening;
        let episode = Some((test, i64::from(change.number)));
        let Some(event) = events::insert(db, &NewEvent { suite, episode, kind, at: now, notified })? else {
            return Ok(());
        };
        let mut asked = if notified { webhooks::lock_of_suite(db, suite)? } else { Vec::new() };
        asked.retain(|webhook| webhook.events.includes(kind));
        if asked.is_empty() {
            return Ok(());
        }
        let found = suites::find_by_id(db, suite)?.zip(tests::find(db, suite, test, Protocol::Aviator)?);
        let Some((suite, shown)) = found else { return Ok(()) };
        let last_24_hours = match kind {
            EventKind::NewFlakyTest => {
                let observed = detector::observed_between(db, suite.id, now.plus(-DAY_US), now)?;
                observed.count(test, change.opened_at)
            }
            _ => 0,
        };
        let body = (self.render)(&Announcement {
            event: kind,
            suite,
            class_name: shown.test.identity.class_name,
            name: shown.test.identity.name,
            first_evidence_at: change.opened_at,
            last_evidence_at: change.last_evidence_at,
            last_24_hours,
            commit: commit.filter(|_| kind == EventKind::NewFlakyTest).map(str::to_owned),
        });
        for webhook in asked {
            let (webhook, most_attempts) = (webhook.id, MOST_ATTEMPTS);
            let delivery = NewDelivery { event, webhook, body: &body, most_attempts, due: now, lease: None };
            deliveries::insert(db, &delivery)?;
        }
        self.written.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Where the outbox is before a transaction, for [`Self::wake`] after it.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Wakes whoever delivers, if events were written since: called when the transaction has ended, not before.
    pub(crate) fn wake(&self, before: u64) {
        if self.written() != before {
            self.due.notify_one();
        }
    }

    /// The body of a test delivery: like that of a flaky test, of a test that plainly is none.
    pub(crate) fn example(&self, webhook: &Webhook, suite: Suite, now: Timestamp) -> Vec<u8> {
        debug_assert_eq!(webhook.suite, suite.id);
        (self.render)(&Announcement {
            event: EventKind::NewFlakyTest,
            suite,
            class_name: "casebook.ExampleOfAWebhook".to_owned(),
            name: "this is a test delivery, no test is flaky".to_owned(),
            first_evidence_at: now,
            last_evidence_at: now,
            last_24_hours: 1,
            commit: None,
        })
    }
}
