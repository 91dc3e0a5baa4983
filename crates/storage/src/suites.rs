//! Suites.

use crate::avocado;
use crate::db::Db;
use crate::error::{StorageError, member};
use crate::organizations::slug;
use crate::value::{Row, values};
use crate::{ingest, webhooks};
use casebook_model::id::{OrganizationId, SuiteId};
use casebook_model::suite::{
    self, Appearance, Organization, RepositoryName, ResolveRule, Sensitivity, Slug, Suite, SuiteAttributes,
};
use casebook_model::time::Timestamp;

macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ",
            $name,
            " */ select suite.suite_id, suite.organization_id, organization.slug, suite.slug, suite.name, suite.default_branch, \
             suite.repository, suite.check_name, suite.provider, suite.sensitivity, suite.resolve_rule, suite.created_at, \
             suite.application_name, suite.color, suite.emoji, suite.oidc_policy, suite.default_branch_since, suite.new_tests from suite join organization on organization.organization_id = suite.organization_id ",
            $rest
        )
    };
}

const GET: &str = select!("suites.get", "where suite.suite_id = $1");
const FIND: &str = select!("suites.find", "where organization.slug = $1 and suite.slug = $2");
const FIND_DEFAULT: &str =
    select!("suites.find_default", "where suite.organization_id = $1 and suite.slug = $2");
const LIST: &str = select!("suites.list", "order by organization.slug, suite.slug");
const INSERT: &str = "/* suites.insert */ insert into suite (organization_id, slug, name, default_branch, repository, check_name, \
     provider, sensitivity, resolve_rule, created_at, application_name, color, emoji, oidc_policy, new_tests) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) returning suite_id";
const INSERT_COUNTER: &str = "/* suites.insert_counter */ insert into suite_counter (suite_id) values ($1)";
const SET_PROVIDER: &str =
    "/* suites.set_provider */ update suite set provider = $2 where suite_id = $1 and provider is null";
const UPDATE: &str = "/* suites.update */ update suite set name = $2, default_branch = $3, repository = $4, check_name = $5, \
     provider = $6, sensitivity = $7, resolve_rule = $8, application_name = $9, color = $10, emoji = $11, oidc_policy = $12, new_tests = $14, \
     default_branch_since = case when default_branch = $3 then default_branch_since else $13 end where suite_id = $1";
const DELETE: &str = "/* suites.delete */ delete from suite where suite_id = $1";
const DELETE_COUNTER: &str = "/* suites.delete_counter */ delete from suite_counter where suite_id = $1";
const DELETE_TOKENS: &str = "/* suites.delete_tokens */ delete from token where suite_id = $1";
const DELETE_ALIASES: &str = "/* suites.delete_aliases */ delete from suite_alias where suite_id = $1";
const DELETE_ATTEMPTS: &str = "/* suites.delete_attempts */ delete from delivery_attempt where delivery_id in \
     (select delivery_id from delivery join webhook on webhook.webhook_id = delivery.webhook_id where webhook.suite_id = $1)";
const DELETE_DELIVERIES: &str = "/* suites.delete_deliveries */ delete from delivery where webhook_id in \
     (select webhook_id from webhook where suite_id = $1)";
const DELETE_EVENTS: &str = "/* suites.delete_events */ delete from event where suite_id = $1";
const DELETE_WEBHOOKS: &str = "/* suites.delete_webhooks */ delete from webhook where suite_id = $1";
const MOVE_USERS: &str =
    "/* suites.move_users */ update user_account set home_suite_id = $2 where home_suite_id = $1";
const ENTER_REMOVAL: &str =
    "/* suites.enter_removal */ insert into suite_removal (suite_id, removed_at) values ($1, $2)";
const OF_ORGANIZATION: &str =
    select!("suites.of_organization", "where suite.organization_id = $1 order by suite.suite_id");
const OF_REPOSITORY: &str = select!(
    "suites.of_repository",
    "where suite.organization_id = $1 and suite.repository = $2 order by suite.suite_id"
);
const OF_CHECK: &str = select!(
    "suites.of_check",
    "where suite.organization_id = $1 and suite.check_name = $2 order by suite.suite_id"
);

