//! Counting the executions of any selection of uploads: the answer to filters that no roll-up knows.

use crate::db::Db;
use crate::error::StorageError;
use crate::executions::{OF_RUN, read};
use crate::ingest::tags_from_json;
use crate::rollups;
use crate::value::{Row, values};
use casebook_model::branch;
use casebook_model::execution::{Execution, ExecutionFlags, Outcome};
use casebook_model::id::{SuiteId, TestId, UploadId};
use casebook_model::rollup::RollupCell;
use casebook_model::tags::Tags;
use casebook_model::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) const UPLOADS: &str = "/* selection.uploads */ select upload_id, run_id, branch, accepted, commit_sha, tags from upload \
     where suite_id = $1 and at >= $2 and at <= $3";
const OWN_TAGS: &str = "/* selection.own_tags */ select test_id, attempt, tags from execution_tags where suite_id = $1 and run_id = $2";
const FILES: &str =
    "/* selection.files */ select test_id, file from test where suite_id = $1 and file is not null";

/// Executions that one request may have counted: about a second of work.
const MOST_COUNTED: i64 = 3_000_000;

/// Which branches count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BranchFilter {
    /// Exactly this one.
    Is(String),
    /// Every other one.
    Not(String),
    /// Those that start so.
    StartsWith(String),
}

impl BranchFilter {
    /// Whether `name` counts. Branches are compared without `refs/heads/`.
    #[must_use]
    pub fn admits(&self, name: Option<&str>) -> bool {
        let name = name.map(branch::compared);
        match self {
            Self::Is(wanted) => name == Some(branch::compared(wanted)),
            Self::Not(unwanted) => name != Some(branch::compared(unwanted)),
            Self::StartsWith(start) => name.is_some_and(|name| name.starts_with(branch::compared(start))),
        }
    }
}

/// Which values of a tag count (`buildkite.md` 11.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagFilter {
    /// The key: of a tag that was sent, or one that the server knows itself.
    pub key: String,
    /// How the value is compared.
    pub operator: TagOperator,
    /// What it is compared with.
    pub value: String,
}

/// How a tag's value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TagOperator {
    /// Executions with exactly this value.
    Is,
    /// Executions with another value or none.
    Not,
    /// Executions whose value starts so.
    StartsWith,
    /// Every execution of tests of which at least one has this value. Only for `result`.
    Some,
    /// Tests all of whose executions have this value. Only for `result`.
    Every,
}

impl TagFilter {
    fn admits(&self, value: Option<&str>) -> bool {
        match self.operator {
            TagOperator::Is => value == Some(&self.value),
            TagOperator::Not => value != Some(&self.value),
            TagOperator::StartsWith => value.is_some_and(|value| value.starts_with(&self.value)),
            TagOperator::Some | TagOperator::Every => true,
        }
    }
}

/// Which executions to count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selection {
    /// From this time on.
    pub from: Timestamp,
    /// Up to this time.
    pub to: Timestamp,
    /// Only on these branches.
    pub branch: Option<BranchFilter>,
    /// Only with these tags.
    pub tags: Vec<TagFilter>,
}

/// What happened to each test in the selected uploads, counted from the executions themselves. Ends early when `cancelled`
/// is set.
///
/// # Errors
/// The database fails, the selection is too large, or it was cancelled.
pub fn count(
    db: &mut Db<'_>,
    suite: SuiteId,
    selection: &Selection,
    cancelled: &AtomicBool,
) -> Result<Vec<(TestId, RollupCell)>, StorageError> {
    let uploads = uploads(db, suite, selection)?;
    let executions = uploads.values().map(|upload| upload.accepted).sum();
    if executions > MOST_COUNTED {
        return Err(StorageError::TooMuch { executions, most: MOST_COUNTED });
    }
    let mut runs: Vec<i64> = uploads.values().map(|upload| upload.run).collect();
    runs.sort_unstable();
    runs.dedup();
    let filters = Filters::new(db, suite, &selection.tags)?;
    let mut counted = Counted::default();
    for run in runs {
        if cancelled.load(Ordering::Relaxed) {
            return Err(StorageError::Cancelled);
        }
        let own = filters.own_tags(db, suite, run)?;
        db.each(OF_RUN, values![suite.get(), run], |row| {
            let execution = read(row)?;
            if let Some(upload) = uploads.get(&execution.upload) {
                let own = own.get(&(execution.id.test.get(), execution.id.attempt));
                if filters.admit(&execution, upload, own) {
                    counted.add(&execution, &filters);
                }
            }
            Ok(())
        })?;
    }
    Ok(counted.finish(&filters))
}

/// What the filters need of an upload.
struct Upload {
    run: i64,
    accepted: i64,
    branch: Option<String>,
    commit: Option<String>,
    tags: Tags,
}

