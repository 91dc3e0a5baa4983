//! Webhooks and their deliveries.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A receiver that is told of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub url: String,
    /// What it is told: `new_flaky_test`, `resolved_flaky_test`. Empty: everything, also what later versions add.
    pub events: Vec<String>,
    /// When it was made.
    pub created_at: String,
    /// Since when nothing is sent to it; null if it is not paused.
    pub paused_at: Option<String>,
    /// Time of the first failed attempt since one succeeded; null if the last one succeeded.
    pub failing_since: Option<String>,
}

/// A webhook to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Where it is: `https://` or `http://`, without credentials.
    pub url: String,
    /// What it is told; all events if left out or empty.
    #[serde(default)]
    pub events: Vec<String>,
    /// What signs its deliveries, if the receiver knows a secret already; else one is made.
    pub secret: Option<String>,
}

/// A webhook that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// What signs its deliveries. Shown this once.
    pub secret: String,
}

/// What to change of a webhook; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookChange {
    /// Where it is.
    pub url: Option<String>,
    /// What it is told; empty for all events.
    pub events: Option<Vec<String>>,
    /// `false` resumes it, and what is due is sent; `true` pauses it.
    pub paused: Option<bool>,
}

/// An event on its way to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Its id: what the receiver sees as `X-Delivery-Id` and `webhook-id`.
    pub id: String,
    /// The webhook's id.
    pub webhook_id: String,
    /// `new_flaky_test`, `resolved_flaky_test` or `test`.
    pub event: String,
    /// The test's id; null for a test delivery.
    pub test_id: Option<String>,
    /// When the event was found out.
    pub created_at: String,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
    /// How often it was sent.
    pub attempts_count: i64,
    /// When it is sent next; null if it is not pending.
    pub next_attempt_at: Option<String>,
}

/// A delivery with what is sent and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryDetail {
    /// The delivery.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// The body, byte by byte the same in every attempt.
    pub body: String,
    /// Its attempts, oldest first.
    pub attempts: Vec<DeliveryAttempt>,
}

/// One sending of a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryAttempt {
    /// Counts the attempts of the delivery from 1.
    pub number: i64,
    /// When it began.
    pub at: String,
    /// The receiver's status; null if it did not answer.
    pub status: Option<i64>,
    /// Why it failed; null if it did not.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
}
