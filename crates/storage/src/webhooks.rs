//! Webhooks. Secrets are bytes that only the application can read.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::{Row, values};
use casebook_model::id::{SuiteId, WebhookId};
use casebook_model::time::Timestamp;
use casebook_model::webhook::{Subscription, Webhook};

macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ",
            $name,
            " */ select webhook_id, suite_id, url, events, created_at, paused_at, failing_since from webhook ",
            $rest
        )
    };
}

const INSERT: &str = "/* webhooks.insert */ insert into webhook (suite_id, url, events, secret, created_at) \
     values ($1, $2, $3, $4, $5) returning webhook_id";
const PUT_SECRET: &str = "/* webhooks.put_secret */ update webhook set secret = $2 where webhook_id = $1";
const SECRET: &str = "/* webhooks.secret */ select secret from webhook where webhook_id = $1";
const FIND: &str = select!("webhooks.find", "where webhook_id = $1");
const LOCK: &str = select!("webhooks.lock", "where webhook_id = $1 for update");
const LIST: &str = select!("webhooks.list", "order by webhook_id");
const OF_SUITE: &str = select!("webhooks.of_suite", "where suite_id = $1 order by webhook_id");
const LOCK_OF_SUITE: &str =
    select!("webhooks.lock_of_suite", "where suite_id = $1 order by webhook_id for update");
const UPDATE: &str = "/* webhooks.update */ update webhook set url = $2, events = $3, paused_at = $4, failing_since = $5 \
     where webhook_id = $1";
const DELETE_ATTEMPTS: &str = "/* webhooks.delete_attempts */ delete from delivery_attempt where delivery_id in \
     (select delivery_id from delivery where webhook_id = $1)";
const DELETE_DELIVERIES: &str = "/* webhooks.delete_deliveries */ delete from delivery where webhook_id = $1";
const DELETE: &str = "/* webhooks.delete */ delete from webhook where webhook_id = $1";

/// Makes a webhook. Its secret is stored afterwards ([`put_secret`]), because it is bound to the webhook's number. Runs
/// inside a transaction.
///
/// # Errors
/// The database fails.
pub fn insert(
    db: &mut Db<'_>,
    suite: SuiteId,
    url: &str,
    events: &Subscription,
    now: Timestamp,
) -> Result<Webhook, StorageError> {
    let none: &[u8] = &[];
    let words = events.to_string();
    let values = values![suite.get(), url, &words, none, now.as_microseconds()];
    let id = WebhookId(db.get(INSERT, values, |row| row.get(0))?);
    let (url, events) = (url.to_owned(), events.clone());
    Ok(Webhook { id, suite, url, events, created_at: now, paused_at: None, failing_since: None })
}

/// Stores a webhook's sealed secret.
///
/// # Errors
/// The database fails.
pub fn put_secret(db: &mut Db<'_>, id: WebhookId, sealed: &[u8]) -> Result<(), StorageError> {
    db.execute(PUT_SECRET, values![id.get(), sealed])?;
    Ok(())
}

/// The sealed secret of a webhook, if it is still there.
///
/// # Errors
/// The database fails.
pub fn secret(db: &mut Db<'_>, id: WebhookId) -> Result<Option<Vec<u8>>, StorageError> {
    db.find(SECRET, values![id.get()], |row| row.get(0))
}

/// The webhook with that number.
///
/// # Errors
/// The database fails.
pub fn find(db: &mut Db<'_>, id: WebhookId) -> Result<Option<Webhook>, StorageError> {
    db.find(FIND, values![id.get()], read)
}

/// The webhook with that number, which nobody else changes until the transaction ends.
///
/// # Errors
/// The database fails.
pub fn lock(db: &mut Db<'_>, id: WebhookId) -> Result<Option<Webhook>, StorageError> {
    db.find(LOCK, values![id.get()], read)
}

/// Every webhook, oldest first.
///
/// # Errors
/// The database fails.
pub fn list(db: &mut Db<'_>) -> Result<Vec<Webhook>, StorageError> {
    db.query(LIST, &[], read)
}

/// The webhooks of a suite, oldest first.
///
/// # Errors
/// The database fails.
pub fn of_suite(db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<Webhook>, StorageError> {
    db.query(OF_SUITE, values![suite.get()], read)
}

/// The webhooks of a suite, which nobody removes until the transaction ends.
///
/// # Errors
/// The database fails.
pub fn lock_of_suite(db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<Webhook>, StorageError> {
    db.query(LOCK_OF_SUITE, values![suite.get()], read)
}

/// Stores what can change of a webhook: address, events, pause and failing.
///
/// # Errors
/// The database fails.
pub fn update(db: &mut Db<'_>, webhook: &Webhook) -> Result<(), StorageError> {
    let Webhook { id, suite: _, url, events, created_at: _, paused_at, failing_since } = webhook;
    let [paused_at, failing_since] =
        [paused_at, failing_since].map(|time| time.map(Timestamp::as_microseconds));
    db.execute(UPDATE, values![id.get(), url, &events.to_string(), paused_at, failing_since])?;
    Ok(())
}

/// Removes a webhook with its deliveries; false if it is not there. Runs inside a transaction.
///
/// # Errors
/// The database fails.
pub fn remove(db: &mut Db<'_>, id: WebhookId) -> Result<bool, StorageError> {
    // Whoever records an attempt locks the webhook first, and finds it gone.
    if lock(db, id)?.is_none() {
        return Ok(false);
    }
    for statement in [DELETE_ATTEMPTS, DELETE_DELIVERIES, DELETE] {
        db.execute(statement, values![id.get()])?;
    }
    Ok(true)
}

fn read(row: &Row<'_>) -> Result<Webhook, StorageError> {
    let events: String = row.get(3)?;
    let words = events.split(',').filter(|word| !word.is_empty());
    let events = Subscription::parse(words)
        .map_err(|error| StorageError::Damaged { place: "webhook.events", found: error.to_string() })?;
    Ok(Webhook {
        id: WebhookId(row.get(0)?),
        suite: SuiteId(row.get(1)?),
        url: row.get(2)?,
        events,
        created_at: Timestamp(row.get(4)?),
        paused_at: row.get::<Option<i64>>(5)?.map(Timestamp),
        failing_since: row.get::<Option<i64>>(6)?.map(Timestamp),
    })
}
