//! The tests, spellings and variants of a suite in memory, so that an upload of known tests looks nothing up.
//!
//! Every change of a suite's tests raises the suite's catalog version under the suite's lock, and changed rows carry it.
//! A catalog that is behind reads just the rows that changed since, so it is exact with any number of servers and commands
//! on one database. About 100 bytes a test.

use crate::db::Db;
use crate::error::StorageError;
use crate::ingest::NewResult;
use crate::insert::Insert;
use crate::monitor::Memory;
use crate::rollups::RollupCache;
use crate::value::{Value, values};
use casebook_model::execution::ExecutionFlags;
use casebook_model::id::{SuiteId, TestId, VariantId};
use casebook_model::key::Key;
use casebook_model::run::Protocol;
use casebook_model::test::{Identity, TestAttributes};
use casebook_model::variant::Variant;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

/// Tests and words of metrics kept in memory over all suites; past it, other suites' catalogs are dropped and read again when needed.
const MOST_TESTS: usize = 400_000;

const TESTS_SINCE: &str = "/* catalog.tests_since */ select test_id, identity_key, location, file, suite_path from test \
     where suite_id = $1 and catalog_version > $2";
const SPELLINGS_SINCE: &str = "/* catalog.spellings_since */ select test_id, protocol, spelling_key from test_spelling \
     where suite_id = $1 and catalog_version > $2 order by catalog_version";
const VARIANTS: &str =
    "/* catalog.variants */ select variant_id, variant_key from variant where suite_id = $1";

const PUT_TESTS: Insert = Insert {
    into: "test (suite_id, test_id, identity_key, class_name, name, location, file, suite_path, catalog_version)",
    columns: 9,
    conflict: "on conflict (suite_id, test_id) do update set location = excluded.location, file = excluded.file, \
               suite_path = excluded.suite_path, catalog_version = excluded.catalog_version",
};
const PUT_SPELLINGS: Insert = Insert {
    into: "test_spelling (suite_id, test_id, protocol, spelling_key, scope, name, catalog_version)",
    columns: 7,
    conflict: "on conflict (suite_id, test_id, protocol, spelling_key) do update set catalog_version = excluded.catalog_version",
};
const PUT_VARIANTS: Insert =
    Insert { into: "variant (suite_id, variant_id, variant_key, tags)", columns: 4, conflict: "" };

/// Keys are hashes already.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut part = [0; 8];
            part[..chunk.len()].copy_from_slice(chunk);
            self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(part);
        }
    }

    fn write_usize(&mut self, _: usize) {
        // Every key has the same length.
    }
}

type KeyMap<T> = HashMap<Key, T, BuildHasherDefault<KeyHasher>>;

/// The catalogs of all suites. One thread at a time works on a suite, so it takes the catalog away and puts it back.
#[derive(Default)]
pub struct Catalogs(Mutex<HashMap<SuiteId, SuiteCatalog>>);

impl Catalogs {
    pub(crate) fn take(&self, suite: SuiteId) -> SuiteCatalog {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&suite).unwrap_or_default()
    }

    /// Forgets catalogs of suites whose transaction failed after they had been put back.
    pub fn forget(&self, suites: impl IntoIterator<Item = SuiteId>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for suite in suites {
            kept.remove(&suite);
        }
    }

    /// Keeps a catalog whose changes were committed; one that is not put back is read afresh.
    pub(crate) fn put_back(&self, suite: SuiteId, catalog: SuiteCatalog) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = |catalog: &SuiteCatalog| catalog.attributes.len() + catalog.monitor.len();
        if kept.values().map(size).sum::<usize>() + size(&catalog) > MOST_TESTS {
            kept.clear();
        }
        kept.insert(suite, catalog);
    }
}

/// A result, and the protocol in which it names its test.
#[derive(Clone, Copy)]
pub(crate) struct Mention<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) result: &'a NewResult,
}

