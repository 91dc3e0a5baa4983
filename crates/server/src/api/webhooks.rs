//! Webhooks: receivers that are told of events, and what became of their deliveries. Never without a credential.

use super::error::ApiError;
use super::extract::{Path, Query, json};
use super::openapi::SuitePath;
use super::writable_suite;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use casebook_api::{
    CreatedWebhook, Delivery, DeliveryAttempt, DeliveryDetail, NewWebhook, Page, ProblemDocument, Webhook,
    WebhookChange,
};
use casebook_app::App;
use casebook_app::access::{Denied, Extent};
use casebook_app::webhooks::{Change, NotDone, Secret, ShownDelivery, Webhooks};
use casebook_http::Caller;
use casebook_model::id::DeliveryId;
use casebook_model::public_id::Subject;
use casebook_model::suite::Suite;
use casebook_model::time::Timestamp;
use casebook_model::webhook::{self, Subscription};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Which deliveries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// What an earlier answer gave as `next`: what comes behind it.
    after: Option<String>,
    /// Items in one answer: 50 unless told, at most 200.
    limit: Option<i64>,
}

impl From<NotDone> for ApiError {
    fn from(error: NotDone) -> Self {
        match error {
            NotDone::Refused(refused) => Self::BadRequest(refused.to_string()),
            NotDone::NoWebhook => Self::NotFound("there is no such webhook"),
            NotDone::NoDelivery => Self::NotFound("there is no such delivery"),
            NotDone::Storage(error) => Self::Storage(error),
            NotDone::Key(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a webhook's secret cannot be kept"
                );
                Self::Unavailable("the server cannot keep the webhook's secret: its log tells what to do")
            }
        }
    }
}

/// The webhooks of the suite, oldest first. Their secrets are not shown.
#[utoipa::path(
    get,
    operation_id = "listWebhooks",
    path = "/api/casebook/v1/suites/{organization}/{suite}/webhooks",
    tag = "webhooks",
    params(SuitePath),
    responses((status = 200, body = Page<Webhook>), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite)): Path<(String, String)>,
) -> Result<Json<Page<Webhook>>, ApiError> {
    let suite = readable(&app, &caller, &organization, &suite).await?;
    let work = move |webhooks: &Webhooks| {
        let found = webhooks.list(Some(suite.id))?;
        Ok::<_, ApiError>(found.iter().map(|webhook| to_json(webhooks, webhook)).collect())
    };
    Ok(Json(Page { items: app.with_webhooks(work).await?, next: None }))
}

/// Makes a webhook. The answer carries its secret, this once.
#[utoipa::path(
    post,
    operation_id = "createWebhook",
    path = "/api/casebook/v1/suites/{organization}/{suite}/webhooks",
    tag = "webhooks",
    params(SuitePath),
    request_body = NewWebhook,
    responses((status = 201, body = CreatedWebhook), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite)): Path<(String, String)>,
    body: Body,
) -> Result<(StatusCode, Json<CreatedWebhook>), ApiError> {
    let suite = writable_suite(&app, &caller, &organization, &suite).await?;
    let NewWebhook { url, events, secret } = json(body).await?;
    let secret = secret.as_deref().map(Secret::parse).transpose();
    let secret = secret.map_err(|error| ApiError::BadRequest(error.to_string()))?;
    let new = casebook_app::webhooks::NewWebhook { url, events: subscription(&events)?, secret };
    let work = move |webhooks: &Webhooks| {
        let (webhook, secret) = webhooks.create(suite.id, &new)?;
        let webhook = to_json(webhooks, &webhook);
        Ok::<_, ApiError>(CreatedWebhook { webhook, secret: secret.text().to_owned() })
    };
    Ok((StatusCode::CREATED, Json(app.with_webhooks(work).await?)))
}

/// One webhook. Its secret is not shown.
#[utoipa::path(
    get,
    operation_id = "getWebhook",
    path = "/api/casebook/v1/suites/{organization}/{suite}/webhooks/{webhook}",
    tag = "webhooks",
    params(SuitePath, ("webhook" = String, Path, description = "Id of the webhook.")),
    responses((status = 200, body = Webhook), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn find(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, webhook)): Path<(String, String, String)>,
) -> Result<Json<Webhook>, ApiError> {
    let suite = readable(&app, &caller, &organization, &suite).await?;
    let work = move |webhooks: &Webhooks| {
        let found = of_suite(webhooks, &suite, &webhook)?;
        Ok::<_, ApiError>(to_json(webhooks, &found))
    };
    Ok(Json(app.with_webhooks(work).await?))
}

