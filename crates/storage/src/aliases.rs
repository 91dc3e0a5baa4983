//! Other names under which a CI provider asks for a suite's check.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::values;
use casebook_model::id::SuiteId;

const KNOWN: &str = "/* aliases.known */ select suite_id from suite_alias where suite_id = $1 and alias = $2";
const COUNT: &str = "/* aliases.count */ select count(*) from suite_alias where suite_id = $1";
const ADD: &str =
    "/* aliases.add */ insert into suite_alias (suite_id, alias) values ($1, $2) on conflict do nothing";

/// Whether the suite is known by that name too.
///
/// # Errors
/// The database fails.
pub fn is_known(db: &mut Db<'_>, suite: SuiteId, alias: &str) -> Result<bool, StorageError> {
    Ok(db.find(KNOWN, values![suite.get(), alias], |_| Ok(()))?.is_some())
}

/// How many other names the suite has.
///
/// # Errors
/// The database fails.
pub fn count(db: &mut Db<'_>, suite: SuiteId) -> Result<i64, StorageError> {
    db.get(COUNT, values![suite.get()], |row| row.get(0))
}

/// Adds a name; one that is there is no error.
///
/// # Errors
/// The database fails.
pub fn add(db: &mut Db<'_>, suite: SuiteId, alias: &str) -> Result<(), StorageError> {
    db.execute(ADD, values![suite.get(), alias])?;
    Ok(())
}
