//! A suite and uploads with defaults, so that a test shows only what matters to it.

use casebook_model::branch::BranchClass;
use casebook_model::execution::{Execution, ExecutionFlags, Outcome};
use casebook_model::failure::Failure;
use casebook_model::id::{RunId, SuiteId};
use casebook_model::key::digest;
use casebook_model::name::{Branch, Commit};
use casebook_model::run::{Protocol, Run, RunAttributes};
use casebook_model::suite::{Slug, SuiteAttributes};
use casebook_model::tags::Tags;
use casebook_model::test::{Spelling, TestAttributes};
use casebook_model::time::{DAY_US, Timestamp};
use casebook_model::variant::{DEFAULT_KEYS, Variant};
use casebook_storage::catalog::Catalogs;
use casebook_storage::ingest::{self, NewResult, NewUpload, Receipt};
use casebook_storage::{StorageError, Store, executions, organizations, runs, suites};
use casebook_testkit::TestDatabase;

/// Noon of a day.
pub(crate) const NOON: Timestamp = Timestamp(20_000 * DAY_US + DAY_US / 2);

pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) suite: SuiteId,
    pub(crate) catalogs: Catalogs,
}

impl Fixture {
    pub(crate) fn new(database: &TestDatabase) -> Self {
        let store = Store::open(&database.url().parse().unwrap()).unwrap();
        let suite = make_suite(&store, "web");
        Self { store, suite, catalogs: Catalogs::default() }
    }

    /// Stores uploads as one group.
    pub(crate) fn record(&self, uploads: &[NewUpload]) -> Vec<Receipt> {
        record(&self.store, self.suite, uploads, &self.catalogs).unwrap()
    }

    pub(crate) fn upload(&self, key: &str) -> Builder {
        Builder::new(self.suite, key)
    }

    pub(crate) fn run(&self, run: RunId) -> Run {
        self.store.read(|db| runs::find(db, self.suite, run)).unwrap().unwrap()
    }

    pub(crate) fn executions(&self, run: RunId) -> Vec<Execution> {
        self.store.read(|db| executions::of_run(db, self.suite, run)).unwrap()
    }

    /// A number that one statement answers.
    pub(crate) fn number(&self, sql: &'static str) -> i64 {
        self.store.read(|db| db.get(sql, &[], |row| row.get(0))).unwrap()
    }
}

pub(crate) fn make_suite(store: &Store, slug: &str) -> SuiteId {
    let made = store.write(|db| {
        let organization = organizations::find_or_insert(db, &Slug::parse("acme").unwrap(), NOON)?;
        suites::insert(db, &organization, &Slug::parse(slug).unwrap(), &SuiteAttributes::named(slug), NOON)
    });
    made.unwrap().id
}

pub(crate) fn record(
    store: &Store,
    suite: SuiteId,
    uploads: &[NewUpload],
    catalogs: &Catalogs,
) -> Result<Vec<Receipt>, StorageError> {
    let answers = store.write(|db| ingest::record(db, suite, uploads, catalogs, &mut ()))?;
    Ok(answers.into_iter().map(Result::unwrap).collect())
}

pub(crate) struct Builder(NewUpload);

impl Builder {
    pub(crate) fn new(suite: SuiteId, key: &str) -> Self {
        Self(NewUpload {
            suite,
            protocol: Protocol::Buildkite,
            run_key: key.to_owned(),
            attributes: RunAttributes::default(),
            branch_class: BranchClass::Default,
            job: None,
            shard: None,
            collector: None,
            format: 1,
            received_at: NOON,
            at: NOON,
            digest: None,
            tags: Tags::default(),
            variants: vec![Variant::default()],
            results: Vec::new(),
            records: Vec::new(),
            repaired: 0,
            rejected: 0,
            problems: Vec::new(),
            notify: true,
        })
    }

    pub(crate) fn at(mut self, at: Timestamp) -> Self {
        (self.0.at, self.0.received_at) = (at, at);
        self
    }

    pub(crate) fn commit(mut self, commit: &str) -> Self {
        self.0.attributes.commit = Commit::new(commit);
        self
    }

    pub(crate) fn branch(mut self, branch: &str, class: BranchClass) -> Self {
        self.0.attributes.branch = Branch::new(branch);
        self.0.branch_class = class;
        self
    }

    pub(crate) fn digest(mut self, text: &str) -> Self {
        self.0.digest = Some(digest(text.as_bytes()));
        self
    }

    /// Later results run on this operating system.
    pub(crate) fn os(mut self, os: &str) -> Self {
        let own: Tags = [("os", os)].into_iter().collect();
        self.0.variants.push(Variant::of(&Tags::default(), &own, DEFAULT_KEYS));
        self
    }

    pub(crate) fn result(self, name: &str, outcome: Outcome) -> Self {
        self.with(name, outcome, |_| {})
    }

    pub(crate) fn result_with_id(self, name: &str, outcome: Outcome, id: i64) -> Self {
        self.with(name, outcome, |result| result.external_hash = Some(id))
    }

    pub(crate) fn with(mut self, name: &str, outcome: Outcome, change: impl FnOnce(&mut NewResult)) -> Self {
        let mut result = result(name, outcome);
        result.variant = self.0.variants.len() - 1;
        change(&mut result);
        result.attributes_hash = result.attributes.hash();
        self.0.results.push(result);
        self
    }

    pub(crate) fn build(self) -> NewUpload {
        self.0
    }
}

fn result(name: &str, outcome: Outcome) -> NewResult {
    let scope = "shop.cart";
    let spelling = Spelling { protocol: Protocol::Buildkite, scope: scope.into(), name: name.into() };
    let failure = Failure { reason: Some(format!("{name} broke")), details: Vec::new() };
    NewResult {
        spelling_key: spelling.key(),
        scope: scope.to_owned(),
        class_name: None,
        name: name.to_owned(),
        attributes: TestAttributes::default(),
        attributes_hash: 0,
        outcome,
        flags: ExecutionFlags::default(),
        instance: 0,
        offset_ms: 0,
        duration_us: Some(1_000),
        external_hash: None,
        variant: 0,
        failure: outcome.is_failing().then(|| casebook_storage::failures::pack(&failure, None)),
        tags: Tags::default(),
        spans: None,
        resources: None,
    }
}
