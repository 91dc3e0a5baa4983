//! Components, pipelines and builds as filters of what belongs to no protocol: runs and tests.

use super::{sessions, words};
use crate::db::Db;
use crate::error::StorageError;
use crate::runs;
use crate::value::{Value, values};
use casebook_model::id::{RunId, SuiteId, TestId};
use casebook_model::measurement::MetricWord;
use casebook_model::run::Protocol;
use std::collections::BTreeSet;

const SESSIONS: &str = "/* monitor.session_texts_of_component */ select w.word from monitor_component_session c \
     cross join monitor_word w \
     where c.suite_id = $1 and c.component_word = $2 and w.suite_id = c.suite_id and w.word_id = c.session_word";
pub(crate) const TESTS: &str = "/* monitor.tests_of_component */ select s.test_id from monitor_component_spelling c \
     cross join test_spelling s \
     where c.suite_id = $1 and c.component_word = $2 and s.suite_id = c.suite_id and s.spelling_key = c.spelling_key";
pub(crate) const TESTS_OF_RUNS: &str = "/* monitor.tests_of_runs */ select distinct test_id from execution where suite_id = $1 and run_id = any($2)";

/// What is left of a suite when only some of its metrics count; everything that is said must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Metrics of this component; the empty name stands for none.
    pub component: Option<String>,
    /// Metrics of known sessions of this pipeline.
    pub pipeline: Option<String>,
    /// Metrics of known sessions of this build; without a pipeline it means nothing.
    pub build: Option<String>,
}

impl Scope {
    /// Whether it leaves everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.component.is_none() && self.pipeline.is_none()
    }
}

/// Runs and tests that a scope leaves, in rising order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scoped {
    /// Runs with such metrics.
    pub runs: Vec<RunId>,
    /// Tests with such metrics.
    pub tests: Vec<TestId>,
}

/// What is in a scope. Linear in the sessions of the component or pipeline, and in the executions of the pipeline's runs.
///
/// # Errors
/// The database fails.
pub fn find(db: &mut Db<'_>, suite: SuiteId, scope: &Scope) -> Result<Scoped, StorageError> {
    let mut runs: Option<BTreeSet<RunId>> = None;
    let mut tests: Option<BTreeSet<TestId>> = None;
    if let Some(component) = &scope.component {
        runs = Some(runs_of_component(db, suite, component)?);
        tests = Some(tests_of_component(db, suite, component)?);
    }
    if let Some(pipeline) = &scope.pipeline {
        let known = sessions::of_pipeline(db, suite, pipeline, scope.build.as_deref())?;
        let of_pipeline: BTreeSet<RunId> = known.into_iter().map(|session| session.run).collect();
        let left = runs.map_or(of_pipeline.clone(), |runs| &runs & &of_pipeline);
        let ran = tests_of_runs(db, suite, &left)?;
        tests = Some(tests.map_or(ran.clone(), |tests| &tests & &ran));
        runs = Some(left);
    }
    let (runs, tests) = (runs.unwrap_or_default(), tests.unwrap_or_default());
    Ok(Scoped { runs: runs.into_iter().collect(), tests: tests.into_iter().collect() })
}

fn runs_of_component(
    db: &mut Db<'_>,
    suite: SuiteId,
    component: &str,
) -> Result<BTreeSet<RunId>, StorageError> {
    let Some(word) = words::find(db, suite, MetricWord::Component, component)? else {
        return Ok(BTreeSet::new());
    };
    // Sessions that did not come themselves have no row, but a run as any other.
    let keys = db.query(SESSIONS, values![suite.get(), word], |row| {
        Ok(Protocol::Monitor.run_key(&row.get::<String>(0)?))
    })?;
    let found = runs::numbers_by_keys(db, suite, &keys)?;
    Ok(found.into_iter().collect())
}

fn tests_of_component(
    db: &mut Db<'_>,
    suite: SuiteId,
    component: &str,
) -> Result<BTreeSet<TestId>, StorageError> {
    let Some(word) = words::find(db, suite, MetricWord::Component, component)? else {
        return Ok(BTreeSet::new());
    };
    let found = db.query(TESTS, values![suite.get(), word], |row| Ok(TestId(row.get(0)?)))?;
    Ok(found.into_iter().collect())
}

fn tests_of_runs(
    db: &mut Db<'_>,
    suite: SuiteId,
    runs: &BTreeSet<RunId>,
) -> Result<BTreeSet<TestId>, StorageError> {
    let runs: Vec<i64> = runs.iter().map(|run| run.get()).collect();
    let found =
        db.query(TESTS_OF_RUNS, &[suite.get().into(), Value::Ints(&runs)], |row| Ok(TestId(row.get(0)?)))?;
    Ok(found.into_iter().collect())
}
