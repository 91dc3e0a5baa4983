//! Deliveries: what is due is claimed with a lease, sent outside any transaction, and recorded if the lease still holds.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::value::{Row, Value, values};
use casebook_model::id::{DeliveryId, SuiteId, TestId, WebhookId};
use casebook_model::time::Timestamp;
use casebook_model::webhook::{Delivery, DeliveryAttempt, DeliveryState, EventKind};

macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ",
            $name,
            " */ select delivery.delivery_id, delivery.webhook_id, webhook.suite_id, event.kind, event.test_id, event.at, \
             delivery.state, delivery.attempts, delivery.next_attempt_at from delivery \
             join webhook on webhook.webhook_id = delivery.webhook_id join event on event.event_id = delivery.event_id ",
            $rest
        )
    };
}

const INSERT: &str = "/* deliveries.insert */ insert into delivery \
     (event_id, webhook_id, body, state, most_attempts, next_attempt_at, lease_token, lease_until) \
     values ($1, $2, $3, 1, $4, $5, $6, $7) returning delivery_id";
const WAITING: &str = "/* deliveries.waiting */ select webhook_id, \
     (select case when failing_since is null then 0 else 1 end from webhook where webhook.webhook_id = delivery.webhook_id) as failing \
     from delivery /*+ delivery_due */ where state = 1 and next_attempt_at <= $1 \
     and (lease_until is null or lease_until <= $1) and not (webhook_id = any($2)) \
     and webhook_id in (select webhook_id from webhook where paused_at is null and (failing_since is null or $4 = 1)) \
     group by webhook_id order by failing, min(next_attempt_at), webhook_id limit $3";
const NEXT_DUE: &str = "/* deliveries.next_due */ select min(case when lease_until > next_attempt_at then lease_until \
     else next_attempt_at end) from delivery /*+ delivery_due */ where state = 1 and not (webhook_id = any($1)) \
     and webhook_id in (select webhook_id from webhook where paused_at is null and (failing_since is null or $2 = 1))";
const CLAIMABLE: &str = "/* deliveries.claimable */ select delivery_id from delivery /*+ delivery_due */ where state = 1 and webhook_id = $1 \
     and next_attempt_at <= $2 and (lease_until is null or lease_until <= $2) \
     order by next_attempt_at, delivery_id limit $3 for update skip locked";
const CLAIM: &str = "/* deliveries.claim */ update delivery set lease_token = $2, lease_until = $3 where delivery_id = any($1)";
const CLAIMED: &str = "/* deliveries.claimed */ select delivery.delivery_id, webhook.webhook_id, webhook.suite_id, webhook.url, webhook.secret, \
     delivery.body, delivery.attempts, delivery.most_attempts, event.kind, delivery.next_attempt_at from delivery \
     join webhook on webhook.webhook_id = delivery.webhook_id join event on event.event_id = delivery.event_id \
     where delivery.delivery_id = any($1) order by delivery.next_attempt_at, delivery.delivery_id";
const LEFT: &str = "/* deliveries.left */ select most_attempts - attempts, next_attempt_at from delivery where delivery_id = $1 and lease_token = $2 \
     for update";
const FINISH: &str = "/* deliveries.finish */ update delivery set state = $2, next_attempt_at = $3, attempts = attempts + 1, \
     lease_token = null, lease_until = null where delivery_id = $1 returning attempts";
const INSERT_ATTEMPT: &str = "/* deliveries.insert_attempt */ insert into delivery_attempt \
     (delivery_id, attempt, at, status, error, duration_us) values ($1, $2, $3, $4, $5, $6)";
const AGAIN: &str = "/* deliveries.again */ update delivery set state = 1, next_attempt_at = $2, most_attempts = attempts + $3 \
     where delivery_id = $1";
const FIND: &str = select!("deliveries.find", "where delivery.delivery_id = $1");
const OF_WEBHOOK: &str = select!(
    "deliveries.of_webhook",
    "where delivery.webhook_id = $1 and delivery.delivery_id < $2 order by delivery.delivery_id desc limit $3"
);
const BODY: &str = "/* deliveries.body */ select body from delivery where delivery_id = $1";
const ATTEMPTS: &str = "/* deliveries.attempts */ select attempt, at, status, error, duration_us from delivery_attempt \
     where delivery_id = $1 order by attempt";

/// What proves a claim.
pub type LeaseToken = [u8; 16];

