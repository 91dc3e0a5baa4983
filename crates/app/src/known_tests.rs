//! Which tests a suite knows, for clients that run new tests several times: kept in memory while no test has come to it.

use crate::App;
use bytes::Bytes;
use casebook_model::id::SuiteId;
use casebook_storage::{Db, StorageError, tests};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a line: a digest in hexadecimal digits and a line feed.
const LINE: usize = 65;

/// Bytes of all lists that are kept; past it all are made again.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The tests a suite knows.
#[derive(Debug, Clone)]
pub struct KnownTests {
    /// How many.
    pub count: i64,
    /// For each the SHA-256 of its class name, a line feed and its name, in lower-case hexadecimal digits; one a line, sorted.
    pub lines: Bytes,
}

/// The lists that are kept, by suite.
#[derive(Default)]
pub(crate) struct Lists(Mutex<HashMap<SuiteId, KnownTests>>);

impl Lists {
    fn get(&self, db: &mut Db<'_>, suite: SuiteId) -> Result<KnownTests, StorageError> {
        let count = tests::count(db, suite)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept.get(&suite).filter(|known| known.count == count) {
            return Ok(known.clone());
        }
        // Who else asks waits, and then need not make it too.
        let known = KnownTests { count, lines: lines(db, suite)? };
        kept.remove(&suite);
        if kept.values().map(|known| known.lines.len()).sum::<usize>() + known.lines.len() > MOST_BYTES {
            kept.clear();
        }
        kept.insert(suite, known.clone());
        Ok(known)
    }
}

impl App {
    /// How many tests the suite knows. It never gets fewer.
    ///
    /// # Errors
    /// The database fails, or the suite was deleted.
    pub async fn known_test_count(&self, suite: SuiteId) -> Result<i64, StorageError> {
        self.read(move |db| tests::count(db, suite)).await
    }

    /// The tests the suite knows.
    ///
    /// # Errors
    /// The database fails, or the suite was deleted.
    pub async fn known_tests(self: &Arc<Self>, suite: SuiteId) -> Result<KnownTests, StorageError> {
        let app = Arc::clone(self);
        self.read(move |db| app.known_tests.get(db, suite)).await
    }
}

fn lines(db: &mut Db<'_>, suite: SuiteId) -> Result<Bytes, StorageError> {
    let identities = tests::identities(db, suite)?;
    let mut digests: Vec<[u8; 32]> = identities
        .values()
        .map(|test| {
            let digest = Sha256::new().chain_update(&test.class_name).chain_update("\n");
            digest.chain_update(&test.name).finalize().into()
        })
        .collect();
    digests.sort_unstable();
    let mut lines = String::with_capacity(digests.len() * LINE);
    for digest in &digests {
        for byte in digest {
            // Writing to a text does not fail.
            let _ = write!(lines, "{byte:02x}");
        }
        lines.push('\n');
    }
    Ok(lines.into())
}
