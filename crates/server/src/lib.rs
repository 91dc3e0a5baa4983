//! The HTTP server: one origin for every protocol, health, metrics, and a shutdown that loses nothing.

mod api;
mod client_address;
mod early_errors;
mod fallback;
mod health;
mod observe;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use casebook_app::App;
use casebook_http::Bodies;
use early_errors::Explaining;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use api::document as openapi;
pub use casebook_avocado::{UnknownZone, Zone};
pub use casebook_buildkite::RateLimits;
pub use casebook_http::{Limits, Needs, Route};
pub use casebook_monitor::PAGE_SIZE as MONITOR_PAGE_SIZE;
pub use client_address::TrustedProxies;

/// How long requests in progress may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(30);

/// How requests are received.
#[derive(Debug, Clone)]
pub struct Options {
    /// Sizes that requests may have.
    pub limits: Limits,
    /// Proxies that tell where requests come from.
    pub trusted_proxies: TrustedProxies,
    /// Requests a minute to the REST API.
    pub rate_limits: RateLimits,
    /// Time zone of Avocado's time stamps that name none.
    pub avocado_zone: Zone,
    /// Rows on a page of monitor-server's API.
    pub monitor_page_size: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            trusted_proxies: TrustedProxies::default(),
            rate_limits: RateLimits::default(),
            avocado_zone: Zone::default(),
            monitor_page_size: casebook_monitor::PAGE_SIZE,
        }
    }
}

/// Every address that a protocol answers at, and what it needs.
pub fn surface() -> impl Iterator<Item = Route> {
    let protocols =
        casebook_buildkite::surface().chain(casebook_aviator::surface()).chain(casebook_avocado::surface());
    protocols.chain(casebook_monitor::surface()).chain(api::surface())
}

/// The whole surface of the server.
pub fn router(app: &Arc<App>, options: &Options) -> Router {
    let bodies = Bodies::new(options.limits);
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/flaky/test_case/{number}", get(api::test_of_number))
        .with_state(Arc::clone(app))
        .merge(api::router(app))
        .merge(casebook_aviator::router(Arc::clone(app), bodies.clone()))
        .merge(casebook_monitor::router(Arc::clone(app), bodies.clone(), options.monitor_page_size))
        .merge(casebook_avocado::router(Arc::clone(app), bodies.clone(), options.avocado_zone.clone()))
        .merge(casebook_buildkite::router(Arc::clone(app), bodies, options.rate_limits))
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(app), observe::observe))
        .layer(from_fn_with_state(options.trusted_proxies.clone(), client_address::note))
}

/// Serves on `listener`, and metrics without a credential on `metrics_listener`, until `stop` ends; then finishes what is
/// in progress, stores what was accepted, and returns.
///
/// # Errors
/// A listener fails.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    options: Options,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = watch::channel(false);
    let background = tokio::spawn(Arc::clone(&app).run_background(stopped.clone()));
    let metrics = metrics_listener.map(|listener| {
        let router = Router::new().route("/metrics", get(health::open_metrics)).with_state(Arc::clone(&app));
        tokio::spawn(
            axum::serve(listener, router).with_graceful_shutdown(until(stopped.clone())).into_future(),
        )
    });
    let listener = Explaining(listener).tap_io(|stream| {
        if let Err(error) = stream.inner.set_nodelay(true) {
            tracing::debug!(error = &error as &dyn std::error::Error, "a connection keeps its delay");
        }
    });
    let service = router(&app, &options).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(until(stopped));
    let mut server = std::pin::pin!(server.into_future());
    let served = tokio::select! {
        served = &mut server => served,
        () = stop => {
            tracing::info!("stopping: requests in progress are finished");
            // The receivers are alive: they are in the futures above.
            let _ = stopping.send(true);
            tokio::time::timeout(GRACE, server).await.unwrap_or_else(|_| {
                tracing::warn!(seconds = GRACE.as_secs(), "some requests did not end in time and are cut off");
                Ok(())
            })
        }
    };
    let _ = stopping.send(true);
    // First what was accepted, then whatever else may take its time.
    let closing = Arc::clone(&app);
    if tokio::task::spawn_blocking(move || closing.close()).await.is_err() {
        tracing::error!("closing the writer failed");
    }
    for task in
        [Some(background), metrics.map(|task| tokio::spawn(async { drop(task.await) }))].into_iter().flatten()
    {
        if matches!(tokio::time::timeout(GRACE, task).await, Ok(Err(_))) {
            tracing::error!("a background task had panicked");
        }
    }
    served
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a reason to stop too.
    drop(stopped.wait_for(|stop| *stop).await);
}
