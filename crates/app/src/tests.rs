//! Reading tests, with what happened to them in a window of time.

use crate::App;
use crate::cancel::CancelOnDrop;
use casebook_model::disposition::Disposition;
use casebook_model::id::{SuiteId, TestId};
use casebook_model::ownership::Ownership;
use casebook_model::public_id::Subject;
use casebook_model::rollup::RollupCell;
use casebook_model::run::Protocol;
use casebook_model::test::Spelling;
use casebook_storage::page::{Listed, Page};
use casebook_storage::{Db, StorageError, dispositions, ownership, tests};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

pub use crate::windows::{BranchFilter, Selection, TagFilter, TagOperator, Window};
pub use casebook_storage::tests::ShownTest;

/// Which tests a list is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestFilter {
    /// Only tests with all of these labels.
    pub with: Vec<String>,
    /// Only tests with none of these labels.
    pub without: Vec<String>,
    /// Only tests that one of these teams owns.
    pub owners: Vec<String>,
    /// Only tests that none of these teams owns.
    pub not_owners: Vec<String>,
    /// Only tests with this disposition.
    pub disposition: Option<Disposition>,
}

/// What happened to tests, as they are picked and sorted.
type Picked<'a> = Vec<&'a (TestId, RollupCell)>;

impl TestFilter {
    fn retain(&self, db: &mut Db<'_>, suite: SuiteId, picked: &mut Picked<'_>) -> Result<(), StorageError> {
        let mut keep = |tests: &[TestId], wanted: bool| {
            picked.retain(|(test, _)| tests.binary_search(test).is_ok() == wanted);
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
        self.retain_owned(db, suite, picked)
    }

    fn retain_owned(
        &self,
        db: &mut Db<'_>,
        suite: SuiteId,
        picked: &mut Picked<'_>,
    ) -> Result<(), StorageError> {
        if self.owners.is_empty() && self.not_owners.is_empty() {
            return Ok(());
        }
        let ownership = Ownership::parse(&ownership::find(db, suite)?.unwrap_or_default());
        let locations: HashMap<TestId, String> = tests::locations(db, suite)?.into_iter().collect();
        picked.retain(|(test, _)| {
            let teams = locations.get(test).map_or(&[][..], |location| ownership.teams(location));
            let owns = |team: &String| teams.contains(team);
            (self.owners.is_empty() || self.owners.iter().any(owns)) && !self.not_owners.iter().any(owns)
        });
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
    /// The part of `picked` that is on `page` when all of it is sorted; the rest is only sorted as far as need be.
    fn page<'a>(self, picked: &Picked<'a>, page: Page) -> Picked<'a> {
        let start = usize::try_from(page.offset).unwrap_or(usize::MAX).min(picked.len());
        let end = start.saturating_add(usize::try_from(page.limit).unwrap_or(0)).min(picked.len());
        let mut keyed: Vec<(Option<f64>, &(TestId, RollupCell))> =
            picked.iter().map(|item| ((self.by)(&item.1), *item)).collect();
        if start == end {
            return Vec::new();
        }
        if end < keyed.len() {
            keyed.select_nth_unstable_by(end - 1, |left, right| self.compare(left, right));
        }
        let keyed = &mut keyed[..end];
        if start > 0 {
            keyed.select_nth_unstable_by(start - 1, |left, right| self.compare(left, right));
        }
        let keyed = &mut keyed[start..];
        keyed.sort_unstable_by(|left, right| self.compare(left, right));
        keyed.iter().map(|(_, item)| *item).collect()
    }

    fn compare(
        self,
        (left, left_item): &(Option<f64>, &(TestId, RollupCell)),
        (right, right_item): &(Option<f64>, &(TestId, RollupCell)),
    ) -> Ordering {
        let values = match (left, right) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(left), Some(right)) if self.ascending => left.total_cmp(right),
            (Some(left), Some(right)) => right.total_cmp(left),
        };
        values.then(left_item.0.cmp(&right_item.0))
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

    /// The tests that ran in `window`, with what happened to them there. When whoever asks goes away, counting ends.
    ///
    /// # Errors
    /// The database fails, or more would have to be counted than one request may cost.
    pub async fn tests_in(
        self: &Arc<Self>,
        suite: SuiteId,
        protocol: Protocol,
        window: Window,
        filter: TestFilter,
        order: TestOrder,
        page: Page,
    ) -> Result<Listed<(ShownTest, RollupCell)>, StorageError> {
        let (app, now, cancel) = (Arc::clone(self), self.now(), CancelOnDrop::default());
        let cancelled = cancel.flag();
        self.read(move |db| {
            let cells = app.windows.all(db, suite, &window, page.offset == 0, now, &cancelled)?;
            let mut picked: Picked<'_> = cells.iter().filter(|(_, cell)| cell.executions() > 0).collect();
            filter.retain(db, suite, &mut picked)?;
            let total = picked.len() as i64;
            let picked = order.page(&picked, page);
            let ids: Vec<TestId> = picked.iter().map(|(test, _)| *test).collect();
            let of: HashMap<TestId, RollupCell> = picked.into_iter().copied().collect();
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
        let cancel = CancelOnDrop::default();
        let cancelled = cancel.flag();
        self.read(move |db| {
            let Some(shown) = tests::find(db, suite, test, protocol)? else { return Ok(None) };
            let cell = window.map(|window| window.of_test(db, suite, test, &cancelled)).transpose()?;
            Ok(Some((shown, cell)))
        })
        .await
    }

    /// Whether the suite has a test of that number.
    ///
    /// # Errors
    /// The database fails.
    pub async fn test_exists(&self, suite: SuiteId, test: TestId) -> Result<bool, StorageError> {
        self.read(move |db| Ok(!tests::by_ids(db, suite, &[test], Protocol::Buildkite)?.is_empty())).await
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
