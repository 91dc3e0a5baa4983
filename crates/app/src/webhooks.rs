//! Webhooks: receivers that are told of events, at least once each.
//!
//! An event and its deliveries are written in the transaction that causes it (`outbox`); the `dispatcher` claims what is due
//! with a lease, sends it outside of any transaction, and records what came of it.

mod address_guard;
mod client;
pub(crate) mod dispatcher;
pub(crate) mod outbox;
pub mod retry_schedule;
mod secret;
mod signature;

use crate::clock::Clock;
use crate::secrets;
use casebook_model::id::{DeliveryId, SuiteId, WebhookId};
use casebook_model::public_id::{PublicIdKey, Subject};
use casebook_model::time::Timestamp;
use casebook_model::webhook::{Delivery, DeliveryAttempt, EventKind, Subscription, Webhook};
use casebook_storage::deliveries::{self, NewDelivery};
use casebook_storage::events::{self, NewEvent};
use casebook_storage::{Db, StorageError, Store, installation, suites, webhooks};
use client::Client;
use outbox::Outbox;
use secret::KeyFile;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use address_guard::Refused;
pub use outbox::{Announcement, Render};
pub use secret::{InvalidSecret, KeyError, Secret};

/// How webhooks are served.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What writes announcements as bytes.
    pub render: Render,
    /// The key under which secrets are stored; made when it is first needed.
    pub key_file: Option<PathBuf>,
    /// Whether receivers may be in private and other inside networks.
    pub allow_private: bool,
    /// How long a receiver may take to answer.
    pub timeout: Duration,
}

impl Settings {
    /// Without a key file, to the public internet only, with the documented timeout of 10 s.
    #[must_use]
    pub const fn new(render: Render) -> Self {
        Self { render, key_file: None, allow_private: false, timeout: Duration::from_secs(10) }
    }
}

/// A webhook to be made.
#[derive(Debug, Clone)]
pub struct NewWebhook {
    /// Where it is.
    pub url: String,
    /// What it is told.
    pub events: Subscription,
    /// What signs its deliveries; a random one if none is given.
    pub secret: Option<Secret>,
}

/// What is to change of a webhook; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Where it is.
    pub url: Option<String>,
    /// What it is told.
    pub events: Option<Subscription>,
    /// Whether anything is sent to it. What is due when a pause ends is sent then.
    pub paused: Option<bool>,
}

/// A delivery with everything that is kept of it.
#[derive(Debug, Clone)]
pub struct ShownDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// What is sent.
    pub body: Vec<u8>,
    /// Its attempts, oldest first.
    pub attempts: Vec<DeliveryAttempt>,
}

/// A webhook was not made, changed or tried.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// Its address is refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Its secret cannot be kept or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It is not there.
    #[error("there is no such webhook")]
    NoWebhook,
    /// It is not there.
    #[error("there is no such delivery")]
    NoDelivery,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl casebook_storage::Failure for NotDone {
    fn storage(&self) -> Option<&StorageError> {
        match self {
            Self::Storage(error) | Self::Key(KeyError::Storage(error)) => Some(error),
            _ => None,
        }
    }
}

/// The webhooks of an installation, for its servers and for commands on its database. Everything here blocks.
pub struct Webhooks {
    store: Arc<Store>,
    clock: Clock,
    ids: PublicIdKey,
    keys: KeyFile,
    client: Client,
    allow_private: bool,
    timeout: Duration,
    pub(crate) outbox: Arc<Outbox>,
}

impl Webhooks {
    /// Takes the webhooks of a database into service.
    ///
    /// # Errors
    /// The database fails.
    pub fn new(store: Arc<Store>, settings: &Settings, clock: Clock) -> Result<Self, StorageError> {
        let fresh = secrets::random();
        let ids = store.write(|db| installation::public_id_key(db, fresh))?;
        let Settings { render: _, key_file, allow_private, timeout } = settings.clone();
        let outbox = Arc::new(Outbox::new(settings));
        let (keys, client) = (KeyFile::new(key_file), Client::new(allow_private, timeout));
        Ok(Self { store, clock, ids, keys, client, allow_private, timeout, outbox })
    }

