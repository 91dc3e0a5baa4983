//! Facts about this installation that are made once: the key of public ids, and what the key of secrets is known by.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::values;
use casebook_model::public_id::PublicIdKey;

const FIND: &str = "/* installation.find */ select value from installation where name = $1";
const INSERT: &str =
    "/* installation.insert */ insert into installation (name, value) values ($1, $2) on conflict do nothing";
const CHECK: &str = "/* installation.check */ select cast(count(*) as bigint) from installation";
const PUBLIC_ID_KEY: &str = "public_id_key";
const SECRET_KEY_MARK: &str = "secret_key_mark";

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

/// What the key of secrets is known by, if there is one already.
///
/// # Errors
/// The database fails.
pub fn secret_key_mark(db: &mut Db<'_>) -> Result<Option<[u8; 16]>, StorageError> {
    db.find(FIND, values![SECRET_KEY_MARK], |row| row.get(0))
}

/// The same; `fresh` becomes it when there is none yet. Runs inside a transaction.
///
/// # Errors
/// The database fails.
pub fn keep_secret_key_mark(db: &mut Db<'_>, fresh: &[u8; 16]) -> Result<[u8; 16], StorageError> {
    db.execute(INSERT, values![SECRET_KEY_MARK, fresh])?;
    db.get(FIND, values![SECRET_KEY_MARK], |row| row.get(0))
}