/// A delivery that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct NewDelivery<'a> {
    /// What happened.
    pub event: i64,
    /// Who is told.
    pub webhook: WebhookId,
    /// What is sent.
    pub body: &'a [u8],
    /// Attempts after which it is given up.
    pub most_attempts: i64,
    /// When it is sent first.
    pub due: Timestamp,
    /// The claim of whoever sends it at once, and until when it holds.
    pub lease: Option<(LeaseToken, Timestamp)>,
}

/// A delivery that was claimed, with all that sending it takes.
#[derive(Clone)]
pub struct Claimed {
    /// The delivery.
    pub id: DeliveryId,
    /// Where it goes.
    pub webhook: WebhookId,
    /// The suite of both.
    pub suite: SuiteId,
    /// The address.
    pub url: String,
    /// The sealed secret.
    pub secret: Vec<u8>,
    /// What is sent.
    pub body: Vec<u8>,
    /// Attempts made so far.
    pub attempts: i64,
    /// Attempts after which it is given up.
    pub most_attempts: i64,
    /// What happened.
    pub event: EventKind,
    /// When it was due.
    pub due: Timestamp,
}

/// Makes a delivery.
///
/// # Errors
/// The database fails.
pub fn insert(db: &mut Db<'_>, delivery: &NewDelivery<'_>) -> Result<DeliveryId, StorageError> {
    let NewDelivery { event, webhook, body, most_attempts, due, lease } = delivery;
    let token = lease.as_ref().map(|(token, _)| token.as_slice());
    let until = lease.map(|(_, until)| until.as_microseconds());
    let due = due.as_microseconds();
    let values = values![*event, webhook.get(), *body, *most_attempts, due, token, until];
    Ok(DeliveryId(db.get(INSERT, values, |row| row.get(0))?))
}

/// Webhooks for which there is room.
#[derive(Debug, Clone)]
pub struct Room {
    /// Not these.
    pub busy: Vec<WebhookId>,
    /// Also those whose last attempt failed.
    pub failing: bool,
}

impl Room {
    fn busy(&self) -> Vec<i64> {
        self.busy.iter().map(|id| id.get()).collect()
    }
}

/// Webhooks that have something due, and whether their last attempt failed: those come last, of the others the longest
/// waiting first; at most `most`.
///
/// # Errors
/// The database fails.
pub fn waiting(
    db: &mut Db<'_>,
    now: Timestamp,
    room: &Room,
    most: i64,
) -> Result<Vec<(WebhookId, bool)>, StorageError> {
    let busy = room.busy();
    let values =
        [now.as_microseconds().into(), Value::Ints(&busy), most.into(), i64::from(room.failing).into()];
    db.query(WAITING, &values, |row| Ok((WebhookId(row.get(0)?), row.flag(1)?)))
}

/// When something is due next, leases that end included, of webhooks for which there is room.
///
/// # Errors
/// The database fails.
pub fn next_due(db: &mut Db<'_>, room: &Room) -> Result<Option<Timestamp>, StorageError> {
    let busy = room.busy();
    let values = [Value::Ints(&busy), i64::from(room.failing).into()];
    let found: Option<i64> = db.get(NEXT_DUE, &values, |row| row.get(0))?;
    Ok(found.map(Timestamp))
}

/// Claims what is due of a webhook, at most `most`, until `until`. Runs inside a transaction.
///
/// # Errors
/// The database fails.
pub fn claim(
    db: &mut Db<'_>,
    webhook: WebhookId,
    now: Timestamp,
    most: i64,
    token: &LeaseToken,
    until: Timestamp,
) -> Result<Vec<Claimed>, StorageError> {
    let values = values![webhook.get(), now.as_microseconds(), most];
    let ids: Vec<i64> = db.query(CLAIMABLE, values, |row| row.get(0))?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    db.execute(CLAIM, &[Value::Ints(&ids), token.into(), until.as_microseconds().into()])?;
    claimed(db, &ids)
}

/// What sending a delivery takes, for whoever made it with a lease.
///
/// # Errors
/// The database fails.
pub fn claimed_one(db: &mut Db<'_>, id: DeliveryId) -> Result<Option<Claimed>, StorageError> {
    Ok(claimed(db, &[id.get()])?.pop())
}

