//! Inserting many rows: multi-row statements of a few sizes, and COPY where PostgreSQL takes it.

use crate::db::{Db, PostgresHandle, references};
use crate::error::StorageError;
use crate::value::{Row, Value};
use postgres::binary_copy::BinaryCopyInWriter;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

/// A table, its columns, and what to do with rows that are there already.
pub(crate) struct Insert {
    /// Table and columns, such as `test (suite_id, test_id)`.
    pub(crate) into: &'static str,
    /// How many columns that are.
    pub(crate) columns: usize,
    /// What follows the rows, such as `on conflict do nothing`; empty when every row is new.
    pub(crate) conflict: &'static str,
}

/// Rows in one statement at most. The sizes used are powers of two, so that each insert has few prepared statements.
const MOST_ROWS: usize = 64;

/// From this many rows on, PostgreSQL's COPY is worth its round trips.
const COPY_FROM: usize = 256;

/// Texts by table, conflict rule and number of rows.
type Statements = HashMap<(&'static str, &'static str, usize), &'static str>;

impl Insert {
    /// Inserts `values`, row after row. Rows must be unique within one call when `conflict` updates.
    ///
    /// # Errors
    /// A statement fails; the rows before it may be there, so call this inside a transaction.
    pub(crate) fn rows(&self, db: &mut Db<'_>, values: &[Value<'_>]) -> Result<(), StorageError> {
        debug_assert_eq!(values.len() % self.columns, 0);
        if let Db::Postgres(handle) = db
            && self.conflict.is_empty()
            && values.len() / self.columns >= COPY_FROM
        {
            return self.copy(handle, values);
        }
        let mut rest = values;
        while !rest.is_empty() {
            let rows = (rest.len() / self.columns).min(MOST_ROWS);
            let rows = 1 << rows.ilog2();
            let (now, later) = rest.split_at(rows * self.columns);
            db.execute(self.statement(rows), now)?;
            rest = later;
        }
        Ok(())
    }

    /// The same where `conflict` returns something of each row that was inserted.
    ///
    /// # Errors
    /// A statement fails, or `visit` does.
    pub(crate) fn rows_returning(
        &self,
        db: &mut Db<'_>,
        values: &[Value<'_>],
        mut visit: impl FnMut(&Row<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let mut rest = values;
        while !rest.is_empty() {
            let rows = (rest.len() / self.columns).min(MOST_ROWS);
            let (now, later) = rest.split_at((1 << rows.ilog2()) * self.columns);
            db.each(self.statement(1 << rows.ilog2()), now, &mut visit)?;
            rest = later;
        }
        Ok(())
    }

    fn copy(&self, handle: &mut PostgresHandle, values: &[Value<'_>]) -> Result<(), StorageError> {
        // The types of the columns are those that a one-row insert would bind.
        let types = handle.0.prepare(self.statement(1))?.params().to_vec();
        let writer = handle.0.client.copy_in(&format!("copy {} from stdin binary", self.into))?;
        let mut writer = BinaryCopyInWriter::new(writer, &types);
        for row in values.chunks(self.columns) {
            writer.write(&references(row))?;
        }
        writer.finish()?;
        Ok(())
    }

    fn statement(&self, rows: usize) -> &'static str {
        static STATEMENTS: LazyLock<Mutex<Statements>> = LazyLock::new(Mutex::default);
        let mut statements = STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner);
        statements.entry((self.into, self.conflict, rows)).or_insert_with(|| {
            let mut sql = format!("/* insert.{rows} */ insert into {} values ", self.into);
            for row in 0..rows {
                sql.push_str(if row == 0 { "(" } else { ", (" });
                for column in 1..=self.columns {
                    sql.push_str(if column == 1 { "$" } else { ", $" });
                    sql.push_str(&(row * self.columns + column).to_string());
                }
                sql.push(')');
            }
            sql.push(' ');
            sql.push_str(self.conflict);
            String::leak(sql)
        })
    }
}
