//! Migrations: embedded, forward only, the same numbered file for both engines.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::values;

/// A numbered file of both folders.
struct Migration {
    sqlite: &'static str,
    postgres: &'static str,
}

/// In order; the first has number 1.
const MIGRATIONS: &[Migration] = &[Migration {
    sqlite: include_str!("../migrations/sqlite/0001_init.sql"),
    postgres: include_str!("../migrations/postgres/0001_init.sql"),
}];

const MAKE_TABLE: &str = "create table if not exists schema_migration (version integer not null primary key, program text not null)";
const VERSION: &str =
    "/* migrate.version */ select cast(coalesce(max(version), 0) as bigint) from schema_migration";
const APPLIED: &str = "/* migrate.applied */ insert into schema_migration (version, program) values ($1, $2)";
/// Any number will do, as long as every server that starts asks for the same.
const LOCK: &str = "/* migrate.lock */ select pg_advisory_xact_lock(4216020)";

/// Brings the schema up to this program's version. Runs inside a transaction; servers that start together take turns.
pub(crate) fn run(db: &mut Db<'_>) -> Result<(), StorageError> {
    if matches!(db, Db::Postgres(_)) {
        db.batch(LOCK)?;
    }
    db.batch(MAKE_TABLE)?;
    let found: i64 = db.get(VERSION, &[], |row| row.get(0))?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(StorageError::NewerSchema { found, known });
    }
    for (version, migration) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        db.batch(match db {
            Db::Sqlite(_) => migration.sqlite,
            Db::Postgres(_) => migration.postgres,
        })?;
        db.execute(APPLIED, values![version, env!("CARGO_PKG_VERSION")])?;
    }
    Ok(())
}
