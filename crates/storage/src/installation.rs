//! Facts about this installation that are made once: the key of public ids.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::values;
use casebook_model::public_id::PublicIdKey;

const FIND: &str = "/* installation.find */ select value from installation where name = $1";
const INSERT: &str =
    "/* installation.insert */ insert into installation (name, value) values ($1, $2) on conflict do nothing";
const CHECK: &str = "/* installation.check */ select cast(count(*) as bigint) from installation";
const PUBLIC_ID_KEY: &str = "public_id_key";

/// Asks the database for something it must have.
///
/// # Errors
/// The database fails.
pub fn check(db: &mut Db<'_>) -> Result<(), StorageError> {
    db.get(CHECK, &[], |row| row.get::<i64>(0)).map(drop)
}

/// The key of public ids; `fresh` becomes it when there is none yet. Runs inside a transaction.
///
/// # Errors
/// The database fails.
pub fn public_id_key(db: &mut Db<'_>, fresh: [u8; 16]) -> Result<PublicIdKey, StorageError> {
    db.execute(INSERT, values![PUBLIC_ID_KEY, &fresh])?;
    let key: [u8; 16] = db.get(FIND, values![PUBLIC_ID_KEY], |row| row.get(0))?;
    Ok(PublicIdKey::from_bytes(key))
}
