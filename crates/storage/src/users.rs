//! Users.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::value::{Row, values};
use casebook_model::id::{SuiteId, UserId};
use casebook_model::time::Timestamp;
use casebook_model::user::{Role, User, UserName};

const UPSERT: &str = "/* users.upsert */ insert into user_account (name, role, home_suite_id, password_hash, created_at) \
     values ($1, $2, $3, $4, $5) on conflict (name) do update set role = excluded.role, \
     home_suite_id = excluded.home_suite_id, password_hash = excluded.password_hash";
const FIND: &str = "/* users.find */ select user_id, name, role, home_suite_id, created_at, password_hash from user_account \
     where name = $1";
const LIST: &str = "/* users.list */ select user_id, name, role, home_suite_id, created_at, password_hash from user_account \
     order by name";
const REMOVE: &str = "/* users.remove */ delete from user_account where name = $1";

/// Makes a user, or gives an existing one this role, home and password.
///
/// # Errors
/// The database fails.
pub fn upsert(
    db: &mut Db<'_>,
    name: &UserName,
    role: Role,
    home: SuiteId,
    password_hash: &str,
    now: Timestamp,
) -> Result<(), StorageError> {
    let values = values![name.as_str(), role.code(), home.get(), password_hash, now.as_microseconds()];
    db.execute(UPSERT, values)?;
    Ok(())
}

/// The user with that name, and the hash of the password.
///
/// # Errors
/// The database fails.
pub fn find(db: &mut Db<'_>, name: &str) -> Result<Option<(User, String)>, StorageError> {
    db.find(FIND, values![name], read)
}

/// Every user, by name.
///
/// # Errors
/// The database fails.
pub fn list(db: &mut Db<'_>) -> Result<Vec<User>, StorageError> {
    db.query(LIST, &[], |row| Ok(read(row)?.0))
}

/// Removes a user; false if there is none of that name.
///
/// # Errors
/// The database fails.
pub fn remove(db: &mut Db<'_>, name: &str) -> Result<bool, StorageError> {
    Ok(db.execute(REMOVE, values![name])? > 0)
}

fn read(row: &Row<'_>) -> Result<(User, String), StorageError> {
    let (name, role): (String, i64) = (row.get(1)?, row.get(2)?);
    let user = User {
        id: UserId(row.get(0)?),
        name: UserName::parse(&name)
            .map_err(|_| StorageError::Damaged { place: "user_account.name", found: name })?,
        role: member(Role::from_code(role), role, "user_account.role")?,
        home: SuiteId(row.get(3)?),
        created_at: Timestamp(row.get(4)?),
    };
    Ok((user, row.get(5)?))
}
