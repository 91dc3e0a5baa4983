//! What the team decides and notes about tests.

use crate::App;
use casebook_model::disposition::Disposition;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::public_id::Subject;
use casebook_model::run::Protocol;
use casebook_storage::page::{Listed, Page};
use casebook_storage::tests::{self, ShownTest};
use casebook_storage::{Db, StorageError, dispositions, ownership};

/// A change of a test's labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelChange {
    /// Add these.
    Add(Vec<String>),
    /// Take these away.
    Remove(Vec<String>),
}

impl App {
    /// Decides about the test with that public id; none if the suite has no such test.
    ///
    /// # Errors
    /// The database fails.
    pub async fn decide(
        &self,
        suite: SuiteId,
        public_id: &str,
        protocol: Protocol,
        disposition: Disposition,
    ) -> Result<Option<ShownTest>, StorageError> {
        let now = self.now();
        let change = move |db: &mut Db<'_>, test| dispositions::decide(db, suite, test, disposition, now);
        self.change_test(suite, public_id, protocol, change).await
    }

    /// Changes the labels of the test with that public id; none if the suite has no such test.
    ///
    /// # Errors
    /// The database fails.
    pub async fn change_labels(
        &self,
        suite: SuiteId,
        public_id: &str,
        protocol: Protocol,
        change: LabelChange,
    ) -> Result<Option<ShownTest>, StorageError> {
        let change = move |db: &mut Db<'_>, test| match &change {
            LabelChange::Add(labels) => dispositions::add_labels(db, suite, test, labels),
            LabelChange::Remove(labels) => dispositions::remove_labels(db, suite, test, labels),
        };
        self.change_test(suite, public_id, protocol, change).await
    }

    /// Replaces the file that says who owns the tests of a suite.
    ///
    /// # Errors
    /// The database fails.
    pub async fn replace_ownership(&self, suite: SuiteId, text: String) -> Result<(), StorageError> {
        let now = self.now();
        self.write(move |db| ownership::put(db, suite, &text, now)).await
    }

    async fn change_test(
        &self,
        suite: SuiteId,
        public_id: &str,
        protocol: Protocol,
        change: impl FnOnce(&mut Db<'_>, TestId) -> Result<(), StorageError> + Send + 'static,
    ) -> Result<Option<ShownTest>, StorageError> {
        let test = match self.subject(public_id) {
            Some(Subject::Test(of, test)) if of == suite => test,
            _ => return Ok(None),
        };
        self.write_decision(move |db| {
            if tests::find(db, suite, test, protocol)?.is_none() {
                return Ok(None);
            }
            change(db, test)?;
            tests::find(db, suite, test, protocol)
        })
        .await
    }

    /// The tests with a disposition other than active, in order of first arrival.
    ///
    /// # Errors
    /// The database fails.
    pub async fn tests_with(
        &self,
        suite: SuiteId,
        protocol: Protocol,
        disposition: Disposition,
        page: Page,
    ) -> Result<Listed<ShownTest>, StorageError> {
        self.read(move |db| {
            let ids = dispositions::with(db, suite, disposition)?;
            let shown = ids.iter().copied().skip(page.offset as usize).take(page.limit as usize);
            let shown: Vec<TestId> = shown.collect();
            Ok(Listed { items: tests::by_ids(db, suite, &shown, protocol)?, total: ids.len() as i64 })
        })
        .await
    }
}