/// Protocols that have spellings of their own; their numbers count from 1.
const PROTOCOLS: usize = Protocol::ALL.len();

/// The tests, spellings and variants of one suite.
#[derive(Default)]
pub(crate) struct SuiteCatalog {
    version: i64,
    spellings: KeyMap<u32>,
    identities: KeyMap<u32>,
    /// Hash of each test's attributes; tests are numbered from 1 without gaps.
    attributes: Vec<u64>,
    /// First half of the key of the latest spelling of each test in each protocol; 0 if there is none.
    latest: Vec<[u64; PROTOCOLS]>,
    variants: KeyMap<i64>,
    /// Roll-ups of the days that are being written to.
    pub(crate) rollups: RollupCache,
    /// What pytest-monitor's records need to know.
    pub(crate) monitor: Memory,
}

/// Rows to write because of new or changed tests, spellings and variants.
#[derive(Default)]
pub(crate) struct Changes<'a> {
    tests: HashMap<u32, Mention<'a>>,
    spellings: HashMap<Key, (u32, Mention<'a>)>,
    variants: Vec<(i64, &'a Variant)>,
}

impl Changes<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        self.tests.is_empty() && self.spellings.is_empty() && self.variants.is_empty()
    }
}

impl SuiteCatalog {
    /// Reads what changed since this catalog was last used. The suite's counter row is locked.
    pub(crate) fn refresh(
        &mut self,
        db: &mut Db<'_>,
        suite: SuiteId,
        version: i64,
    ) -> Result<(), StorageError> {
        if self.version == version {
            return Ok(());
        }
        if self.version > version {
            *self = Self::default();
        }
        let since = values![suite.get(), self.version];
        db.each(TESTS_SINCE, since, |row| {
            let test: i64 = row.get(0)?;
            self.identities.insert(row.get(1)?, test as u32);
            let attributes =
                TestAttributes { location: row.get(2)?, file: row.get(3)?, suite_path: row.get(4)? };
            self.set_attributes(test as u32, attributes.hash());
            Ok(())
        })?;
        db.each(SPELLINGS_SINCE, since, |row| {
            let (test, protocol, key): (i64, i64, Key) = (row.get(0)?, row.get(1)?, row.get(2)?);
            self.spellings.insert(key, test as u32);
            self.set_latest(test as u32, protocol, half(&key));
            Ok(())
        })?;
        db.each(VARIANTS, values![suite.get()], |row| {
            self.variants.insert(row.get(1)?, row.get(0)?);
            Ok(())
        })?;
        self.version = version;
        Ok(())
    }

    fn set_attributes(&mut self, test: u32, hash: u64) {
        let index = test as usize;
        if self.attributes.len() <= index {
            self.attributes.resize(index + 1, 0);
        }
        self.attributes[index] = hash;
    }

    /// Remembers the latest spelling; false if it was that already.
    fn set_latest(&mut self, test: u32, protocol: i64, spelling: u64) -> bool {
        let index = test as usize;
        if self.latest.len() <= index {
            self.latest.resize(index + 1, [0; PROTOCOLS]);
        }
        let place = usize::try_from(protocol - 1).ok().and_then(|place| self.latest[index].get_mut(place));
        place.is_some_and(|latest| std::mem::replace(latest, spelling) != spelling)
    }

    /// The test that is meant, new or known.
    pub(crate) fn identify(&mut self, result: &NewResult, tests_made: &mut i64) -> TestId {
        if let Some(known) = self.spellings.get(&result.spelling_key) {
            return TestId(i64::from(*known));
        }
        let test = *self.identities.entry(result.identity().key()).or_insert_with(|| {
            *tests_made += 1;
            *tests_made as u32
        });
        self.spellings.insert(result.spelling_key, test);
        TestId(i64::from(test))
    }

    /// Whether this spelling was seen before.
    pub(crate) fn knows(&self, spelling: &Key) -> bool {
        self.spellings.contains_key(spelling)
    }

