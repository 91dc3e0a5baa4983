"""Quarantine, disabled tests, attempt-to-fix, new tests, limits, and where a mode comes from."""

from __future__ import annotations

import hashlib
from xml.etree import ElementTree

import pytest


def quarantine(name, **more):
    return {"class_name": "test_case", "name": name, "mode": "quarantine", **more}


FAILING = """
@pytest.fixture
def before(): assert False, "before"
@pytest.fixture
def after():
    yield
    assert False, "after"
def test_call(): assert False, "call"
def test_setup(before): pass
def test_teardown(after): pass
"""


def test_quarantined_failures_do_not_fail_the_build(server, casefile, run, pytester, xdist):
    for name in ("test_call", "test_setup", "test_teardown"):
        server.list(name, mode="quarantine", since="2026-03-02", details_url="https://x/17")
    casefile(FAILING)
    result = run("--junitxml=o.xml", "-v", xdist=xdist)
    assert result.ret == 0
    assert result.parseoutcomes() == {"quarantined": 3}
    result.stdout.fnmatch_lines(["*QUARANTINED*", "QUARANTINED  *failed; known flaky since 2026-03-02  https://x/17"])
    suite = ElementTree.parse(pytester.path / "o.xml").getroot().find("testsuite")
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3",
        "failures": "0",
        "errors": "0",
        "skipped": "3",
    }
    for skipped in suite.iter("skipped"):
        assert skipped.get("type") == "pytest.xfail"
        assert skipped.get("message").startswith("quarantined: ")
    assert [server.results(name) for name in ("test_call", "test_setup", "test_teardown")] == [["failed"]] * 3
    phases = {entry["name"]: entry["tags"]["casebook.phase"] for entry in server.entries}
    assert phases == {"test_call": "call", "test_setup": "setup", "test_teardown": "teardown"}


def test_quarantine_next_to_a_real_failure(policy_file, casefile, run):
    casefile("def test_a(): assert False\ndef test_b(): assert False\ndef test_c(): pass")
    policy = policy_file(quarantine("test_a"))
    assert run(policy).parseoutcomes() == {"quarantined": 1, "failed": 1, "passed": 1}
    result = run(policy, "-x")
    assert result.parseoutcomes() == {"quarantined": 1, "failed": 1}
    assert result.ret == 1
    run(policy)
    run(policy, "--lf").stdout.fnmatch_lines(["*previous 1 failure*"])
    assert run(policy, "--sw").parseoutcomes() == {"quarantined": 1, "failed": 1}


def test_quarantine_with_counts_reruns(policy_file, casefile, run):
    casefile("def test_a(): script('a', 'fp')\ndef test_b(): script('b', 'ff')")
    policy = policy_file(quarantine("test_a", max_runs=2, min_passes=1), quarantine("test_b", max_runs=2, min_passes=1))
    assert run(policy).parseoutcomes() == {"passed": 1, "quarantined": 1, "rerun": 2}


def test_quarantine_can_be_switched_off(policy_file, casefile, run, monkeypatch):
    casefile("def test_a(): assert False")
    policy = policy_file(quarantine("test_a"))
    assert run(policy, "--casebook-no-quarantine").ret == 1
    monkeypatch.setenv("CASEBOOK_QUARANTINE", "false")
    assert run(policy).ret == 1


@pytest.mark.parametrize(
    ("option", "outcomes", "code"),
    [
        ("--casebook-fail-on-flaky", "fp", 7),
        ("--casebook-fail-on-flaky", "pp", 0),
        ("--casebook-fail-on-flaky", "ff", 1),
        ("--casebook-fail-on-quarantined", "fp", 0),
    ],
)
def test_exit_codes(casefile, run, option, outcomes, code):
    casefile(f"@pytest.mark.casebook(max_runs=2)\ndef test_a(): script('a', {outcomes!r})")
    assert run(option).ret == code


def test_exit_code_of_a_quarantined_failure(policy_file, casefile, run):
    casefile("def test_a(): assert False")
    assert run(policy_file(quarantine("test_a")), "--casebook-fail-on-quarantined").ret == 7


def test_another_plugins_exit_code_stays(casefile, run, pytester):
    pytester.makeconftest(
        """
import pytest
@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session):
    session.exitstatus = 3
"""
    )
    casefile("@pytest.mark.casebook(max_runs=2)\ndef test_a(): script('a', 'fp')")
    assert run("--casebook-fail-on-flaky").ret == 3
    (pytester.path / "a.count").unlink()
    assert run().ret == 3


