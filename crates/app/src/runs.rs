//! Reading runs and what failed in them.

use crate::App;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::public_id::Subject;
use casebook_model::run::{Protocol, Run};
use casebook_storage::page::{Listed, Page};
use casebook_storage::tests::{self, ShownTest};
use casebook_storage::{StorageError, failures, runs};
use std::collections::HashMap;

pub use casebook_storage::failures::FailedExecution;

impl App {
    /// The runs of a suite, newest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn runs(&self, suite: SuiteId, page: Page) -> Result<Listed<Run>, StorageError> {
        self.read(move |db| runs::list(db, suite, page)).await
    }

    /// The run that `protocol` calls `key`.
    ///
    /// # Errors
    /// The database fails.
    pub async fn run_by_key(
        &self,
        suite: SuiteId,
        protocol: Protocol,
        key: &str,
    ) -> Result<Option<Run>, StorageError> {
        let key = protocol.run_key(key);
        let found = self.read(move |db| runs::find_by_keys(db, suite, &[key])).await?;
        Ok(found.into_iter().next().map(|(_, run)| run))
    }

    /// The run with that public id, if it belongs to the suite.
    ///
    /// # Errors
    /// The database fails.
    pub async fn run(&self, suite: SuiteId, public_id: &str) -> Result<Option<Run>, StorageError> {
        match self.subject(public_id) {
            Some(Subject::Run(of, run)) if of == suite => {
                self.read(move |db| runs::find(db, suite, run)).await
            }
            _ => Ok(None),
        }
    }

    /// The failing executions of a run by test and attempt, retries included, with the tests as `protocol` shows them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn failed_executions(
        &self,
        run: Run,
        protocol: Protocol,
        page: Page,
    ) -> Result<Listed<(FailedExecution, Option<ShownTest>)>, StorageError> {
        self.read(move |db| {
            let Listed { items, total } = failures::of_run(db, &run, page)?;
            let mut ids: Vec<TestId> = items.iter().map(|execution| execution.id.test).collect();
            ids.dedup();
            let shown = tests::by_ids(db, run.suite, &ids, protocol)?;
            let shown: HashMap<TestId, ShownTest> =
                shown.into_iter().map(|shown| (shown.test.id, shown)).collect();
            let with_tests = items.into_iter().map(|execution| {
                let shown = shown.get(&execution.id.test).cloned();
                (execution, shown)
            });
            Ok(Listed { items: with_tests.collect(), total })
        })
        .await
    }
}
