//! Sends what is due: claim, commit, send, record. Every server runs one; leases keep them out of each other's way.

use super::client::{Message, Outcome};
use super::retry_schedule::{self, PATIENCE};
use super::{Webhooks, secret::KeyError};
use crate::background::stopped;
use crate::{on_waiting_thread, secrets};
use casebook_model::id::WebhookId;
use casebook_model::time::Timestamp;
use casebook_model::webhook::{DeliveryAttempt, DeliveryState, EventKind};
use casebook_storage::deliveries::{self, Claimed, LeaseToken, Room};
use casebook_storage::{StorageError, webhooks};
use std::collections::HashMap;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Deliveries that one server sends at a time.
const MOST_IN_FLIGHT: usize = 32;

/// Deliveries of them to one webhook while most places are free, and the places that count as most: past them each webhook
/// gets one at a time.
const MOST_TO_ONE: usize = 4;
const PLENTY: usize = 20;

/// Deliveries of them to webhooks whose last attempt failed, each of which gets one at a time: however many receivers hang,
/// there is room for the others.
const MOST_TO_FAILING: usize = 12;

/// How long a claim outlives the longest attempt. After it another server takes the delivery over.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_secs(30);

/// The longest time between two looks for what is due, and the shortest after a look that found nothing it could claim.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

/// Deliveries being sent, by webhook.
#[derive(Debug, Clone, Default)]
struct Flight {
    total: usize,
    failing: usize,
    /// How many to each, and whether it was failing when the last began.
    by_webhook: HashMap<WebhookId, (usize, bool)>,
}

/// A delivery being sent.
#[derive(Debug, Clone, Copy)]
struct Sent {
    to: WebhookId,
    /// The last attempt to send there failed.
    failing: bool,
}

impl Flight {
    fn start(&mut self, sent: Sent) {
        self.total += 1;
        self.failing += usize::from(sent.failing);
        let (count, failing) = self.by_webhook.entry(sent.to).or_default();
        *count += 1;
        *failing = sent.failing;
    }

    fn land(&mut self, sent: Sent) {
        self.total -= 1;
        self.failing -= usize::from(sent.failing);
        if let Some((left, _)) = self.by_webhook.get_mut(&sent.to) {
            *left -= 1;
            if *left == 0 {
                self.by_webhook.remove(&sent.to);
            }
        }
    }

    fn room_for(&self, webhook: WebhookId, failing: bool) -> usize {
        let taken = self.by_webhook.get(&webhook).map_or(0, |(count, _)| *count);
        let at_once = match failing || self.total >= PLENTY {
            true => 1,
            false => MOST_TO_ONE.min(PLENTY - self.total + taken),
        };
        let free = if failing { MOST_TO_FAILING.saturating_sub(self.failing) } else { MOST_IN_FLIGHT };
        (MOST_IN_FLIGHT - self.total).min(at_once.saturating_sub(taken)).min(free)
    }

    fn room(&self) -> Room {
        let all = self.by_webhook.iter();
        let full = all.filter(|(webhook, (_, failing))| self.room_for(**webhook, *failing) == 0);
        let busy = full.map(|(webhook, _)| *webhook).collect();
        Room { busy, failing: self.failing < MOST_TO_FAILING }
    }
}

/// Says that an attempt has ended, also when it panics.
struct Landing(Sent, mpsc::UnboundedSender<Sent>);

impl Drop for Landing {
    fn drop(&mut self) {
        // Nobody listens only when the server has stopped.
        let _ = self.1.send(self.0);
    }
}

