//! Reading tests, with what happened to them in a window of time.

use crate::App;
use casebook_model::disposition::Disposition;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::public_id::Subject;
use casebook_model::rollup::RollupCell;
use casebook_model::run::Protocol;
use casebook_model::test::Spelling;
use casebook_model::time::{DAY_US, Timestamp};
use casebook_storage::page::{Listed, Page};
use casebook_storage::{Db, StorageError, dispositions, executions, rollups, tests};
use std::cmp::Ordering;
use std::collections::HashMap;

pub use casebook_storage::executions::{BranchFilter, Selection};
pub use casebook_storage::tests::ShownTest;

const HOUR_US: i64 = DAY_US / 24;

/// Which executions count.
///
/// Whole days are answered from roll-ups by UTC day, today included and one day more than named, so that nothing within the
/// window is ever missed. Hours, given times and branches are counted from the executions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// Whole days, from roll-ups.
    Days(rollups::Window),
    /// Anything else, from executions.
    Exact(Selection),
}

impl Window {
    /// The last `hours` hours before `now`, on some branches or all.
    #[must_use]
    pub fn last_hours(hours: i64, branch: Option<BranchFilter>, now: Timestamp) -> Self {
        if hours < 24 || branch.is_some() {
            return Self::Exact(Selection { from: now.plus(-hours * HOUR_US), to: now, branch });
        }
        let last_day = now.day();
        Self::Days(rollups::Window { first_day: last_day - hours / 24, last_day, branch_class: None })
    }

    /// What happened to each test that ran.
    fn all(&self, db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<(TestId, RollupCell)>, StorageError> {
        match self {
            Self::Days(window) => rollups::window(db, suite, *window),
            Self::Exact(selection) => executions::count(db, suite, selection),
        }
    }

    /// What happened to one test.
    fn of_test(&self, db: &mut Db<'_>, suite: SuiteId, test: TestId) -> Result<RollupCell, StorageError> {
        match self {
            Self::Days(window) => {
                let mut total = RollupCell::default();
                for (_, _, cell) in rollups::of_test(db, suite, test, *window)? {
                    total.merge(&cell);
                }
                Ok(total)
            }
            Self::Exact(selection) => {
                let cells = executions::count(db, suite, selection)?;
                let found = cells.binary_search_by_key(&test, |(id, _)| *id).ok();
                Ok(found.map(|index| cells[index].1).unwrap_or_default())
            }
        }
    }
}

/// Which tests a list is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestFilter {
    /// Only tests with all of these labels.
    pub with: Vec<String>,
    /// Only tests with none of these labels.
    pub without: Vec<String>,
    /// Only tests with this disposition.
    pub disposition: Option<Disposition>,
}

impl TestFilter {
    fn retain(
        &self,
        db: &mut Db<'_>,
        suite: SuiteId,
        cells: &mut Vec<(TestId, RollupCell)>,
    ) -> Result<(), StorageError> {
        let mut keep = |tests: &[TestId], wanted: bool| {
            cells.retain(|(test, _)| tests.binary_search(test).is_ok() == wanted);
        };
        for label in &self.with {
            keep(&tests::labelled(db, suite, label)?, true);
        }
        for label in &self.without {
            keep(&tests::labelled(db, suite, label)?, false);
        }
        match self.disposition {
            None => {}
            Some(Disposition::Active) => {
                // Active is what nobody has decided about.
                keep(&dispositions::with(db, suite, Disposition::Muted)?, false);
                keep(&dispositions::with(db, suite, Disposition::Skipped)?, false);
            }
            Some(other) => keep(&dispositions::with(db, suite, other)?, true),
        }
        Ok(())
    }
}

/// How a list of tests is sorted. Tests without a value come last either way; ties by first arrival.
#[derive(Debug, Clone, Copy)]
pub struct TestOrder {
    /// The value to sort by.
    pub by: fn(&RollupCell) -> Option<f64>,
    /// Smallest first.
    pub ascending: bool,
}

