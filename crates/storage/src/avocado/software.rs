//! Software components, and the kinds and architectures they are of.

use super::table::{Table, nothing};
use crate::db::Db;
use crate::error::StorageError;
use crate::value::{Row, values};
use casebook_model::id::SuiteId;

/// What every table begins with.
pub(super) const UNKNOWN: &str = "unknown";

/// Kinds of components.
pub const KINDS: Table<Label> = labels(
    1,
    "/* avocado_software.of_kind */ select number from avocado_component where suite_id = $1 and kind = $2 limit 1",
);

/// Architectures of components.
pub const ARCHES: Table<Label> = labels(
    2,
    "/* avocado_software.of_arch */ select number from avocado_component where suite_id = $1 and arch = $2 limit 1",
);

const fn labels(part: i64, in_use: &'static str) -> Table<Label> {
    Table {
        part: Some(part),
        page: "/* avocado_software.labels */ select number, name from avocado_label where suite_id = $1 and kind = $2 \
               order by number limit $3 offset $4",
        count: "/* avocado_software.count_labels */ select count(*) from avocado_label where suite_id = $1 and kind = $2",
        last: "/* avocado_software.last_label */ select coalesce(max(number), 0) from avocado_label \
               where suite_id = $1 and kind = $2",
        find: "/* avocado_software.label */ select number, name from avocado_label \
               where suite_id = $1 and kind = $2 and number = $3",
        same: Some(
            "/* avocado_software.same_label */ select number from avocado_label \
             where suite_id = $1 and kind = $2 and name = $3",
        ),
        insert: INSERT_LABEL,
        update: "/* avocado_software.rename_label */ update avocado_label set name = $4 \
                 where suite_id = $1 and kind = $2 and number = $3",
        in_use: Some(in_use),
        remove: &["/* avocado_software.remove_label */ delete from avocado_label \
                   where suite_id = $1 and kind = $2 and number = $3"],
        read: |row| Ok(Label { number: row.get(0)?, name: row.get(1)? }),
        values: |label| values![&label.name].to_vec(),
        then: nothing,
    }
}

const INSERT_LABEL: &str = "/* avocado_software.insert_label */ insert into avocado_label (suite_id, kind, number, name) values ($1, $2, $3, $4)";

macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ",
            $name,
            " */ select k.number, k.name, c.name, c.version, c.release, c.checksum, a.number, a.name from avocado_component c \
             join avocado_label k on k.suite_id = c.suite_id and k.kind = 1 and k.number = c.kind \
             join avocado_label a on a.suite_id = c.suite_id and a.kind = 2 and a.number = c.arch \
             where c.suite_id = $1 and k.suite_id = $1 and a.suite_id = $1 ",
            $rest
        )
    };
}

/// Components.
pub const COMPONENTS: Table<Component> = Table {
    part: None,
    page: select!("avocado_software.components", "order by c.number limit $2 offset $3"),
    count: "/* avocado_software.count */ select count(*) from avocado_component where suite_id = $1",
    last: "/* avocado_software.last */ select coalesce(max(number), 0) from avocado_component where suite_id = $1",
    find: select!("avocado_software.find", "and c.number = $2"),
    same: Some(
        "/* avocado_software.same */ select number from avocado_component where suite_id = $1 and kind = $2 and name = $3 \
         and version = $4 and release = $5 and checksum = $6 and arch = $7 limit 1",
    ),
    insert: "/* avocado_software.insert */ insert into avocado_component \
             (suite_id, number, kind, name, version, release, checksum, arch) values ($1, $2, $3, $4, $5, $6, $7, $8)",
    update: "/* avocado_software.update */ update avocado_component set kind = $3, name = $4, version = $5, release = $6, \
             checksum = $7, arch = $8 where suite_id = $1 and number = $2",
    in_use: None,
    remove: &[
        "/* avocado_software.remove */ delete from avocado_component where suite_id = $1 and number = $2",
    ],
    read: read_component,
    values: |component| {
        let Component { kind, name, version, release, checksum, arch } = component;
        values![kind.number, name, version, release, checksum, arch.number].to_vec()
    },
    then: nothing,
};

/// A name with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its number.
    pub number: i64,
    /// The name.
    pub name: String,
}

impl Label {
    /// A name that has no number yet, or whose number does not matter.
    #[must_use]
    pub const fn named(name: String) -> Self {
        Self { number: 0, name }
    }

    /// The label of that name in a table.
    ///
    /// # Errors
    /// The database fails.
    pub fn find(
        db: &mut Db<'_>,
        suite: SuiteId,
        table: &Table<Self>,
        name: &str,
    ) -> Result<Option<Self>, StorageError> {
        let label = Self::named(name.to_owned());
        Ok(table.same(db, suite, &label)?.map(|number| Self { number, ..label }))
    }
}

/// A software component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its kind.
    pub kind: Label,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its release.
    pub release: String,
    /// Its checksum.
    pub checksum: String,
    /// Its architecture.
    pub arch: Label,
}

/// Fills the tables of a new suite.
pub(super) fn seed(db: &mut Db<'_>, suite: SuiteId) -> Result<(), StorageError> {
    for part in [KINDS.part, ARCHES.part].into_iter().flatten() {
        db.execute(INSERT_LABEL, values![suite.get(), part, 1_i64, UNKNOWN])?;
    }
    Ok(())
}

fn read_component(row: &Row<'_>) -> Result<Component, StorageError> {
    Ok(Component {
        kind: Label { number: row.get(0)?, name: row.get(1)? },
        name: row.get(2)?,
        version: row.get(3)?,
        release: row.get(4)?,
        checksum: row.get(5)?,
        arch: Label { number: row.get(6)?, name: row.get(7)? },
    })
}