/// Changes a webhook, pauses or resumes it.
#[utoipa::path(
    patch,
    operation_id = "changeWebhook",
    path = "/api/casebook/v1/suites/{organization}/{suite}/webhooks/{webhook}",
    tag = "webhooks",
    params(SuitePath, ("webhook" = String, Path, description = "Id of the webhook.")),
    request_body = WebhookChange,
    responses((status = 200, body = Webhook), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, webhook)): Path<(String, String, String)>,
    body: Body,
) -> Result<Json<Webhook>, ApiError> {
    let suite = writable_suite(&app, &caller, &organization, &suite).await?;
    let WebhookChange { url, events, paused } = json(body).await?;
    let events = events.as_deref().map(subscription).transpose()?;
    let work = move |webhooks: &Webhooks| {
        let found = of_suite(webhooks, &suite, &webhook)?;
        let changed = webhooks.change(found.id, Change { url, events, paused })?;
        Ok::<_, ApiError>(to_json(webhooks, &changed))
    };
    Ok(Json(app.with_webhooks(work).await?))
}

/// Removes a webhook with its deliveries.
#[utoipa::path(
    delete,
    operation_id = "removeWebhook",
    path = "/api/casebook/v1/suites/{organization}/{suite}/webhooks/{webhook}",
    tag = "webhooks",
    params(SuitePath, ("webhook" = String, Path, description = "Id of the webhook.")),
    responses((status = 204), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, webhook)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let suite = writable_suite(&app, &caller, &organization, &suite).await?;
    let work = move |webhooks: &Webhooks| {
        let found = of_suite(webhooks, &suite, &webhook)?;
        Ok::<_, ApiError>(webhooks.remove(found.id)?)
    };
    app.with_webhooks(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends an example now and once, and tells what came of it.
#[utoipa::path(
    post,
    operation_id = "testWebhook",
    path = "/api/casebook/v1/suites/{organization}/{suite}/webhooks/{webhook}/test",
    tag = "webhooks",
    params(SuitePath, ("webhook" = String, Path, description = "Id of the webhook.")),
    responses((status = 200, body = DeliveryDetail), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, webhook)): Path<(String, String, String)>,
) -> Result<Json<DeliveryDetail>, ApiError> {
    let suite = writable_suite(&app, &caller, &organization, &suite).await?;
    let ids = Arc::clone(&app);
    let work = move |webhooks: &Webhooks| {
        let found = of_suite(webhooks, &suite, &webhook)?;
        Ok::<_, ApiError>(detail(&ids, webhooks.test(&found)?))
    };
    Ok(Json(app.with_webhooks(work).await?))
}

/// Deliveries to a webhook, newest first.
#[utoipa::path(
    get,
    operation_id = "listDeliveries",
    path = "/api/casebook/v1/suites/{organization}/{suite}/webhooks/{webhook}/deliveries",
    tag = "webhooks",
    params(SuitePath, ("webhook" = String, Path, description = "Id of the webhook."), Wanted),
    responses((status = 200, body = Page<Delivery>), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn deliveries(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, webhook)): Path<(String, String, String)>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<Delivery>>, ApiError> {
    let suite = readable(&app, &caller, &organization, &suite).await?;
    let limit = super::limit(wanted.limit)?;
    let before = match wanted.after.as_deref() {
        None => None,
        Some(id) => match app.subject(id) {
            Some(Subject::Delivery(of, id)) if of == suite.id => Some(id),
            _ => return Err(super::wrong_cursor()),
        },
    };
    let work = move |webhooks: &Webhooks| {
        let found = of_suite(webhooks, &suite, &webhook)?;
        Ok::<_, ApiError>(webhooks.deliveries(found.id, before, limit + 1)?)
    };
    let mut found = app.with_webhooks(work).await?;
    let more = found.len() as i64 > limit;
    found.truncate(limit as usize);
    let items: Vec<Delivery> = found.iter().map(|found| delivery(&app, found)).collect();
    let next = items.last().filter(|_| more).map(|last| last.id.clone());
    Ok(Json(Page { items, next }))
}