/// The suite with that number.
///
/// # Errors
/// The database fails.
pub fn find_by_id(db: &mut Db<'_>, id: SuiteId) -> Result<Option<Suite>, StorageError> {
    db.find(GET, values![id.get()], read)
}

/// The suite with these slugs.
///
/// # Errors
/// The database fails.
pub fn find(db: &mut Db<'_>, organization: &str, suite: &str) -> Result<Option<Suite>, StorageError> {
    db.find(FIND, values![organization, suite], read)
}

/// The suite with that slug in an organization given by number.
///
/// # Errors
/// The database fails.
pub fn find_default(
    db: &mut Db<'_>,
    organization: OrganizationId,
    slug: &str,
) -> Result<Option<Suite>, StorageError> {
    db.find(FIND_DEFAULT, values![organization.get(), slug], read)
}

/// Every suite, by name.
///
/// # Errors
/// The database fails.
pub fn list(db: &mut Db<'_>) -> Result<Vec<Suite>, StorageError> {
    db.query(LIST, &[], read)
}

/// Another suite of the organization than `except` that has the repository and the check of `attributes`, if both are set.
///
/// # Errors
/// The database fails.
pub fn same_check(
    db: &mut Db<'_>,
    organization: OrganizationId,
    except: Option<SuiteId>,
    attributes: &SuiteAttributes,
) -> Result<Option<Suite>, StorageError> {
    let (Some(repository), Some(check)) = (&attributes.repository, &attributes.check) else {
        return Ok(None);
    };
    let is_same = |suite: &Suite| {
        Some(suite.id) != except
            && suite.attributes.check.as_deref().is_some_and(|own| suite::same_check(own, check))
    };
    Ok(of_repository(db, organization, repository)?.into_iter().find(is_same))
}

/// The suites of an organization, oldest first.
///
/// # Errors
/// The database fails.
pub fn of_organization(db: &mut Db<'_>, organization: OrganizationId) -> Result<Vec<Suite>, StorageError> {
    db.query(OF_ORGANIZATION, values![organization.get()], read)
}

/// Makes a suite. Runs inside a transaction.
///
/// # Errors
/// The database fails, or the slug is taken ([`StorageError::is_unique_violation`]).
pub fn insert(
    db: &mut Db<'_>,
    organization: &Organization,
    slug: &Slug,
    attributes: &SuiteAttributes,
    now: Timestamp,
) -> Result<Suite, StorageError> {
    let id: i64 = db.get(
        INSERT,
        values![
            organization.id.get(),
            slug.as_str(),
            &attributes.name,
            &attributes.default_branch,
            attributes.repository.as_ref().map(RepositoryName::as_str),
            attributes.check.as_deref(),
            attributes.provider.as_deref(),
            attributes.sensitivity.code(),
            attributes.resolve_rule.code(),
            now.as_microseconds(),
            attributes.appearance.application_name.as_deref(),
            attributes.appearance.color.as_deref(),
            attributes.appearance.emoji.as_deref(),
            attributes.oidc_policy.as_deref(),
            i64::from(attributes.new_tests),
        ],
        |row| row.get(0),
    )?;
    db.execute(INSERT_COUNTER, values![id])?;
    avocado::seed(db, SuiteId(id))?;
    Ok(Suite {
        id: SuiteId(id),
        organization: organization.clone(),
        slug: slug.clone(),
        attributes: attributes.clone(),
        created_at: now,
        default_branch_since: Timestamp(0),
    })
}

/// Stores the CI provider of a suite's check, unless one is known.
///
/// # Errors
/// The database fails.
pub fn set_provider(db: &mut Db<'_>, id: SuiteId, provider: &str) -> Result<(), StorageError> {
    db.execute(SET_PROVIDER, values![id.get(), provider])?;
    Ok(())
}

