//! Clearing away the records of suites that were deleted: a few runs at a time, so that uploads are not held up.

use crate::db::Db;
use crate::error::StorageError;
use crate::value::values;
use casebook_model::id::SuiteId;

/// Runs whose records one step clears away.
const RUNS_A_STEP: i64 = 20;

const NEXT: &str =
    "/* removals.next */ select suite_id from suite_removal order by removed_at, suite_id limit 1";
const LAST_RUN: &str =
    "/* removals.last_run */ select max(run_id) from run where suite_id = $1 and run_id > $2";
const FIRST_RUN: &str = "/* removals.first_run */ select min(run_id) from run where suite_id = $1";
const DONE: &str = "/* removals.done */ delete from suite_removal where suite_id = $1";

/// What belongs to runs. The runs themselves go last, so that a step that was interrupted is done again.
const OF_RUNS: &[&str] = &[
    "/* removals.executions */ delete from execution where suite_id = $1 and run_id <= $2",
    "/* removals.failures */ delete from failure where suite_id = $1 and run_id <= $2",
    "/* removals.execution_tags */ delete from execution_tags where suite_id = $1 and run_id <= $2",
    "/* removals.execution_spans */ delete from execution_spans where suite_id = $1 and run_id <= $2",
    "/* removals.execution_resources */ delete from execution_resources where suite_id = $1 and run_id <= $2",
    "/* removals.uploads */ delete from upload where suite_id = $1 and run_id <= $2",
    "/* removals.runs */ delete from run where suite_id = $1 and run_id <= $2",
];

/// What belongs to the suite as a whole.
const OF_SUITE: &[&str] = &[
    "/* removals.dropped_runs */ delete from dropped_run where suite_id = $1",
    "/* removals.failure_texts */ delete from failure_text where suite_id = $1",
    "/* removals.rollups */ delete from rollup where suite_id = $1",
    "/* removals.spellings */ delete from test_spelling where suite_id = $1",
    "/* removals.labels */ delete from test_label where suite_id = $1",
    "/* removals.dispositions */ delete from test_disposition where suite_id = $1",
    "/* removals.policies */ delete from test_policy where suite_id = $1",
    "/* removals.suite_policy */ delete from suite_policy where suite_id = $1",
    "/* removals.marks */ delete from test_mark where suite_id = $1",
    "/* removals.tests */ delete from test where suite_id = $1",
    "/* removals.variants */ delete from variant where suite_id = $1",
    "/* removals.machines */ delete from machine where suite_id = $1",
    "/* removals.positions */ delete from branch_position where suite_id = $1",
    "/* removals.detector */ delete from detector_suite where suite_id = $1",
    "/* removals.states */ delete from detector_state where suite_id = $1",
    "/* removals.evidence */ delete from evidence where suite_id = $1",
    "/* removals.episodes */ delete from episode where suite_id = $1",
    "/* removals.health_changes */ delete from health_change where suite_id = $1",
    "/* removals.host_classes */ delete from host_class where suite_id = $1",
    "/* removals.resource_suite */ delete from resource_suite where suite_id = $1",
    "/* removals.baselines */ delete from resource_baseline where suite_id = $1",
    "/* removals.shifts */ delete from resource_shift where suite_id = $1",
    "/* removals.plans */ delete from test_plan where suite_id = $1",
    "/* removals.ownership */ delete from ownership where suite_id = $1",
    "/* removals.sessions */ delete from monitor_session where suite_id = $1",
    "/* removals.words */ delete from monitor_word where suite_id = $1",
    "/* removals.metrics */ delete from monitor_metric where suite_id = $1",
    "/* removals.lists */ delete from monitor_list where suite_id = $1",
    "/* removals.list_chunks */ delete from monitor_list_chunk where suite_id = $1",
    "/* removals.columns */ delete from monitor_column where suite_id = $1",
    "/* removals.component_sessions */ delete from monitor_component_session where suite_id = $1",
    "/* removals.component_spellings */ delete from monitor_component_spelling where suite_id = $1",
    "/* removals.jobs */ delete from avocado_job where suite_id = $1",
    "/* removals.job_tests */ delete from avocado_test where suite_id = $1",
    "/* removals.activities */ delete from avocado_activity where suite_id = $1",
    "/* removals.data */ delete from avocado_datum where suite_id = $1",
    "/* removals.avocado_labels */ delete from avocado_label where suite_id = $1",
    "/* removals.components */ delete from avocado_component where suite_id = $1",
    "/* removals.distros */ delete from avocado_distro where suite_id = $1",
    "/* removals.environments */ delete from avocado_environment where suite_id = $1",
];

/// Does one step of what is left to clear away, and says whether there was any. Runs inside a transaction.
///
/// # Errors
/// The database fails.
pub fn step(db: &mut Db<'_>) -> Result<bool, StorageError> {
    let Some(suite) = db.find(NEXT, &[], |row| Ok(SuiteId(row.get(0)?)))? else { return Ok(false) };
    let first: Option<i64> = db.get(FIRST_RUN, values![suite.get()], |row| row.get(0))?;
    if let Some(first) = first {
        let up_to = first + RUNS_A_STEP - 1;
        for statement in OF_RUNS {
            db.execute(statement, values![suite.get(), up_to])?;
        }
        let left: Option<i64> = db.get(LAST_RUN, values![suite.get(), up_to], |row| row.get(0))?;
        if left.is_some() {
            return Ok(true);
        }
    }
    for statement in OF_SUITE {
        db.execute(statement, values![suite.get()])?;
    }
    db.execute(DONE, values![suite.get()])?;
    Ok(true)
}
