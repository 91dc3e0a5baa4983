//! Every test of storage runs on SQLite and on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a step that fails has failed the test")]

mod builder;

mod access;
mod catalogs;
mod failures;
mod folding;
mod ingest;
mod monitor;
mod plans;
mod rollups;
mod schema;