def test_debug_output_names_decisions(casefile, run):
    casefile("@pytest.mark.casebook(max_runs=2, only=OSError)\ndef test_a(): script('a', 'fp')")
    result = run("--casebook-debug")
    result.stdout.fnmatch_lines(
        ["casebook: test_case.py::test_a: rerun by marker, 1 attempts in * s, failed, stopped by filter"]
    )


def test_disabled(server, casefile, run, attempts, xdist):
    server.list("test_a", mode="disabled", reason="hangs")
    casefile("def test_a(): script('a', 'p')\ndef test_b(): pass")
    result = run("-rs", xdist=xdist)
    assert result.parseoutcomes() == {"passed": 1, "skipped": 1}
    assert attempts("a") == 0
    result.stdout.fnmatch_lines([f"SKIPPED*disabled on {server.url[7:]}: hangs"])
    assert server.results("test_a") == ["skipped"]
    entry = next(each for each in server.entries if each["name"] == "test_a")
    assert entry["tags"]["casebook.mode"] == "disabled"


def test_everything_disabled_is_no_tests(policy_file, casefile, run):
    casefile("def test_a(): pass")
    assert run(policy_file({"class_name": "test_case", "name": "test_a", "mode": "disabled"})).ret == 5


def test_attempt_to_fix(policy_file, casefile, run, attempts, xdist):
    casefile("def test_a(): script('a', 'p')\ndef test_b(): script('b', 'ppf')")
    policy = policy_file(
        {"class_name": "test_case", "name": "test_a", "mode": "attempt_to_fix"},
        {"class_name": "test_case", "name": "test_b", "mode": "attempt_to_fix", "max_runs": 6},
    )
    result = run(policy, xdist=xdist)
    assert result.parseoutcomes() == {"passed": 1, "failed": 1, "rerun": 21}
    assert (attempts("a"), attempts("b")) == (20, 3)
    result.stdout.fnmatch_lines(["FIXED *test_a *needed all of 20"])
    result.stdout.fnmatch_lines(["NOT FIXED *test_b *needed all of 6"])


def test_attempt_to_fix_overrides_quarantine(policy_file, casefile, run, monkeypatch):
    casefile("def test_a(): script('a', 'pf')\ndef test_b(): script('b', 'pf')")
    policy = policy_file(quarantine("test_a"), quarantine("test_b"))
    assert run(policy, "--casebook-attempt-to-fix", "test_case.py::test_a").parseoutcomes()["failed"] == 1
    monkeypatch.setenv("CASEBOOK_FIXES", "test_case.test_b")
    assert run(policy).parseoutcomes()["failed"] == 1


def test_a_commit_message_names_what_it_fixes(policy_file, casefile, run, attempts, monkeypatch):
    monkeypatch.setenv("CASEBOOK_MESSAGE", "Lock the door\n\nFixes-flaky: test_case.py::test_a\n")
    casefile("def test_a(): script('a', 'p')")
    run()
    assert attempts("a") == 20


def digest(name):
    return hashlib.sha256(f"test_case\n{name}".encode()).hexdigest()


def test_new_tests_are_run_several_times(server, casefile, run, attempts, xdist):
    server.policy["new_tests"] = {"enabled": True, "runs": [4, 3, 2, 1], "known": "/known"}
    server.files["/known"] = digest("test_known").encode() + b"\n"
    casefile(
        """
def test_known(): script("known", "fp")
def test_new(): script("new", "p")
def test_flaky(): script("flaky", "ppf")
def test_broken(): script("broken", "f")
"""
    )
    result = run(xdist=xdist)
    assert [attempts(name) for name in ("known", "new", "flaky", "broken")] == [1, 5, 3, 5]
    assert result.parseoutcomes() == {"passed": 2, "failed": 2, "rerun": 10}
    result.stdout.fnmatch_lines(["NEW FLAKY*test_flaky*passed, passed, failed; first seen in this run"])


def test_runs_of_new_tests_depend_on_their_duration():
    from pytest_casebook.goal import further_runs
    from pytest_casebook.plan import Plan

    plan = Plan(mode="new", new_runs=(10, 5, 3, 2))
    assert [further_runs(plan, seconds) for seconds in (5, 5.1, 10, 29, 300, 301)] == [10, 5, 5, 3, 2, 0]


