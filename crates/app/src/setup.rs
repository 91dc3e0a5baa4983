//! First start: an empty database gets an organization, a suite, an admin and a token.

use crate::{passwords, secrets};
use casebook_model::suite::{Slug, SuiteAttributes};
use casebook_model::time::Timestamp;
use casebook_model::token::{Reach, Scope};
use casebook_model::user::{Role, UserName};
use casebook_storage::{StorageError, Store, organizations, suites, tokens, users};

/// Slug of the organization and suite that are there from the first start, and of the suite that takes an organization
/// token's records.
pub const DEFAULT_SLUG: &str = "default";

/// What only the first start knows, to be shown once.
pub struct FirstStart {
    /// Name of the admin.
    pub user: String,
    /// Their password.
    pub password: String,
    /// A token of scope admin for the organization `default`.
    pub token: String,
}

/// Fills an empty database; does nothing, and returns nothing, when it has been in use before.
///
/// # Errors
/// The database fails.
pub fn first_start(store: &Store, now: Timestamp) -> Result<Option<FirstStart>, StorageError> {
    if store.read(|db| Ok::<_, StorageError>(tokens::count(db)? > 0 || !suites::list(db)?.is_empty()))? {
        return Ok(None);
    }
    let first = FirstStart {
        user: "admin".to_owned(),
        password: secrets::new_password(),
        token: secrets::new_token(),
    };
    let damaged = |found: String| StorageError::Damaged { place: "first start", found };
    let slug = Slug::parse(DEFAULT_SLUG).map_err(|error| damaged(error.to_string()))?;
    let user = UserName::parse(&first.user).map_err(|error| damaged(error.to_string()))?;
    let password = passwords::hash(&first.password).map_err(|error| damaged(error.to_string()))?;
    let hash = secrets::token_hash(&first.token);
    let made = store.write(|db| {
        let organization = organizations::find_or_insert(db, &slug, now)?;
        let suite = suites::insert(db, &organization, &slug, &SuiteAttributes::named(DEFAULT_SLUG), now)?;
        users::upsert(db, &user, Role::Admin, suite.id, &password, now)?;
        tokens::insert(db, &hash, Reach::Organization(organization.id), Scope::Admin, None, now)?;
        Ok::<_, StorageError>(())
    });
    match made {
        Ok(()) => Ok(Some(first)),
        // Another server on the same empty database was faster.
        Err(error) if error.is_unique_violation() => Ok(None),
        Err(error) => Err(error),
    }
}