fn claimed(db: &mut Db<'_>, ids: &[i64]) -> Result<Vec<Claimed>, StorageError> {
    db.query(CLAIMED, &[Value::Ints(ids)], |row| {
        let kind = row.get(8)?;
        Ok(Claimed {
            id: DeliveryId(row.get(0)?),
            webhook: WebhookId(row.get(1)?),
            suite: SuiteId(row.get(2)?),
            url: row.get(3)?,
            secret: row.get(4)?,
            body: row.get(5)?,
            attempts: row.get(6)?,
            most_attempts: row.get(7)?,
            event: member(EventKind::from_code(kind), kind, "event.kind")?,
            due: Timestamp(row.get(9)?),
        })
    })
}

/// Attempts that are left to a claimed delivery, the present one included, and when it is due: later than when it was claimed
/// if somebody asked meanwhile for it to be sent again. None if the claim was lost to somebody else. Runs inside the
/// transaction that ends the claim.
///
/// # Errors
/// The database fails.
pub fn attempts_left(
    db: &mut Db<'_>,
    id: DeliveryId,
    token: &LeaseToken,
) -> Result<Option<(i64, Timestamp)>, StorageError> {
    db.find(LEFT, values![id.get(), token], |row| Ok((row.get(0)?, Timestamp(row.get(1)?))))
}

/// Records an attempt, which gets its number here, and what follows from it, and ends the claim. Runs inside a transaction
/// that has locked the webhook and asked for [`attempts_left`].
///
/// # Errors
/// The database fails.
pub fn finish(
    db: &mut Db<'_>,
    id: DeliveryId,
    state: DeliveryState,
    next: Option<Timestamp>,
    attempt: &DeliveryAttempt,
) -> Result<(), StorageError> {
    let next = next.map(Timestamp::as_microseconds);
    let number: i64 = db.get(FINISH, values![id.get(), state.code(), next], |row| row.get(0))?;
    let DeliveryAttempt { number: _, at, status, error, duration_us } = attempt;
    let (at, error) = (at.as_microseconds(), error.as_deref());
    db.execute(INSERT_ATTEMPT, values![id.get(), number, at, *status, error, *duration_us])?;
    Ok(())
}

/// Makes a delivery due at `now` with `attempts` more attempts, however far it is.
///
/// # Errors
/// The database fails.
pub fn again(db: &mut Db<'_>, id: DeliveryId, now: Timestamp, attempts: i64) -> Result<(), StorageError> {
    db.execute(AGAIN, values![id.get(), now.as_microseconds(), attempts])?;
    Ok(())
}

/// The delivery with that number.
///
/// # Errors
/// The database fails.
pub fn find(db: &mut Db<'_>, id: DeliveryId) -> Result<Option<Delivery>, StorageError> {
    db.find(FIND, values![id.get()], read)
}

/// Deliveries to a webhook, newest first: at most `limit` of those before `before`.
///
/// # Errors
/// The database fails.
pub fn of_webhook(
    db: &mut Db<'_>,
    webhook: WebhookId,
    before: Option<DeliveryId>,
    limit: i64,
) -> Result<Vec<Delivery>, StorageError> {
    let before = before.map_or(i64::from(i32::MAX), DeliveryId::get);
    db.query(OF_WEBHOOK, values![webhook.get(), before, limit], read)
}

/// What a delivery sends.
///
/// # Errors
/// The database fails.
pub fn body(db: &mut Db<'_>, id: DeliveryId) -> Result<Option<Vec<u8>>, StorageError> {
    db.find(BODY, values![id.get()], |row| row.get(0))
}

/// The attempts of a delivery, oldest first.
///
/// # Errors
/// The database fails.
pub fn attempts(db: &mut Db<'_>, id: DeliveryId) -> Result<Vec<DeliveryAttempt>, StorageError> {
    db.query(ATTEMPTS, values![id.get()], |row| {
        Ok(DeliveryAttempt {
            number: row.get(0)?,
            at: Timestamp(row.get(1)?),
            status: row.get(2)?,
            error: row.get(3)?,
            duration_us: row.get(4)?,
        })
    })
}

fn read(row: &Row<'_>) -> Result<Delivery, StorageError> {
    let (kind, state) = (row.get(3)?, row.get(6)?);
    Ok(Delivery {
        id: DeliveryId(row.get(0)?),
        webhook: WebhookId(row.get(1)?),
        suite: SuiteId(row.get(2)?),
        event: member(EventKind::from_code(kind), kind, "event.kind")?,
        test: row.get::<Option<i64>>(4)?.map(TestId),
        created_at: Timestamp(row.get(5)?),
        state: member(DeliveryState::from_code(state), state, "delivery.state")?,
        attempts: row.get(7)?,
        next_attempt_at: row.get::<Option<i64>>(8)?.map(Timestamp),
    })
}
