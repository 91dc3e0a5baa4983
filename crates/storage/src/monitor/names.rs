//! Which known test a metric means: pytest-monitor writes `, ` for every `-` of a test's name, and leaves the class out.
//!
//! A new spelling means the one known test of its module, or of a class in it, whose name becomes the metric's in that way; if
//! there is none, or more than one, it is a test of its own.

use crate::catalog::SuiteCatalog;
use crate::db::Db;
use crate::error::StorageError;
use crate::ingest::{NewResult, NewUpload};
use crate::value::{Value, values};
use casebook_model::execution::ExecutionFlags;
use casebook_model::id::SuiteId;
use casebook_model::key::{Key, key_of};
use casebook_model::run::Protocol;
use std::collections::HashMap;

const SINCE: &str =
    "/* monitor.names_since */ select test_id, name from test where suite_id = $1 and test_id > $2";
const CLASSES: &str =
    "/* monitor.classes */ select test_id, class_name from test where suite_id = $1 and test_id = any($2)";

/// The tests of a suite by their names as pytest-monitor would write them.
#[derive(Default)]
pub(crate) struct Names {
    upto: i64,
    tests: HashMap<Key, Vec<u32>>,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.tests.len()
    }

    /// Reads the tests that came since. The suite's counter row is locked, and says that there are `tests`.
    fn refresh(&mut self, db: &mut Db<'_>, suite: SuiteId, tests: i64) -> Result<(), StorageError> {
        if self.upto > tests {
            *self = Self::default();
        }
        if self.upto < tests {
            db.each(SINCE, values![suite.get(), self.upto], |row| {
                let (test, name): (i64, String) = (row.get(0)?, row.get(1)?);
                self.tests.entry(written(&name)).or_default().push(test as u32);
                Ok(())
            })?;
            self.upto = tests;
        }
        Ok(())
    }
}

/// The key of a name as pytest-monitor writes it.
fn written(name: &str) -> Key {
    key_of(&[&name.replace('-', ", ")])
}

/// Tells the catalog which known tests the group's new spellings of measured functions mean. The suite's counter row is
/// locked, and says that there are `tests`.
pub(crate) fn identify(
    db: &mut Db<'_>,
    suite: SuiteId,
    uploads: &[NewUpload],
    tests: i64,
    catalog: &mut SuiteCatalog,
) -> Result<(), StorageError> {
    let measured = uploads.iter().filter(|upload| upload.protocol == Protocol::Monitor);
    let mut unknown: HashMap<Key, &NewResult> = HashMap::new();
    for result in measured.flat_map(|upload| &upload.results) {
        // Modules have no name of their own that other tools know.
        let is_function = result.flags.contains(ExecutionFlags::MEASURED) && result.attributes.file.is_some();
        if is_function && !catalog.knows(&result.spelling_key) {
            unknown.insert(result.spelling_key, result);
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    catalog.monitor.names.refresh(db, suite, tests)?;
    let candidates: HashMap<Key, Vec<i64>> = unknown
        .iter()
        .filter_map(|(key, result)| {
            // The names of tests that are there, as they would be written, against the name that was written.
            let tests = catalog.monitor.names.tests.get(&key_of(&[&result.name]))?;
            Some((*key, tests.iter().map(|test| i64::from(*test)).collect()))
        })
        .collect();
    let asked: Vec<i64> = candidates.values().flatten().copied().collect();
    if asked.is_empty() {
        return Ok(());
    }
    let classes =
        db.query(CLASSES, &[suite.get().into(), Value::Ints(&asked)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let classes: HashMap<i64, String> = classes.into_iter().collect();
    for (key, tests) in candidates {
        let Some(module) = unknown.get(&key).and_then(|result| result.class_name.as_deref()) else {
            continue;
        };
        let within = |class: &String| {
            class.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut meant = tests.into_iter().filter(|test| classes.get(test).is_some_and(within));
        if let (Some(test), None) = (meant.next(), meant.next()) {
            catalog.adopt(key, test);
        }
    }
    Ok(())
}