fn uploads(
    db: &mut Db<'_>,
    suite: SuiteId,
    selection: &Selection,
) -> Result<HashMap<UploadId, Upload>, StorageError> {
    let Selection { from, to, branch, tags } = selection;
    let mut uploads = HashMap::new();
    db.each(UPLOADS, values![suite.get(), from.as_microseconds(), to.as_microseconds()], |row| {
        let on: Option<String> = row.get(2)?;
        if branch.as_ref().is_none_or(|filter| filter.admits(on.as_deref())) {
            let sent: Option<String> = if tags.is_empty() { None } else { row.get(5)? };
            let upload = Upload {
                run: row.get(1)?,
                accepted: row.get(3)?,
                branch: on,
                commit: row.get(4)?,
                tags: sent.map(|text| tags_from_json(&text)).unwrap_or_default(),
            };
            uploads.insert(UploadId(row.get(0)?), upload);
        }
        Ok(())
    })?;
    Ok(uploads)
}

/// The tag filters, by what they ask about.
struct Filters<'a> {
    /// About tags that uploads and executions carry, or that the server knows itself.
    carried: Vec<&'a TagFilter>,
    /// About the result.
    result: Vec<&'a TagFilter>,
    /// Files of tests, if a filter asks for them.
    files: HashMap<i64, String>,
}

/// Whether the server knows the tag `key` from the file of a test.
fn is_of_file(key: &str) -> bool {
    matches!(key, "code.file.path" | "test.selector.primary")
}

impl<'a> Filters<'a> {
    fn new(db: &mut Db<'_>, suite: SuiteId, tags: &'a [TagFilter]) -> Result<Self, StorageError> {
        let (result, carried): (Vec<_>, Vec<_>) = tags.iter().partition(|filter| filter.key == "result");
        let mut files = HashMap::new();
        if carried.iter().any(|filter| is_of_file(&filter.key)) {
            db.each(FILES, values![suite.get()], |row| {
                files.insert(row.get(0)?, row.get(1)?);
                Ok(())
            })?;
        }
        Ok(Self { carried, result, files })
    }

    /// Tags of single executions of a run, as far as any filter asks.
    fn own_tags(
        &self,
        db: &mut Db<'_>,
        suite: SuiteId,
        run: i64,
    ) -> Result<HashMap<(i64, i64), Tags>, StorageError> {
        let mut own = HashMap::new();
        if !self.carried.is_empty() {
            db.each(OWN_TAGS, values![suite.get(), run], |row: &Row<'_>| {
                own.insert((row.get(0)?, row.get(1)?), tags_from_json(&row.get::<String>(2)?));
                Ok(())
            })?;
        }
        Ok(own)
    }

    fn admit(&self, execution: &Execution, upload: &Upload, own: Option<&Tags>) -> bool {
        let carried = |filter: &&TagFilter| {
            let own = own.and_then(|tags| tags.get(&filter.key));
            let value = own.or_else(|| upload.tags.get(&filter.key)).or(match &*filter.key {
                "scm.branch" => upload.branch.as_deref().map(branch::compared),
                "scm.commit_sha" => upload.commit.as_deref(),
                key if is_of_file(key) => self.files.get(&execution.id.test.get()).map(String::as_str),
                _ => None,
            });
            filter.admits(value)
        };
        self.carried.iter().all(carried)
            && self.result.iter().all(|filter| filter.admits(Some(result_word(execution))))
    }
}

/// The word for an execution's outcome in filters.
fn result_word(execution: &Execution) -> &'static str {
    match execution.outcome {
        Outcome::Passed => "passed",
        Outcome::Failed | Outcome::Error => "failed",
        Outcome::Skipped if execution.flags.contains(ExecutionFlags::PENDING) => "pending",
        Outcome::Skipped => "skipped",
        Outcome::Unknown => "unknown",
    }
}

/// Counts by test, and what the filters over all executions of a test have seen.
#[derive(Default)]
struct Counted {
    cells: BTreeMap<TestId, (RollupCell, Vec<Seen>)>,
}

/// How often a filter's value was met.
#[derive(Default, Clone, Copy)]
struct Seen {
    met: bool,
    missed: bool,
}

impl Counted {
    fn add(&mut self, execution: &Execution, filters: &Filters<'_>) {
        let (cell, seen) = self.cells.entry(execution.id.test).or_default();
        rollups::count(cell, execution);
        seen.resize(filters.result.len(), Seen::default());
        for (seen, filter) in seen.iter_mut().zip(&filters.result) {
            let met = result_word(execution) == filter.value;
            seen.met |= met;
            seen.missed |= !met;
        }
    }

    fn finish(self, filters: &Filters<'_>) -> Vec<(TestId, RollupCell)> {
        let admitted = |seen: &[Seen]| {
            seen.iter().zip(&filters.result).all(|(seen, filter)| match filter.operator {
                TagOperator::Some => seen.met,
                TagOperator::Every => seen.met && !seen.missed,
                TagOperator::Is | TagOperator::Not | TagOperator::StartsWith => true,
            })
        };
        let cells = self.cells.into_iter().filter(|(_, (_, seen))| admitted(seen));
        cells.map(|(test, (cell, _))| (test, cell)).collect()
    }
}