    /// The public id of a webhook.
    #[must_use]
    pub fn webhook_id(&self, webhook: &Webhook) -> String {
        self.ids.encode(Subject::Webhook(webhook.suite, webhook.id))
    }

    fn webhook_id_of(&self, claimed: &deliveries::Claimed) -> String {
        self.ids.encode(Subject::Webhook(claimed.suite, claimed.webhook))
    }

    /// The public id of a delivery: what receivers see as `X-Delivery-Id`.
    #[must_use]
    pub fn delivery_id(&self, suite: SuiteId, delivery: DeliveryId) -> String {
        self.ids.encode(Subject::Delivery(suite, delivery))
    }

    /// Whether the secrets that are stored can be read.
    ///
    /// # Errors
    /// There are some, and the key file is not given, missing, or another one.
    pub fn check_key(&self) -> Result<(), KeyError> {
        self.keys.check(&self.store)
    }

    /// Makes a webhook of a suite, and returns the secret that signs its deliveries.
    ///
    /// # Errors
    /// The address is refused, the secret cannot be kept, or the database fails.
    pub fn create(&self, suite: SuiteId, new: &NewWebhook) -> Result<(Webhook, Secret), NotDone> {
        address_guard::check(&new.url, self.allow_private)?;
        let sealer = self.keys.sealer(&self.store)?;
        let secret = new.secret.clone().unwrap_or_else(Secret::random);
        let now = self.clock.now();
        let webhook = self.store.write(|db| {
            let webhook = webhooks::insert(db, suite, &new.url, &new.events, now)?;
            webhooks::put_secret(db, webhook.id, &sealer.seal(webhook.id, &secret)?)?;
            Ok::<_, NotDone>(webhook)
        })?;
        Ok((webhook, secret))
    }

    /// The webhook with that public id.
    ///
    /// # Errors
    /// There is none, or the database fails.
    pub fn find(&self, public_id: &str) -> Result<Webhook, NotDone> {
        let Some(Subject::Webhook(suite, id)) = self.ids.decode(public_id) else {
            return Err(NotDone::NoWebhook);
        };
        let found = self.store.read(|db| webhooks::find(db, id))?;
        found.filter(|webhook| webhook.suite == suite).ok_or(NotDone::NoWebhook)
    }

    /// The webhooks of a suite, or all, oldest first.
    ///
    /// # Errors
    /// The database fails.
    pub fn list(&self, suite: Option<SuiteId>) -> Result<Vec<Webhook>, StorageError> {
        self.store.read(|db| match suite {
            Some(suite) => webhooks::of_suite(db, suite),
            None => webhooks::list(db),
        })
    }

    /// Changes a webhook.
    ///
    /// # Errors
    /// It is not there, its new address is refused, or the database fails.
    pub fn change(&self, id: WebhookId, change: Change) -> Result<Webhook, NotDone> {
        if let Some(url) = &change.url {
            address_guard::check(url, self.allow_private)?;
        }
        let now = self.clock.now();
        let Change { url, events, paused } = change;
        let webhook = self.store.write(|db| {
            let mut webhook = webhooks::lock(db, id)?.ok_or(NotDone::NoWebhook)?;
            if let Some(url) = url.filter(|url| *url != webhook.url) {
                // Another address has not failed yet.
                (webhook.url, webhook.failing_since) = (url, None);
            }
            webhook.events = events.unwrap_or(webhook.events);
            match paused {
                Some(true) => webhook.paused_at = webhook.paused_at.or(Some(now)),
                // Whoever resumes it has reason to believe that it works again.
                Some(false) => (webhook.paused_at, webhook.failing_since) = (None, None),
                None => {}
            }
            webhooks::update(db, &webhook)?;
            Ok::<_, NotDone>(webhook)
        })?;
        self.outbox.due.notify_one();
        Ok(webhook)
    }

    /// Removes a webhook with its deliveries.
    ///
    /// # Errors
    /// It is not there, or the database fails.
    pub fn remove(&self, id: WebhookId) -> Result<(), NotDone> {
        if self.store.write(|db| webhooks::remove(db, id))? { Ok(()) } else { Err(NotDone::NoWebhook) }
    }