/// Stores changed attributes.
///
/// # Errors
/// The database fails.
pub fn update(
    db: &mut Db<'_>,
    id: SuiteId,
    attributes: &SuiteAttributes,
    now: Timestamp,
) -> Result<(), StorageError> {
    db.execute(
        UPDATE,
        values![
            id.get(),
            &attributes.name,
            &attributes.default_branch,
            attributes.repository.as_ref().map(RepositoryName::as_str),
            attributes.check.as_deref(),
            attributes.provider.as_deref(),
            attributes.sensitivity.code(),
            attributes.resolve_rule.code(),
            attributes.appearance.application_name.as_deref(),
            attributes.appearance.color.as_deref(),
            attributes.appearance.emoji.as_deref(),
            attributes.oidc_policy.as_deref(),
            now.as_microseconds(),
            i64::from(attributes.new_tests),
        ],
    )?;
    Ok(())
}

/// The suites of an organization that hold results of `repository`, oldest first.
///
/// # Errors
/// The database fails.
pub fn of_repository(
    db: &mut Db<'_>,
    organization: OrganizationId,
    repository: &RepositoryName,
) -> Result<Vec<Suite>, StorageError> {
    db.query(OF_REPOSITORY, values![organization.get(), repository.as_str()], read)
}

/// The suites of an organization that hold results of the check `check`, oldest first.
///
/// # Errors
/// The database fails.
pub fn of_check(
    db: &mut Db<'_>,
    organization: OrganizationId,
    check: &str,
) -> Result<Vec<Suite>, StorageError> {
    db.query(OF_CHECK, values![organization.get(), check], read)
}

/// Takes a suite, its tokens and its webhooks away at once; users at home there move to `home`. Its records are cleared away afterwards
/// ([`crate::removals`]). Runs inside a transaction.
///
/// # Errors
/// The database fails.
pub fn delete(db: &mut Db<'_>, id: SuiteId, home: SuiteId, now: Timestamp) -> Result<(), StorageError> {
    // In the order in which uploads and deliveries take their locks.
    ingest::lock_suite(db, id)?;
    webhooks::lock_of_suite(db, id)?;
    for statement in
        [DELETE_TOKENS, DELETE_ALIASES, DELETE_ATTEMPTS, DELETE_DELIVERIES, DELETE_EVENTS, DELETE_WEBHOOKS]
    {
        db.execute(statement, values![id.get()])?;
    }
    db.execute(MOVE_USERS, values![id.get(), home.get()])?;
    db.execute(DELETE, values![id.get()])?;
    // Without its counter row a suite takes nothing in any more: recording locks that row first.
    db.execute(DELETE_COUNTER, values![id.get()])?;
    db.execute(ENTER_REMOVAL, values![id.get(), now.as_microseconds()])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Suite, StorageError> {
    let repository: Option<String> = row.get(6)?;
    let (sensitivity, resolve_rule) = (row.get(9)?, row.get(10)?);
    Ok(Suite {
        id: SuiteId(row.get(0)?),
        organization: Organization {
            id: OrganizationId(row.get(1)?),
            slug: slug(row.get(2)?, "organization.slug")?,
        },
        slug: slug(row.get(3)?, "suite.slug")?,
        attributes: SuiteAttributes {
            name: row.get(4)?,
            default_branch: row.get(5)?,
            repository: repository.and_then(|text| RepositoryName::parse(&text).ok()),
            check: row.get(7)?,
            provider: row.get(8)?,
            sensitivity: member(Sensitivity::from_code(sensitivity), sensitivity, "suite.sensitivity")?,
            resolve_rule: member(ResolveRule::from_code(resolve_rule), resolve_rule, "suite.resolve_rule")?,
            appearance: Appearance {
                application_name: row.get(12)?,
                color: row.get(13)?,
                emoji: row.get(14)?,
            },
            oidc_policy: row.get(15)?,
            new_tests: row.flag(17)?,
        },
        created_at: Timestamp(row.get(11)?),
        default_branch_since: Timestamp(row.get(16)?),
    })
}
