//! `casebook token`: make, list and revoke tokens.

use crate::Failure;
use crate::database::{self, Database, now};
use casebook_app::secrets;
use casebook_model::id::TokenId;
use casebook_model::suite::{Slug, SuiteName};
use casebook_model::token::{Reach, Scope};
use casebook_storage::{StorageError, organizations, suites, tokens};
use clap::{Args, Subcommand};
use std::io::{self, Write as _};

#[derive(Args)]
pub(crate) struct TokenCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a token and print it, once
    Create(Create),
    /// List every valid token; the texts are not kept
    List(Database),
    /// Make a token invalid at once
    Revoke(Revoke),
}

#[derive(Args)]
struct Create {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    reach: ReachArguments,
    /// What it allows: upload, read, write or admin
    #[arg(long, value_name = "SCOPE", env = "CASEBOOK_SCOPE", value_parser = scope)]
    scope: Scope,
    /// Branches whose results count as more than a pull request's, such as 'main,release/*' [default: all]
    #[arg(long, value_name = "GLOB", env = "CASEBOOK_BRANCHES")]
    branches: Option<String>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct ReachArguments {
    /// The one suite it is for
    #[arg(long, value_name = "ORG/SUITE", env = "CASEBOOK_SUITE", value_parser = SuiteName::parse)]
    suite: Option<SuiteName>,
    /// The organization whose suites it is for
    #[arg(long, value_name = "ORG", env = "CASEBOOK_ORG", value_parser = Slug::parse)]
    org: Option<Slug>,
}

#[derive(Args)]
struct Revoke {
    #[command(flatten)]
    database: Database,
    /// Its number, from casebook token list
    #[arg(value_name = "NUMBER")]
    number: i32,
}

fn scope(word: &str) -> Result<Scope, String> {
    Scope::from_word(word).ok_or_else(|| "use upload, read, write or admin".to_owned())
}

impl TokenCommand {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Create(create) => create.run(),
            Action::List(database) => list(&database),
            Action::Revoke(revoke) => revoke.run(),
        }
    }
}

impl Create {
    fn run(self) -> Result<(), Failure> {
        let store = self.database.open()?;
        let reach = match (&self.reach.suite, &self.reach.org) {
            (Some(suite), _) => Reach::Suite(database::suite(&store, suite)?.id),
            (None, Some(org)) => {
                let found = store.read(|db| organizations::find(db, org.as_str()))?;
                let missing = || {
                    format!("there is no organization {org}: make it with casebook suite create {org}/SUITE")
                };
                Reach::Organization(found.ok_or_else(missing)?.id)
            }
            (None, None) => return Err("give --suite or --org".into()),
        };
        let token = secrets::new_token();
        let hash = secrets::token_hash(&token);
        store.write(|db| tokens::insert(db, &hash, reach, self.scope, self.branches.as_deref(), now()))?;
        println!("{token}");
        Ok(())
    }
}

impl Revoke {
    fn run(self) -> Result<(), Failure> {
        let store = self.database.open()?;
        if !store.write(|db| tokens::revoke(db, TokenId(self.number.into()), now()))? {
            return Err(format!("there is no valid token {}: see casebook token list", self.number).into());
        }
        println!("revoked token {}", self.number);
        Ok(())
    }
}

fn list(database: &Database) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let store = database.open()?;
    let (tokens, suites) = store.read(|db| Ok::<_, StorageError>((tokens::list(db)?, suites::list(db)?)))?;
    for token in tokens {
        let reach = match token.reach {
            Reach::Suite(id) => {
                let name = suites.iter().find(|suite| suite.id == id).map(|suite| suite.name().to_string());
                format!("suite {}", name.unwrap_or_default())
            }
            Reach::Organization(id) => {
                let of = suites.iter().find(|suite| suite.organization.id == id);
                format!(
                    "organization {}",
                    of.map(|suite| suite.organization.slug.to_string()).unwrap_or_default()
                )
            }
        };
        let branches = token.branches.map(|branches| format!("\tbranches {branches}")).unwrap_or_default();
        writeln!(
            out,
            "{}\t{}\t{reach}\tmade {}{branches}",
            token.id.get(),
            token.scope,
            token.created_at.to_minutes()
        )?;
    }
    Ok(())
}
