//! What tests take of time and memory.

use crate::App;
use casebook_model::id::{SuiteId, TestId};
use casebook_storage::{StorageError, resources};

pub use casebook_storage::resources::Measured;

impl App {
    /// What the newest attempts of a test took, newest first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn resources_of_test(
        &self,
        suite: SuiteId,
        test: TestId,
        limit: i64,
    ) -> Result<Vec<Measured>, StorageError> {
        self.read(move |db| resources::history(db, suite, test, limit)).await
    }
}
