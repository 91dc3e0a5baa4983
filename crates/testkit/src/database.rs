//! A fresh database for one test.

use std::sync::atomic::{AtomicU32, Ordering};

/// Which kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file in a temporary folder.
    Sqlite,
    /// A database on the server that `CASEBOOK_TEST_POSTGRES` names.
    Postgres,
}

/// A fresh, empty database that goes away with this value.
pub struct TestDatabase {
    engine: Engine,
    url: String,
    place: Place,
}

enum Place {
    Folder(tempfile::TempDir),
    Server { admin: String, name: String },
}

impl TestDatabase {
    /// A fresh database; none for PostgreSQL when only SQLite is to be tested.
    ///
    /// # Panics
    /// No PostgreSQL server is named, or it cannot be reached.
    #[must_use]
    pub fn new(engine: Engine) -> Option<Self> {
        match engine {
            Engine::Sqlite => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let url = format!("sqlite:{}", folder.path().join("casebook.db").display());
                Some(Self { engine, url, place: Place::Folder(folder) })
            }
            Engine::Postgres => {
                if std::env::var("CASEBOOK_TEST_ENGINES").is_ok_and(|engines| engines == "sqlite") {
                    return None;
                }
                let admin = std::env::var("CASEBOOK_TEST_POSTGRES").expect(
                    "CASEBOOK_TEST_POSTGRES names a PostgreSQL server: run the tests through cargo xtask ci or \
                     cargo xtask pg, or set CASEBOOK_TEST_ENGINES=sqlite",
                );
                static NUMBER: AtomicU32 = AtomicU32::new(0);
                let name = format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
                let mut client =
                    postgres::Client::connect(&admin, postgres::NoTls).expect("the PostgreSQL server");
                client.batch_execute(&format!("create database {name}")).expect("a new database");
                let (server, _) = admin.rsplit_once('/').expect("an address that ends in /database");
                let url = format!("{server}/{name}");
                Some(Self { engine, url, place: Place::Server { admin, name } })
            }
        }
    }

    /// The kind.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The address, as `--database` takes it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A folder of the test's own, if the database is a file.
    #[must_use]
    pub fn folder(&self) -> Option<&std::path::Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder.path()),
            Place::Server { .. } => None,
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Place::Server { admin, name } = &self.place
            && let Ok(mut client) = postgres::Client::connect(admin, postgres::NoTls)
        {
            // A database that cannot be dropped goes away with the server, which is thrown away after the tests.
            let _ = client.batch_execute(&format!("drop database if exists {name} with (force)"));
        }
    }
}
