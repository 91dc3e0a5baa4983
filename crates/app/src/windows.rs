//! Windows of time over which tests are counted, and what is kept in memory to answer them at once.
//!
//! Lists over whole days come from roll-ups. The days that are over are kept unpacked and merged ([`Windows`]): only today's
//! roll-ups are read again when an upload arrived. Any other selection is counted from the executions and remembered for half a minute.

use casebook_model::branch::{self, BranchClass};
use casebook_model::id::{SuiteId, TestId};
use casebook_model::rollup::RollupCell;
use casebook_model::suite::Suite;
use casebook_model::time::{DAY_US, Timestamp};
use casebook_storage::{Db, StorageError, rollups, selection};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

pub use casebook_storage::selection::{BranchFilter, Selection, TagFilter, TagOperator};

const HOUR_US: i64 = DAY_US / 24;

/// How long a counted selection is remembered, in microseconds.
const REMEMBERED_US: i64 = 30 * 1_000_000;

/// Cells that are kept in memory, over all suites and windows: about 30 MB.
const MOST_CELLS: usize = 250_000;

/// What happened to each test, by test.
pub(crate) type Cells = Vec<(TestId, RollupCell)>;

/// Which executions count.
///
/// Whole days, on all branches or the default branch, are answered from roll-ups by UTC day, today included and one day more
/// than named, so that nothing within the window is ever missed. Everything else is counted from the executions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// Whole days, from roll-ups.
    Days(rollups::Window),
    /// Up to now, from executions.
    Recent {
        /// How long before now it begins.
        hours: i64,
        /// What it is now.
        selection: Selection,
    },
    /// Anything else, from executions.
    Exact(Selection),
}

impl Window {
    /// The last `hours` hours before `now` in `suite`, on some branches or all, with some tags or any.
    #[must_use]
    pub fn last_hours(
        suite: &Suite,
        hours: i64,
        branch: Option<BranchFilter>,
        tags: Vec<TagFilter>,
        now: Timestamp,
    ) -> Self {
        let (first_day, last_day) = (now.day() - hours / 24, now.day());
        let recent = |branch, tags| {
            let selection = Selection { from: now.plus(-hours * HOUR_US), to: now, branch, tags };
            Self::Recent { hours, selection }
        };
        if hours < 24 || !tags.is_empty() {
            return recent(branch, tags);
        }
        let branch_class = match branch {
            None => None,
            Some(BranchFilter::Is(name))
                if branch::compared(&name) == branch::compared(&suite.attributes.default_branch)
                    && (suite.default_branch_since == Timestamp(0)
                        || suite.default_branch_since.day() < first_day) =>
            {
                Some(BranchClass::Default)
            }
            other => return recent(other, tags),
        };
        Self::Days(rollups::Window { first_day, last_day, branch_class })
    }

    /// What happened to one test. Ends early when `cancelled` is set.
    pub(crate) fn of_test(
        &self,
        db: &mut Db<'_>,
        suite: SuiteId,
        test: TestId,
        cancelled: &AtomicBool,
    ) -> Result<RollupCell, StorageError> {
        match self {
            Self::Days(window) => {
                let mut total = RollupCell::default();
                for (_, _, cell) in rollups::of_test(db, suite, test, *window)? {
                    total.merge(&cell);
                }
                Ok(total)
            }
            Self::Recent { selection, .. } | Self::Exact(selection) => {
                let cells = selection::count(db, suite, selection, cancelled)?;
                let found = cells.binary_search_by_key(&test, |(id, _)| *id).ok();
                Ok(found.map(|index| cells[index].1).unwrap_or_default())
            }
        }
    }
}

/// What is kept in memory to answer windows at once.
#[derive(Default)]
pub(crate) struct Windows {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    days: HashMap<(SuiteId, rollups::Window), Days>,
    counted: HashMap<(SuiteId, Question), Counted>,
}

/// What was asked, however long ago within half a minute.
#[derive(PartialEq, Eq, Hash)]
enum Question {
    Recent(i64, Option<BranchFilter>, Vec<TagFilter>),
    Exact(Selection),
}

/// The merged roll-ups of a window.
struct Days {
    /// As they were before the roll-ups were read.
    versions: rollups::Versions,
    /// Of the days that are over: exact until one of them is changed.
    past: Arc<Cells>,
    /// With today: exact until the next upload.
    whole: Arc<Cells>,
}

/// A selection that was counted.
struct Counted {
    at: Timestamp,
    /// The suite's uploads before it was counted.
    uploads: i64,
    cells: Arc<Cells>,
}

