//! Suites by repository and check, as CI providers name them, and the flaky tests of a suite as their users see them.

use crate::App;
use crate::access::{Access, Extent};
use crate::setup::DEFAULT_SLUG;
use casebook_model::evidence::EpisodeEnd;
use casebook_model::id::TestId;
use casebook_model::run::Protocol;
use casebook_model::suite::{RepositoryName, Suite, check_name, same_check};
use casebook_model::test::Identity;
use casebook_model::time::{DAY_US, Timestamp};
use casebook_storage::detector::StoredEpisode;
use casebook_storage::{Db, StorageError, aliases, detector, suites, tests};

/// Days after its latest evidence in which a flaky test is listed, whatever became of it (`aviator.md` 2.3).
const LISTED_DAYS: i64 = 30;

/// Other names of one check.
const MOST_ALIASES: i64 = 100;

/// A test that is or was known to be flaky.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlakyTest {
    /// The test.
    pub test: TestId,
    /// Its class name and name.
    pub identity: Identity,
    /// Time of the evidence that opened its latest announced episode.
    pub first_occurrence: Timestamp,
    /// Time of the latest evidence.
    pub last_occurrence: Timestamp,
    /// Runs with evidence in the last 24 hours.
    pub last_24_hours: i64,
}

impl App {
    /// The suite of a repository and a check, each in any spelling their CI provider uses, among those that this access
    /// reaches.
    ///
    /// # Errors
    /// The database fails.
    pub async fn suite_of_check(
        &self,
        access: &Access,
        repository: &str,
        check: &str,
    ) -> Result<Option<Suite>, StorageError> {
        let (access, repository, check) = (access.clone(), repository.to_owned(), check.to_owned());
        self.read(move |db| find(db, &access, &repository, &check)).await
    }

    /// The only suite with that repository or that check among those that this access reaches, if there is one alone.
    ///
    /// # Errors
    /// The database fails.
    pub async fn suite_of_one_name(
        &self,
        access: &Access,
        repository: Option<&str>,
        check: Option<&str>,
    ) -> Result<Option<Suite>, StorageError> {
        let repository = repository.map(RepositoryName::from_address);
        let (access, check) = (access.clone(), check.map(str::to_owned));
        self.read(move |db| {
            let mut found = reached(db, &access)?;
            found.retain(|suite| {
                let Suite { attributes, .. } = suite;
                let same_repository = match &repository {
                    Some(wanted) => {
                        wanted.as_ref().ok().is_some_and(|name| attributes.repository.as_ref() == Some(name))
                    }
                    None => true,
                };
                let own = attributes.check.as_deref();
                same_repository
                    && check.as_deref().is_none_or(|check| own.is_some_and(|own| same_check(own, check)))
            });
            Ok(found.pop().filter(|_| found.is_empty()))
        })
        .await
    }

    /// The suite that an access is valid for, if it is one.
    ///
    /// # Errors
    /// The database fails.
    pub async fn only_suite(&self, access: &Access) -> Result<Option<Suite>, StorageError> {
        let extent = access.extent;
        self.read(move |db| match extent {
            Extent::Suite(id) => suites::find_by_id(db, id),
            Extent::Anonymous => suites::find(db, DEFAULT_SLUG, DEFAULT_SLUG),
            Extent::Organization(_) | Extent::Everything(_) => Ok(None),
        })
        .await
    }

    /// Notes that a CI provider asks for the suite's check under another name too. Those of a suite that has many are left
    /// out.
    ///
    /// # Errors
    /// The database fails.
    pub async fn note_alias(&self, suite: &Suite, alias: String) -> Result<(), StorageError> {
        let id = suite.id;
        let alias = check_name(&alias);
        let known = alias.clone();
        if self.read(move |db| aliases::is_known(db, id, &known)).await? {
            return Ok(());
        }
        self.write(move |db| match aliases::count(db, id)? {
            MOST_ALIASES.. => Ok(()),
            _ => aliases::add(db, id, &alias),
        })
        .await
    }

    /// Notes which CI provider the suite's check is of, unless that is known.
    ///
    /// # Errors
    /// The database fails.
    pub async fn note_provider(&self, suite: &Suite, provider: String) -> Result<(), StorageError> {
        let id = suite.id;
        match suite.attributes.provider {
            Some(_) => Ok(()),
            None => self.write(move |db| suites::set_provider(db, id, &provider)).await,
        }
    }