def test_limit_of_reruns(server, casefile, run, attempts, xdist):
    casefile("\n".join(f"def test_{n}(): script('t{n}', 'f')" for n in range(8)))
    options = ("--casebook-rerun=all", "--casebook-runs=2", "--casebook-max-reruns=3")
    result = run(*options, xdist=xdist)
    reruns = result.parseoutcomes()["rerun"]
    assert reruns == 3 if not xdist else 3 <= reruns <= 5
    result.stdout.fnmatch_lines([f"reruns stopped: {reruns} of 3 used; {8 - reruns} tests not rerun"])
    if not xdist:
        assert server.uploads[-1]["run_env"]["limits_hit"] == "max_reruns"


def test_limits_of_time(casefile, run, pytester):
    wait = "import threading\ndef wait(): threading.Event().wait(0.1)\n"
    casefile(wait + "".join(f"def test_{n}():\n    wait()\n    assert False\n" for n in range(3)))
    options = ("--casebook-rerun=all", "--casebook-runs=3")
    outcomes = run(*options, "--casebook-max-seconds=0.15").parseoutcomes()
    # The second rerun is not made if the machine is so slow that the first took all the time.
    assert outcomes["rerun"] in (1, 2)
    result = run(*options, "--casebook-max-seconds=0")
    assert result.parseoutcomes() == {"failed": 3}
    result.stdout.fnmatch_lines(["reruns stopped: 0.0 s of 0 s used; 3 tests not rerun"])
    pytester.makeini("[pytest]\ncasebook_max_test_seconds = 0.15\n")
    result = run(*options)
    assert result.parseoutcomes().get("rerun", 0) <= 3
    result.stdout.fnmatch_lines(["reruns stopped: 0.15 s for one test used; 3 tests not rerun"])


def test_guard_against_an_outage(casefile, run, pytester, attempts):
    pytester.makeini("[pytest]\ncasebook_guard_failures = 3\ncasebook_guard_share = 0.5\n")
    casefile("".join(f"def test_{n}(): script('t{n}', 'fp')\n" for n in range(6)))
    result = run("--casebook-rerun=all", "--casebook-runs=2")
    assert result.parseoutcomes() == {"passed": 3, "failed": 3, "rerun": 3}
    result.stdout.fnmatch_lines(["reruns stopped: more than 3 tests and 50% of them failed*3 tests not rerun"])


def test_a_budget_that_is_used_up_does_not_fail_a_test_that_only_passed(server, casefile, run):
    casefile("def test_a(): pass")
    result = run("--casebook-rerun=all", "--casebook-runs=3", "--casebook-passes=2", "--casebook-max-reruns=0")
    assert result.parseoutcomes() == {"passed": 1}
    assert server.entries[0]["tags"]["casebook.verdict"] == "passed"


def test_the_server_may_lower_limits_but_not_raise_them(server, casefile, run):
    server.policy["limits"] = {"max_reruns": 1}
    casefile("".join(f"def test_{n}(): script('t{n}', 'f')\n" for n in range(4)))
    options = ("--casebook-rerun=all", "--casebook-runs=2")
    assert run(*options).parseoutcomes()["rerun"] == 1
    server.policy["limits"] = {"max_reruns": 100}
    server.etag = '"two"'
    assert run(*options, "--casebook-max-reruns=2").parseoutcomes()["rerun"] == 2


def test_precedence_of_sources(policy_file, casefile, run, attempts):
    casefile(
        """
def test_listed(): script("listed", "f")
@pytest.mark.casebook(max_runs=4)
def test_both(): script("both", "f")
@pytest.mark.casebook(max_runs=4, pin=True)
def test_pinned(): script("pinned", "f")
@pytest.mark.casebook(max_runs=4)
def test_marked(): script("marked", "f")
def test_none(): script("none", "f")
@pytest.mark.flaky(reruns=2)
def test_foreign(): script("foreign", "f")
"""
    )
    names = ["listed", "both", "pinned", "marked", "none", "foreign"]
    policy = policy_file(*({"class_name": "test_case", "name": f"test_{n}", "max_runs": 3} for n in names[:3]))
    run(policy)
    assert [attempts(name) for name in names] == [3, 3, 4, 4, 1, 3]
    run(policy, "--casebook-runs=2")
    assert [attempts(name) for name in names] == [5, 5, 6, 6, 3, 5]
    run(policy, "--no-casebook")
    assert [attempts(name) for name in names] == [6, 6, 7, 7, 4, 6]


