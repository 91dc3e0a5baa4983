//! Linux distributions and test environments.

use super::counter::Counter;
use super::software::UNKNOWN;
use crate::db::Db;
use crate::error::StorageError;
use crate::machines;
use crate::page::{Listed, Page};
use crate::value::{Row, values};
use casebook_model::id::SuiteId;
use casebook_model::machine::Machine;
use casebook_model::run::Protocol;

const DISTROS: &str = "/* avocado_systems.distros */ select number, name, version, release, arch from avocado_distro \
     where suite_id = $1 order by number limit $2 offset $3";
const COUNT_DISTROS: &str =
    "/* avocado_systems.count_distros */ select count(*) from avocado_distro where suite_id = $1";
const LAST_DISTRO: &str = "/* avocado_systems.last_distro */ select coalesce(max(number), 0) from avocado_distro where suite_id = $1";
const DISTRO: &str = "/* avocado_systems.distro */ select number, name, version, release, arch from avocado_distro \
     where suite_id = $1 and number = $2";
const SAME_DISTRO: &str = "/* avocado_systems.same_distro */ select number from avocado_distro where suite_id = $1 and name = $2 \
     and version = $3 and release = $4 and arch = $5 limit 1";
const INSERT_DISTRO: &str = "/* avocado_systems.insert_distro */ insert into avocado_distro (suite_id, number, name, version, release, arch) \
     values ($1, $2, $3, $4, $5, $6)";
const UPDATE_DISTRO: &str = "/* avocado_systems.update_distro */ update avocado_distro set name = $3, version = $4, release = $5, arch = $6 \
     where suite_id = $1 and number = $2";
const REMOVE_DISTRO: &[&str] = &[
    "/* avocado_systems.remove_environments */ delete from avocado_environment where suite_id = $1 and distro = $2",
    "/* avocado_systems.remove_distro */ delete from avocado_distro where suite_id = $1 and number = $2",
];
const ENVIRONMENTS: &str = "/* avocado_systems.environments */ select d.number, d.name, d.version, d.release, d.arch \
     from avocado_environment e join avocado_distro d on d.suite_id = e.suite_id and d.number = e.distro \
     where e.suite_id = $1 and d.suite_id = $1 order by e.number limit $2 offset $3";
const COUNT_ENVIRONMENTS: &str =
    "/* avocado_systems.count_environments */ select count(*) from avocado_environment where suite_id = $1";
const LAST_ENVIRONMENT: &str = "/* avocado_systems.last_environment */ select coalesce(max(number), 0) from avocado_environment \
     where suite_id = $1";
const OF_DISTRO: &str = "/* avocado_systems.of_distro */ select number from avocado_environment where suite_id = $1 and distro = $2 limit 1";
const ENVIRONMENT: &str = "/* avocado_systems.environment */ select d.number, d.name, d.version, d.release, d.arch \
     from avocado_environment e join avocado_distro d on d.suite_id = e.suite_id and d.number = e.distro \
     where e.suite_id = $1 and d.suite_id = $1 and e.number = $2";
const INSERT_ENVIRONMENT: &str = "/* avocado_systems.insert_environment */ insert into avocado_environment (suite_id, number, distro) values ($1, $2, $3)";
const UPDATE_ENVIRONMENT: &str = "/* avocado_systems.update_environment */ update avocado_environment set distro = $3 where suite_id = $1 and number = $2";
const REMOVE_ENVIRONMENT: &str = "/* avocado_systems.remove_environment */ delete from avocado_environment where suite_id = $1 and number = $2";

/// A Linux distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distro {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its release; may be empty.
    pub release: String,
    /// Its architecture.
    pub arch: String,
}

/// Fills the tables of a new suite.
pub(super) fn seed(db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
    db.execute(INSERT_DISTRO, values![suite.get(), 1_i64, UNKNOWN, "0", "0", UNKNOWN])?;
    Ok(())
}

/// A page of the distributions, by number.
///
/// # Errors
/// The database fails.
pub fn distros(db: &mut Db<'_>, suite: SuiteId, page: Page) -> Result<Listed<Distro>, StorageError> {
    let total = db.get(COUNT_DISTROS, values![suite.get()], |row| row.get(0))?;
    let items = db.query(DISTROS, values![suite.get(), page.limit, page.offset], read)?;
    Ok(Listed { items, total })
}

/// The distribution of that number.
///
/// # Errors
/// The database fails.
pub fn distro(db: &mut Db<'_>, suite: SuiteId, number: i64) -> Result<Option<Distro>, StorageError> {
    db.find(DISTRO, values![suite.get(), number], read)
}

