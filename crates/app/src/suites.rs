//! Making, changing, naming and deleting suites.

use crate::access::{Access, Denied, Extent};
use crate::setup::DEFAULT_SLUG;
use crate::{App, secrets};
use casebook_model::id::OrganizationId;
use casebook_model::suite::{
    Organization, RepositoryName, Slug, Suite, SuiteAttributes, SuiteName, check_name, same_check,
};
use casebook_model::time::Timestamp;
use casebook_model::token::{Reach, Scope};
use casebook_storage::{Db, StorageError, organizations, removals, suites, tokens};

/// Suites whose slugs differ only by a number at the end, at most.
const MOST_NAMESAKES: usize = 1000;

/// A suite as a report names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NamedSuite {
    /// The repository, in any form CI systems use.
    pub repository: Option<String>,
    /// Name of the check.
    pub check: Option<String>,
    /// The CI provider as people write it; only for a suite that is made.
    pub provider: Option<String>,
}

/// Where records go.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The suite, or what it will be.
    pub(crate) place: Place,
    /// What to tell whoever named a suite and was not obeyed.
    pub(crate) ignored: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub(crate) enum Place {
    Known(Box<Suite>),
    /// It is made when the records turn out to be good: bad ones leave no trace.
    New(Wanted),
}

impl Destination {
    /// A suite that is there.
    #[must_use]
    pub fn known(suite: Suite) -> Self {
        Self { place: Place::Known(Box::new(suite)), ignored: None }
    }
}

/// A suite cannot be made, changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// The credential does not allow it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Another suite has that name in addresses.
    #[error("the organization has a suite {0} already: choose another name")]
    Taken(Slug),
    /// Whoever asks for a check would not know which suite is meant.
    #[error("the organization has another suite for that repository and check: {0}")]
    SameCheck(SuiteName),
    /// First-start suites take what names no suite.
    #[error("the suite named default cannot be deleted: results that name no suite go there")]
    Default,
}

impl From<StorageError> for NotChanged {
    fn from(error: StorageError) -> Self {
        Self::Denied(Denied::Storage(error))
    }
}

impl App {
    /// Whether this access may make suites in the organization with that slug.
    ///
    /// # Errors
    /// It may not, or there is none.
    pub async fn check_organization_admin(&self, access: &Access, organization: &str) -> Result<(), Denied> {
        self.administered_organization(access, organization).await.map(|_| ())
    }

    /// Whether this access may change the suite `organization/suite`.
    ///
    /// # Errors
    /// It may not, or there is none.
    pub async fn check_suite_admin(
        &self,
        access: &Access,
        organization: &str,
        suite: &str,
    ) -> Result<(), Denied> {
        self.administered_suite(access, organization, suite).await.map(|_| ())
    }

