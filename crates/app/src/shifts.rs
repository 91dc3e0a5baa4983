//! What tests take: the uploads of each suite are followed in their order, in the background, and what shifted is kept.
//!
//! A suite's position is stored with the states that belong to it, so a server that was down goes on where it was, and equal
//! uploads in equal order give equal states and shifts. One server follows at a time, as long as it renews its lease.

mod history;
mod host_class;
mod samples;
mod step;

pub use casebook_storage::shifts::{ShiftFilter, ShiftUpload, StoredShift};
pub use history::{MeasuredBaseline, TestHistory, TestValue};

use crate::App;
use casebook_model::id::SuiteId;
use casebook_model::time::Timestamp;
use casebook_storage::{StorageError, leases, shifts as stored};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The name of the lease.
const LEASE: &str = "resources";

/// How long a lease holds, and how early it is renewed.
const LEASE_US: i64 = 30_000_000;
const RENEWAL_US: i64 = 15_000_000;

/// This server as one that may follow.
pub(crate) struct Follower {
    holder: [u8; 16],
    /// Until when the lease is surely held.
    held_until: Mutex<Option<Timestamp>>,
}

impl Follower {
    pub(crate) const fn new(holder: [u8; 16]) -> Self {
        Self { holder, held_until: Mutex::new(None) }
    }

    fn held_until(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.held_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Does one step in each suite that has uploads to follow, if no other server does.
    ///
    /// # Errors
    /// The database fails.
    pub(crate) async fn follow_resources(&self) -> Result<(), StorageError> {
        let behind = self.read(stored::behind).await?;
        if behind.is_empty() || !self.may_follow().await? {
            return Ok(());
        }
        for suite in behind {
            self.follow(suite).await?;
        }
        Ok(())
    }

    /// Gives the lease back, so that another server need not wait for its end.
    ///
    /// # Errors
    /// The database fails.
    pub(crate) async fn stop_following(&self) -> Result<(), StorageError> {
        if self.follower.held_until().take().is_none() {
            return Ok(());
        }
        let holder = self.follower.holder;
        self.write(move |db| leases::release(db, LEASE, &holder)).await
    }

    async fn may_follow(&self) -> Result<bool, StorageError> {
        let now = self.now();
        if self.follower.held_until().is_some_and(|until| now.plus(RENEWAL_US) < until) {
            return Ok(true);
        }
        let (holder, until) = (self.follower.holder, now.plus(LEASE_US));
        let held = self.write(move |db| leases::claim(db, LEASE, &holder, now, until)).await?;
        *self.follower.held_until() = held.then_some(until);
        Ok(held)
    }

    /// Reads and computes beside the writer, and takes it only for what came of it.
    async fn follow(&self, suite: SuiteId) -> Result<(), StorageError> {
        let Some(step) = self.read(move |db| step::compute(db, suite)).await? else { return Ok(()) };
        match self.write(move |db| step::store(db, suite, &step)).await {
            // It was deleted meanwhile.
            Err(StorageError::NoSuchSuite) => Ok(()),
            other => other,
        }
    }
}
