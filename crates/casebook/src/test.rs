//! `casebook test`: what people say of tests.

use crate::Failure;
use crate::database::{self, Database, now};
use crate::webhook;
use casebook_app::detection;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::mark::Mark;
use casebook_model::suite::SuiteName;
use casebook_model::test::Identity;
use casebook_storage::{Store, tests};
use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct TestCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Say that a test is flaky: it is announced at once, to webhooks within a minute
    MarkFlaky(MarkArguments),
    /// Say that a test is not flaky: its episode ends, and what was observed until now counts no more
    MarkNotFlaky(MarkArguments),
}

#[derive(Args)]
struct MarkArguments {
    #[command(flatten)]
    database: Database,
    /// The suite
    #[arg(long, value_name = "ORG/SUITE", env = "CASEBOOK_SUITE", value_parser = SuiteName::parse)]
    suite: SuiteName,
    /// Class name of the test
    #[arg(
        long,
        value_name = "CLASS",
        env = "CASEBOOK_CLASS_NAME",
        default_value = "",
        allow_hyphen_values = true
    )]
    class_name: String,
    /// Name of the test
    #[arg(long, value_name = "NAME", env = "CASEBOOK_NAME", allow_hyphen_values = true)]
    name: String,
}

impl TestCommand {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::MarkFlaky(arguments) => arguments.run(Mark::Flaky),
            Action::MarkNotFlaky(arguments) => arguments.run(Mark::NotFlaky),
        }
    }
}

impl MarkArguments {
    fn run(self, mark: Mark) -> Result<(), Failure> {
        let (store, webhooks) = self.database.webhooks(&webhook::settings())?;
        let suite = database::suite(&store, &self.suite)?;
        let test = find(&store, suite.id, &self.class_name, &self.name)?;
        store.write(|db| detection::mark(db, &webhooks, suite.id, test, mark, now()))?;
        let said = match mark {
            Mark::Flaky => "flaky",
            Mark::NotFlaky => "not flaky",
        };
        println!("marked {} {said}", shown(&self.class_name, &self.name));
        Ok(())
    }
}

/// The test with that class name and name.
pub(crate) fn find(store: &Store, suite: SuiteId, class_name: &str, name: &str) -> Result<TestId, Failure> {
    let identity = Identity { class_name: class_name.to_owned(), name: name.to_owned() };
    let found = store.read(|db| tests::find_by_identity(db, suite, &identity))?;
    found.ok_or_else(|| {
        format!(
            "the suite has no test {}: give --class-name and --name as reports do",
            shown(class_name, name)
        )
        .into()
    })
}

/// A test as people read it.
pub(crate) fn shown(class_name: &str, name: &str) -> String {
    if class_name.is_empty() { name.to_owned() } else { format!("{class_name} {name}") }
}
