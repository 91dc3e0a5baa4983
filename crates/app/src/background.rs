//! Work that is due now and then, whoever asks.

use crate::{App, on_waiting_thread};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

/// How often statistics for SQLite's planner are brought up to date; without them it chooses badly.
const STATISTICS_EVERY: Duration = Duration::from_secs(60 * 60);

/// How often the detector is told the time.
const TIME_EVERY: Duration = Duration::from_secs(60);

/// How often the next few uploads of a suite are looked at for what tests take: a step is short, so this bounds its share.
const RESOURCES_EVERY: Duration = Duration::from_secs(1);

/// Runs due work until `shutdown` says stop. Clearing away may take long, and nothing else waits for it.
pub(crate) async fn run(app: Arc<App>, shutdown: watch::Receiver<bool>) {
    tokio::join!(keep_up(&app, shutdown.clone()), clear_away(&app, shutdown));
}

/// What follows from time and from uploads.
async fn keep_up(app: &Arc<App>, mut shutdown: watch::Receiver<bool>) {
    let (mut time, mut resources) = (every(TIME_EVERY), every(RESOURCES_EVERY));
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => break,
            _ = time.tick() => {
                if let Err(error) = app.let_time_pass().await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "what is due was not done");
                }
            }
            _ = resources.tick() => {
                if let Err(error) = app.follow_resources().await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "what tests take was not looked at");
                }
            }
        }
    }
    if let Err(error) = app.stop_following().await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the lease of the resource analysis was not given back"
        );
    }
}

/// Statistics, and what nobody needs any more.
async fn clear_away(app: &Arc<App>, mut shutdown: watch::Receiver<bool>) {
    let mut statistics = every(STATISTICS_EVERY);
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => return,
            _ = statistics.tick() => {
                let store = Arc::clone(&app.store);
                if let Err(error) = on_waiting_thread(move || store.refresh_statistics()).await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "statistics were not brought up to date");
                }
                clear_removed_suites(app, &shutdown).await;
                drop_old_runs(app, &shutdown).await;
            }
            () = app.cleaning.notified() => clear_removed_suites(app, &shutdown).await,
        }
    }
}

/// Ticks at once and then so often; a tick that was missed is not made up for.
fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Clears away what is left of deleted suites, a little at a time: uploads go on in between.
async fn clear_removed_suites(app: &App, shutdown: &watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        match app.clear_removed_suites().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a deleted suite is not yet cleared away"
                );
                return;
            }
        }
    }
}

/// Drops what is older than this server keeps.
async fn drop_old_runs(app: &Arc<App>, shutdown: &watch::Receiver<bool>) {
    let (app, shutdown) = (Arc::clone(app), shutdown.clone());
    let dropped = on_waiting_thread(move || app.apply_retention(|| *shutdown.borrow())).await;
    if let Err(error) = dropped {
        tracing::warn!(error = &error as &dyn std::error::Error, "old runs were not dropped");
    }
}

/// Ends when `shutdown` says stop.
pub(crate) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a reason to stop too.
    drop(shutdown.wait_for(|stop| *stop).await);
}