    /// The tests of a suite that were announced as flaky and have evidence in the last 30 days, those whose episode began
    /// last first: `limit` of them after the first `offset`. Tests that a person said are not flaky are left
    /// out, and those whose evidence was taken back.
    ///
    /// # Errors
    /// The database fails.
    pub async fn flaky_tests(
        &self,
        suite: Suite,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<FlakyTest>, StorageError> {
        let now = self.now();
        self.read(move |db| {
            let since = now.plus(-LISTED_DAYS * DAY_US);
            let mut listed: Vec<(TestId, StoredEpisode)> =
                detector::recent_episodes(db, suite.id, since, true)?
                    .into_iter()
                    .filter(|(_, episode)| {
                        let was_none =
                            |(_, how)| matches!(how, EpisodeEnd::Dismissed | EpisodeEnd::Retracted);
                        !episode.ended.is_some_and(was_none)
                    })
                    .collect();
            listed.sort_by_key(|(test, episode)| std::cmp::Reverse((episode.opened_at, *test)));
            let page: Vec<_> = listed.into_iter().skip(offset).take(limit).collect();
            let ids: Vec<TestId> = page.iter().map(|(test, _)| *test).collect();
            let observed = detector::observed_between(db, suite.id, now.plus(-DAY_US), now)?;
            let shown = tests::by_ids(db, suite.id, &ids, Protocol::Aviator)?;
            let flaky = page.into_iter().zip(shown).map(|((test, episode), shown)| FlakyTest {
                test,
                identity: shown.test.identity,
                first_occurrence: episode.opened_at,
                last_occurrence: episode.last_evidence_at,
                last_24_hours: observed.count(test, episode.opened_at),
            });
            Ok(flaky.collect())
        })
        .await
    }
}

/// The suite of a repository and a check among those that the access reaches.
fn find(
    db: &mut Db<'_>,
    access: &Access,
    repository: &str,
    check: &str,
) -> Result<Option<Suite>, StorageError> {
    let Ok(repository) = RepositoryName::from_address(repository) else { return Ok(None) };
    let check = &check_name(check);
    if let Extent::Organization(organization) = access.extent {
        let suites = suites::of_repository(db, organization, &repository)?;
        if let Some(suite) = of_check(db, suites, check)? {
            return Ok(Some(suite));
        }
    }
    let reached = reached(db, access)?;
    let exact = |suite: &&Suite| suite.attributes.repository.as_ref() == Some(&repository);
    if let Some(suite) = of_check(db, reached.iter().filter(exact).cloned().collect(), check)? {
        return Ok(Some(suite));
    }
    // One client leaves every ".git" out, also in the middle (`aviator.md` 4.3).
    let cut = repository.as_str().replace(".git", "");
    let alike = |suite: &Suite| {
        suite.attributes.repository.as_ref().is_some_and(|own| own.as_str().replace(".git", "") == cut)
    };
    of_check(db, reached.into_iter().filter(alike).collect(), check)
}

/// The suites that an access reaches.
fn reached(db: &mut Db<'_>, access: &Access) -> Result<Vec<Suite>, StorageError> {
    match access.extent {
        Extent::Suite(id) => Ok(suites::find_by_id(db, id)?.into_iter().collect()),
        Extent::Anonymous => Ok(suites::find(db, DEFAULT_SLUG, DEFAULT_SLUG)?.into_iter().collect()),
        Extent::Organization(organization) => suites::of_organization(db, organization),
        Extent::Everything(_) => suites::list(db),
    }
}

/// The first of `suites` whose check is `check`, by its own name or another it is known by.
fn of_check(db: &mut Db<'_>, suites: Vec<Suite>, check: &str) -> Result<Option<Suite>, StorageError> {
    let is_it = |suite: &Suite| suite.attributes.check.as_deref().is_some_and(|own| same_check(own, check));
    if let Some(found) = suites.iter().find(|suite| is_it(suite)) {
        return Ok(Some(found.clone()));
    }
    for suite in suites {
        if aliases::is_known(db, suite.id, check)? {
            return Ok(Some(suite));
        }
    }
    Ok(None)
}
