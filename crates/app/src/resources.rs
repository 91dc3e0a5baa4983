//! What tests take of time and memory, of all runs or of a component, pipeline or build.

use crate::App;
use casebook_model::id::{SuiteId, TestId};
use casebook_storage::monitor::scope;
use casebook_storage::{StorageError, resources};

pub use casebook_storage::monitor::scope::Scope;
pub use casebook_storage::resources::{MeasuredExecution, MeasuredRun};

impl App {
    /// The executions of a test with what they took, in the newest `runs` runs of its suite that are within a scope, the latest
    /// run first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn measured_executions(
        &self,
        suite: SuiteId,
        test: TestId,
        scope: Scope,
        runs: i64,
    ) -> Result<Vec<MeasuredExecution>, StorageError> {
        self.read(move |db| {
            if scope.is_everything() {
                return resources::measured(db, suite, test, None, runs);
            }
            let scoped = scope::find(db, suite, &scope)?;
            if scoped.tests.binary_search(&test).is_err() {
                return Ok(Vec::new());
            }
            resources::measured(db, suite, test, Some(&scoped.runs), runs)
        })
        .await
    }
}
