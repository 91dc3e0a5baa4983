//! Tests: found by any spelling, shown in the spelling of the protocol that asks.

use crate::db::Db;
use crate::error::StorageError;
use crate::page::{Listed, Page};
use crate::value::{Row, Value, values};
use casebook_model::id::{SuiteId, TestId};
use casebook_model::run::Protocol;
use casebook_model::test::{Identity, Spelling, Test, TestAttributes, canonical_class_name};
use std::collections::HashMap;

pub(crate) const BY_IDS: &str = "/* tests.by_ids */ select test_id, class_name, name, location, file, suite_path from test \
     where suite_id = $1 and test_id = any($2)";
pub(crate) const LIST: &str = "/* tests.list */ select test_id, class_name, name, location, file, suite_path from test \
     where suite_id = $1 order by test_id limit $2 offset $3";
const AFTER: &str = "/* tests.after */ select test_id from test where suite_id = $1 and test_id > $2 order by test_id limit $3";
const IDENTITIES: &str =
    "/* tests.identities */ select test_id, class_name, name from test where suite_id = $1";
const COUNT: &str = "/* tests.count */ select tests from suite_counter where suite_id = $1";
pub(crate) const BY_SPELLING: &str =
    "/* tests.by_spelling */ select test_id from test_spelling where suite_id = $1 and spelling_key = $2";
const BY_IDENTITY: &str =
    "/* tests.by_identity */ select test_id from test where suite_id = $1 and identity_key = $2";
pub(crate) const SPELLINGS: &str = "/* tests.spellings */ select test_id, scope, name, catalog_version from test_spelling \
     where suite_id = $1 and test_id = any($2) and protocol = $3";
pub(crate) const NAMESAKES: &str = "/* tests.namesakes */ select name, class_name from test /*+ test_by_name */ \
     where suite_id = $1 and name = any($2)";
const LOCATIONS: &str = "/* tests.locations */ select test_id, coalesce(location, file) from test \
     where suite_id = $1 and coalesce(location, file) is not null";
const LABELS: &str = "/* tests.labels */ select test_id, label from test_label where suite_id = $1 and test_id = any($2) order by label";
const LABELLED: &str =
    "/* tests.labelled */ select test_id from test_label where suite_id = $1 and label = $2 order by test_id";

/// A test as one protocol shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownTest {
    /// The test.
    pub test: Test,
    /// The protocol's latest group; the class name if the protocol never sent the test.
    pub scope: String,
    /// The protocol's latest name.
    pub name: String,
    /// Labels by name.
    pub labels: Vec<String>,
}

/// The test with that number, as `protocol` shows it.
///
/// # Errors
/// The database fails.
pub fn find(
    db: &mut Db<'_>,
    suite: SuiteId,
    test: TestId,
    protocol: Protocol,
) -> Result<Option<ShownTest>, StorageError> {
    Ok(by_ids(db, suite, &[test], protocol)?.pop())
}

/// The tests with these numbers that exist, in the order asked for.
///
/// # Errors
/// The database fails.
pub fn by_ids(
    db: &mut Db<'_>,
    suite: SuiteId,
    tests: &[TestId],
    protocol: Protocol,
) -> Result<Vec<ShownTest>, StorageError> {
    let ids: Vec<i64> = tests.iter().map(|test| test.get()).collect();
    let found = db.query(BY_IDS, &[suite.get().into(), Value::Ints(&ids)], read)?;
    let mut found: HashMap<TestId, Test> = found.into_iter().map(|test| (test.id, test)).collect();
    let found = tests.iter().filter_map(|id| found.remove(id)).collect();
    show(db, suite, found, protocol)
}

/// The identity of every test of a suite.
///
/// # Errors
/// The database fails.
pub fn identities(db: &mut Db<'_>, suite: SuiteId) -> Result<HashMap<TestId, Identity>, StorageError> {
    let read =
        |row: &Row<'_>| Ok((TestId(row.get(0)?), Identity { class_name: row.get(1)?, name: row.get(2)? }));
    Ok(db.query(IDENTITIES, values![suite.get()], read)?.into_iter().collect())
}

/// How many tests the suite knows.
///
/// # Errors
/// The database fails, or there is no such suite.
pub fn count(db: &mut Db<'_>, suite: SuiteId) -> Result<i64, StorageError> {
    db.find(COUNT, values![suite.get()], |row| row.get(0))?.ok_or(StorageError::NoSuchSuite)
}

/// Tests after `after`, by number, at most `most`.
///
/// # Errors
/// The database fails.
pub fn after(db: &mut Db<'_>, suite: SuiteId, after: TestId, most: i64) -> Result<Vec<TestId>, StorageError> {
    db.query(AFTER, values![suite.get(), after.get(), most], |row| Ok(TestId(row.get(0)?)))
}

