//! Leases: work that only one server does at a time.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::values;
use casebook_model::time::Timestamp;

const CLAIM: &str = "/* leases.claim */ insert into lease (name, holder, until) values ($1, $2, $3) on conflict (name) do update \
     set holder = excluded.holder, until = excluded.until where lease.holder = excluded.holder or lease.until <= $4";
const RELEASE: &str = "/* leases.release */ delete from lease where name = $1 and holder = $2";

/// Takes or prolongs a lease until a time, unless another holder has it now; says whether it is held.
///
/// # Errors
/// The database fails.
pub fn claim(
    db: &mut Db<'_>,
    name: &str,
    holder: &[u8; 16],
    now: Timestamp,
    until: Timestamp,
) -> Result<bool, StorageError> {
    let (until, now) = (until.as_microseconds(), now.as_microseconds());
    Ok(db.execute(CLAIM, values![name, holder, until, now])? > 0)
}

/// Gives a lease back, if it is held.
///
/// # Errors
/// The database fails.
pub fn release(db: &mut Db<'_>, name: &str, holder: &[u8; 16]) -> Result<(), StorageError> {
    db.execute(RELEASE, values![name, holder])?;
    Ok(())
}
