//! The only crate that knows SQL: one schema and one definition of each query, on SQLite and PostgreSQL.
//!
//! A query is a constant in PostgreSQL's dialect that begins with its own name as a comment; `dialect` turns the few
//! spellings that differ into SQLite's. Everything here blocks: callers run it on threads that may wait.

mod dialect;
mod error;
mod value;

mod db;
mod insert;
mod migrate;
mod pool;
mod store;

pub mod aliases;
pub mod installation;
pub mod leases;
pub mod organizations;
pub mod ownership;
pub mod suites;
pub mod tokens;
pub mod users;

pub mod avocado;
pub mod catalog;
pub mod counts;
pub mod deliveries;
pub mod detector;
pub mod dispositions;
pub mod events;
pub mod executions;
pub mod failures;
pub mod hot_reads;
pub mod ingest;
pub mod machines;
pub mod marks;
pub mod monitor;
pub mod page;
pub mod policies;
pub mod pymon;
pub mod removals;
pub mod resources;
pub mod retention;
pub mod rollups;
pub mod runs;
pub mod selection;
pub mod shifts;
pub mod stream;
pub mod tests;
pub mod uploads;
pub mod webhooks;

pub use db::Db;
pub use error::StorageError;
pub use store::{DatabaseUrl, Engine, Failure, InvalidDatabaseUrl, Store};
pub use value::{Column, Row, Value};
