//! The database that a command works on, also while a server runs on it.

use crate::Failure;
use casebook_app::clock::Clock;
use casebook_model::suite::{Suite, SuiteName};
use casebook_model::time::Timestamp;
use casebook_storage::{DatabaseUrl, Store, suites};
use std::path::PathBuf;

/// Where the database is.
#[derive(clap::Args)]
pub(crate) struct Database {
    /// The database: sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME
    #[arg(
        long,
        value_name = "URL",
        default_value = "sqlite:casebook.db",
        env = "CASEBOOK_DATABASE",
        hide_env_values = true
    )]
    database: String,
}

impl Database {
    /// Opens the database, and makes it ready for use if it is empty.
    ///
    /// The address is read here, not by the argument parser, which would repeat a wrong one with its password.
    pub(crate) fn open(&self) -> Result<Store, Failure> {
        let url: DatabaseUrl = self.database.parse()?;
        Ok(Store::open(&url)?)
    }

    /// The key file of secrets: the one that is given, else the one beside the SQLite file.
    pub(crate) fn key_file(&self, given: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
        let beside = || match self.database.parse()? {
            DatabaseUrl::Sqlite(path) => Ok(Some(path.with_file_name("casebook.key"))),
            DatabaseUrl::Postgres(_) => Ok(None),
        };
        given.map_or_else(beside, |given| Ok(Some(given)))
    }
}

/// The suite of that name, or a sentence that says how to make it.
pub(crate) fn suite(store: &Store, name: &SuiteName) -> Result<Suite, Failure> {
    let found = store.read(|db| suites::find(db, name.organization.as_str(), name.suite.as_str()))?;
    found.ok_or_else(|| format!("there is no suite {name}: make it with casebook suite create {name}").into())
}

/// The time for what a command writes.
pub(crate) fn now() -> Timestamp {
    Clock::System.now()
}