/// Sends until `shutdown` says stop; what is on its way then is finished.
pub(crate) async fn run(webhooks: Arc<Webhooks>, mut shutdown: watch::Receiver<bool>) {
    let (done, mut landed) = mpsc::unbounded_channel();
    let mut flight = Flight::default();
    while !*shutdown.borrow() {
        let (claiming, known) = (Arc::clone(&webhooks), flight.clone());
        let looked = on_waiting_thread(move || claiming.claim(known)).await;
        let (claimed, wait) = looked.unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "deliveries that are due were not claimed"
            );
            (Vec::new(), LONGEST_WAIT)
        });
        for Started { claimed, token, sent } in claimed {
            flight.start(sent);
            send(Arc::clone(&webhooks), claimed, token, Landing(sent, done.clone()));
        }
        tokio::select! {
            Some(sent) = landed.recv() => flight.land(sent),
            _ = tokio::time::timeout(wait, webhooks.outbox.due.notified()) => {}
            () = stopped(&mut shutdown) => {}
        }
        while let Ok(sent) = landed.try_recv() {
            flight.land(sent);
        }
    }
    while flight.total > 0 {
        let Some(sent) = landed.recv().await else { return };
        flight.land(sent);
    }
}

/// Sends on a thread of its own: it waits for the network, and must not keep those from work that wait for the database.
fn send(webhooks: Arc<Webhooks>, claimed: Claimed, token: LeaseToken, landing: Landing) {
    let work = move || {
        let _landing = landing;
        if let Err(error) = webhooks.attempt(&claimed, &token) {
            let delivery = webhooks.delivery_id(claimed.suite, claimed.id);
            tracing::error!(
                error = &error as &dyn std::error::Error,
                delivery,
                "an attempt was not recorded"
            );
        }
    };
    if let Err(error) = std::thread::Builder::new().name("casebook-webhook".to_owned()).spawn(work) {
        // The claim ends by itself.
        tracing::error!(error = &error as &dyn std::error::Error, "there is no thread for a delivery");
    }
}

/// A delivery that was claimed to be sent.
struct Started {
    claimed: Claimed,
    token: LeaseToken,
    sent: Sent,
}

impl Webhooks {
    /// Claims what is due as far as there is room, and says how long to wait for what is due next.
    fn claim(&self, mut flight: Flight) -> Result<(Vec<Started>, Duration), StorageError> {
        let now = self.clock.now();
        let mut all = Vec::new();
        if flight.total == MOST_IN_FLIGHT {
            return Ok((all, LONGEST_WAIT));
        }
        let (room, most) = (flight.room(), MOST_IN_FLIGHT as i64);
        for (webhook, failing) in self.store.read(|db| deliveries::waiting(db, now, &room, most))? {
            let room = flight.room_for(webhook, failing) as i64;
            if room == 0 {
                continue;
            }
            let (token, until) = self.lease(now);
            let claimed = self.store.write(|db| deliveries::claim(db, webhook, now, room, &token, until))?;
            for claimed in claimed {
                let sent = Sent { to: webhook, failing };
                flight.start(sent);
                all.push(Started { claimed, token, sent });
            }
        }
        let room = flight.room();
        let wait = match self.store.read(|db| deliveries::next_due(db, &room))? {
            Some(_) if flight.total == MOST_IN_FLIGHT => LONGEST_WAIT,
            Some(next) => {
                let wait = next.as_microseconds().saturating_sub(now.as_microseconds());
                let shortest = if all.is_empty() { SHORTEST_WAIT } else { Duration::ZERO };
                Duration::from_micros(wait.max(0).unsigned_abs()).clamp(shortest, LONGEST_WAIT)
            }
            None => LONGEST_WAIT,
        };
        Ok((all, wait))
    }

