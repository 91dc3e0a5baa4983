//! pytest-monitor and the client library that reads what it sent, unmodified: only the address is ours.

use crate::collectors::{clients, finish, project};
use crate::setup::{program, sample, start, token};
use casebook_testkit::{TestDatabase, TestServer, both_engines};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

both_engines!(
    pytest_monitor_sends_what_it_keeps,
    workers_of_xdist_send_beside_each_other,
    the_client_library_reads_everything,
    the_client_library_lists_past_the_first_500,
);

const TEXT: &str = r#"import pytest

pytest_monitor_component = "text"


@pytest.mark.parametrize("name,mode", [("a/b.txt", "r"), ("c::d", "rw-x"), ("K\u00e4se", "w")])
def test_open(name, mode):
    assert name + mode


class TestClass:
    def test_method(self):
        assert sum(range(100_000))


def test_fails():
    assert False


@pytest.mark.skip
def test_skipped():
    pass
"#;

const MEMORY: &str = "import pytest\n\n@pytest.mark.parametrize('n', range(6))\ndef test_memory(n):\n    assert bytearray(200_000 * n) is not None\n";

/// Compares the plug-in's own file with what the server lists, bit by bit.
const AGREE: &str = r#"
import json, sqlite3, struct, sys, requests
base, file = sys.argv[1:]
def listed(path, key):
    answer = requests.get(base + path)
    rows = []
    while answer.status_code == 200:
        body = answer.json()
        rows += body[key]
        if not body.get("next_url"):
            break
        answer = requests.get(base + body["next_url"].removeprefix("/api/v1"))
    return rows
def bits(value):
    return struct.pack("<d", value) if isinstance(value, float) else value
kept = sqlite3.connect(file)
names = ["session_h", "context_h", "item_start_time", "item_path", "item", "item_variant", "item_fs_loc", "kind", "component",
         "total_time", "user_time", "kernel_time", "cpu_usage", "mem_usage"]
columns = [dict(context_h="env_h").get(name, name) for name in names]
rows = kept.execute("select %s from TEST_METRICS order by rowid" % ", ".join(columns)).fetchall()
by_start = lambda row: (row[0], row[2])
kept_rows = sorted(([bits(v) for v in row] for row in rows), key=by_start)
sent_rows = sorted(([bits(row[name]) for name in names] for row in listed("/metrics/", "metrics")), key=by_start)
assert kept_rows == sent_rows, (kept_rows, sent_rows)
sessions = {row[0]: row for row in kept.execute("select SESSION_H, RUN_DATE, SCM_ID, RUN_DESCRIPTION from TEST_SESSIONS")}
for session in listed("/sessions/", "sessions"):
    key, date, scm, description = sessions.pop(session["session_h"])
    assert (session["run_date"], session["scm_ref"]) == (date, scm)
    assert [(tag["name"], tag["value"]) for tag in session["tags"]] == list(json.loads(description).items())
assert not sessions, sessions
contexts = kept.execute("select ENV_H, CPU_FREQUENCY_MHZ, PYTHON_INFO from EXECUTION_CONTEXTS").fetchall()
shown = {context["h"]: (context["cpu_frequency"], context["python_info"]) for context in listed("/contexts/", "contexts")}
assert {h: (int(f), p) for h, f, p in contexts} == shown, shown
kinds = {}
for row in rows:
    kinds[row[7]] = kinds.get(row[7], 0) + 1
print(json.dumps(kinds))
"#;

/// A server, and its address with a token in it, as people give it to pytest.
fn serve(database: &TestDatabase) -> (TestServer, String) {
    let server = TestServer::start_with(program(), database, &["--monitor-page-size", "5"]);
    let _ = server.succeed(&["suite", "create", "acme/cart"]);
    let token = token(&server, &["--suite", "acme/cart", "--scope", "write"]);
    let address = format!("http://monitor:{token}@{}/api/v1", server.url().trim_start_matches("http://"));
    (server, address)
}

fn python(folder: &Path) -> Command {
    let mut command = Command::new(clients("CASEBOOK_TEST_MONITOR"));
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder);
    command
}

fn pytest(server: &TestServer, address: &str, folder: &Path, arguments: &[&str]) {
    let mut command = python(folder);
    command.env("CI_JOB_NAME", "unit-tests").env("CI_PIPELINE_ID", "314").env("GITLAB_CI", "true");
    command.args([
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--db",
        "kept.pymon",
        "--remote-server",
        address,
    ]);
    let _ = finish(
        {
            command.args(arguments);
            command
        },
        server,
        1,
    );
}

fn agree(server: &TestServer, address: &str, folder: &Path) -> Value {
    let mut command = python(folder);
    command.args(["-c", AGREE, address, "kept.pymon"]);
    serde_json::from_str(finish(command, server, 0).trim()).unwrap()
}

fn files() -> tempfile::TempDir {
    project(&[("pkg/test_text.py", TEXT), ("test_memory.py", MEMORY)])
}

fn pytest_monitor_sends_what_it_keeps(database: &TestDatabase) {
    let (server, address) = serve(database);
    let folder = files();
    pytest(
        &server,
        &address,
        folder.path(),
        &["--restrict-scope-to", "function,module", "--tag", "numpy=1.2=x", "--description", "nightly"],
    );
    assert_eq!(agree(&server, &address, folder.path()), json!({ "function": 10, "module": 2 }));
    // The second run finds its machine known, unless the clock of the processor has changed; a final slash does no harm.
    let slash = format!("{address}/");
    pytest(&server, &slash, folder.path(), &["--component-prefix", "lib", "--restrict-scope-to", "function"]);
    assert_eq!(agree(&server, &address, folder.path()), json!({ "function": 20, "module": 2 }));
    let components =
        server.get("/api/v1/components/").header("Authorization", &basic(&address)).send().expect(200).json();
    assert_eq!(components["components"], json!(["text", "", "lib.text", "lib"]));
}

