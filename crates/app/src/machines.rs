//! Machines: where executions ran, as the protocols describe them.

use crate::App;
use casebook_model::id::{MachineId, SuiteId};
use casebook_storage::{StorageError, machines};

pub use casebook_storage::machines::StoredMachine;

impl App {
    /// The machines of a suite with lower numbers than `before`, the latest described first.
    ///
    /// # Errors
    /// The database fails.
    pub async fn newest_machines(
        &self,
        suite: SuiteId,
        before: MachineId,
        limit: i64,
    ) -> Result<Vec<StoredMachine>, StorageError> {
        self.read(move |db| machines::newest(db, suite, before, limit)).await
    }
}
