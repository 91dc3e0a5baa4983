//! Organizations.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::{Row, values};
use casebook_model::id::OrganizationId;
use casebook_model::suite::{Organization, Slug};
use casebook_model::time::Timestamp;

const FIND: &str = "/* organizations.find */ select organization_id, slug from organization where slug = $1";
const LOCK: &str = "/* organizations.lock */ select organization_id, slug from organization where organization_id = $1 for update";
const INSERT: &str = "/* organizations.insert */ insert into organization (slug, created_at) values ($1, $2) returning organization_id, slug";

/// The organization with that slug.
///
/// # Errors
/// The database fails.
pub fn find(db: &mut Db<'_>, slug: &str) -> Result<Option<Organization>, StorageError> {
    db.find(FIND, values![slug], read)
}

/// The organization with that number, kept from others who ask so until the transaction ends: what is looked for in it is
/// made only once.
///
/// # Errors
/// The database fails.
pub fn lock(db: &mut Db<'_>, id: OrganizationId) -> Result<Option<Organization>, StorageError> {
    db.find(LOCK, values![id.get()], read)
}

/// The organization with that slug, made if it is not there.
///
/// # Errors
/// The database fails.
pub fn find_or_insert(db: &mut Db<'_>, slug: &Slug, now: Timestamp) -> Result<Organization, StorageError> {
    match find(db, slug.as_str())? {
        Some(organization) => Ok(organization),
        None => db.get(INSERT, values![slug.as_str(), now.as_microseconds()], read),
    }
}

fn read(row: &Row<'_>) -> Result<Organization, StorageError> {
    Ok(Organization { id: OrganizationId(row.get(0)?), slug: slug(row.get(1)?, "organization.slug")? })
}

pub(crate) fn slug(text: String, place: &'static str) -> Result<Slug, StorageError> {
    Slug::parse(&text).map_err(|_| StorageError::Damaged { place, found: text })
}