impl TestOrder {
    fn sort(self, cells: &mut [(TestId, RollupCell)]) {
        cells.sort_by(|(left_id, left), (right_id, right)| {
            let values = match ((self.by)(left), (self.by)(right)) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(left), Some(right)) if self.ascending => left.total_cmp(&right),
                (Some(left), Some(right)) => right.total_cmp(&left),
            };
            values.then(left_id.cmp(right_id))
        });
    }
}

/// passed / (passed + failed); nothing else counts (`buildkite.md` 4.5).
#[must_use]
pub fn reliability(cell: &RollupCell) -> Option<f64> {
    let judged = cell.passed + cell.failed + cell.error;
    (judged > 0).then(|| cell.passed as f64 / judged as f64)
}

/// Mean duration in seconds, over the executions that have one.
#[must_use]
pub fn mean_seconds(cell: &RollupCell) -> Option<f64> {
    (cell.timed > 0).then(|| cell.duration_sum_us as f64 / cell.timed as f64 / 1e6)
}

impl App {
    /// The tests of a suite in order of first arrival, all or those with a label, as `protocol` shows them.
    ///
    /// # Errors
    /// The database fails.
    pub async fn tests(
        &self,
        suite: SuiteId,
        protocol: Protocol,
        label: Option<String>,
        page: Page,
    ) -> Result<Listed<ShownTest>, StorageError> {
        self.read(move |db| match label {
            None => tests::list(db, suite, protocol, page),
            Some(label) => tests::list_labelled(db, suite, protocol, &label, page),
        })
        .await
    }

    /// The tests that ran in `window`, with what happened to them there.
    ///
    /// # Errors
    /// The database fails.
    pub async fn tests_in(
        &self,
        suite: SuiteId,
        protocol: Protocol,
        window: Window,
        filter: TestFilter,
        order: TestOrder,
        page: Page,
    ) -> Result<Listed<(ShownTest, RollupCell)>, StorageError> {
        self.read(move |db| {
            let mut cells = window.all(db, suite)?;
            cells.retain(|(_, cell)| cell.executions() > 0);
            filter.retain(db, suite, &mut cells)?;
            order.sort(&mut cells);
            let total = cells.len() as i64;
            let start = usize::try_from(page.offset).unwrap_or(usize::MAX).min(cells.len());
            let end = start.saturating_add(usize::try_from(page.limit).unwrap_or(0)).min(cells.len());
            let cells = &cells[start..end];
            let ids: Vec<TestId> = cells.iter().map(|(test, _)| *test).collect();
            let of: HashMap<TestId, RollupCell> = cells.iter().copied().collect();
            let shown = tests::by_ids(db, suite, &ids, protocol)?.into_iter();
            let items = shown.filter_map(|shown| of.get(&shown.test.id).map(|cell| (shown, *cell))).collect();
            Ok(Listed { items, total })
        })
        .await
    }

    /// The test with that public id, if it belongs to the suite, with what happened to it in `window`, if one is given.
    ///
    /// # Errors
    /// The database fails.
    pub async fn test(
        &self,
        suite: SuiteId,
        public_id: &str,
        protocol: Protocol,
        window: Option<Window>,
    ) -> Result<Option<(ShownTest, Option<RollupCell>)>, StorageError> {
        let test = match self.subject(public_id) {
            Some(Subject::Test(of, test)) if of == suite => test,
            _ => return Ok(None),
        };
        self.read(move |db| {
            let Some(shown) = tests::find(db, suite, test, protocol)? else { return Ok(None) };
            let cell = window.map(|window| window.of_test(db, suite, test)).transpose()?;
            Ok(Some((shown, cell)))
        })
        .await
    }

    /// The test that this spelling means, as its protocol shows it now.
    ///
    /// # Errors
    /// The database fails.
    pub async fn test_by_spelling(
        &self,
        suite: SuiteId,
        spelling: Spelling<'static>,
    ) -> Result<Option<ShownTest>, StorageError> {
        self.read(move |db| match tests::find_by_spelling(db, suite, &spelling)? {
            Some(test) => tests::find(db, suite, test, spelling.protocol),
            None => Ok(None),
        })
        .await
    }
}
