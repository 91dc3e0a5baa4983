//! Tokens, stored as hashes.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::value::{Row, values};
use casebook_model::id::{OrganizationId, SuiteId, TokenId};
use casebook_model::time::Timestamp;
use casebook_model::token::{Reach, Scope, Token};

const COLUMNS_INSERT: &str = "/* tokens.insert */ insert into token (hash, organization_id, suite_id, scope, branches, created_at) \
     values ($1, $2, $3, $4, $5, $6) returning token_id, organization_id, suite_id, scope, branches, created_at, hash";
pub(crate) const FIND: &str = "/* tokens.find */ select token_id, organization_id, suite_id, scope, branches, created_at, hash from token \
     where hash = $1 and revoked_at is null";
const LIST: &str = "/* tokens.list */ select token_id, organization_id, suite_id, scope, branches, created_at, hash from token \
     where revoked_at is null order by token_id";
const REVOKE: &str =
    "/* tokens.revoke */ update token set revoked_at = $2 where token_id = $1 and revoked_at is null";
const COUNT: &str = "/* tokens.count */ select count(*) from token";

/// SHA-256 of a token's text.
pub type TokenHash = [u8; 32];

/// Keeps a new token.
///
/// # Errors
/// The database fails.
pub fn insert(
    db: &mut Db<'_>,
    hash: &TokenHash,
    reach: Reach,
    scope: Scope,
    branches: Option<&str>,
    now: Timestamp,
) -> Result<Token, StorageError> {
    let (organization, suite) = match reach {
        Reach::Organization(id) => (Some(id.get()), None),
        Reach::Suite(id) => (None, Some(id.get())),
    };
    let values = values![hash, organization, suite, scope.code(), branches, now.as_microseconds()];
    db.get(COLUMNS_INSERT, values, |row| Ok(read(row)?.0))
}

/// The token with that hash, unless it was revoked, with the stored hash for comparison in constant time.
///
/// # Errors
/// The database fails.
pub fn find(db: &mut Db<'_>, hash: &TokenHash) -> Result<Option<(Token, Vec<u8>)>, StorageError> {
    db.find(FIND, values![hash], read)
}

/// Every token that was not revoked, oldest first.
///
/// # Errors
/// The database fails.
pub fn list(db: &mut Db<'_>) -> Result<Vec<Token>, StorageError> {
    db.query(LIST, &[], |row| Ok(read(row)?.0))
}

/// Revokes a token; false if there is none with that number.
///
/// # Errors
/// The database fails.
pub fn revoke(db: &mut Db<'_>, id: TokenId, now: Timestamp) -> Result<bool, StorageError> {
    Ok(db.execute(REVOKE, values![id.get(), now.as_microseconds()])? > 0)
}

/// How many tokens were ever made: none means a first start.
///
/// # Errors
/// The database fails.
pub fn count(db: &mut Db<'_>) -> Result<i64, StorageError> {
    db.get(COUNT, &[], |row| row.get(0))
}

fn read(row: &Row<'_>) -> Result<(Token, Vec<u8>), StorageError> {
    let scope = row.get(3)?;
    let reach = match (row.get::<Option<i64>>(1)?, row.get::<Option<i64>>(2)?) {
        (Some(organization), None) => Reach::Organization(OrganizationId(organization)),
        (None, Some(suite)) => Reach::Suite(SuiteId(suite)),
        both => return Err(StorageError::Damaged { place: "token reach", found: format!("{both:?}") }),
    };
    let token = Token {
        id: TokenId(row.get(0)?),
        reach,
        scope: member(Scope::from_code(scope), scope, "token.scope")?,
        branches: row.get(4)?,
        created_at: Timestamp(row.get(5)?),
    };
    Ok((token, row.get(6)?))
}
