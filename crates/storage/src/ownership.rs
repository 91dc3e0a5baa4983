//! Ownership files: which teams own the tests of a suite.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::values;
use casebook_model::id::SuiteId;
use casebook_model::time::Timestamp;

const FIND: &str = "/* ownership.find */ select body from ownership where suite_id = $1";
const PUT: &str = "/* ownership.put */ insert into ownership (suite_id, body, received_at) values ($1, $2, $3) \
     on conflict (suite_id) do update set body = excluded.body, received_at = excluded.received_at";

/// The text of the suite's ownership file, if it has one.
///
/// # Errors
/// The database fails.
pub fn find(db: &mut Db<'_>, suite: SuiteId) -> Result<Option<String>, StorageError> {
    let body = db.find(FIND, values![suite.get()], |row| row.get::<Vec<u8>>(0))?;
    Ok(body.map(|body| String::from_utf8_lossy(&body).into_owned()))
}

/// Replaces the suite's ownership file.
///
/// # Errors
/// The database fails.
pub fn put(db: &mut Db<'_>, suite: SuiteId, body: &str, now: Timestamp) -> Result<(), StorageError> {
    db.execute(PUT, values![suite.get(), body.as_bytes(), now.as_microseconds()])?;
    Ok(())
}
