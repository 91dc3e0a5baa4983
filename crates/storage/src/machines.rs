//! Machines: where executions ran, as a protocol describes them.

use crate::db::Db;
use crate::error::{StorageError, member};
use crate::ingest;
use crate::monitor::{Paged, Place, Wanted, folded, prefix_range};
use crate::value::{Row, values};
use casebook_model::id::{MachineId, SuiteId};
use casebook_model::key::key_of;
use casebook_model::machine::Machine;
use casebook_model::run::Protocol;

macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "/* ",
            $name,
            " */ select key, cpu_count, cpu_frequency_mhz, cpu_type, cpu_vendor, ram_mb, node, machine_type, architecture, system, \
             runtime, machine_id, protocol from machine ",
            $rest
        )
    };
}

const FIND: &str = select!(
    "machines.find",
    "/*+ machine_by_key */ where suite_id = $1 and protocol = $2 and machine_key = $3"
);
const LIST: &str =
    select!("machines.list", "where suite_id = $1 and protocol = $2 order by machine_id limit $3 offset $4");
const BY_PREFIX: &str = select!(
    "machines.by_prefix",
    "/*+ machine_by_prefix */ where suite_id = $1 and protocol = $2 and folded >= $3 and folded < $4 order by machine_id"
);
pub(crate) const NEWEST: &str =
    select!("machines.newest", "where suite_id = $1 and machine_id < $2 order by machine_id desc limit $3");
const COUNT: &str = "/* machines.count */ select count(*) from machine where suite_id = $1 and protocol = $2";
const NUMBER: &str = "/* machines.number */ update suite_counter set machines = machines + 1 where suite_id = $1 returning machines";
const INSERT: &str = "/* machines.insert */ insert into machine (suite_id, machine_id, protocol, machine_key, key, folded, cpu_count, \
     cpu_frequency_mhz, cpu_type, cpu_vendor, ram_mb, node, machine_type, architecture, system, runtime) \
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

/// A machine of a suite.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredMachine {
    /// Its number.
    pub id: MachineId,
    /// The protocol that describes it.
    pub protocol: Protocol,
    /// What it says.
    pub machine: Machine,
}

/// The machine with that key.
///
/// # Errors
/// The database fails.
pub fn find(
    db: &mut Db<'_>,
    suite: SuiteId,
    protocol: Protocol,
    key: &str,
) -> Result<Option<Machine>, StorageError> {
    db.find(FIND, values![suite.get(), protocol.code(), &key_of(&[key])], read)
}

/// Stores a machine unless one with its key is there, which is returned then. Runs inside a transaction.
///
/// # Errors
/// The database fails, or there is no such suite.
pub fn put(
    db: &mut Db<'_>,
    suite: SuiteId,
    protocol: Protocol,
    machine: &Machine,
) -> Result<Option<Machine>, StorageError> {
    ingest::lock_suite(db, suite)?;
    if let Some(known) = find(db, suite, protocol, &machine.key)? {
        return Ok(Some(known));
    }
    let number: i64 = db.get(NUMBER, values![suite.get()], |row| row.get(0))?;
    let (folded, digest) = (folded(&machine.key), key_of(&[&machine.key]));
    let Machine { key, cpu_count, cpu_frequency_mhz, cpu_type, cpu_vendor, ram_mb, .. } = machine;
    let Machine { node, machine_type, architecture, system, runtime, .. } = machine;
    let row = values![
        suite.get(),
        number,
        protocol.code(),
        &digest,
        key,
        folded.as_slice(),
        *cpu_count,
        *cpu_frequency_mhz,
        cpu_type.as_deref(),
        cpu_vendor.as_deref(),
        *ram_mb,
        node.as_deref(),
        machine_type.as_deref(),
        architecture.as_deref(),
        system.as_deref(),
        runtime.as_deref(),
    ];
    db.execute(INSERT, row)?;
    Ok(None)
}

/// How many machines a protocol has described.
///
/// # Errors
/// The database fails.
pub fn count(db: &mut Db<'_>, suite: SuiteId, protocol: Protocol) -> Result<i64, StorageError> {
    db.get(COUNT, values![suite.get(), protocol.code()], |row| row.get(0))
}

/// A page of the machines whose key begins with `prefix`, ASCII letters without regard to case, in the order of their arrival.
///
/// # Errors
/// The database fails.
pub fn page(
    db: &mut Db<'_>,
    suite: SuiteId,
    protocol: Protocol,
    prefix: &str,
    wanted: Wanted,
) -> Result<Paged<Machine>, StorageError> {
    if let Some((from, to)) = prefix_range(prefix) {
        let values = values![suite.get(), protocol.code(), from.as_slice(), to.as_slice()];
        let mut found = db.query(BY_PREFIX, values, read)?;
        // What is indexed of a key has an end.
        found.retain(|machine| {
            let start = machine.key.as_bytes().get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        });
        return Ok(wanted.of(found));
    }
    match wanted.place(count(db, suite, protocol)?) {
        Place::Nothing => Ok(Paged::Nothing),
        Place::NoSuchPage => Ok(Paged::NoSuchPage),
        Place::Rows { page, pages, rows } => {
            let values = values![suite.get(), protocol.code(), rows.end - rows.start, rows.start];
            Ok(Paged::Page { items: db.query(LIST, values, read)?, page, pages })
        }
    }
}

/// The machines of all protocols with lower numbers than `before`, the latest described first.
///
/// # Errors
/// The database fails.
pub fn newest(
    db: &mut Db<'_>,
    suite: SuiteId,
    before: MachineId,
    limit: i64,
) -> Result<Vec<StoredMachine>, StorageError> {
    db.query(NEWEST, values![suite.get(), before.get(), limit], |row| {
        let code: i64 = row.get(12)?;
        let protocol = member(Protocol::from_code(code), code, "machine.protocol")?;
        Ok(StoredMachine { id: MachineId(row.get(11)?), protocol, machine: read(row)? })
    })
}

fn read(row: &Row<'_>) -> Result<Machine, StorageError> {
    Ok(Machine {
        key: row.get(0)?,
        cpu_count: row.get(1)?,
        cpu_frequency_mhz: row.get(2)?,
        cpu_type: row.get(3)?,
        cpu_vendor: row.get(4)?,
        ram_mb: row.get(5)?,
        node: row.get(6)?,
        machine_type: row.get(7)?,
        architecture: row.get(8)?,
        system: row.get(9)?,
        runtime: row.get(10)?,
    })
}
