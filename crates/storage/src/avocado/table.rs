//! Small tables of rows with numbers, which clients fill: how each is read and written.

use super::counter::Counter;
use crate::db::Db;
use crate::error::StorageError;
use crate::page::{Listed, Page};
use crate::value::{Row, Value};
use casebook_model::id::SuiteId;

/// A small table. The first value of every statement is the suite, the second the part if there is one.
pub struct Table<R> {
    /// Which rows of a shared table are meant.
    pub(super) part: Option<i64>,
    /// A page: limit and offset.
    pub(super) page: &'static str,
    /// How many rows there are.
    pub(super) count: &'static str,
    /// The highest number.
    pub(super) last: &'static str,
    /// The row with a number.
    pub(super) find: &'static str,
    /// The number of the row with such values; none where equal rows are allowed.
    pub(super) same: Option<&'static str>,
    /// A new row: its number and values.
    pub(super) insert: &'static str,
    /// Other values for the row with a number.
    pub(super) update: &'static str,
    /// Finds out whether other rows refer to the one with a number, which keeps it.
    pub(super) in_use: Option<&'static str>,
    /// Removes the row with a number, after what goes with it.
    pub(super) remove: &'static [&'static str],
    pub(super) read: fn(&Row<'_>) -> Result<R, StorageError>,
    pub(super) values: fn(&R) -> Vec<Value<'_>>,
    /// What else is to be kept of a row with a number when it was written.
    pub(super) then: fn(&mut Db<'_>, SuiteId, i64, &R) -> Result<(), StorageError>,
}

/// What became of a row that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// Other rows refer to it.
    InUse,
    /// It was not there.
    Missing,
}

impl<R> Table<R> {
    /// A page of the rows, by number.
    ///
    /// # Errors
    /// The database fails.
    pub fn page(&self, db: &mut Db<'_>, suite: SuiteId, page: Page) -> Result<Listed<R>, StorageError> {
        let total = db.get(self.count, &self.place(suite, &[]), |row| row.get(0))?;
        let values = self.place(suite, &[page.limit.into(), page.offset.into()]);
        Ok(Listed { items: db.query(self.page, &values, self.read)?, total })
    }

    /// The row with that number.
    ///
    /// # Errors
    /// The database fails.
    pub fn find(&self, db: &mut Db<'_>, suite: SuiteId, number: i64) -> Result<Option<R>, StorageError> {
        db.find(self.find, &self.place(suite, &[number.into()]), self.read)
    }

    /// The number of the row with the values of `row`; none where equal rows are allowed.
    ///
    /// # Errors
    /// The database fails.
    pub fn same(&self, db: &mut Db<'_>, suite: SuiteId, row: &R) -> Result<Option<i64>, StorageError> {
        let Some(same) = self.same else { return Ok(None) };
        db.find(same, &self.place(suite, &(self.values)(row)), |row| row.get(0))
    }

    /// Adds a row, or gives the one with that number these values; false if there is an equal one. Runs inside a transaction.
    ///
    /// # Errors
    /// The database fails.
    pub fn put(
        &self,
        db: &mut Db<'_>,
        suite: SuiteId,
        number: Option<i64>,
        row: &R,
    ) -> Result<bool, StorageError> {
        let _lock = Counter::lock(db, suite)?;
        if self.same(db, suite, row)?.is_some_and(|same| Some(same) != number) {
            return Ok(false);
        }
        let (statement, number) = match number {
            Some(number) => (self.update, number),
            None => {
                let last: i64 = db.get(self.last, &self.place(suite, &[]), |row| row.get(0))?;
                (self.insert, last + 1)
            }
        };
        let values = [vec![number.into()], (self.values)(row)].concat();
        db.execute(statement, &self.place(suite, &values))?;
        (self.then)(db, suite, number, row)?;
        Ok(true)
    }

    /// Removes a row that nothing refers to. Runs inside a transaction.
    ///
    /// # Errors
    /// The database fails.
    pub fn remove(&self, db: &mut Db<'_>, suite: SuiteId, number: i64) -> Result<Removal, StorageError> {
        let _lock = Counter::lock(db, suite)?;
        if let Some(in_use) = self.in_use
            && db.find(in_use, &[suite.get().into(), number.into()], |_| Ok(()))?.is_some()
        {
            return Ok(Removal::InUse);
        }
        let mut removed = 0;
        for statement in self.remove {
            removed = db.execute(statement, &self.place(suite, &[number.into()]))?;
        }
        Ok(if removed > 0 { Removal::Removed } else { Removal::Missing })
    }

    fn place<'v>(&self, suite: SuiteId, values: &[Value<'v>]) -> Vec<Value<'v>> {
        let place = std::iter::once(suite.get()).chain(self.part).map(Value::Int);
        place.chain(values.iter().copied()).collect()
    }
}

/// Nothing else is to be kept.
pub(super) fn nothing<R>(_: &mut Db<'_>, _: SuiteId, _: i64, _: &R) -> Result<(), StorageError> {
    Ok(())
}