impl Windows {
    /// What happened to each test that ran in `window`, by test. For a page after the first, what was remembered for the
    /// first is good enough even if uploads came since: pages of one list belong together.
    pub(crate) fn all(
        &self,
        db: &mut Db<'_>,
        suite: SuiteId,
        window: &Window,
        first_page: bool,
        now: Timestamp,
        cancelled: &AtomicBool,
    ) -> Result<Arc<Cells>, StorageError> {
        match window {
            Window::Days(window) => self.days(db, suite, *window),
            Window::Recent { hours, selection } => {
                let Selection { branch, tags, .. } = selection.clone();
                let key = (suite, Question::Recent(*hours, branch, tags));
                self.counted(db, key, selection, first_page, now, cancelled)
            }
            Window::Exact(selection) => {
                let key = (suite, Question::Exact(selection.clone()));
                self.counted(db, key, selection, first_page, now, cancelled)
            }
        }
    }

    fn days(
        &self,
        db: &mut Db<'_>,
        suite: SuiteId,
        window: rollups::Window,
    ) -> Result<Arc<Cells>, StorageError> {
        let Some(versions) = rollups::versions(db, suite)? else { return Ok(Arc::default()) };
        let key = (suite, window);
        let (past, whole) = self.lock().known(&key, versions);
        if let Some(whole) = whole {
            return Ok(whole);
        }
        let past = match past {
            Some(past) => past,
            None => {
                let over = rollups::Window { last_day: window.last_day - 1, ..window };
                Arc::new(rollups::window(db, suite, over)?)
            }
        };
        let today = rollups::window(db, suite, rollups::Window { first_day: window.last_day, ..window })?;
        let whole = if today.is_empty() { Arc::clone(&past) } else { Arc::new(merged(&past, today)) };
        self.lock().keep_days(key, Days { versions, past, whole: Arc::clone(&whole) });
        Ok(whole)
    }

    fn counted(
        &self,
        db: &mut Db<'_>,
        key: (SuiteId, Question),
        selection: &Selection,
        first_page: bool,
        now: Timestamp,
        cancelled: &AtomicBool,
    ) -> Result<Arc<Cells>, StorageError> {
        let suite = key.0;
        let uploads = rollups::versions(db, suite)?.map_or(0, |versions| versions.uploads);
        if let Some(counted) = self.lock().counted.get(&key)
            && counted.is_recent(now)
            && (counted.uploads == uploads || !first_page)
        {
            return Ok(Arc::clone(&counted.cells));
        }
        let cells = Arc::new(selection::count(db, suite, selection, cancelled)?);
        self.lock().keep_counted(key, Counted { at: now, uploads, cells: Arc::clone(&cells) }, now);
        Ok(cells)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// What is still exact of a window: the days that are over, and all of it.
    fn known(
        &self,
        key: &(SuiteId, rollups::Window),
        versions: rollups::Versions,
    ) -> (Option<Arc<Cells>>, Option<Arc<Cells>>) {
        let days = self.days.get(key).filter(|days| days.versions.past_changes == versions.past_changes);
        let whole = days.filter(|days| days.versions.uploads == versions.uploads);
        (days.map(|days| Arc::clone(&days.past)), whole.map(|days| Arc::clone(&days.whole)))
    }

    fn keep_days(&mut self, key: (SuiteId, rollups::Window), days: Days) {
        // Yesterday's windows are asked for no more.
        self.days.retain(|(_, window), _| window.last_day >= key.1.last_day);
        self.days.remove(&key);
        self.make_room(days.past.len() + days.whole.len());
        self.days.insert(key, days);
    }

    fn keep_counted(&mut self, key: (SuiteId, Question), counted: Counted, now: Timestamp) {
        self.counted.retain(|_, counted| counted.is_recent(now));
        self.make_room(counted.cells.len());
        self.counted.insert(key, counted);
    }

    fn make_room(&mut self, cells: usize) {
        let days = self.days.values().map(|days| days.past.len() + days.whole.len());
        let held: usize = days.chain(self.counted.values().map(|counted| counted.cells.len())).sum();
        if held + cells > MOST_CELLS {
            self.counted.clear();
            self.days.clear();
        }
    }
}

impl Counted {
    fn is_recent(&self, now: Timestamp) -> bool {
        let age = now.as_microseconds() - self.at.as_microseconds();
        (0..REMEMBERED_US).contains(&age)
    }
}

/// Both lists in one, by test.
fn merged(past: &[(TestId, RollupCell)], today: Cells) -> Cells {
    let mut merged = Vec::with_capacity(past.len() + today.len() / 8);
    let mut rest = past;
    for (test, cell) in today {
        let before = rest.partition_point(|(other, _)| *other < test);
        merged.extend_from_slice(&rest[..before]);
        rest = &rest[before..];
        match rest.split_first() {
            Some(((same, earlier), after)) if *same == test => {
                let mut sum = *earlier;
                sum.merge(&cell);
                merged.push((test, sum));
                rest = after;
            }
            _ => merged.push((test, cell)),
        }
    }
    merged.extend_from_slice(rest);
    merged
}
