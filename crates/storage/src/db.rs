//! One connection, whichever engine it belongs to.

use crate::dialect;
use crate::error::StorageError;
use crate::value::{Row, Value};
use postgres::types::ToSql;
use rusqlite::Connection;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A PostgreSQL connection with the statements it has prepared.
pub(crate) struct PostgresConnection {
    pub(crate) client: postgres::Client,
    pub(crate) statements: HashMap<&'static str, postgres::Statement>,
    /// When it was last given back.
    pub(crate) idle_since: Instant,
}

/// A connection that rested so long is asked whether it still lives: the server may have been restarted.
const RESTED: Duration = Duration::from_secs(1);

impl PostgresConnection {
    pub(crate) fn is_alive(&mut self) -> bool {
        self.idle_since.elapsed() < RESTED || self.client.is_valid(Duration::from_secs(5)).is_ok()
    }

    pub(crate) fn prepare(&mut self, sql: &'static str) -> Result<postgres::Statement, StorageError> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql)?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }
}

/// A connection lent to a caller.
pub enum Db<'a> {
    /// SQLite.
    #[doc(hidden)]
    Sqlite(&'a mut Connection),
    /// PostgreSQL.
    #[doc(hidden)]
    Postgres(&'a mut PostgresHandle),
}

/// Hides the connection's parts from other crates.
pub struct PostgresHandle(pub(crate) PostgresConnection);

impl Db<'_> {
    /// The rows of `sql`, each turned into a value by `read`.
    ///
    /// # Errors
    /// The statement fails, or `read` does.
    pub fn query<T>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StorageError>,
    ) -> Result<Vec<T>, StorageError> {
        let mut found = Vec::new();
        self.each(sql, values, |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Calls `visit` for each row of `sql` without collecting them.
    ///
    /// # Errors
    /// The statement fails, or `visit` does.
    pub fn each(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        mut visit: impl FnMut(&Row<'_>) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(dialect::for_sqlite(sql))?;
                bind(&mut statement, values)?;
                let mut rows = statement.raw_query();
                while let Some(row) = rows.next()? {
                    visit(&Row::Sqlite(row))?;
                }
            }
            Self::Postgres(handle) => {
                let statement = handle.0.prepare(sql)?;
                for row in handle.0.client.query(&statement, &references(values))? {
                    visit(&Row::Postgres(&row))?;
                }
            }
        }
        Ok(())
    }

    /// The first row of `sql`, if there is one.
    ///
    /// # Errors
    /// The statement fails, or `read` does.
    pub fn find<T>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        Ok(self.query(sql, values, read)?.into_iter().next())
    }

    /// The first row of `sql`, which always has one.
    ///
    /// # Errors
    /// The statement fails, `read` does, or there is no row.
    pub fn get<T>(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        self.find(sql, values, read)?.ok_or(StorageError::Damaged { place: sql, found: "no row".to_owned() })
    }

    /// Runs `sql` and returns the number of rows it changed.
    ///
    /// # Errors
    /// The statement fails.
    pub fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StorageError> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(dialect::for_sqlite(sql))?;
                bind(&mut statement, values)?;
                Ok(statement.raw_execute()? as u64)
            }
            Self::Postgres(handle) => {
                let statement = handle.0.prepare(sql)?;
                Ok(handle.0.client.execute(&statement, &references(values))?)
            }
        }
    }

    /// Runs statements that bind nothing and answer nothing, separated by semicolons.
    ///
    /// # Errors
    /// One of them fails.
    pub fn batch(&mut self, sql: &str) -> Result<(), StorageError> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Self::Postgres(handle) => Ok(handle.0.client.batch_execute(sql)?),
        }
    }

    /// The steps by which the engine would answer `sql`, one a line: for the snapshots of hot reads.
    ///
    /// # Errors
    /// The statement cannot be planned.
    pub fn plan(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<String, StorageError> {
        let lines: Vec<String> = match self {
            Self::Sqlite(connection) => {
                let text = format!("explain query plan {}", dialect::for_sqlite(sql));
                let mut statement = connection.prepare(&text)?;
                bind(&mut statement, values)?;
                let mut rows = statement.raw_query();
                let mut lines = Vec::new();
                while let Some(row) = rows.next()? {
                    lines.push(row.get(3)?);
                }
                lines
            }
            Self::Postgres(handle) => {
                let text = format!("explain (costs off) {sql}");
                let rows = handle.0.client.query(&text, &references(values))?;
                rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?
            }
        };
        Ok(lines.join("\n"))
    }
}

fn bind(statement: &mut rusqlite::Statement<'_>, values: &[Value<'_>]) -> Result<(), StorageError> {
    for (index, value) in (1..).zip(values) {
        statement.raw_bind_parameter(index, value)?;
    }
    Ok(())
}

pub(crate) fn references<'a>(values: &'a [Value<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}