    /// Makes a suite in the organization with that slug; with `with_token`, also a fresh token of scope upload for it, which
    /// is shown this once.
    ///
    /// # Errors
    /// The credential is no admin's of that organization, the slug is taken, or the database fails.
    pub async fn create_suite(
        &self,
        access: &Access,
        organization: &str,
        slug: Slug,
        attributes: SuiteAttributes,
        with_token: bool,
    ) -> Result<(Suite, Option<String>), NotChanged> {
        let organization = self.administered_organization(access, organization).await?;
        let now = self.now();
        let token = with_token.then(secrets::new_token);
        let hash = token.as_deref().map(secrets::token_hash);
        let taken = slug.clone();
        let made = self.write_decision(move |db| {
            if let Some(other) = suites::same_check(db, organization.id, None, &attributes)? {
                return Ok(Err(NotChanged::SameCheck(other.name())));
            }
            let suite = suites::insert(db, &organization, &slug, &attributes, now)?;
            if let Some(hash) = hash {
                tokens::insert(db, &hash, Reach::Suite(suite.id), Scope::Upload, None, now)?;
            }
            Ok(Ok(suite))
        });
        match made.await {
            Ok(made) => Ok((made?, token)),
            Err(error) if error.is_unique_violation() => Err(NotChanged::Taken(taken)),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a suite other attributes, as `change` says.
    ///
    /// # Errors
    /// The credential is no admin's of that suite, there is none, or the database fails.
    pub async fn change_suite(
        &self,
        access: &Access,
        organization: &str,
        suite: &str,
        change: impl FnOnce(&mut SuiteAttributes) + Send + 'static,
    ) -> Result<Suite, NotChanged> {
        let id = self.administered_suite(access, organization, suite).await?.id;
        let now = self.now();
        let changed = self.write_decision(move |db| {
            let Some(mut suite) = suites::find_by_id(db, id)? else { return Ok(None) };
            change(&mut suite.attributes);
            let organization = suite.organization.id;
            if let Some(other) = suites::same_check(db, organization, Some(id), &suite.attributes)? {
                return Ok(Some(Err(NotChanged::SameCheck(other.name()))));
            }
            suites::update(db, id, &suite.attributes, now)?;
            Ok(Some(Ok(suite)))
        });
        changed.await?.ok_or(Denied::NotFound)?
    }

    /// Deletes a suite with its tokens and webhooks at once; its records are cleared away in the background.
    ///
    /// # Errors
    /// The credential is no admin's of that suite, there is none, it is the one named `default`, or the database fails.
    pub async fn delete_suite(
        &self,
        access: &Access,
        organization: &str,
        suite: &str,
    ) -> Result<(), NotChanged> {
        let suite = self.administered_suite(access, organization, suite).await?;
        if suite.slug.as_str() == DEFAULT_SLUG {
            return Err(NotChanged::Default);
        }
        let now = self.now();
        self.write_decision(move |db| {
            let home = suites::find(db, DEFAULT_SLUG, DEFAULT_SLUG)?.ok_or(StorageError::NoSuchSuite)?;
            suites::delete(db, suite.id, home.id, now)
        })
        .await?;
        self.cleaning.notify_one();
        Ok(())
    }

    /// Clears away some records of deleted suites; false if there is nothing left to do.
    ///
    /// # Errors
    /// The database fails.
    pub(crate) async fn clear_removed_suites(&self) -> Result<bool, StorageError> {
        self.write(removals::step).await
    }

    /// The suite that takes records which may name one. Only an organization's token may name a suite; the one it names is
    /// made with the first records (design, access).
    ///
    /// # Errors
    /// The access does not allow uploads, or its organization has no suite `default`.
    pub async fn destination(&self, access: &Access, named: NamedSuite) -> Result<Destination, Denied> {
        let names_one = named.repository.is_some() || named.check.is_some();
        let organization = match access.extent {
            Extent::Organization(organization) if names_one && access.scope.may_upload() => organization,
            _ => {
                let suite = self.suite_for_records(access).await?;
                let obeyed = !names_one || is_named(&suite, &named);
                let told = "the repository and check that were named are not used: this credential's suite takes the \
                            results, only an organization's token may name another";
                return Ok(Destination {
                    place: Place::Known(Box::new(suite)),
                    ignored: (!obeyed).then_some(told),
                });
            }
        };
        let repository = named.repository.and_then(|text| RepositoryName::from_address(&text).ok());
        let check = named.check.as_deref().map(check_name).filter(|check| !check.is_empty());
        let wanted = Wanted { organization, repository, check, provider: named.provider };
        if wanted.repository.is_none() && wanted.check.is_none() {
            let suite = self.suite_for_records(access).await?;
            let told = "the repository that was named is none: write OWNER/NAME or its address";
            return Ok(Destination { place: Place::Known(Box::new(suite)), ignored: Some(told) });
        }
        let asked = wanted.clone();
        let found = self.read(move |db| asked.find(db)).await?;
        Ok(Destination {
            place: found.map_or(Place::New(wanted), |suite| Place::Known(Box::new(suite))),
            ignored: None,
        })
    }

    /// The suite that is wanted, made if nobody else has meanwhile.
    pub(crate) async fn make_wanted(&self, wanted: Wanted) -> Result<Suite, StorageError> {
        let now = self.now();
        self.write_decision(move |db| {
            let organization =
                organizations::lock(db, wanted.organization)?.ok_or(StorageError::NoSuchSuite)?;
            match wanted.find(db)? {
                Some(suite) => Ok(suite),
                None => wanted.make(db, &organization, now),
            }
        })
        .await
    }

    /// The organization with that slug, if this access may make suites there. Whoever has no business there learns nothing.
    async fn administered_organization(&self, access: &Access, slug: &str) -> Result<Organization, Denied> {
        if access.extent == Extent::Anonymous {
            return Err(Denied::Unknown);
        }
        let (slug, extent) = (slug.to_owned(), access.extent);
        let found = self.read(move |db| {
            let Some(organization) = organizations::find(db, &slug)? else { return Ok(None) };
            let at_home = match extent {
                Extent::Organization(id) => id == organization.id,
                Extent::Everything(_) => true,
                Extent::Suite(id) => {
                    suites::find_by_id(db, id)?.is_some_and(|suite| suite.organization == organization)
                }
                Extent::Anonymous => false,
            };
            Ok(at_home.then_some(organization))
        });
        let found = found.await?.ok_or(Denied::NotFound)?;
        match access.extent {
            Extent::Suite(_) => Err(Denied::OneSuite),
            _ if access.scope == Scope::Admin => Ok(found),
            _ => Err(Denied::Scope(access.scope)),
        }
    }

    async fn administered_suite(
        &self,
        access: &Access,
        organization: &str,
        suite: &str,
    ) -> Result<Suite, Denied> {
        let found = self.reached_suite(access, organization, suite).await?;
        match access.extent {
            Extent::Anonymous => Err(Denied::Unknown),
            _ if access.scope == Scope::Admin => Ok(found),
            _ => Err(Denied::Scope(access.scope)),
        }
    }
}

/// Whether `suite` is the one that is named.
fn is_named(suite: &Suite, named: &NamedSuite) -> bool {
    let repository = named.repository.as_deref().map(RepositoryName::from_address);
    let same_repository = match repository {
        None => true,
        Some(repository) => repository.is_ok_and(|name| suite.attributes.repository == Some(name)),
    };
    same_repository && named.check.as_deref().is_none_or(|check| has_check(suite, check))
}

fn has_check(suite: &Suite, check: &str) -> bool {
    suite.attributes.check.as_deref().is_some_and(|own| same_check(own, &check_name(check)))
}

/// A suite that is looked for, and made if it is not there.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    organization: OrganizationId,
    repository: Option<RepositoryName>,
    check: Option<String>,
    provider: Option<String>,
}

impl Wanted {
    /// The suite with this repository and check. Who names only one of them means the only suite that has it.
    fn find(&self, db: &mut Db<'_>) -> Result<Option<Suite>, StorageError> {
        let candidates = match (&self.repository, &self.check) {
            (Some(repository), _) => suites::of_repository(db, self.organization, repository)?,
            (None, Some(check)) => suites::of_check(db, self.organization, check)?,
            (None, None) => Vec::new(),
        };
        let exact = candidates.iter().find(|suite| {
            self.check.as_deref().map_or(suite.attributes.check.is_none(), |check| has_check(suite, check))
                && (self.repository.is_some() || suite.attributes.repository.is_none())
        });
        match exact {
            Some(suite) => Ok(Some(suite.clone())),
            None if candidates.len() == 1 && (self.repository.is_none() || self.check.is_none()) => {
                Ok(candidates.into_iter().next())
            }
            None => Ok(None),
        }
    }