fn workers_of_xdist_send_beside_each_other(database: &TestDatabase) {
    let (server, address) = serve(database);
    let folder = files();
    pytest(&server, &address, folder.path(), &["-n", "2"]);
    let kinds = agree(&server, &address, folder.path());
    assert_eq!(kinds["function"], 10);
}

/// The credential of an address as a header.
fn basic(address: &str) -> String {
    use base64::Engine as _;
    let credential = address.trim_start_matches("http://").split('@').next().unwrap();
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credential))
}

const READ: &str = r#"
import json, sys
from monitor_api import Monitor
from monitor_api.enums import MetricScope, ResourceMethod, ResourceType
monitor = Monitor(sys.argv[1])
metrics = list(monitor.list_metrics())
contexts = monitor.list_contexts()
first, = monitor.list_sessions()
context = next(iter(contexts))
variant = next(metric.variant for metric in metrics if "/" in metric.variant)
print(json.dumps([
    monitor.count_metrics() == len(metrics),
    len(metrics),
    monitor.count_metrics(session_h=first) == len(list(monitor.list_session_metrics(first))),
    monitor.count_metrics(context_h=context) == len(list(monitor.list_context_metrics(context))),
    monitor.count_sessions(), monitor.count_contexts() == len(contexts), monitor.count_components(),
    monitor.list_components(), monitor.list_pipelines(), monitor.list_pipeline_builds("unit-tests"),
    list(monitor.list_build_sessions("unit-tests", "314")) == [first],
    monitor.get_session(first).h == first, monitor.get_session("nothing"), monitor.get_context("nothing"),
    len(list(monitor.list_metrics_of_variant(variant))), len(list(monitor.list_metrics_from_pattern(item="open"))),
    len(list(monitor.list_item_metrics("test_memory"))), len(list(monitor.list_metrics_by_type(MetricScope.MODULE))),
    len(list(monitor.list_component_metrics("text"))), len(list(monitor.list_component_metrics())),
    monitor.list_component_pipelines("text"), monitor.list_component_pipeline_builds("text", "unit-tests"),
    len(list(monitor.list_sessions(with_tags=["numpy", "python"], restrict_flags=["1.2"]))),
    len(list(monitor.list_metrics_resources(ResourceType.MEMORY, ResourceMethod.TOP, 3))),
]))
"#;

fn the_client_library_reads_everything(database: &TestDatabase) {
    let (server, address) = serve(database);
    let folder = files();
    pytest(
        &server,
        &address,
        folder.path(),
        &["--restrict-scope-to", "function,module", "--tag", "numpy=1.2"],
    );
    let mut command = python(folder.path());
    command.args(["-W", "ignore", "-c", READ, &address]);
    let read: Value = serde_json::from_str(finish(command, &server, 0).trim()).unwrap();
    // The client lists the name for no component too, and a module is an item of its own name.
    let expected = json!([
        true,
        12,
        true,
        true,
        1,
        true,
        1,
        ["text", ""],
        ["unit-tests"],
        ["314"],
        true,
        true,
        null,
        null,
        1,
        3,
        7,
        2,
        5,
        7,
        ["unit-tests"],
        ["314"],
        1,
        3
    ]);
    assert_eq!(read, expected);
}

const LIST: &str = r#"
import json, sys
from monitor_api import Monitor
monitor = Monitor(sys.argv[1])
listed = [metric.variant for metric in monitor.list_metrics()]
session = next(iter(monitor.list_sessions()))
print(json.dumps([
    listed == ["test_many[%d]" % number for number in range(1203)],
    monitor.count_metrics(),
    len(list(monitor.list_session_metrics(session))),
    len(list(monitor.list_metrics_from_pattern(variant="many["))),
    len(list(monitor.list_item_metrics("test_many"))),
    len(list(monitor.list_component_metrics("big"))),
]))
"#;

fn the_client_library_lists_past_the_first_500(database: &TestDatabase) {
    let server = start(database);
    let _ = server.succeed(&["suite", "create", "acme/cart"]);
    let token = token(&server, &["--suite", "acme/cart", "--scope", "read"]);
    // Kept connections and our own links, with the size of pages that a server has when nothing is said.
    let address = format!("http://monitor:{token}@{}/api/v1", server.url().trim_start_matches("http://"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.pymon");
    std::fs::write(&path, sample("pytest-monitor/recorded.pymon")).unwrap();
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch(
        "create table one as select * from TEST_METRICS limit 1; delete from TEST_METRICS; \
         delete from TEST_SESSIONS where SESSION_H not in (select SESSION_H from one); \
         with recursive n(n) as (select 0 union all select n + 1 from n where n < 1202) \
         insert into TEST_METRICS select SESSION_H, ENV_H, ITEM_START_TIME, ITEM_PATH, 'test_many', \
         'test_many[' || n || ']', ITEM_FS_LOC, KIND, 'big', TOTAL_TIME, USER_TIME, KERNEL_TIME, CPU_USAGE, MEM_USAGE \
         from n, one order by n",
    )
    .unwrap();
    drop(file);
    let _ = server.succeed(&["import", "--suite", "acme/cart", path.to_str().unwrap()]);
    let mut command = python(folder.path());
    command.args(["-W", "ignore", "-c", LIST, &address]);
    let read: Value = serde_json::from_str(finish(command, &server, 0).trim()).unwrap();
    assert_eq!(read, json!([true, 1203, 1203, 1203, 1203, 1203]));
}
