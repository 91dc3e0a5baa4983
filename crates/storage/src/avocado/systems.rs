//! Linux distributions and test environments, which are machines.

use super::software::UNKNOWN;
use super::table::Table;
use crate::db::Db;
use crate::error::StorageError;
use crate::machines;
use crate::value::{Row, values};
use casebook_model::id::SuiteId;
use casebook_model::machine::Machine;
use casebook_model::run::Protocol;

/// Distributions. Their environments go with them.
pub const DISTROS: Table<Distro> = Table {
    part: None,
    page: "/* avocado_systems.distros */ select name, version, release, arch from avocado_distro \
           where suite_id = $1 order by number limit $2 offset $3",
    count: "/* avocado_systems.count_distros */ select count(*) from avocado_distro where suite_id = $1",
    last: "/* avocado_systems.last_distro */ select coalesce(max(number), 0) from avocado_distro where suite_id = $1",
    find: "/* avocado_systems.distro */ select name, version, release, arch from avocado_distro \
           where suite_id = $1 and number = $2",
    same: Some(
        "/* avocado_systems.same_distro */ select number from avocado_distro where suite_id = $1 and name = $2 \
         and version = $3 and release = $4 and arch = $5 limit 1",
    ),
    insert: INSERT_DISTRO,
    update: "/* avocado_systems.update_distro */ update avocado_distro set name = $3, version = $4, release = $5, arch = $6 \
             where suite_id = $1 and number = $2",
    in_use: None,
    remove: &[
        "/* avocado_systems.remove_environments */ delete from avocado_environment where suite_id = $1 and distro = $2",
        "/* avocado_systems.remove_distro */ delete from avocado_distro where suite_id = $1 and number = $2",
    ],
    read: |row| distro_from(row, 0),
    values: |Distro { name, version, release, arch }| values![name, version, release, arch].to_vec(),
    then: |db, suite, number, distro| match db.find(OF_DISTRO, values![suite.get(), number], |_| Ok(()))? {
        Some(()) => describe(db, suite, distro),
        None => Ok(()),
    },
};

/// Environments. Equal ones are allowed.
pub const ENVIRONMENTS: Table<Environment> = Table {
    part: None,
    page: "/* avocado_systems.environments */ select d.number, d.name, d.version, d.release, d.arch \
           from avocado_environment e join avocado_distro d on d.suite_id = e.suite_id and d.number = e.distro \
           where e.suite_id = $1 and d.suite_id = $1 order by e.number limit $2 offset $3",
    count: "/* avocado_systems.count_environments */ select count(*) from avocado_environment where suite_id = $1",
    last: "/* avocado_systems.last_environment */ select coalesce(max(number), 0) from avocado_environment \
           where suite_id = $1",
    find: "/* avocado_systems.environment */ select d.number, d.name, d.version, d.release, d.arch \
           from avocado_environment e join avocado_distro d on d.suite_id = e.suite_id and d.number = e.distro \
           where e.suite_id = $1 and d.suite_id = $1 and e.number = $2",
    same: None,
    insert: "/* avocado_systems.insert_environment */ insert into avocado_environment (suite_id, number, distro) \
             values ($1, $2, $3)",
    update: "/* avocado_systems.update_environment */ update avocado_environment set distro = $3 \
             where suite_id = $1 and number = $2",
    in_use: None,
    remove: &["/* avocado_systems.remove_environment */ delete from avocado_environment \
               where suite_id = $1 and number = $2"],
    read: |row| Ok(Environment { number: row.get(0)?, distro: distro_from(row, 1)? }),
    values: |environment| values![environment.number].to_vec(),
    then: |db, suite, _, environment| describe(db, suite, &environment.distro),
};

const INSERT_DISTRO: &str = "/* avocado_systems.insert_distro */ insert into avocado_distro (suite_id, number, name, version, release, arch) \
     values ($1, $2, $3, $4, $5, $6)";
const OF_DISTRO: &str = "/* avocado_systems.of_distro */ select number from avocado_environment where suite_id = $1 and distro = $2 limit 1";

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

/// A test environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Number of its distribution.
    number: i64,
    /// Its distribution.
    pub distro: Distro,
}

impl Environment {
    /// An environment with that distribution, if there is one with all of its values.
    ///
    /// # Errors
    /// The database fails.
    pub fn of(db: &mut Db<'_>, suite: SuiteId, distro: Distro) -> Result<Option<Self>, StorageError> {
        Ok(DISTROS.same(db, suite, &distro)?.map(|number| Self { number, distro }))
    }
}

/// Fills the tables of a new suite.
pub(super) fn seed(db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
    db.execute(INSERT_DISTRO, values![suite.get(), 1_i64, UNKNOWN, "0", "0", UNKNOWN])?;
    Ok(())
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

fn distro_from(row: &Row<'_>, first: usize) -> Result<Distro, StorageError> {
    Ok(Distro {
        name: row.get(first)?,
        version: row.get(first + 1)?,
        release: row.get(first + 2)?,
        arch: row.get(first + 3)?,
    })
}
