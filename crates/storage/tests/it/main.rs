//! Every test of storage runs on SQLite and on PostgreSQL.

mod builder;

mod access;
mod catalogs;
mod failures;
mod folding;
mod ingest;
mod plans;
mod rollups;
mod schema;
