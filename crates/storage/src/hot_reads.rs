//! The statements whose plans decide how fast Casebook answers. Their plans are kept as snapshots in the tests, because both
//! engines have been seen to choose badly when the text, the statistics or the version changed.

use crate::avocado;
use crate::monitor::{scope, sessions, words};
use crate::value::Value;
use crate::{
    detector, executions, failures, ingest, machines, resources, retention, rollups, runs, selection, shifts,
    tests, tokens, uploads,
};

/// A statement with values like those it meets.
pub struct HotRead {
    /// The statement.
    pub sql: &'static str,
    /// Values of a suite numbered 1.
    pub values: Vec<Value<'static>>,
}

/// Every hot read.
#[must_use]
pub fn all() -> Vec<HotRead> {
    const SUITE: Value<'_> = Value::Int(1);
    const FEW: Value<'_> = Value::Ints(&[1, 2, 3]);
    const KEY: Value<'_> = Value::Bytes(&[0; 16]);
    let read = |sql, values: &[Value<'static>]| HotRead { sql, values: values.to_vec() };
    vec![
        read(tokens::FIND, &[Value::Bytes(&[0; 32])]),
        read(runs::NEWEST, &[SUITE, Value::Int(30), Value::Int(0)]),
        read(runs::BY_KEYS, &[SUITE, Value::Keys(&[[0; 16]])]),
        read(runs::OF_COMMIT, &[SUITE, Value::Text("c0"), Value::Int(16)]),
        read(runs::NEWEST_IDS, &[SUITE, Value::Int(400)]),
        read(executions::HISTORY, &[SUITE, Value::Int(7), Value::Int(400)]),
        read(resources::MEASURED, &[SUITE, Value::Int(7), FEW]),
        read(executions::OF_RUN, &[SUITE, Value::Int(7)]),
        read(selection::UPLOADS, &[SUITE, Value::Int(0), Value::Int(1)]),
        read(ingest::plan::PRIOR, &[SUITE, Value::Int(7), FEW]),
        read(failures::OF_RUN, &[SUITE, Value::Int(7), FEW, Value::Int(30), Value::Int(0)]),
        read(rollups::SOME, &[SUITE, Value::Int(20_000), Value::Int(1), FEW]),
        read(rollups::WINDOW, &[SUITE, Value::Int(20_000), Value::Int(20_007)]),
        read(rollups::OF_TEST, &[SUITE, FEW, FEW, Value::Int(1)]),
        read(uploads::LIST, &[SUITE, Value::Int(1 << 30), Value::Int(50)]),
        read(uploads::OF_RUN, &[SUITE, Value::Int(1 << 30), Value::Int(50), Value::Int(7)]),
        read(detector::DUE, &[Value::Int(1), Value::Int(200)]),
        read(detector::CELLS, &[SUITE, FEW, Value::Int(20_000)]),
        read(detector::UPLOADS_OF_COMMIT, &[SUITE, Value::Text("c0"), Value::Int(1 << 30), Value::Int(0)]),
        read(detector::PASSED, &[SUITE, FEW, FEW]),
        read(rollups::VERSIONS, &[SUITE]),
        read(shifts::EXECUTIONS, &[SUITE, Value::Int(7), Value::Int(1), Value::Int(9)]),
        read(shifts::NEWEST, &[SUITE, Value::Int(1 << 30), Value::Int(-1), Value::Int(-1), Value::Int(50)]),
        read(
            shifts::SHIFTS_OF_TEST,
            &[SUITE, Value::Int(1 << 30), Value::Int(-1), Value::Int(-1), Value::Int(50), Value::Int(7)],
        ),
        read(shifts::OF_TEST, &[SUITE, Value::Int(7), Value::Int(400)]),
        read(tests::LIST, &[SUITE, Value::Int(30), Value::Int(0)]),
        read(tests::BY_IDS, &[SUITE, FEW]),
        read(tests::SPELLINGS, &[SUITE, FEW, Value::Int(1)]),
        read(tests::BY_SPELLING, &[SUITE, KEY]),
        read(tests::NAMESAKES, &[SUITE, Value::Texts(&["t1", "t2"])]),
        read(detector::RECENT_EPISODES, &[SUITE, Value::Int(0)]),
        read(detector::CHANGED_EPISODES, &[SUITE, Value::Int(1)]),
        read(detector::LATEST_EPISODES, &[SUITE, FEW]),
        read(detector::OBSERVED_BETWEEN, &[SUITE, Value::Int(0), Value::Int(1)]),
        read(avocado::jobs::OLDEST, &[SUITE, Value::Int(10), Value::Int(0)]),
        read(avocado::jobs::NEWEST, &[SUITE, Value::Int(10), Value::Int(0)]),
        read(avocado::jobs::OLDEST_FROM_END, &[SUITE, Value::Int(10), Value::Int(0)]),
        read(avocado::jobs::NEWEST_FROM_END, &[SUITE, Value::Int(10), Value::Int(0)]),
        read(avocado::jobs::BY_NUMBERS, &[SUITE, FEW]),
        read(avocado::jobs::BY_KEY, &[SUITE, Value::Text("j7")]),
        read(avocado::jobs::BY_IDENT, &[SUITE, Value::Text("j7")]),
        read(avocado::jobs::BY_BEGINNING, &[SUITE, Value::Text("j"), Value::Text("k")]),
        read(avocado::tests::ALL, &[SUITE, Value::Int(7)]),
        read(avocado::tests::PAGE, &[SUITE, Value::Int(7), Value::Int(10), Value::Int(0)]),
        read(avocado::tests::PAGE_FROM_END, &[SUITE, Value::Int(7), Value::Int(10), Value::Int(0)]),
        read(avocado::tests::FIND, &[SUITE, Value::Int(7), Value::Int(7)]),
        read(avocado::tests::BY_TAG, &[SUITE, Value::Int(7), KEY]),
        read(
            avocado::notes::ACTIVITIES,
            &[SUITE, Value::Int(7), Value::Int(7), Value::Int(10), Value::Int(0)],
        ),
        read(avocado::notes::DATA, &[SUITE, Value::Int(7), Value::Int(7), Value::Int(10), Value::Int(0)]),
        read(avocado::records::BY_TAGS, &[SUITE, Value::Int(7), Value::Keys(&[[0; 16]])]),
        read(avocado::records::BY_NUMBERS, &[SUITE, Value::Int(7), FEW]),
        read(machines::NEWEST, &[SUITE, Value::Int(1 << 30), Value::Int(50)]),
        read(sessions::LIST, &[SUITE, Value::Int(500), Value::Int(0)]),
        read(sessions::LIST_FROM_END, &[SUITE, Value::Int(500), Value::Int(0)]),
        read(words::COMPONENTS, &[SUITE]),
        read(words::PIPELINES, &[SUITE]),
        read(ingest::dropped::BY_KEYS, &[SUITE, Value::Keys(&[[0; 16]])]),
        read(retention::NEXT, &[SUITE, Value::Int(1), Value::Int(20)]),
        read(retention::DROP_TEXTS, &[SUITE, Value::Keys(&[[0; 16]])]),
        read(sessions::BY_SCM, &[SUITE, Value::Bytes(b"a"), Value::Bytes(b"b")]),
        read(sessions::OF_PIPELINE, &[SUITE, Value::Int(7)]),
        read(sessions::OF_BUILD, &[SUITE, Value::Int(7), Value::Int(8)]),
        read(sessions::BUILDS, &[SUITE, Value::Int(7)]),
        read(sessions::OF_COMPONENT, &[SUITE, Value::Int(7)]),
        read(scope::TESTS, &[SUITE, Value::Int(7)]),
        read(scope::TESTS_OF_RUNS, &[SUITE, FEW]),
    ]
}
