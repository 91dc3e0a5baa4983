//! Retention: what is older than this server keeps goes, a little at a time.

use crate::App;
use casebook_model::suite::Suite;
use casebook_model::time::{DAY_US, Timestamp};
use casebook_storage::retention::{self, Dropped};
use casebook_storage::{StorageError, Store, suites};
use std::ops::RangeInclusive;

/// Days that runs can be kept. Lists look back 28 days and Aviator's windows 30, so what is younger is needed.
pub const DAYS: RangeInclusive<i64> = 30..=36_500;

/// The moment before which runs go that are kept for `days` days.
#[must_use]
pub fn before(days: i64, now: Timestamp) -> Timestamp {
    Timestamp(now.as_microseconds().saturating_sub(days.saturating_mul(DAY_US)))
}

/// Drops the runs of a suite all of whose results are of before `before`, until there are none or `stopped` says so. Each step
/// is a transaction of its own: uploads go on in between.
///
/// # Errors
/// The database fails; what was dropped by then stays so.
pub fn drop_old_runs(
    store: &Store,
    suite: &Suite,
    before: Timestamp,
    stopped: impl Fn() -> bool,
) -> Result<Dropped, StorageError> {
    let mut total = Dropped::default();
    while !stopped() {
        match store.write(|db| retention::step(db, suite.id, before)) {
            Ok(Some(dropped)) => total.add(dropped),
            // A suite may be deleted meanwhile.
            Ok(None) | Err(StorageError::NoSuchSuite) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(total)
}

impl App {
    /// Drops what is older than this server keeps, in all suites.
    ///
    /// # Errors
    /// The database fails.
    pub(crate) fn apply_retention(&self, stopped: impl Fn() -> bool) -> Result<(), StorageError> {
        let Some(days) = self.options.keep_days else { return Ok(()) };
        let before = before(days, self.now());
        for suite in self.store.read(suites::list)? {
            let dropped = drop_old_runs(&self.store, &suite, before, &stopped)?;
            if dropped != Dropped::default() {
                let Dropped { runs, executions, metrics } = dropped;
                tracing::info!(suite = %suite.name(), runs, executions, metrics, days, "dropped what is older than is kept");
            }
        }
        Ok(())
    }
}
