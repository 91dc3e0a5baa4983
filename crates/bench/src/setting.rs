//! A fresh database with one suite and a token, and the application on it.

use casebook_app::clock::Clock;
use casebook_app::webhooks::Settings;
use casebook_app::{Anonymous, App, Options, secrets};
use casebook_model::suite::{RepositoryName, Slug, Suite, SuiteAttributes};
use casebook_model::time::Timestamp;
use casebook_model::token::{Reach, Scope};
use casebook_storage::{DatabaseUrl, StorageError, Store, organizations, suites, tokens};
use std::sync::Arc;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The repository of the suite.
pub(crate) const REPOSITORY: &str = "bench/bench";
/// The check of the suite.
pub(crate) const CHECK: &str = "unit";

/// Which kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// Where a measurement happens.
pub(crate) struct Setting {
    pub(crate) app: Arc<App>,
    pub(crate) suite: Suite,
    pub(crate) token: String,
    pub(crate) database: Database,
}

/// A database that goes away with this value.
pub(crate) struct Database {
    pub(crate) url: String,
    folder: Option<tempfile::TempDir>,
    admin: Option<(String, String)>,
}

impl Database {
    pub(crate) fn new(engine: Engine) -> Result<Self, Failure> {
        match engine {
            Engine::Sqlite => {
                // Beside the sources, not in /tmp, which may be in memory.
                std::fs::create_dir_all("target")?;
                let folder = tempfile::tempdir_in("target")?;
                let url = format!("sqlite:{}", folder.path().join("bench.db").display());
                Ok(Self { url, folder: Some(folder), admin: None })
            }
            Engine::Postgres => {
                let admin = std::env::var("CASEBOOK_BENCH_POSTGRES")
                    .map_err(|_| "CASEBOOK_BENCH_POSTGRES names no server: run cargo xtask bench")?;
                let name = format!("bench_{}_{}", std::process::id(), u32::from_le_bytes(secrets::random()));
                postgres::Client::connect(&admin, postgres::NoTls)?
                    .batch_execute(&format!("create database {name}"))?;
                let (server, _) = admin.rsplit_once('/').ok_or("the server's address names no database")?;
                Ok(Self { url: format!("{server}/{name}"), folder: None, admin: Some((admin, name)) })
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some((admin, name)) = &self.admin
            && let Ok(mut client) = postgres::Client::connect(admin, postgres::NoTls)
        {
            // What cannot be dropped goes away with the throw-away server.
            let _ = client.batch_execute(&format!("drop database if exists {name} with (force)"));
        }
    }
}

impl Setting {
    pub(crate) fn new(engine: Engine) -> Result<Self, Failure> {
        let database = Database::new(engine)?;
        let url: DatabaseUrl = database.url.parse()?;
        let store = Store::open(&url)?;
        let token = secrets::new_token();
        let (slug, now) = (Slug::parse("bench")?, Timestamp(0));
        let attributes = SuiteAttributes {
            repository: Some(RepositoryName::parse(REPOSITORY)?),
            check: Some(CHECK.to_owned()),
            ..SuiteAttributes::named("bench")
        };
        let suite = store.write(|db| {
            let organization = organizations::find_or_insert(db, &slug, now)?;
            let suite = suites::insert(db, &organization, &slug, &attributes, now)?;
            tokens::insert(
                db,
                &secrets::token_hash(&token),
                Reach::Suite(suite.id),
                Scope::Admin,
                None,
                now,
            )?;
            Ok::<_, StorageError>(suite)
        })?;
        let options = Options {
            public_url: "http://bench".to_owned(),
            anonymous: Anonymous::None,
            clock: Clock::System,
            webhooks: Settings::new(casebook_aviator::webhook::render),
            keep_days: None,
        };
        Ok(Self { app: App::start(store, options)?, suite, token, database })
    }

    /// Bytes that the database takes, indexes and everything else counted.
    pub(crate) fn bytes(&self) -> Result<f64, Failure> {
        if let Some(folder) = &self.database.folder {
            let file = folder.path().join("bench.db");
            let connection = rusqlite::Connection::open(&file)?;
            connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))?;
            return Ok(std::fs::metadata(file)?.len() as f64);
        }
        let mut client = postgres::Client::connect(&self.database.url, postgres::NoTls)?;
        let row = client.query_one("select pg_database_size(current_database()) - 7500000", &[])?;
        Ok(row.try_get::<_, i64>(0)? as f64)
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        self.app.close();
    }
}

/// What the system says of a process's memory, in MB: `VmRSS:` now, `VmHWM:` at its peak.
pub(crate) fn process_memory_mb(process: &str, what: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}