    /// A new spelling means a known test.
    pub(crate) fn adopt(&mut self, spelling: Key, test: i64) {
        self.spellings.insert(spelling, test as u32);
    }

    /// Takes in what a result that is stored says about its test.
    pub(crate) fn learn<'a>(&mut self, test: TestId, mention: Mention<'a>, changes: &mut Changes<'a>) {
        let (test, result) = (test.get() as u32, mention.result);
        if self.set_latest(test, mention.protocol.code(), half(&result.spelling_key)) {
            changes.spellings.insert(result.spelling_key, (test, mention));
        }
        // A measurement knows no more of a test's place than its report, so it only tells of tests that are new.
        let tells =
            !result.flags.contains(ExecutionFlags::MEASURED) || self.attributes.len() <= test as usize;
        if tells && self.attributes.get(test as usize) != Some(&result.attributes_hash) {
            self.set_attributes(test, result.attributes_hash);
            changes.tests.insert(test, mention);
        }
    }

    /// The number of `variant`, new or known.
    pub(crate) fn variant<'a>(
        &mut self,
        variant: &'a Variant,
        variants_made: &mut i64,
        changes: &mut Changes<'a>,
    ) -> VariantId {
        let id = *self.variants.entry(variant.key()).or_insert_with(|| {
            *variants_made += 1;
            changes.variants.push((*variants_made, variant));
            *variants_made
        });
        VariantId(id)
    }

    /// Writes `changes` as version `version`, and spellings that were the latest only for a moment as the one before.
    pub(crate) fn write(
        &mut self,
        db: &mut Db<'_>,
        suite: SuiteId,
        version: i64,
        changes: &Changes<'_>,
    ) -> Result<(), StorageError> {
        let suite = suite.get();
        let mut tests: Vec<_> = changes.tests.iter().collect();
        tests.sort_unstable_by_key(|(test, _)| **test);
        let described: Vec<(Identity, Key)> = tests
            .iter()
            .map(|(_, mention)| {
                let identity = mention.result.identity();
                let key = identity.key();
                (identity, key)
            })
            .collect();
        let mut rows: Vec<Value<'_>> = Vec::with_capacity(described.len() * PUT_TESTS.columns);
        for ((test, Mention { result, .. }), (identity, key)) in tests.into_iter().zip(&described) {
            rows.extend_from_slice(values![
                suite,
                i64::from(*test),
                key,
                &identity.class_name,
                &identity.name,
                result.attributes.location.as_deref(),
                result.attributes.file.as_deref(),
                result.attributes.suite_path.as_deref(),
                version,
            ]);
        }
        PUT_TESTS.rows(db, &rows)?;

        rows.clear();
        let mut spellings: Vec<_> = changes.spellings.iter().collect();
        spellings.sort_unstable_by_key(|(_, (test, _))| *test);
        for (key, (test, Mention { protocol, result })) in spellings {
            let latest = self.latest.get(*test as usize).map(|latest| latest[protocol.code() as usize - 1]);
            let version = if latest == Some(half(key)) { version } else { version - 1 };
            let (test, protocol) = (i64::from(*test), protocol.code());
            rows.extend_from_slice(values![suite, test, protocol, key, &result.scope, &result.name, version]);
        }
        PUT_SPELLINGS.rows(db, &rows)?;

        let variants: Vec<(i64, Key, String)> = changes
            .variants
            .iter()
            .map(|(id, variant)| (*id, variant.key(), crate::ingest::tags_json(variant.tags())))
            .collect();
        rows.clear();
        for (id, key, tags) in &variants {
            rows.extend_from_slice(values![suite, *id, key, tags]);
        }
        PUT_VARIANTS.rows(db, &rows)?;
        self.version = version;
        Ok(())
    }
}

fn half(key: &Key) -> u64 {
    let mut part = [0; 8];
    part.copy_from_slice(&key[..8]);
    u64::from_le_bytes(part)
}
