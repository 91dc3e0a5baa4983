"""ddtrace, whose service is played by files: what it does in the rows of the comparison, and ours beside it."""

from __future__ import annotations

import json

import pytest
from others import only_with

pytestmark = only_with("ddtrace")

SETTINGS = {
    "flaky_test_retries_enabled": True,
    "known_tests_enabled": True,
    "early_flake_detection": {"enabled": True, "slow_test_retries": {"5s": 4}, "faulty_session_threshold": 30},
    "test_management": {"enabled": True, "attempt_to_fix_retries": 5},
}


@pytest.fixture
def service(pytester, monkeypatch):
    """Writes what ddtrace would be told: the settings, the tests that are known, and what is said of some tests."""
    folder = pytester.mkdir("told")
    cache = folder / "cache" / "http"
    cache.mkdir(parents=True)
    (folder / "manifest.txt").write_text("version = 1\n")
    monkeypatch.setenv("DD_TEST_OPTIMIZATION_MANIFEST_FILE", str(folder / "manifest.txt"))
    monkeypatch.setenv("DD_TEST_OPTIMIZATION_PAYLOADS_IN_FILES", "true")
    monkeypatch.setenv("TEST_UNDECLARED_OUTPUTS_DIR", str(folder))
    monkeypatch.setenv("DD_API_KEY", "none")
    monkeypatch.setenv("DD_CIVISIBILITY_AGENTLESS_ENABLED", "1")
    monkeypatch.setenv("DD_CIVISIBILITY_FLAKY_RETRY_COUNT", "2")
    monkeypatch.setenv("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false")

    def say(*known, **properties):
        managed = {f"test_{name}": {"properties": {what: True}} for name, what in properties.items()}
        suites = {"test_case.py": {"tests": managed}}
        names = [f"test_{name}" for name in (*known, *properties)]
        for name, attributes in (
            ("settings", SETTINGS),
            ("known_tests", {"tests": {"": {"test_case.py": names}}}),
            ("test_management", {"modules": {"": {"suites": suites}}}),
        ):
            (cache / f"{name}.json").write_text(json.dumps({"data": {"attributes": attributes}}))

    return say


def test_known_tests_are_retried_when_they_fail(service, other, casefile, attempts):
    service("a", "b")
    casefile("def test_a(): script('a', 'fp')\ndef test_b(): script('b', 'fffp')")
    result = other("ddtrace")
    assert result.ret == 1
    assert (attempts("a"), attempts("b")) == (2, 3)
    # The traceback of a test that passed in the end is shown, the test is not named flaky.
    result.stdout.fnmatch_lines(["*a failed by script*"])


def test_setup_and_teardown_errors_are_retried_and_module_fixtures_redone(service, other, casefile, attempts):
    service("setup", "teardown")
    casefile(
        "@pytest.fixture(scope='module')\ndef module(): script('module', 'p')\n"
        "@pytest.fixture\ndef before(): script('before', 'fp')\n"
        "@pytest.fixture\ndef after():\n    yield\n    script('after', 'fp')\n"
        "def test_setup(before, module): pass\ndef test_teardown(after, module): pass"
    )
    assert other("ddtrace").ret == 0
    assert (attempts("before"), attempts("after")) == (2, 2)
    assert attempts("module") > 1


def test_new_tests_are_run_several_times(service, other, casefile, attempts):
    service(*(f"known{n}" for n in range(9)))
    casefile("def test_new(): script('new', 'ppf')\n" + "".join(f"def test_known{n}(): pass\n" for n in range(9)))
    assert other("ddtrace").ret == 0
    # It stops once both outcomes were seen, as ours does.
    assert attempts("new") == 3


def test_quarantined_and_disabled_and_attempt_to_fix(service, other, casefile, attempts):
    service(quarantined="quarantined", disabled="disabled", fixed="attempt_to_fix", broken="attempt_to_fix")
    casefile(
        "def test_quarantined(): script('quarantined', 'f')\ndef test_disabled(): script('disabled', 'p')\n"
        "def test_fixed(): script('fixed', 'p')\ndef test_broken(): script('broken', 'ppf')"
    )
    result = other("ddtrace", "--junitxml=o.xml")
    assert result.ret == 1
    assert result.parseoutcomes() == {"quarantined": 1, "skipped": 1, "passed": 1, "failed": 1}
    assert (attempts("disabled"), attempts("fixed"), attempts("broken")) == (0, 6, 3)


def test_one_testcase_for_each_test(service, other, casefile, pytester):
    service("a")
    casefile("def test_a(): script('a', 'fp')")
    other("ddtrace", "--junitxml=o.xml")
    assert (pytester.path / "o.xml").read_text().count("<testcase") == 1


def test_state_of_the_instance_is_seen_by_the_next_attempt(service, other, casefile):
    service()
    casefile(
        "class TestState:\n    def test_state(self):\n"
        "        assert not hasattr(self, 'seen'), 'seen before'\n        self.seen = True\n        script('a', 'fp')"
    )
    assert other("ddtrace").ret == 1


def test_the_timer_of_pytest_timeout_is_restarted(service, other, casefile, attempts):
    pytest.importorskip("pytest_timeout")
    service("a")
    casefile(
        "import time\ndef test_a():\n    if pathlib.Path('a.count').exists(): time.sleep(3)\n    script('a', 'fp')"
    )
    assert other("ddtrace", "--timeout=1.5", "-p", "timeout").ret == 1


def test_ours_leaves_retries_to_it(service, other, casefile, run, pytester):
    service("a")
    casefile("def test_a(): script('a', 'fp')")
    result = other("ddtrace", "-p", "pytest_casebook.plugin", "--casebook-runs=5")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["casebook: reruns are left to ddtrace"])


def test_ours_counts_when_it_is_at_rest(service, casefile, run):
    casefile("def test_a(): script('a', 'fp')")
    result = run("--casebook-runs=2", plugins=["ddtrace.testing.internal.pytest.entry_point"])
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}
