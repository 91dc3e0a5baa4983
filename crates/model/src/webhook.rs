//! Webhooks: addresses that are told what happens to tests, and what they are told.

use crate::closed_set;
use crate::id::{DeliveryId, SuiteId, TestId, WebhookId};
use crate::time::Timestamp;

closed_set! {
    /// What happened.
    EventKind {
        /// An episode was announced.
        NewFlakyTest = 1, "new_flaky_test";
        /// An announced episode ended.
        ResolvedFlakyTest = 2, "resolved_flaky_test";
        /// Nothing: somebody wants to see whether a webhook works.
        Test = 3, "test";
    }
}

closed_set! {
    /// How far a delivery is.
    DeliveryState {
        /// It is sent when it is due.
        Pending = 1, "pending";
        /// The receiver has taken it.
        Delivered = 2, "delivered";
        /// It was given up. It can be sent again by hand.
        Failed = 3, "failed";
    }
}

/// The events a webhook asks for: those named, or all of today and of later versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscription(Vec<EventKind>);

/// The word names no event to subscribe to.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no event: use new_flaky_test or resolved_flaky_test")]
pub struct UnknownEvent(String);

impl Subscription {
    /// The events with these names; none means all.
    ///
    /// # Errors
    /// A word names no event, or one that cannot be asked for.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownEvent> {
        let mut kinds = Vec::new();
        for word in words {
            let kind = EventKind::from_word(word).filter(|kind| *kind != EventKind::Test);
            kinds.push(kind.ok_or_else(|| UnknownEvent(word.chars().take(60).collect()))?);
        }
        kinds.sort_unstable();
        kinds.dedup();
        Ok(Self(kinds))
    }

    /// Whether events of that kind are sent.
    #[must_use]
    pub fn includes(&self, kind: EventKind) -> bool {
        self.0.is_empty() || self.0.contains(&kind)
    }

    /// The events that are named; none if all are sent.
    #[must_use]
    pub fn named(&self) -> &[EventKind] {
        &self.0
    }
}

/// Names with commas between them; empty if all events are sent.
impl std::fmt::Display for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|kind| kind.as_str()).collect();
        f.write_str(&words.join(","))
    }
}

/// An address that is told of events of a suite. Its secret is kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its number.
    pub id: WebhookId,
    /// The suite whose events it is told of.
    pub suite: SuiteId,
    /// Where it is.
    pub url: String,
    /// What it is told.
    pub events: Subscription,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nothing is sent to it, if that is so.
    pub paused_at: Option<Timestamp>,
    /// Time of the first failed attempt since one succeeded, if the last one failed.
    pub failing_since: Option<Timestamp>,
}

/// An event on its way to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub id: DeliveryId,
    /// Where it goes.
    pub webhook: WebhookId,
    /// The suite of both.
    pub suite: SuiteId,
    /// What happened.
    pub event: EventKind,
    /// To which test, if to one.
    pub test: Option<TestId>,
    /// When.
    pub created_at: Timestamp,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was sent.
    pub attempts: i64,
    /// When it is sent next, if it is pending.
    pub next_attempt_at: Option<Timestamp>,
}

/// One sending of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// Counts the attempts of the delivery from 1.
    pub number: i64,
    /// When it began.
    pub at: Timestamp,
    /// The receiver's status, if it answered.
    pub status: Option<i64>,
    /// Why it failed, as a sentence; none if it did not.
    pub error: Option<String>,
    /// How long it took.
    pub duration_us: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions() {
        let all = Subscription::parse([]).unwrap();
        assert!(EventKind::ALL.iter().all(|kind| all.includes(*kind)));
        let resolved = Subscription::parse(["resolved_flaky_test", "resolved_flaky_test"]).unwrap();
        assert_eq!(resolved.to_string(), "resolved_flaky_test");
        assert!(
            resolved.includes(EventKind::ResolvedFlakyTest) && !resolved.includes(EventKind::NewFlakyTest)
        );
        for wrong in ["test", "", "new-flaky-test"] {
            assert!(Subscription::parse([wrong]).is_err(), "{wrong}");
        }
    }
}
