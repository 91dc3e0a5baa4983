//! The fold sees every upload once, in the order of commit, and is part of its transaction.

use crate::builder::{Fixture, record};
use casebook_model::execution::Outcome::{Failed, Passed};
use casebook_storage::ingest::{self, Fold, FoldStep};
use casebook_storage::{Db, StorageError};
use casebook_testkit::{TestDatabase, both_engines};

both_engines!(steps_come_in_the_order_of_commit, a_failing_fold_leaves_nothing_behind);

/// Upload, run, and the tests and attempts of one step.
type Step = (i64, i64, Vec<(i64, i64)>);

/// Writes down what it sees, and fails when told to.
#[derive(Default)]
struct Notes {
    seen: Vec<Step>,
    fail: bool,
}

impl Fold for Notes {
    fn fold(&mut self, _: &mut Db<'_>, step: &FoldStep<'_>) -> Result<(), StorageError> {
        if self.fail {
            return Err(StorageError::Damaged { place: "a test", found: "the end of the world".to_owned() });
        }
        let executions = step.executions.iter().map(|e| (e.id.test.get(), e.id.attempt)).collect();
        self.seen.push((step.upload.get(), step.run.get(), executions));
        Ok(())
    }
}

fn steps_come_in_the_order_of_commit(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let mut notes = Notes::default();
    let one = fixture.upload("k1").result("b", Passed).result("a", Failed).result("b", Failed).build();
    let two = fixture.upload("k2").result("a", Passed).build();
    let repeated = fixture.upload("k2").digest("x").result("a", Passed).build();
    let uploads = [one, two, repeated.clone(), repeated];
    let result =
        fixture.store.write(|db| ingest::record(db, fixture.suite, &uploads, &fixture.catalogs, &mut notes));
    assert_eq!(result.unwrap().len(), 4);
    let expected = vec![(1, 1, vec![(1, 1), (1, 2), (2, 1)]), (2, 2, vec![(2, 1)]), (3, 2, vec![(2, 2)])];
    assert_eq!(notes.seen, expected);
}

fn a_failing_fold_leaves_nothing_behind(database: &TestDatabase) {
    let fixture = Fixture::new(database);
    let upload = || fixture.upload("k").result("a", Passed).build();
    let mut notes = Notes { fail: true, ..Notes::default() };
    let failed = fixture
        .store
        .write(|db| ingest::record(db, fixture.suite, &[upload()], &fixture.catalogs, &mut notes));
    assert!(failed.is_err());
    for count in ["select count(*) from run", "select count(*) from test", "select count(*) from rollup"] {
        assert_eq!(fixture.number(count), 0, "{count}");
    }
    // The catalog in memory forgot the tests too: they are numbered and written as new.
    let receipt = record(&fixture.store, fixture.suite, &[upload()], &fixture.catalogs).unwrap().remove(0);
    assert_eq!((receipt.run.get(), receipt.upload.get()), (1, 1));
    assert_eq!(fixture.number("select count(*) from test"), 1);
}
