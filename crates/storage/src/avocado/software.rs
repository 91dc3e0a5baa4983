//! Software components, and the kinds and architectures they are of.

use super::counter::Counter;
use crate::db::Db;
use crate::error::StorageError;
use crate::page::{Listed, Page};
use crate::value::{Row, values};
use casebook_model::id::SuiteId;

const LABELS: &str = "/* avocado_software.labels */ select number, name from avocado_label where suite_id = $1 and kind = $2 order by number";
const INSERT_LABEL: &str = "/* avocado_software.insert_label */ insert into avocado_label (suite_id, kind, number, name) values ($1, $2, $3, $4)";
const RENAME_LABEL: &str = "/* avocado_software.rename_label */ update avocado_label set name = $4 where suite_id = $1 and kind = $2 and number = $3";
const REMOVE_LABEL: &str = "/* avocado_software.remove_label */ delete from avocado_label where suite_id = $1 and kind = $2 and number = $3";
const OF_LABEL: &[&str] = &[
    "/* avocado_software.of_kind */ select number from avocado_component where suite_id = $1 and kind = $2 limit 1",
    "/* avocado_software.of_arch */ select number from avocado_component where suite_id = $1 and arch = $2 limit 1",
];
const COMPONENTS: &str = "/* avocado_software.components */ select number, kind, name, version, release, checksum, arch \
     from avocado_component where suite_id = $1 order by number limit $2 offset $3";
const COUNT: &str = "/* avocado_software.count */ select count(*) from avocado_component where suite_id = $1";
const LAST: &str =
    "/* avocado_software.last */ select coalesce(max(number), 0) from avocado_component where suite_id = $1";
const FIND: &str = "/* avocado_software.find */ select number, kind, name, version, release, checksum, arch \
     from avocado_component where suite_id = $1 and number = $2";
const SAME: &str = "/* avocado_software.same */ select number from avocado_component where suite_id = $1 and kind = $2 and name = $3 \
     and version = $4 and release = $5 and checksum = $6 and arch = $7 limit 1";
const INSERT: &str = "/* avocado_software.insert */ insert into avocado_component \
     (suite_id, number, kind, name, version, release, checksum, arch) values ($1, $2, $3, $4, $5, $6, $7, $8)";
const UPDATE: &str = "/* avocado_software.update */ update avocado_component set kind = $3, name = $4, version = $5, release = $6, \
     checksum = $7, arch = $8 where suite_id = $1 and number = $2";
const REMOVE: &str =
    "/* avocado_software.remove */ delete from avocado_component where suite_id = $1 and number = $2";

/// What every table begins with.
pub(super) const UNKNOWN: &str = "unknown";

/// The two tables of names that components refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// Kinds of components.
    Kinds,
    /// Architectures of components.
    Arches,
}

impl Labels {
    const fn code(self) -> i64 {
        match self {
            Self::Kinds => 1,
            Self::Arches => 2,
        }
    }
}

/// A name with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its number.
    pub number: i64,
    /// The name.
    pub name: String,
}

/// A software component. Kind and architecture are numbers of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Number of its kind.
    pub kind: i64,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
    /// Its checksum.
    pub checksum: String,
    /// Number of its architecture.
    pub arch: i64,
}

/// Fills the tables of a new suite.
pub(super) fn seed(db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
    for labels in [Labels::Kinds, Labels::Arches] {
        db.execute(INSERT_LABEL, values![suite.get(), labels.code(), 1_i64, UNKNOWN])?;
    }
    Ok(())
}

/// All names of a table, by number. There are few.
///
/// # Errors
/// The database fails.
pub fn labels(db: &mut Db<'_>, suite: SuiteId, labels: Labels) -> Result<Vec<Label>, StorageError> {
    db.query(LABELS, values![suite.get(), labels.code()], |row| {
        Ok(Label { number: row.get(0)?, name: row.get(1)? })
    })
}

/// Adds a name, or gives the one with that number this name; false if it is taken, or that number is not there. Runs inside
/// a transaction.
///
/// # Errors
/// The database fails.
pub fn put_label(
    db: &mut Db<'_>,
    suite: SuiteId,
    of: Labels,
    number: Option<i64>,
    name: &str,
) -> Result<bool, StorageError> {
    let _lock = Counter::lock(db, suite)?;
    let known = labels(db, suite, of)?;
    if known.iter().any(|label| label.name == name && Some(label.number) != number) {
        return Ok(false);
    }
    let Some(number) = number else {
        let number = known.last().map_or(1, |label| label.number + 1);
        db.execute(INSERT_LABEL, values![suite.get(), of.code(), number, name])?;
        return Ok(true);
    };
    Ok(db.execute(RENAME_LABEL, values![suite.get(), of.code(), number, name])? > 0)
}

/// Removes a name that no component refers to; false if one does. Runs inside a transaction.
///
/// # Errors
/// The database fails.
pub fn remove_label(db: &mut Db<'_>, suite: SuiteId, of: Labels, number: i64) -> Result<bool, StorageError> {
    let _lock = Counter::lock(db, suite)?;
    let referring = match of {
        Labels::Kinds => OF_LABEL[0],
        Labels::Arches => OF_LABEL[1],
    };
    if db.find(referring, values![suite.get(), number], |_| Ok(()))?.is_some() {
        return Ok(false);
    }
    db.execute(REMOVE_LABEL, values![suite.get(), of.code(), number])?;
    Ok(true)
}

/// A page of the components, by number.
///
/// # Errors
/// The database fails.
pub fn components(db: &mut Db<'_>, suite: SuiteId, page: Page) -> Result<Listed<Component>, StorageError> {
    let total = db.get(COUNT, values![suite.get()], |row| row.get(0))?;
    let items = db.query(COMPONENTS, values![suite.get(), page.limit, page.offset], read)?;
    Ok(Listed { items, total })
}

/// The component of that number.
///
/// # Errors
/// The database fails.
pub fn component(db: &mut Db<'_>, suite: SuiteId, number: i64) -> Result<Option<Component>, StorageError> {
    db.find(FIND, values![suite.get(), number], read)
}

/// Adds a component, or gives the one with that number these values; false if there is an equal one. Runs inside a
/// transaction.
///
/// # Errors
/// The database fails.
pub fn put_component(
    db: &mut Db<'_>,
    suite: SuiteId,
    number: Option<i64>,
    component: &Component,
) -> Result<bool, StorageError> {
    let _lock = Counter::lock(db, suite)?;
    let Component { kind, name, version, release, checksum, arch } = component;
    let same = values![suite.get(), *kind, name, version, release, checksum, *arch];
    let same: Option<i64> = db.find(SAME, same, |row| row.get(0))?;
    if same.is_some_and(|same| Some(same) != number) {
        return Ok(false);
    }
    let (statement, number) = match number {
        Some(number) => (UPDATE, number),
        None => (INSERT, 1 + db.get(LAST, values![suite.get()], |row| row.get::<i64>(0))?),
    };
    db.execute(statement, values![suite.get(), number, *kind, name, version, release, checksum, *arch])?;
    Ok(true)
}

/// Removes a component; false if it is not there.
///
/// # Errors
/// The database fails.
pub fn remove_component(db: &mut Db<'_>, suite: SuiteId, number: i64) -> Result<bool, StorageError> {
    Ok(db.execute(REMOVE, values![suite.get(), number])? > 0)
}

fn read(row: &Row<'_>) -> Result<Component, StorageError> {
    Ok(Component {
        kind: row.get(1)?,
        name: row.get(2)?,
        version: row.get(3)?,
        release: row.get(4)?,
        checksum: row.get(5)?,
        arch: row.get(6)?,
    })
}