/// One delivery with its body and attempts.
#[utoipa::path(
    get,
    operation_id = "getDelivery",
    path = "/api/casebook/v1/suites/{organization}/{suite}/deliveries/{delivery}",
    tag = "webhooks",
    params(SuitePath, ("delivery" = String, Path, description = "Id of the delivery.")),
    responses((status = 200, body = DeliveryDetail), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn find_delivery(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, id)): Path<(String, String, String)>,
) -> Result<Json<DeliveryDetail>, ApiError> {
    let suite = readable(&app, &caller, &organization, &suite).await?;
    let found = app.with_webhooks(move |webhooks| {
        let id = delivery_of_suite(webhooks, &suite, &id)?;
        webhooks.show(suite.id, id)
    });
    Ok(Json(detail(&app, found.await?)))
}

/// Sends a delivery again: it is due now, with as many attempts as a new one.
#[utoipa::path(
    post,
    operation_id = "redeliver",
    path = "/api/casebook/v1/suites/{organization}/{suite}/deliveries/{delivery}/redeliver",
    tag = "webhooks",
    params(SuitePath, ("delivery" = String, Path, description = "Id of the delivery.")),
    responses((status = 202, body = DeliveryDetail), (status = "4XX", body = ProblemDocument)),
)]
pub(crate) async fn redeliver(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, suite, id)): Path<(String, String, String)>,
) -> Result<(StatusCode, Json<DeliveryDetail>), ApiError> {
    let suite = writable_suite(&app, &caller, &organization, &suite).await?;
    let found = app.with_webhooks(move |webhooks| {
        let id = delivery_of_suite(webhooks, &suite, &id)?;
        webhooks.redeliver(suite.id, id)
    });
    Ok((StatusCode::ACCEPTED, Json(detail(&app, found.await?))))
}

/// The suite in the path, if the request may read it and says who it is.
async fn readable(
    app: &Arc<App>,
    caller: &Caller,
    organization: &str,
    suite: &str,
) -> Result<Suite, ApiError> {
    let access = caller.authenticate(app).await?;
    let found = app.readable_suite(&access, organization, suite).await?;
    if access.extent == Extent::Anonymous { Err(Denied::Unknown.into()) } else { Ok(found) }
}

fn of_suite(webhooks: &Webhooks, suite: &Suite, id: &str) -> Result<webhook::Webhook, NotDone> {
    webhooks
        .find(id)
        .and_then(|found| if found.suite == suite.id { Ok(found) } else { Err(NotDone::NoWebhook) })
}

fn delivery_of_suite(webhooks: &Webhooks, suite: &Suite, id: &str) -> Result<DeliveryId, NotDone> {
    let (of, id) = webhooks.delivery(id)?;
    if of == suite.id { Ok(id) } else { Err(NotDone::NoDelivery) }
}

fn subscription(events: impl AsRef<[String]>) -> Result<Subscription, ApiError> {
    let words = events.as_ref().iter().map(String::as_str);
    Subscription::parse(words).map_err(|error| ApiError::BadRequest(error.to_string()))
}

fn to_json(webhooks: &Webhooks, webhook: &webhook::Webhook) -> Webhook {
    let time = Timestamp::to_rfc3339_millis;
    Webhook {
        id: webhooks.webhook_id(webhook),
        url: webhook.url.clone(),
        events: webhook.events.named().iter().map(ToString::to_string).collect(),
        created_at: time(webhook.created_at),
        paused_at: webhook.paused_at.map(time),
        failing_since: webhook.failing_since.map(time),
    }
}

fn delivery(app: &App, delivery: &webhook::Delivery) -> Delivery {
    let time = Timestamp::to_rfc3339_millis;
    Delivery {
        id: app.public_id(Subject::Delivery(delivery.suite, delivery.id)),
        webhook_id: app.public_id(Subject::Webhook(delivery.suite, delivery.webhook)),
        event: delivery.event.to_string(),
        test_id: delivery.test.map(|test| app.public_id(Subject::Test(delivery.suite, test))),
        created_at: time(delivery.created_at),
        state: delivery.state.to_string(),
        attempts_count: delivery.attempts,
        next_attempt_at: delivery.next_attempt_at.map(time),
    }
}

fn detail(app: &App, shown: ShownDelivery) -> DeliveryDetail {
    let attempts = shown.attempts.into_iter().map(|attempt| DeliveryAttempt {
        number: attempt.number,
        at: attempt.at.to_rfc3339_millis(),
        status: attempt.status,
        error: attempt.error,
        duration_ms: attempt.duration_us as f64 / 1000.0,
    });
    DeliveryDetail {
        delivery: delivery(app, &shown.delivery),
        body: String::from_utf8_lossy(&shown.body).into_owned(),
        attempts: attempts.collect(),
    }
}
