//! pytest-monitor's own file. It is read as a whole before anything is stored, so that a damaged one leaves nothing.

use super::Importing;
use crate::Failure;
use casebook_app::monitor::Taken;
use casebook_model::measurement::Session;
use casebook_storage::pymon::{self, PymonSession};
use casebook_uploader::files::ReportFile;
use std::io::Read as _;

/// Metrics between two signs of progress.
const STEP: usize = 10_000;

/// Whether a file is one of pytest-monitor, as far as its beginning tells.
pub(crate) fn is_one(file: &ReportFile) -> bool {
    let mut beginning = [0; 16];
    file.open().and_then(|mut file| file.read_exact(&mut beginning)).is_ok() && pymon::is_sqlite(&beginning)
}

/// The session of a file in the shape in which it is stored.
pub(crate) fn session(session: PymonSession) -> Session {
    let PymonSession { key, run_date, scm_ref, description } = session;
    casebook_monitor::session_of_parts(key, &run_date, scm_ref, &description)
}

pub(super) fn take(importing: &mut Importing, file: &ReportFile) -> Result<Taken, Failure> {
    let found = pymon::read(file.path())?;
    let total = found.metrics.len();
    if found.incomplete > 0 {
        let sentence = format!("{} metrics have no measured value and were left out", found.incomplete);
        importing.say(&format!("{}: {sentence}", file.name()));
    }
    let mut intake = importing.intake();
    let taken = importing.runtime.block_on(async {
        for machine in found.machines {
            intake.machine(machine).await?;
        }
        for stored in found.sessions {
            intake.session(session(stored)).await?;
        }
        let mut metrics = found.metrics.into_iter();
        loop {
            let part: Vec<_> = metrics.by_ref().take(STEP).collect();
            if part.is_empty() {
                break;
            }
            intake.metrics(part).await?;
            importing.progress(&format!("{}: {} of {total} metrics", file.name(), total - metrics.len()));
        }
        Ok::<_, Failure>(intake.taken().clone())
    })?;
    Ok(taken)
}
