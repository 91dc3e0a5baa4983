//! What the tests of several crates share: databases of both engines, and the real server on a free port.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod database;
mod http;
mod receiver;
mod server;
mod upload;

pub use database::{Engine, TestDatabase};
pub use http::{Reply, Request, exchange};
pub use receiver::{Answer, Received, WebhookReceiver};
pub use server::{FirstStart, TestServer, run};
pub use upload::{Form, Upload};

/// Turns each `fn name(database: &TestDatabase)` into the tests `sqlite::name` and `postgres::name`.
///
/// With `CASEBOOK_TEST_ENGINES=sqlite` the second says nothing; without a PostgreSQL server it fails.
#[macro_export]
macro_rules! both_engines {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                super::$name(&$crate::TestDatabase::new($crate::Engine::Sqlite).expect("SQLite is always there"));
            })+
        }
        mod postgres {
            $(#[test]
            fn $name() {
                if let Some(database) = $crate::TestDatabase::new($crate::Engine::Postgres) {
                    super::$name(&database);
                }
            })+
        }
    };
}