/// Adds a distribution, or gives the one with that number these values; false if there is an equal one. Runs inside a
/// transaction.
///
/// # Errors
/// The database fails.
pub fn put_distro(
    db: &mut Db<'_>,
    suite: SuiteId,
    number: Option<i64>,
    distro: &Distro,
) -> Result<bool, StorageError> {
    let _lock = Counter::lock(db, suite)?;
    if same(db, suite, distro)?.is_some_and(|same| Some(same) != number) {
        return Ok(false);
    }
    let (statement, number) = match number {
        Some(number) => (UPDATE_DISTRO, number),
        None => (INSERT_DISTRO, 1 + db.get(LAST_DISTRO, values![suite.get()], |row| row.get::<i64>(0))?),
    };
    let Distro { name, version, release, arch } = distro;
    db.execute(statement, values![suite.get(), number, name, version, release, arch])?;
    if db.find(OF_DISTRO, values![suite.get(), number], |_| Ok(()))?.is_some() {
        describe(db, suite, distro)?;
    }
    Ok(true)
}

/// Removes a distribution and its environments; false if it is not there. Runs inside a transaction.
///
/// # Errors
/// The database fails.
pub fn remove_distro(db: &mut Db<'_>, suite: SuiteId, number: i64) -> Result<bool, StorageError> {
    let mut removed = 0;
    for statement in REMOVE_DISTRO {
        removed = db.execute(statement, values![suite.get(), number])?;
    }
    Ok(removed > 0)
}

/// A page of the distributions of all environments, by the numbers of these.
///
/// # Errors
/// The database fails.
pub fn environments(db: &mut Db<'_>, suite: SuiteId, page: Page) -> Result<Listed<Distro>, StorageError> {
    let total = db.get(COUNT_ENVIRONMENTS, values![suite.get()], |row| row.get(0))?;
    let items = db.query(ENVIRONMENTS, values![suite.get(), page.limit, page.offset], read)?;
    Ok(Listed { items, total })
}

/// The distribution of the environment with that number.
///
/// # Errors
/// The database fails.
pub fn environment(db: &mut Db<'_>, suite: SuiteId, number: i64) -> Result<Option<Distro>, StorageError> {
    db.find(ENVIRONMENT, values![suite.get(), number], read)
}

/// Adds an environment with that distribution, or gives it to the one with that number; false if there is no such
/// distribution. Runs inside a transaction.
///
/// # Errors
/// The database fails.
pub fn put_environment(
    db: &mut Db<'_>,
    suite: SuiteId,
    number: Option<i64>,
    distro: &Distro,
) -> Result<bool, StorageError> {
    let _lock = Counter::lock(db, suite)?;
    let Some(of) = same(db, suite, distro)? else { return Ok(false) };
    let (statement, number) = match number {
        Some(number) => (UPDATE_ENVIRONMENT, number),
        None => {
            (INSERT_ENVIRONMENT, 1 + db.get(LAST_ENVIRONMENT, values![suite.get()], |row| row.get::<i64>(0))?)
        }
    };
    db.execute(statement, values![suite.get(), number, of])?;
    describe(db, suite, distro)?;
    Ok(true)
}

/// Removes an environment; false if it is not there.
///
/// # Errors
/// The database fails.
pub fn remove_environment(db: &mut Db<'_>, suite: SuiteId, number: i64) -> Result<bool, StorageError> {
    Ok(db.execute(REMOVE_ENVIRONMENT, values![suite.get(), number])? > 0)
}

/// Keeps what an environment is as a machine. It stays when the environment goes: tests ran there.
fn describe(db: &mut Db<'_>, suite: SuiteId, distro: &Distro) -> Result<(), StorageError> {
    let Distro { name, version, release, arch } = distro;
    let machine = Machine {
        key: [name.as_str(), version, release, arch].join("/"),
        system: Some(format!("{name} {version} {release}").trim_end().to_owned()),
        machine_type: Some(arch.clone()),
        ..Machine::default()
    };
    machines::put(db, suite, Protocol::Avocado, &machine)?;
    Ok(())
}

/// The number of the distribution with these values.
fn same(db: &mut Db<'_>, suite: SuiteId, distro: &Distro) -> Result<Option<i64>, StorageError> {
    let Distro { name, version, release, arch } = distro;
    db.find(SAME_DISTRO, values![suite.get(), name, version, release, arch], |row| row.get(0))
}

fn read(row: &Row<'_>) -> Result<Distro, StorageError> {
    Ok(Distro { name: row.get(1)?, version: row.get(2)?, release: row.get(3)?, arch: row.get(4)? })
}