    /// Sends a claimed delivery once, and records what came of it.
    ///
    /// # Errors
    /// The database fails: then the delivery is sent again when its claim has ended.
    pub(super) fn attempt(&self, claimed: &Claimed, token: &LeaseToken) -> Result<(), StorageError> {
        let at = self.clock.now();
        let id = self.delivery_id(claimed.suite, claimed.id);
        let outcome = match self.keys.open(&self.store, claimed.webhook, &claimed.secret) {
            Ok(secret) => {
                let Claimed { url, body, .. } = claimed;
                self.client.send(&Message { url, id: &id, at, secret: &secret, body })
            }
            Err(KeyError::Storage(error)) => return Err(error),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    delivery = id,
                    "a webhook's secret cannot be read"
                );
                let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
                Outcome::not_sent(format!("{error}{cause}"))
            }
        };
        self.record(claimed, token, at, outcome, &id)
    }

    fn record(
        &self,
        claimed: &Claimed,
        token: &LeaseToken,
        at: Timestamp,
        outcome: Outcome,
        id: &str,
    ) -> Result<(), StorageError> {
        let now = self.clock.now();
        let [chance] = secrets::random::<1>();
        let Outcome { status, error, duration_us } = outcome;
        let attempt = DeliveryAttempt { number: claimed.attempts + 1, at, status, error, duration_us };
        let failed = attempt.error.is_some();
        let recorded = self.store.write(|db| {
            // Removed meanwhile: nobody is interested any more.
            let Some(mut webhook) = webhooks::lock(db, claimed.webhook)? else { return Ok(None) };
            let Some((left, due)) = deliveries::attempts_left(db, claimed.id, token)? else {
                return Ok(None);
            };
            let wait = retry_schedule::wait(left - 1, chance).filter(|_| failed);
            let next = wait.map(|wait| now.plus(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)));
            // Whoever asked for it again while it was under way gets it again, whatever came of this attempt.
            let again = (due > claimed.due).then_some(due);
            let next = again.or(next);
            let state = match (failed, next) {
                (_, Some(_)) => DeliveryState::Pending,
                (false, None) => DeliveryState::Delivered,
                (true, None) => DeliveryState::Failed,
            };
            deliveries::finish(db, claimed.id, state, next, &attempt)?;
            if claimed.event == EventKind::Test {
                return Ok(Some((state, false)));
            }
            let before = webhook.clone();
            webhook.failing_since = webhook.failing_since.or(Some(at)).filter(|_| failed);
            let patience = i64::try_from(PATIENCE.as_micros()).unwrap_or(i64::MAX);
            let is_late = webhook.failing_since.is_some_and(|since| since.plus(patience) <= now);
            // Only a delivery that was tried as often as any is counts: one failure after a quiet week says little.
            let paused = state == DeliveryState::Failed && is_late && webhook.paused_at.is_none();
            if paused {
                webhook.paused_at = Some(now);
            }
            if webhook != before {
                webhooks::update(db, &webhook)?;
            }
            Ok::<_, StorageError>(Some((state, paused)))
        })?;
        let reason = attempt.error.as_deref().unwrap_or_default();
        match recorded {
            None => tracing::info!(delivery = id, "an attempt came too late and is not recorded"),
            Some((DeliveryState::Failed, paused)) => {
                tracing::warn!(
                    delivery = id,
                    reason,
                    "a delivery was given up: it can be sent again by hand"
                );
                if paused {
                    let webhook = self.webhook_id_of(claimed);
                    tracing::warn!(
                        webhook,
                        "a webhook has failed for 3 days and is paused: resume it when it works"
                    );
                }
            }
            Some((DeliveryState::Pending, _)) if failed => {
                tracing::info!(delivery = id, reason, "a delivery failed and is tried again later");
            }
            Some((DeliveryState::Pending | DeliveryState::Delivered, _)) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts as many to each of `webhooks` as there is room for.
    fn fill(flight: &mut Flight, webhooks: std::ops::Range<i64>, failing: bool) -> Vec<usize> {
        let started = webhooks.map(|id| {
            let to = WebhookId(id);
            let room = flight.room_for(to, failing);
            (0..room).for_each(|_| flight.start(Sent { to, failing }));
            room
        });
        started.collect()
    }

    #[test]
    fn however_many_receivers_hang_there_is_room_for_others() {
        let mut flight = Flight::default();
        assert_eq!(fill(&mut flight, 0..40, true), [vec![1; 12], vec![0; 28]].concat());
        assert!(!flight.room().failing);
        assert_eq!(fill(&mut flight, 40..44, false), [4, 4, 1, 1]);
        // And for those of which nothing is known yet.
        let mut flight = Flight::default();
        assert_eq!(fill(&mut flight, 0..10, false), [4, 4, 4, 4, 4, 1, 1, 1, 1, 1]);
        assert_eq!(flight.room().busy.len(), 10);
        let (to, failing) = (WebhookId(0), false);
        (0..4).for_each(|_| flight.land(Sent { to, failing }));
        assert_eq!((flight.total, flight.room_for(to, failing), flight.room().busy.len()), (21, 1, 9));
    }
}