@pytest.mark.parametrize(
    ("marker", "runs"),
    [
        ("reruns=2", 3),
        ("3", 4),
        ("retries=1", 2),
        ("max_runs=4, min_passes=2", 4),
        ("", 2),
        ("reruns=2, condition=False", 1),
    ],
)
def test_markers_of_other_plugins(casefile, run, attempts, pytester, marker, runs):
    casefile(f"@pytest.mark.flaky({marker})\ndef test_a(): script('a', 'pfff' if 'min' in {marker!r} else 'f')")
    run("--strict-markers")
    assert attempts("a") == runs
    pytester.makeini("[pytest]\ncasebook_foreign_markers = false\n")
    run()
    assert attempts("a") == runs + 1


def test_dry_run(policy_file, casefile, run, attempts, xdist):
    casefile("def test_a(): script('a', 'fp')\ndef test_b(): pass")
    policy = policy_file({"class_name": "test_case", "name": "test_a", "max_runs": 3})
    result = run(policy, "--casebook-dry-run", xdist=xdist)
    result.stdout.fnmatch_lines(["*test_case.py::test_a: rerun 1 of 3 (server)", "*test_case.py::test_b: none"])
    assert attempts("a") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--casebook-runs=0"], "--casebook-runs: must be a whole number of at least 1, not '0'"),
        (["--casebook-rerun=maybe"], "--casebook-rerun: must be one of server, all, none"),
        (["--casebook-only=("], "--casebook-only: '(' is no regular expression"),
        (["-o", "casebook_delay=soon"], "casebook_delay: must be a number"),
        (["-o", "casebook_token=cb_secret"], "casebook_token: a token does not belong into an ini file"),
        (["--casebook-policy=missing.json"], "--casebook-policy: missing.json cannot be read"),
    ],
)
def test_wrong_values_are_usage_errors(casefile, run, arguments, message):
    casefile("def test_a(): pass")
    result = run(*arguments)
    assert result.ret == 4
    assert message in result.stderr.str()
    assert "cb_secret" not in result.stderr.str()


@pytest.mark.parametrize(
    ("ini", "options", "runs"),
    [
        ("casebook_max_runs = 4", ["--casebook-passes=2"], 4),
        ("casebook_max_runs = 4\ncasebook_min_passes = 2", ["--casebook-runs=3"], 3),
        ("casebook_max_runs = 4", ["--casebook-rerun=all", "--casebook-runs=2"], 2),
    ],
)
def test_what_an_option_leaves_open_the_ini_file_says(casefile, run, attempts, pytester, ini, options, runs):
    pytester.makeini(f"[pytest]\n{ini}\n")
    casefile(FAILS.replace("'f'", "'pfff'") if "passes" in ini + options[0] else FAILS)
    assert run(*options).ret == 1
    assert attempts("a") == runs


FAILS = "def test_a(): script('a', 'f')"


def test_command_line_environment_ini_and_server_in_this_order(server, casefile, run, attempts, pytester, monkeypatch):
    server.list("test_a", max_runs=2)
    casefile(FAILS)
    run()
    assert attempts("a") == 2
    pytester.makeini("[pytest]\ncasebook_rerun = none\n")
    run()
    assert attempts("a") == 3
    monkeypatch.setenv("CASEBOOK_RERUN", "server")
    run()
    assert attempts("a") == 5
    run("--casebook-rerun=none")
    assert attempts("a") == 6


