//! The database: opened once, shared by all threads.

use crate::db::{Db, PostgresConnection, PostgresHandle};
use crate::error::StorageError;
use crate::migrate;
use crate::pool::{Lent, Pool};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Readers an embedded database has beside its one writer; more only compete for the two cores of a small machine.
const SQLITE_READERS: usize = 4;

/// Connections one server keeps to PostgreSQL.
const POSTGRES_CONNECTIONS: usize = 16;

/// Prepared statements kept by each SQLite connection.
const STATEMENTS: usize = 256;

/// Which kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Embedded: one file, one writer.
    Sqlite,
    /// A PostgreSQL or Citus server.
    Postgres,
}

/// Where the database is.
#[derive(Clone)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`
    Sqlite(PathBuf),
    /// `postgres://...`
    Postgres(Box<postgres::Config>),
}

/// The text is no database address.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDatabaseUrl {
    /// Neither of the two schemes.
    #[error("a database is given as sqlite:PATH or postgres://USER@HOST/NAME")]
    Scheme,
    /// PostgreSQL's part is wrong; its text may hold a password and is not repeated.
    #[error("this is no valid PostgreSQL address: use postgres://USER:PASSWORD@HOST:PORT/NAME")]
    Postgres,
}

impl std::str::FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(InvalidDatabaseUrl::Scheme)
            } else {
                Ok(Self::Sqlite(path.into()))
            };
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let mut config: postgres::Config = text.parse().map_err(|_| InvalidDatabaseUrl::Postgres)?;
            config.application_name("casebook").connect_timeout(Duration::from_secs(10));
            return Ok(Self::Postgres(Box::new(config)));
        }
        Err(InvalidDatabaseUrl::Scheme)
    }
}

/// Shows the address without credentials.
impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(config) => {
                let hosts: Vec<String> = config.get_hosts().iter().map(|host| format!("{host:?}")).collect();
                write!(f, "postgres database {} at {}", config.get_dbname().unwrap_or("?"), hosts.join(", "))
            }
        }
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The database, migrated to this program's schema.
pub struct Store {
    connections: Connections,
}

enum Connections {
    Sqlite { writer: Pool<Connection>, readers: Pool<Connection> },
    Postgres(Pool<PostgresHandle>),
}

impl Store {
    /// Opens the database, makes it if it is a file that is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// It cannot be opened or reached, or a newer program has changed its schema.
    pub fn open(url: &DatabaseUrl) -> Result<Self, StorageError> {
        let store = Self { connections: connect(url) };
        store.write(migrate::run).map_err(|error| match error {
            StorageError::NewerSchema { .. } => error,
            other => StorageError::Open { url: url.to_string(), source: Box::new(other) },
        })?;
        Ok(store)
    }

