//! What can go wrong in storage. Absence is `Option`, not an error.

/// A statement, connection or stored value failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// SQLite refused or failed.
    #[error("the SQLite database failed")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL refused, failed or could not be reached.
    #[error("the PostgreSQL database failed")]
    Postgres(#[from] postgres::Error),
    /// The database cannot be opened.
    #[error("cannot open the database {url}")]
    Open {
        /// Where it was looked for, without credentials.
        url: String,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The schema was made by a newer program.
    #[error(
        "the database has schema version {found}, and this program knows only up to {known}: use the newer program again"
    )]
    NewerSchema {
        /// Version in the database.
        found: i64,
        /// Newest version here.
        known: i64,
    },
    /// A stored value is not what its column promises.
    #[error("damaged value in {place}: {found}")]
    Damaged {
        /// Table and column.
        place: &'static str,
        /// What was found.
        found: String,
    },
    /// The suite was deleted meanwhile.
    #[error("the suite does not exist any more")]
    NoSuchSuite,
    /// Whoever asked went away.
    #[error("the request was given up")]
    Cancelled,
    /// More would have to be read than one request may cost.
    #[error(
        "this would count {executions} executions, and at most {most} are counted for one request: ask for a shorter time"
    )]
    TooMuch {
        /// What was asked for.
        executions: i64,
        /// What is allowed.
        most: i64,
    },
}

impl StorageError {
    /// Whether the statement broke a unique key.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(error, _)) => {
                matches!(error.extended_code, 1555 | 2067)
            }
            Self::Postgres(error) => error.code() == Some(&postgres::error::SqlState::UNIQUE_VIOLATION),
            _ => false,
        }
    }

    /// Whether the connection itself is gone, so that a new one may succeed.
    #[must_use]
    pub fn is_connection_lost(&self) -> bool {
        let Self::Postgres(error) = self else { return false };
        // Class 57P: the server ended the connection.
        error.is_closed() || error.as_db_error().is_none_or(|error| error.code().code().starts_with("57P"))
    }
}

/// Turns an unknown number of a closed set into an error that names its place.
pub(crate) fn member<T>(found: Option<T>, code: i64, place: &'static str) -> Result<T, StorageError> {
    found.ok_or_else(|| StorageError::Damaged { place, found: code.to_string() })
}