/// The test that `protocol` spells so, or that has the identity this spelling stands for.
///
/// # Errors
/// The database fails.
pub fn find_by_spelling(
    db: &mut Db<'_>,
    suite: SuiteId,
    spelling: &Spelling<'_>,
) -> Result<Option<TestId>, StorageError> {
    let read = |row: &Row<'_>| Ok(TestId(row.get(0)?));
    let found = db.find(BY_SPELLING, values![suite.get(), &spelling.key()], read)?;
    if found.is_some() {
        return Ok(found);
    }
    let identity = Identity {
        class_name: canonical_class_name(&spelling.scope).into_owned(),
        name: spelling.name.clone().into_owned(),
    };
    find_by_identity(db, suite, &identity)
}

/// The test with that identity.
///
/// # Errors
/// The database fails.
pub fn find_by_identity(
    db: &mut Db<'_>,
    suite: SuiteId,
    identity: &Identity,
) -> Result<Option<TestId>, StorageError> {
    db.find(BY_IDENTITY, values![suite.get(), &identity.key()], |row| Ok(TestId(row.get(0)?)))
}

/// The class names of every test of the suite that has one of these names, by name.
///
/// # Errors
/// The database fails.
pub fn namesakes(
    db: &mut Db<'_>,
    suite: SuiteId,
    names: &[&str],
) -> Result<HashMap<String, Vec<String>>, StorageError> {
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    db.each(NAMESAKES, &[suite.get().into(), Value::Texts(names)], |row| {
        found.entry(row.get(0)?).or_default().push(row.get(1)?);
        Ok(())
    })?;
    Ok(found)
}

/// The tests of a suite in order of first arrival, as `protocol` shows them.
///
/// # Errors
/// The database fails.
pub fn list(
    db: &mut Db<'_>,
    suite: SuiteId,
    protocol: Protocol,
    page: Page,
) -> Result<Listed<ShownTest>, StorageError> {
    let total = db.get(COUNT, values![suite.get()], |row| row.get(0))?;
    let tests = db.query(LIST, values![suite.get(), page.limit, page.offset], read)?;
    Ok(Listed { items: show(db, suite, tests, protocol)?, total })
}

/// The location, or else the file, of each test that has one.
///
/// # Errors
/// The database fails.
pub fn locations(db: &mut Db<'_>, suite: SuiteId) -> Result<Vec<(TestId, String)>, StorageError> {
    db.query(LOCATIONS, values![suite.get()], |row| Ok((TestId(row.get(0)?), row.get(1)?)))
}

/// The tests that carry a label, in order of first arrival.
///
/// # Errors
/// The database fails.
pub fn labelled(db: &mut Db<'_>, suite: SuiteId, label: &str) -> Result<Vec<TestId>, StorageError> {
    db.query(LABELLED, values![suite.get(), label], |row| Ok(TestId(row.get(0)?)))
}

/// The tests that carry a label, as `protocol` shows them.
///
/// # Errors
/// The database fails.
pub fn list_labelled(
    db: &mut Db<'_>,
    suite: SuiteId,
    protocol: Protocol,
    label: &str,
    page: Page,
) -> Result<Listed<ShownTest>, StorageError> {
    let ids = labelled(db, suite, label)?;
    let total = ids.len() as i64;
    let ids: Vec<TestId> = ids.into_iter().skip(page.offset as usize).take(page.limit as usize).collect();
    Ok(Listed { items: by_ids(db, suite, &ids, protocol)?, total })
}

fn show(
    db: &mut Db<'_>,
    suite: SuiteId,
    tests: Vec<Test>,
    protocol: Protocol,
) -> Result<Vec<ShownTest>, StorageError> {
    let ids: Vec<i64> = tests.iter().map(|test| test.id.get()).collect();
    let mut spellings: HashMap<i64, (i64, (String, String))> = HashMap::new();
    db.each(SPELLINGS, &[suite.get().into(), Value::Ints(&ids), protocol.code().into()], |row| {
        let (test, version): (i64, i64) = (row.get(0)?, row.get(3)?);
        if spellings.get(&test).is_none_or(|(latest, _)| *latest < version) {
            spellings.insert(test, (version, (row.get(1)?, row.get(2)?)));
        }
        Ok(())
    })?;
    let mut labels: HashMap<i64, Vec<String>> = HashMap::new();
    db.each(LABELS, &[suite.get().into(), Value::Ints(&ids)], |row| {
        labels.entry(row.get(0)?).or_default().push(row.get(1)?);
        Ok(())
    })?;
    let shown = tests.into_iter().map(|test| {
        let (scope, name) = spellings
            .remove(&test.id.get())
            .map(|(_, spelling)| spelling)
            .unwrap_or_else(|| (test.identity.class_name.clone(), test.identity.name.clone()));
        let labels = labels.remove(&test.id.get()).unwrap_or_default();
        ShownTest { test, scope, name, labels }
    });
    Ok(shown.collect())
}

fn read(row: &Row<'_>) -> Result<Test, StorageError> {
    Ok(Test {
        id: TestId(row.get(0)?),
        identity: Identity { class_name: row.get(1)?, name: row.get(2)? },
        attributes: TestAttributes { location: row.get(3)?, file: row.get(4)?, suite_path: row.get(5)? },
    })
}
