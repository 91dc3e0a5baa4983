//! pytest-monitor's own file, `.pymon`: SQLite with three tables, read as it is while pytest may go on writing.

use casebook_model::machine::Machine;
use casebook_model::measurement::Metric;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use std::path::Path;
use std::time::Duration;

const TABLES: &str = "/* pymon.tables */ select upper(name) from sqlite_schema where type = 'table'";
const MACHINES: &str = "/* pymon.machines */ select ENV_H, CPU_COUNT, CPU_FREQUENCY_MHZ, CPU_TYPE, CPU_VENDOR, RAM_TOTAL_MB, MACHINE_NODE, \
     MACHINE_TYPE, MACHINE_ARCH, SYSTEM_INFO, PYTHON_INFO from EXECUTION_CONTEXTS order by rowid";
const SESSIONS: &str = "/* pymon.sessions */ select SESSION_H, RUN_DATE, SCM_ID, RUN_DESCRIPTION from TEST_SESSIONS order by rowid";
const METRICS: &str = "/* pymon.metrics */ select SESSION_H, ENV_H, ITEM, ITEM_VARIANT, KIND, COMPONENT, ITEM_PATH, ITEM_FS_LOC, ITEM_START_TIME, \
     TOTAL_TIME, USER_TIME, KERNEL_TIME, CPU_USAGE, MEM_USAGE from TEST_METRICS order by rowid";

/// How long a writer may keep us waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// What every SQLite file begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// It is no file of pytest-monitor.
    #[error("this is no file of pytest-monitor: it has no table {0}")]
    NoTable(&'static str),
    /// It is of a version that kept no sessions.
    #[error(
        "this file was written by pytest-monitor 1.0, which kept no sessions: only files of version 1.1 and later can be imported"
    )]
    TooOld,
    /// SQLite cannot read it.
    #[error("the file is damaged or cannot be read: {0}")]
    Damaged(#[from] rusqlite::Error),
}

/// Everything in a file, in the order in which it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pymon {
    /// The machines.
    pub machines: Vec<Machine>,
    /// The sessions.
    pub sessions: Vec<PymonSession>,
    /// The metrics.
    pub metrics: Vec<Metric>,
    /// Metrics without a measured value, which were left out.
    pub incomplete: usize,
}

/// A session as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PymonSession {
    /// Its identifier.
    pub key: String,
    /// When it began.
    pub run_date: String,
    /// The commit or change.
    pub scm_ref: Option<String>,
    /// A JSON object, or plain text in files of version 1.3 and before.
    pub description: String,
}

/// Whether a file that begins so may be one of pytest-monitor.
#[must_use]
pub fn is_sqlite(beginning: &[u8]) -> bool {
    beginning.starts_with(MAGIC)
}

/// Reads a whole file.
///
/// # Errors
/// It is damaged, or none of pytest-monitor.
pub fn read(path: &Path) -> Result<Pymon, NotRead> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(PATIENCE)?;
    // One transaction: a session that is being written is seen as far as it is, everywhere alike.
    let snapshot = connection.unchecked_transaction()?;
    let tables: Vec<String> = rows(&snapshot, TABLES, |row| row.get(0))?;
    let has = |name: &str| tables.iter().any(|table| table == name);
    for table in ["TEST_METRICS", "EXECUTION_CONTEXTS"] {
        if !has(table) {
            return Err(NotRead::NoTable(table));
        }
    }
    if !has("TEST_SESSIONS") {
        return Err(NotRead::TooOld);
    }
    let mut pymon = Pymon {
        machines: rows(&snapshot, MACHINES, machine)?,
        sessions: rows(&snapshot, SESSIONS, session)?,
        ..Pymon::default()
    };
    for metric in rows(&snapshot, METRICS, metric)? {
        match metric {
            Some(metric) => pymon.metrics.push(metric),
            None => pymon.incomplete += 1,
        }
    }
    Ok(pymon)
}

fn rows<T>(
    connection: &Connection,
    sql: &'static str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], read)?.collect()
}

fn machine(row: &Row<'_>) -> rusqlite::Result<Machine> {
    Ok(Machine {
        key: text(row, 0)?,
        cpu_count: number(row, 1)?.map(|number| number as i64),
        cpu_frequency_mhz: number(row, 2)?,
        cpu_type: Some(text(row, 3)?),
        cpu_vendor: Some(text(row, 4)?),
        ram_mb: number(row, 5)?.map(|number| number as i64),
        node: Some(text(row, 6)?),
        machine_type: Some(text(row, 7)?),
        architecture: Some(text(row, 8)?),
        system: Some(text(row, 9)?),
        runtime: Some(text(row, 10)?),
    })
}

fn session(row: &Row<'_>) -> rusqlite::Result<PymonSession> {
    Ok(PymonSession {
        key: text(row, 0)?,
        run_date: text(row, 1)?,
        scm_ref: if row.get_ref(2)? == ValueRef::Null { None } else { Some(text(row, 2)?) },
        description: text(row, 3)?,
    })
}

fn metric(row: &Row<'_>) -> rusqlite::Result<Option<Metric>> {
    let mut words: [String; 8] = Default::default();
    for (column, word) in words.iter_mut().enumerate() {
        *word = text(row, column)?;
    }
    let mut values = [0.0; 5];
    for (column, value) in (9..).zip(&mut values) {
        match number(row, column)?.filter(|number| number.is_finite()) {
            Some(number) => *value = number,
            None => return Ok(None),
        }
    }
    Ok(Some(Metric { words, started: text(row, 8)?, values }))
}

/// A text; nothing is the empty one, and a number is written as one.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    })
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<f64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        _ => None,
    })
}