    fn make(
        &self,
        db: &mut Db<'_>,
        organization: &Organization,
        now: Timestamp,
    ) -> Result<Suite, StorageError> {
        let parts = [self.repository.as_ref().map(RepositoryName::short), self.check.as_deref()];
        let name = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let mut attributes = SuiteAttributes::named(&name);
        attributes.repository.clone_from(&self.repository);
        attributes.check.clone_from(&self.check);
        attributes.provider.clone_from(&self.provider);
        let slug = free_slug(db, organization, &name)?;
        suites::insert(db, organization, &slug, &attributes, now)
    }
}

/// A slug for `name` that no suite of the organization has.
fn free_slug(db: &mut Db<'_>, organization: &Organization, name: &str) -> Result<Slug, StorageError> {
    let base = Slug::from_name(name).map_or_else(|_| "suite".to_owned(), |slug| slug.as_str().to_owned());
    for number in 1..=MOST_NAMESAKES {
        let text = if number == 1 {
            base.clone()
        } else {
            let short = base.len().min(90);
            format!("{}-{number}", &base[..short])
        };
        if let Ok(slug) = Slug::parse(&text)
            && suites::find(db, organization.slug.as_str(), slug.as_str())?.is_none()
        {
            return Ok(slug);
        }
    }
    Err(StorageError::Damaged { place: "suite.slug", found: format!("{MOST_NAMESAKES} suites named {base}") })
}
