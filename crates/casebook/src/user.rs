//! `casebook user`: make, change, list and remove users.

use crate::Failure;
use crate::database::{self, Database, now};
use casebook_app::{passwords, setup::DEFAULT_SLUG};
use casebook_model::suite::SuiteName;
use casebook_model::user::{Role, UserName};
use casebook_storage::{StorageError, suites, users};
use clap::{Args, Subcommand};
use std::io::{self, Write as _};

#[derive(Args)]
pub(crate) struct UserCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a user; one that is there gets this role, home and password
    Create(Create),
    /// List every user
    List(Database),
    /// Remove a user
    Remove(Remove),
}

#[derive(Args)]
struct Create {
    #[command(flatten)]
    database: Database,
    /// The name
    #[arg(value_name = "NAME", value_parser = UserName::parse)]
    name: UserName,
    /// What the user may do: viewer, writer or admin
    #[arg(long, value_name = "ROLE", env = "CASEBOOK_ROLE", value_parser = role)]
    role: Role,
    /// The suite that takes the user's records
    #[arg(long, value_name = "ORG/SUITE", env = "CASEBOOK_SUITE", value_parser = SuiteName::parse, default_value = "default/default")]
    suite: SuiteName,
    /// Read the password from the first line of standard input
    #[arg(long, required = true, env = "CASEBOOK_PASSWORD_STDIN")]
    password_stdin: bool,
}

#[derive(Args)]
struct Remove {
    #[command(flatten)]
    database: Database,
    /// The name
    #[arg(value_name = "NAME")]
    name: String,
}

fn role(word: &str) -> Result<Role, String> {
    Role::from_word(word).ok_or_else(|| "use viewer, writer or admin".to_owned())
}

impl UserCommand {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Create(create) => create.run(),
            Action::List(database) => list(&database),
            Action::Remove(remove) => remove.run(),
        }
    }
}

impl Create {
    fn run(self) -> Result<(), Failure> {
        let mut password = String::new();
        io::stdin().read_line(&mut password)?;
        let hash = passwords::hash(password.trim_end_matches(['\r', '\n']))?;
        let store = self.database.open()?;
        let home = database::suite(&store, &self.suite)?;
        store.write(|db| users::upsert(db, &self.name, self.role, home.id, &hash, now()))?;
        println!("user {} has role {} and home {}", self.name.as_str(), self.role, home.name());
        Ok(())
    }
}

impl Remove {
    fn run(self) -> Result<(), Failure> {
        let store = self.database.open()?;
        if !store.write(|db| users::remove(db, &self.name))? {
            return Err(format!("there is no user {}: see casebook user list", self.name).into());
        }
        println!("removed user {}", self.name);
        Ok(())
    }
}

fn list(database: &Database) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let store = database.open()?;
    let (users, suites) = store.read(|db| Ok::<_, StorageError>((users::list(db)?, suites::list(db)?)))?;
    for user in users {
        let home = suites.iter().find(|suite| suite.id == user.home).map(|suite| suite.name().to_string());
        let home = home.unwrap_or_else(|| format!("{DEFAULT_SLUG}/{DEFAULT_SLUG}"));
        writeln!(
            out,
            "{}\t{}\thome {home}\tmade {}",
            user.name.as_str(),
            user.role,
            user.created_at.to_minutes()
        )?;
    }
    Ok(())
}