    /// Sends a webhook an example now and once, paused or not.
    ///
    /// # Errors
    /// It is not there, or the database fails; a receiver that fails is told by the attempt.
    pub fn test(&self, webhook: &Webhook) -> Result<ShownDelivery, NotDone> {
        let now = self.clock.now();
        let (token, until) = self.lease(now);
        let claimed = self.store.write(|db| {
            let webhook = webhooks::lock(db, webhook.id)?.ok_or(NotDone::NoWebhook)?;
            let suite = suites::find_by_id(db, webhook.suite)?.ok_or(NotDone::NoWebhook)?;
            let event =
                NewEvent { suite: suite.id, episode: None, kind: EventKind::Test, at: now, notified: true };
            let event = events::insert(db, &event)?.ok_or(NotDone::NoWebhook)?;
            let body = self.outbox.example(&webhook, suite, now);
            let delivery = NewDelivery {
                event,
                webhook: webhook.id,
                body: &body,
                most_attempts: 1,
                due: now,
                lease: Some((token, until)),
            };
            let id = deliveries::insert(db, &delivery)?;
            deliveries::claimed_one(db, id)?.ok_or(NotDone::NoDelivery)
        })?;
        self.attempt(&claimed, &token)?;
        self.show(claimed.suite, claimed.id)
    }

    /// Deliveries to a webhook, newest first: at most `limit` of those before `before`.
    ///
    /// # Errors
    /// The database fails.
    pub fn deliveries(
        &self,
        webhook: WebhookId,
        before: Option<DeliveryId>,
        limit: i64,
    ) -> Result<Vec<Delivery>, StorageError> {
        self.store.read(|db| deliveries::of_webhook(db, webhook, before, limit))
    }

    /// Suite and number of the delivery with that public id, whether it is there or not.
    ///
    /// # Errors
    /// It is no delivery's id.
    pub fn delivery(&self, public_id: &str) -> Result<(SuiteId, DeliveryId), NotDone> {
        match self.ids.decode(public_id) {
            Some(Subject::Delivery(suite, id)) => Ok((suite, id)),
            _ => Err(NotDone::NoDelivery),
        }
    }

    /// A delivery of a suite with everything that is kept of it.
    ///
    /// # Errors
    /// It is not there, or the database fails.
    pub fn show(&self, suite: SuiteId, id: DeliveryId) -> Result<ShownDelivery, NotDone> {
        self.store.read(|db| show(db, suite, id))
    }

    /// Makes a delivery due now, with as many attempts as a new one.
    ///
    /// # Errors
    /// It is not there, or the database fails.
    pub fn redeliver(&self, suite: SuiteId, id: DeliveryId) -> Result<ShownDelivery, NotDone> {
        let now = self.clock.now();
        let shown = self.store.write(|db| {
            let found = show(db, suite, id)?;
            webhooks::lock(db, found.delivery.webhook)?;
            // A test delivery is sent once each time.
            let attempts = match found.delivery.event {
                EventKind::Test => 1,
                EventKind::NewFlakyTest | EventKind::ResolvedFlakyTest => retry_schedule::MOST_ATTEMPTS,
            };
            deliveries::again(db, id, now, attempts)?;
            show(db, suite, id)
        })?;
        self.outbox.due.notify_one();
        Ok(shown)
    }

    /// A claim that holds a little longer than an attempt can take.
    fn lease(&self, now: Timestamp) -> (deliveries::LeaseToken, Timestamp) {
        let length = self.timeout + dispatcher::LEASE_MARGIN;
        (secrets::random(), now.plus(i64::try_from(length.as_micros()).unwrap_or(i64::MAX)))
    }
}

fn show(db: &mut Db<'_>, suite: SuiteId, id: DeliveryId) -> Result<ShownDelivery, NotDone> {
    let delivery = deliveries::find(db, id)?.filter(|delivery| delivery.suite == suite);
    let delivery = delivery.ok_or(NotDone::NoDelivery)?;
    let body = deliveries::body(db, id)?.ok_or(NotDone::NoDelivery)?;
    Ok(ShownDelivery { delivery, body, attempts: deliveries::attempts(db, id)? })
}
