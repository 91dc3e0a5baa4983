//! `casebook check`: whether what is stored agrees with itself.

use crate::Failure;
use crate::database::Database;
use casebook_app::detection;
use casebook_storage::suites;
use clap::Args;

#[derive(Args)]
pub(crate) struct Check {
    #[command(flatten)]
    database: Database,
}

/// Something does not agree.
#[derive(Debug, thiserror::Error)]
#[error("{0} suites do not agree with their uploads: keep the database and report this")]
struct Disagreement(usize);

impl Check {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let store = self.database.open()?;
        let mut wrong = 0;
        for suite in store.read(suites::list)? {
            let audit = store.read(|db| detection::audit(db, suite.id))?;
            let agrees = audit.different.is_empty() && !audit.suite_differs;
            let verdict =
                if agrees { "agree".to_owned() } else { format!("{} differ", audit.different.len()) };
            println!(
                "{}\t{} uploads folded again, {} states, {verdict}",
                suite.name(),
                audit.uploads,
                audit.equal
            );
            wrong += usize::from(!agrees);
        }
        if wrong > 0 { Err(Disagreement(wrong).into()) } else { Ok(()) }
    }
}