    /// The kind of database.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.connections {
            Connections::Sqlite { .. } => Engine::Sqlite,
            Connections::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs `work` on a connection for reading. Each statement sees what was committed before it.
    ///
    /// # Errors
    /// No connection can be had, or `work` fails.
    pub fn read<T, E: Failure>(&self, work: impl FnOnce(&mut Db<'_>) -> Result<T, E>) -> Result<T, E> {
        match &self.connections {
            Connections::Sqlite { readers, .. } => {
                readers.with(|connection| (work(&mut Db::Sqlite(connection)), false))
            }
            Connections::Postgres(pool) => pool.with(|handle| {
                let result = work(&mut Db::Postgres(handle));
                handle.0.idle_since = Instant::now();
                let lost = is_lost(&result);
                (result, lost)
            }),
        }
    }

    /// Like [`Self::read`] for a few indexed look-ups that take microseconds: on SQLite, if a connection is idle. Gives `work`
    /// back otherwise, because it would have to wait.
    ///
    /// # Errors
    /// `work` was not run.
    pub fn read_at_once<T, E, W>(&self, work: W) -> Result<Result<T, E>, W>
    where
        E: Failure,
        W: FnOnce(&mut Db<'_>) -> Result<T, E>,
    {
        let Connections::Sqlite { readers, .. } = &self.connections else { return Err(work) };
        let mut idle = readers.idle();
        match idle.as_mut().and_then(Lent::get) {
            Some(connection) => Ok(work(&mut Db::Sqlite(connection))),
            None => Err(work),
        }
    }

    /// Runs `work` in one transaction that is durable when this returns, and undone when `work` fails.
    ///
    /// # Errors
    /// No connection can be had, `work` fails, or the commit does.
    pub fn write<T, E: Failure>(&self, work: impl FnOnce(&mut Db<'_>) -> Result<T, E>) -> Result<T, E> {
        match &self.connections {
            Connections::Sqlite { writer, .. } => writer.with(|connection| {
                let result = transaction(&mut Db::Sqlite(connection), "begin immediate", work);
                (result, false)
            }),
            Connections::Postgres(pool) => pool.with(|handle| {
                let result = transaction(&mut Db::Postgres(handle), "begin", work);
                handle.0.idle_since = Instant::now();
                let lost = is_lost(&result);
                (result, lost)
            }),
        }
    }

    /// Brings the statistics up to date by which SQLite chooses its plans; PostgreSQL does so by itself.
    ///
    /// # Errors
    /// The statement fails.
    pub fn refresh_statistics(&self) -> Result<(), StorageError> {
        match &self.connections {
            Connections::Sqlite { writer, .. } => writer.with(|connection| {
                let result = connection
                    .execute_batch("pragma analysis_limit = 400; analyze")
                    .map_err(StorageError::from);
                (result, false)
            }),
            Connections::Postgres(_) => Ok(()),
        }
    }
}

/// PostgreSQL's client waits for the end of its connection, which must not happen on a thread of an event loop; the last owner
/// of a store may well be one.
impl Drop for Store {
    fn drop(&mut self) {
        if let Connections::Postgres(pool) = &self.connections {
            let connections = pool.drain();
            let closed = std::thread::spawn(move || drop(connections)).join();
            debug_assert!(closed.is_ok(), "closing connections does not panic");
        }
    }
}

/// An error of work on the database, which may be the database's own.
pub trait Failure: From<StorageError> {
    /// The database's own error, if it is one.
    fn storage(&self) -> Option<&StorageError>;
}

impl Failure for StorageError {
    fn storage(&self) -> Option<&StorageError> {
        Some(self)
    }
}

fn is_lost<T, E: Failure>(result: &Result<T, E>) -> bool {
    result.as_ref().err().and_then(Failure::storage).is_some_and(StorageError::is_connection_lost)
}

fn transaction<T, E: Failure>(
    db: &mut Db<'_>,
    begin: &str,
    work: impl FnOnce(&mut Db<'_>) -> Result<T, E>,
) -> Result<T, E> {
    db.batch(begin)?;
    let result = work(db).and_then(|value| {
        db.batch("commit")?;
        Ok(value)
    });
    if result.is_err() {
        // The first error is the one to report; a connection that cannot roll back is lost and was noticed already.
        let _ = db.batch("rollback");
    }
    result
}

fn connect(url: &DatabaseUrl) -> Connections {
    match url {
        DatabaseUrl::Sqlite(path) => {
            let (for_writer, for_readers) = (path.clone(), path.clone());
            Connections::Sqlite {
                writer: Pool::new(1, |_| true, move || open_sqlite(&for_writer, true)),
                readers: Pool::new(SQLITE_READERS, |_| true, move || open_sqlite(&for_readers, false)),
            }
        }
        DatabaseUrl::Postgres(config) => {
            let config = config.clone();
            Connections::Postgres(Pool::new(
                POSTGRES_CONNECTIONS,
                |handle: &mut PostgresHandle| handle.0.is_alive(),
                move || {
                    let mut client = config.connect(postgres::NoTls)?;
                    client.batch_execute("set synchronous_commit = on; set time zone 'UTC'")?;
                    let (statements, idle_since) = (HashMap::new(), Instant::now());
                    Ok(PostgresHandle(PostgresConnection { client, statements, idle_since }))
                },
            ))
        }
    }
}

fn open_sqlite(path: &Path, writer: bool) -> Result<Connection, StorageError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // A plan is made once for a statement and not again for each value that is bound to it: that took a quarter of the time of a
    // small request.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(
        "pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on; pragma temp_store = memory;
         pragma wal_autocheckpoint = 4000; pragma journal_size_limit = 67108864;",
    )?;
    let cache = if writer {
        "pragma cache_size = -8000"
    } else {
        "pragma cache_size = -2000; pragma query_only = on"
    };
    connection.execute_batch(cache)?;
    Ok(connection)
}