@pytest.mark.skipif(pytest.version_tuple < (9, 2), reason="only newer versions of pytest read values that are no text")
def test_values_of_a_toml_file_need_not_be_texts(pytester, casefile, run, attempts):
    (pytester.path / "pyproject.toml").write_text(
        '[tool.pytest]\ncasebook_rerun = "all"\ncasebook_max_runs = 3\ncasebook_run_out = true\ncasebook_delay = 0.01\n'
        'casebook_except = ["OSError"]\n'
    )
    casefile(FAILS)
    assert run("--strict-config").ret == 1
    assert attempts("a") == 3
    (pytester.path / "pyproject.toml").write_text('[tool.pytest]\ncasebook_max_runs = ["3"]\n')
    result = run()
    assert (result.ret, "casebook_max_runs: must be a whole number" in result.stderr.str()) == (4, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("CASEBOOK_RERUN", "maybe"), ("CASEBOOK_QUARANTINE", "perhaps"), ("CASEBOOK_UPLOAD", "x"), ("CASEBOOK_URL", "x")],
)
def test_wrong_variables_are_usage_errors_that_name_them(casefile, run, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    casefile("def test_a(): pass")
    result = run()
    assert (result.ret, name in result.stderr.str()) == (4, True)


def test_new_tests_leave_reruns_to_others(server, casefile, run, attempts):
    server.policy["new_tests"] = {"enabled": True, "runs": [4, 3, 2, 1], "known": [digest("test_z")]}
    server.list("test_z", max_runs=2)
    casefile(
        "@pytest.mark.parametrize('n', range(4))\ndef test_new(n): script('new', 'p')\ndef test_z(): script('z', 'fp')"
    )
    result = run("--casebook-max-reruns=10")
    assert result.ret == 0
    assert (attempts("new"), attempts("z")) == (4 + 5, 2)
    result.stdout.fnmatch_lines(
        ["reruns stopped: new tests used half of the reruns, or a fifth of the time; 3 tests not rerun"]
    )


def test_time_of_new_tests_is_a_fifth_of_all():
    from pytest_casebook.limits import Limits

    limits = Limits(max_reruns=200, max_seconds=600, max_test_seconds=300, guard_failures=20, guard_share=0.3)
    limits.count_first(False, 100)
    limits.count_rerun(59, new=True)
    assert limits.forbid(0, new=True) == ""
    limits.count_rerun(1, new=True)
    assert limits.forbid(0, new=True) == "new_tests"
    assert limits.forbid(0) == ""
    limits.count_first(False, 400)
    assert limits.forbid(0, new=True) == ""


def test_a_quarantined_failure_alone_writes_no_empty_line_when_quiet(policy_file, casefile, run):
    casefile("def test_a(): assert False")
    result = run(policy_file(quarantine("test_a")), "-q")
    assert [line.split()[0] for line in result.outlines] == ["Q", "1"]


def test_policies_may_bring_filters_delays_and_a_reset(policy_file, casefile, run, attempts, pytester):
    casefile(
        "@pytest.fixture(scope='module')\ndef module(): script('module', 'p')\n"
        "def test_only(module): script('only', 'fp')\n"
        "def test_except(): script('except', 'vp')\n"
        "def test_reset(module): script('reset', 'fp')"
    )
    entry = {"class_name": "test_case", "max_runs": 2}
    policy = policy_file(
        {**entry, "name": "test_only", "only": ["ValueError"]},
        {**entry, "name": "test_except", "except": "by script"},
        {**entry, "name": "test_reset", "reset": "module"},
    )
    assert run(policy).parseoutcomes() == {"passed": 1, "failed": 2, "rerun": 1}
    assert (attempts("only"), attempts("except"), attempts("module")) == (1, 1, 2)


def test_an_unknown_mode_of_the_server_wins_over_a_marker(policy_file, casefile, run, attempts):
    casefile("@pytest.mark.casebook(max_runs=3)\ndef test_a(): script('a', 'f')")
    run(policy_file({"class_name": "test_case", "name": "test_a", "mode": "teleport", "max_runs": 3}))
    assert attempts("a") == 1


def test_a_required_policy_file_or_cache_is_no_server(policy_file, casefile, run):
    casefile("def test_a(): pass")
    assert run(policy_file(), "--casebook-require-server").ret == 4


@pytest.mark.parametrize(
    "arguments", ["max_runs=0", "max_runs='3'", "min_passes=5", "delay='soon'", "only='('", "delay=-1"]
)
def test_a_marker_that_cannot_be_obeyed_is_ignored_with_a_note(casefile, run, xdist, arguments):
    casefile(
        f"@pytest.mark.casebook({arguments})\ndef test_a(): script('a', 'fp')\n"
        "@pytest.mark.casebook(max_runs=2)\ndef test_b(): script('b', 'fp')"
    )
    result = run(xdist=xdist)
    assert result.parseoutcomes() == {"failed": 1, "passed": 1, "rerun": 1}
    result.stdout.fnmatch_lines(["marker of test_case.py::test_a: it is ignored*"])
