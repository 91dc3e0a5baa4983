//! Writing executions: nearly all rows of Casebook, so nearly all of the time of an upload.
//!
//! On SQLite half of that time is binding values. Nearly every execution is a first attempt with no special fact about it, so
//! runs of such rows go into a statement that binds what they share once, and four values for each row.

use crate::db::Db;
use crate::error::StorageError;
use crate::insert::Insert;
use crate::value::{Value, values};
use casebook_model::execution::{Execution, ExecutionFlags};
use casebook_model::id::SuiteId;
use std::fmt::Write as _;
use std::sync::LazyLock;

const ANY: Insert = Insert {
    into: "execution (suite_id, run_id, test_id, attempt, upload_id, variant_id, offset_ms, instance, outcome, flags, duration_us, external_hash)",
    columns: 12,
    conflict: "",
};

/// Plain rows in one statement at most.
const PLAIN_ROWS: usize = 64;

/// Values that plain rows share, and values of each.
const SHARED: usize = 4;
const OWN: usize = 4;

/// Statements for 1, 2, 4 .. 64 plain rows.
static PLAIN: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let statement = |rows: usize| {
        let mut sql = format!(
            "/* ingest.plain_{rows} */ insert into execution (suite_id, run_id, upload_id, variant_id, test_id, outcome, \
             duration_us, external_hash, attempt, offset_ms, instance, flags) values "
        );
        for row in 0..rows {
            let own = SHARED + row * OWN;
            let comma = if row == 0 { "" } else { ", " };
            // Writing into a String cannot fail.
            let _ = write!(
                sql,
                "{comma}($1, $2, $3, $4, ${}, ${}, ${}, ${}, 1, 0, 0, 0)",
                own + 1,
                own + 2,
                own + 3,
                own + 4
            );
        }
        &*String::leak(sql)
    };
    (0..=PLAIN_ROWS.ilog2()).map(|power| statement(1 << power)).collect()
});

/// Writes executions that come sorted by run, test and attempt.
pub(crate) struct ExecutionWriter {
    suite: SuiteId,
    /// Run, upload and variant of the plain rows that wait.
    shared: (i64, i64, i64),
    plain: Vec<Value<'static>>,
    other: Vec<Value<'static>>,
}

impl ExecutionWriter {
    pub(crate) fn new(suite: SuiteId) -> Self {
        let plain = Vec::with_capacity(SHARED + PLAIN_ROWS * OWN);
        Self { suite, shared: (0, 0, 0), plain, other: Vec::new() }
    }

    /// Takes one execution, and writes when enough wait.
    pub(crate) fn add(&mut self, db: &mut Db<'_>, execution: &Execution) -> Result<(), StorageError> {
        let Execution {
            id,
            upload,
            variant,
            instance,
            outcome,
            flags,
            offset_ms,
            duration_us,
            external_hash,
        } = execution;
        let plain =
            id.attempt == 1 && *instance == 0 && *offset_ms == 0 && *flags == ExecutionFlags::default();
        // COPY takes everything on PostgreSQL.
        if !plain || matches!(db, Db::Postgres(_)) {
            self.other.extend_from_slice(values![
                self.suite.get(),
                id.run.get(),
                id.test.get(),
                id.attempt,
                upload.get(),
                variant.get(),
                *offset_ms,
                *instance,
                outcome.code(),
                flags.bits(),
                *duration_us,
                *external_hash,
            ]);
            return Ok(());
        }
        let shared = (id.run.get(), upload.get(), variant.get());
        if shared != self.shared || self.plain.len() >= SHARED + PLAIN_ROWS * OWN {
            self.write_plain(db)?;
            self.shared = shared;
            self.plain.extend_from_slice(values![self.suite.get(), shared.0, shared.1, shared.2]);
        }
        self.plain.extend_from_slice(values![id.test.get(), outcome.code(), *duration_us, *external_hash]);
        Ok(())
    }

    /// Writes what still waits.
    pub(crate) fn finish(mut self, db: &mut Db<'_>) -> Result<(), StorageError> {
        self.write_plain(db)?;
        ANY.rows(db, &self.other)
    }

    fn write_plain(&mut self, db: &mut Db<'_>) -> Result<(), StorageError> {
        while self.plain.len() > SHARED {
            let power = ((self.plain.len() - SHARED) / OWN).ilog2() as usize;
            let end = SHARED + (1 << power) * OWN;
            db.execute(PLAIN[power], &self.plain[..end])?;
            self.plain.drain(SHARED..end);
        }
        self.plain.clear();
        Ok(())
    }
}
