//! `casebook check`: whether what is stored agrees with itself.

use crate::Failure;
use crate::database::Database;
use casebook_app::detection;
use casebook_model::suite::Suite;
use casebook_storage::counts::{self, Miscount};
use casebook_storage::{Store, retention, suites};
use clap::Args;

#[derive(Args)]
pub(crate) struct Check {
    #[command(flatten)]
    database: Database,
}

/// Something does not agree.
#[derive(Debug, thiserror::Error)]
#[error("{0} suites do not agree with themselves: keep the database and report this")]
struct Disagreement(usize);

impl Check {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let store = self.database.open()?;
        let mut wrong = 0;
        for suite in store.read(suites::list)? {
            let states = states_agree(&store, &suite)?;
            let counts = counts_agree(&store, &suite)?;
            wrong += usize::from(!states || !counts);
        }
        if wrong > 0 { Err(Disagreement(wrong).into()) } else { Ok(()) }
    }
}

/// Whether folding all uploads again gives the stored states. After retention the first uploads are missing for that.
fn states_agree(store: &Store, suite: &Suite) -> Result<bool, Failure> {
    let dropped = store.read(|db| retention::dropped(db, suite.id))?;
    if dropped > 0 {
        println!("{}\tstates cannot be folded again: retention has dropped {dropped} runs", suite.name());
        return Ok(true);
    }
    let audit = store.read(|db| detection::audit(db, suite.id))?;
    let agrees = audit.different.is_empty() && !audit.suite_differs;
    let verdict = if agrees { "agree".to_owned() } else { format!("{} differ", audit.different.len()) };
    println!("{}\t{} uploads folded again, {} states, {verdict}", suite.name(), audit.uploads, audit.equal);
    Ok(agrees)
}

/// Whether the stored counts are those of what is there.
fn counts_agree(store: &Store, suite: &Suite) -> Result<bool, Failure> {
    let miscounts = store.read(|db| counts::miscounts(db, suite.id))?;
    for Miscount { what, stored, found } in &miscounts {
        println!("{}\t{stored} {what} are counted, but there are {found}", suite.name());
    }
    Ok(miscounts.is_empty())
}
