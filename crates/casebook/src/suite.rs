//! `casebook suite`: make, change and list suites.

use crate::Failure;
use crate::database::{Database, now};
use casebook_model::suite::{
    RepositoryName, ResolveRule, Sensitivity, SuiteAttributes, SuiteName, check_name,
};
use casebook_storage::{StorageError, organizations, suites};
use clap::{Args, Subcommand};
use std::io::{self, Write as _};

#[derive(Args)]
pub(crate) struct SuiteCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a suite and, if needed, its organization; for a suite that is there, change what is given
    Create(Create),
    /// List every suite
    List(Database),
}

#[derive(Args)]
struct Create {
    #[command(flatten)]
    database: Database,
    /// The suite, as ORGANIZATION/SUITE
    #[arg(value_name = "ORG/SUITE", value_parser = SuiteName::parse)]
    name: SuiteName,
    /// The repository, as OWNER/NAME
    #[arg(long, value_name = "OWNER/NAME", env = "CASEBOOK_REPO", value_parser = RepositoryName::parse)]
    repo: Option<RepositoryName>,
    /// Name of the check on commits
    #[arg(long, value_name = "NAME", env = "CASEBOOK_CHECK")]
    check: Option<String>,
    /// The CI provider
    #[arg(long, value_name = "NAME", env = "CASEBOOK_PROVIDER")]
    provider: Option<String>,
    /// The branch whose results speak for the product [default: main]
    #[arg(long, value_name = "BRANCH", env = "CASEBOOK_DEFAULT_BRANCH")]
    default_branch: Option<String>,
    /// How much evidence flags a test: robust or prompt [default: robust]
    #[arg(long, value_name = "RULE", env = "CASEBOOK_DETECTION", value_parser = sensitivity)]
    detection: Option<Sensitivity>,
    /// When a flaky test counts as resolved: quiet or proven [default: quiet]
    #[arg(long, value_name = "RULE", env = "CASEBOOK_RESOLVE", value_parser = resolve_rule)]
    resolve: Option<ResolveRule>,
    /// Whether clients run tests several times that the suite does not know: on or off [default: off]
    #[arg(long, value_name = "SWITCH", env = "CASEBOOK_NEW_TESTS", value_parser = switch)]
    new_tests: Option<bool>,
}

fn switch(word: &str) -> Result<bool, String> {
    match word {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("use on or off".to_owned()),
    }
}

pub(crate) fn sensitivity(word: &str) -> Result<Sensitivity, String> {
    Sensitivity::from_word(word).ok_or_else(|| "use robust or prompt".to_owned())
}

pub(crate) fn resolve_rule(word: &str) -> Result<ResolveRule, String> {
    ResolveRule::from_word(word).ok_or_else(|| "use quiet or proven".to_owned())
}

impl SuiteCommand {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Create(create) => create.run(),
            Action::List(database) => list(&database),
        }
    }
}

impl Create {
    fn run(self) -> Result<(), Failure> {
        let store = self.database.open()?;
        let made = store.write(|db| {
            let SuiteName { organization, suite: slug } = &self.name;
            if let Some(mut suite) = suites::find(db, organization.as_str(), slug.as_str())? {
                self.change(&mut suite.attributes);
                let organization = suite.organization.id;
                if let Some(other) = suites::same_check(db, organization, Some(suite.id), &suite.attributes)?
                {
                    return Ok(Err(other));
                }
                suites::update(db, suite.id, &suite.attributes, now())?;
                return Ok::<_, StorageError>(Ok((false, suite)));
            }
            let organization = organizations::find_or_insert(db, organization, now())?;
            let mut attributes = SuiteAttributes::named(slug.as_str());
            self.change(&mut attributes);
            if let Some(other) = suites::same_check(db, organization.id, None, &attributes)? {
                return Ok(Err(other));
            }
            Ok(Ok((true, suites::insert(db, &organization, slug, &attributes, now())?)))
        })?;
        let (made, suite) = made.map_err(|other| {
            format!(
                "suite {} has that repository and check: give another check, or change that suite",
                other.name()
            )
        })?;
        println!("{} suite {}", if made { "made" } else { "changed" }, suite.name());
        Ok(())
    }

    /// Applies what was given, and leaves the rest.
    fn change(&self, attributes: &mut SuiteAttributes) {
        if let Some(repo) = &self.repo {
            attributes.repository = Some(repo.clone());
        }
        if let Some(check) = &self.check {
            attributes.check = Some(check_name(check));
        }
        if let Some(provider) = &self.provider {
            attributes.provider = Some(provider.clone());
        }
        if let Some(branch) = &self.default_branch {
            attributes.default_branch.clone_from(branch);
        }
        attributes.sensitivity = self.detection.unwrap_or(attributes.sensitivity);
        attributes.resolve_rule = self.resolve.unwrap_or(attributes.resolve_rule);
        attributes.new_tests = self.new_tests.unwrap_or(attributes.new_tests);
    }
}

fn list(database: &Database) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for suite in database.open()?.read(suites::list)? {
        let attributes = &suite.attributes;
        let described = [
            Some(format!("branch {}", attributes.default_branch)),
            attributes.repository.as_ref().map(|repository| format!("repo {}", repository.as_str())),
            attributes.check.as_ref().map(|check| format!("check {check}")),
            attributes.provider.as_ref().map(|provider| format!("provider {provider}")),
            Some(format!("detection {}", attributes.sensitivity)),
            Some(format!("resolve {}", attributes.resolve_rule)),
            attributes.new_tests.then(|| "new tests run several times".to_owned()),
        ];
        writeln!(
            out,
            "{}\t{}",
            suite.name(),
            described.into_iter().flatten().collect::<Vec<_>>().join(", ")
        )?;
    }
    Ok(())
}
