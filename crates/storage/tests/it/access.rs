//! Organizations, suites, tokens and users.

use crate::builder::{Fixture, NOON};
use casebook_model::suite::{RepositoryName, Slug, SuiteAttributes};
use casebook_model::token::{Reach, Scope};
use casebook_model::user::{Role, UserName};
use casebook_storage::{organizations, suites, tokens, users};
use casebook_testkit::{TestDatabase, both_engines};

both_engines!(suites_are_unique_and_change, tokens_end_when_revoked, users_are_replaced_and_removed);

fn suites_are_unique_and_change(database: &TestDatabase) {
    let Fixture { store, suite, .. } = Fixture::new(database);
    let organization = store.read(|db| organizations::find(db, "acme")).unwrap().unwrap();
    let slug = Slug::parse("web").unwrap();
    let twice =
        store.write(|db| suites::insert(db, &organization, &slug, &SuiteAttributes::named("x"), NOON));
    assert!(twice.unwrap_err().is_unique_violation());

    let mut attributes = SuiteAttributes::named("Web shop");
    attributes.repository = Some(RepositoryName::parse("acme/shop").unwrap());
    attributes.check = Some("ci/circleci: unit".to_owned());
    store.write(|db| suites::update(db, suite, &attributes, NOON)).unwrap();
    let found = store.read(|db| suites::find(db, "acme", "web")).unwrap().unwrap();
    assert_eq!((found.id, &found.attributes), (suite, &attributes));
    assert_eq!(store.read(|db| suites::find(db, "acme", "none")).unwrap(), None);
    assert_eq!(store.read(suites::list).unwrap(), [found]);
}

fn tokens_end_when_revoked(database: &TestDatabase) {
    let Fixture { store, suite, .. } = Fixture::new(database);
    let hash = [7; 32];
    assert_eq!(store.read(tokens::count).unwrap(), 0);
    let reach = Reach::Suite(suite);
    let token =
        store.write(|db| tokens::insert(db, &hash, reach, Scope::Upload, Some("main"), NOON)).unwrap();
    let found = store.read(|db| tokens::find(db, &hash)).unwrap().unwrap();
    assert_eq!((&found.0, found.1.as_slice()), (&token, hash.as_slice()));
    assert_eq!(store.read(|db| tokens::find(db, &[8; 32])).unwrap(), None);
    assert!(store.write(|db| tokens::revoke(db, token.id, NOON)).unwrap());
    assert!(!store.write(|db| tokens::revoke(db, token.id, NOON)).unwrap());
    assert_eq!(store.read(|db| tokens::find(db, &hash)).unwrap(), None);
    assert_eq!(store.read(tokens::list).unwrap(), []);
    assert_eq!(store.read(tokens::count).unwrap(), 1);
}

fn users_are_replaced_and_removed(database: &TestDatabase) {
    let Fixture { store, suite, .. } = Fixture::new(database);
    let name = UserName::parse("ada").unwrap();
    for (role, hash) in [(Role::Viewer, "one"), (Role::Admin, "two")] {
        store.write(|db| users::upsert(db, &name, role, suite, hash, NOON)).unwrap();
        let (user, stored) = store.read(|db| users::find(db, "ada")).unwrap().unwrap();
        assert_eq!((user.role, stored.as_str(), user.home), (role, hash, suite));
    }
    assert_eq!(store.read(users::list).unwrap().len(), 1);
    assert!(store.write(|db| users::remove(db, "ada")).unwrap());
    assert!(!store.write(|db| users::remove(db, "ada")).unwrap());
}
