"""The rerun loop: counts, verdicts, what starts a rerun and what does not."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("outcomes", "max_runs", "min_passes", "runs", "verdict"),
    [
        ("fp", 5, 1, 2, "flaky"),
        ("pff", 3, 2, 3, "failed"),
        ("ffp", 3, 2, 2, "failed"),
        ("fpp", 3, 2, 3, "flaky"),
        ("pp", 3, 2, 2, "passed"),
        ("p", 5, 1, 1, "passed"),
        ("fff", 3, 1, 3, "failed"),
    ],
)
def test_counts_decide(server, casefile, run, attempts, xdist, outcomes, max_runs, min_passes, runs, verdict):
    server.list("test_it", max_runs=max_runs, min_passes=min_passes)
    casefile(f"def test_it(): script('it', {outcomes!r})\ndef test_other(): pass")
    result = run(xdist=xdist)
    failed = verdict == "failed"
    expected = {"passed": 1 if failed else 2}
    if failed:
        expected["failed"] = 1
    if runs > 1:
        expected["rerun"] = runs - 1
    assert result.parseoutcomes() == expected
    assert result.ret == (1 if failed else 0)
    assert attempts("it") == runs
    names = {"p": "passed", "f": "failed"}
    assert server.results("test_it") == [names[letter] for letter in outcomes[:runs]]
    entry = next(each for each in server.entries if each["name"] == "test_it")
    assert entry["tags"]["casebook.verdict"] == verdict
    assert entry["tags"]["casebook.mode"] == "rerun"


def test_run_out_makes_all_runs_but_keeps_the_verdict(server, casefile, run, attempts, pytester):
    pytester.makeini("[pytest]\ncasebook_run_out = true\n")
    server.list("test_it", max_runs=3, min_passes=2)
    casefile("def test_it(): script('it', 'ffp')")
    result = run()
    assert attempts("it") == 3
    assert result.parseoutcomes() == {"failed": 1, "rerun": 2}
    result.stdout.fnmatch_lines(["*failed, failed, passed; needed 2 of 3*"])


def test_setup_teardown_and_subtests_are_rerun(policy_file, casefile, run, attempts, xdist):
    policy = policy_file(
        *({"class_name": "test_case", "name": name, "max_runs": 3} for name in ("test_setup", "test_teardown"))
    )
    casefile(
        """
@pytest.fixture
def before():
    script("setup", "fp")
@pytest.fixture
def after():
    yield
    script("teardown", "fp")
def test_setup(before): pass
def test_teardown(after): pass
"""
    )
    result = run(policy, xdist=xdist)
    assert result.parseoutcomes() == {"passed": 2, "rerun": 2}
    assert result.ret == 0
    assert attempts("setup") == attempts("teardown") == 2


def test_a_failed_subtest_is_rerun_and_withdrawn(policy_file, casefile, run, attempts, xdist):
    if pytest.version_tuple >= (9, 0):
        plugins = []
    else:
        pytest.importorskip("pytest_subtests")
        plugins = ["pytest_subtests.plugin"]
    casefile(
        """
def test_it(subtests):
    with subtests.test("first"):
        script("first", "fp")
    with subtests.test("second"):
        script("second", "pp")
def test_bad(subtests):
    with subtests.test("only"):
        script("bad", "ff")
"""
    )
    policy = policy_file(
        {"class_name": "test_case", "name": "test_it", "max_runs": 3},
        {"class_name": "test_case", "name": "test_bad", "max_runs": 2},
    )
    result = run(policy, "-k", "test_it", xdist=xdist, plugins=plugins)
    outcomes = result.parseoutcomes()
    assert "failed" not in outcomes
    assert (outcomes["rerun"], result.ret, attempts("first")) == (1, 0, 2)
    result = run(policy, "-k", "test_bad", xdist=xdist, plugins=plugins)
    assert result.ret == 1
    assert result.parseoutcomes()["rerun"] == 1
    assert attempts("bad") == 2


def test_skips_and_expected_failures_are_left_alone(policy_file, casefile, run, attempts, xdist):
    names = ["skip", "xfail", "xpass", "strict", "raises"]
    policy = policy_file(*({"class_name": "test_case", "name": f"test_{name}", "max_runs": 3} for name in names))
    casefile(
        """
def test_skip(): script("skip", "s")
@pytest.mark.xfail
def test_xfail(): script("xfail", "f")
@pytest.mark.xfail
def test_xpass(): script("xpass", "p")
@pytest.mark.xfail(strict=True)
def test_strict(): script("strict", "p")
def test_raises(): script("raises", "x")
"""
    )
    result = run(policy, xdist=xdist)
    assert result.parseoutcomes() == {"failed": 1, "skipped": 1, "xfailed": 2, "xpassed": 1}
    assert [attempts(name) for name in names] == [1] * 5


def test_filters(policy_file, casefile, run, attempts):
    casefile(
        """
@pytest.mark.casebook(max_runs=2, only=ValueError)
def test_only_value(): script("one", "fp")
@pytest.mark.casebook(max_runs=2, only="ValueError")
def test_value(): script("two", "vp")
@pytest.mark.casebook(max_runs=2, except_=["failed by script"])
def test_except(): script("three", "fp")
@pytest.mark.casebook(max_runs=2, only=["OSError"])
def test_cause():
    try:
        raise ConnectionError("lost")
    except ConnectionError as error:
        if not pathlib.Path("four.count").exists():
            pathlib.Path("four.count").write_text("x")
            raise RuntimeError("wrapped") from error
"""
    )
    result = run()
    assert result.parseoutcomes() == {"failed": 2, "passed": 2, "rerun": 2}
    assert [attempts(name) for name in ("one", "two", "three")] == [1, 2, 1]


def test_shown_attempt_is_the_only_one_with_output(pytester, casefile, run):
    casefile(
        """
@pytest.mark.casebook(max_runs=2)
def test_it(record_property, capsys):
    with capsys.disabled():
        pass
    record_property("key", "value")
    print("said once")
    script("it", "ff")
"""
    )
    result = run("--junitxml=o.xml")
    assert result.stdout.str().count("said once\n") == 1
    text = (pytester.path / "o.xml").read_text()
    assert text.count('name="key"') == 1


def test_full_report_shows_earlier_attempts(casefile, run):
    casefile("@pytest.mark.casebook(max_runs=2)\ndef test_it():\n    print('said early')\n    script('it', 'fp')")
    result = run("--casebook-report=full")
    result.stdout.fnmatch_lines(["attempt 1: call failed after *", "*said early*"])


def test_stop_request_ends_the_loop(casefile, run, attempts):
    casefile(
        """
@pytest.mark.casebook(max_runs=5)
def test_it(request):
    request.session.shouldstop = "enough"
    script("it", "fp")
"""
    )
    result = run()
    assert attempts("it") == 1
    assert result.parseoutcomes()["failed"] == 1


def test_exit_first_counts_verdicts(casefile, run, xdist):
    casefile(
        """
@pytest.mark.casebook(max_runs=2)
def test_1(): script("one", "fp")
def test_2(): pass
"""
    )
    assert run("-x", xdist=xdist).parseoutcomes() == {"passed": 2, "rerun": 1}


def test_last_failed_and_stepwise_see_verdicts(casefile, run, pytester):
    casefile(
        """
@pytest.mark.casebook(max_runs=2)
def test_1(): script("one", "fp")
def test_2(): assert False
"""
    )
    run()
    result = run("--lf")
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["*rerun previous 1 failure*"])
    for file in pytester.path.glob("*.count"):
        file.unlink()
    run("--sw")
    assert run("--sw").parseoutcomes() == {"failed": 1, "deselected": 1}


def test_location_line_once_and_colours(casefile, run):
    casefile("@pytest.mark.casebook(max_runs=2)\ndef test_it(): script('it', 'fp')")
    result = run("-v")
    result.stdout.fnmatch_lines(["*::test_it RERUN*", "*::test_it PASSED*", "*1 passed, 1 rerun*"])


@pytest.mark.parametrize("option", ["--setup-only", "--setup-plan"])
def test_setup_only_is_left_alone(casefile, run, attempts, option):
    casefile("@pytest.mark.casebook(max_runs=2)\ndef test_it(): script('it', 'fp')")
    run(option)
    assert attempts("it") == 0


def test_durations_are_those_of_the_shown_attempt(casefile, run, pytester):
    casefile(
        """
import threading
@pytest.mark.casebook(max_runs=2)
def test_it():
    if not pathlib.Path("it.count").exists():
        threading.Event().wait(0.4)
    script("it", "fp")
"""
    )
    run("--junitxml=o.xml")
    text = (pytester.path / "o.xml").read_text()
    time = float(text.split('<testcase classname="test_case" name="test_it" time="')[1].split('"')[0])
    assert time < 0.3


def test_forbidden_to_raise_warnings(casefile, run):
    casefile("@pytest.mark.casebook(max_runs=2)\ndef test_it(): script('it', 'fp')")
    result = run("-W", "error", "--strict-markers")
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}


def test_a_test_that_wants_to_leave_is_not_repeated(casefile, run, attempts):
    casefile("@pytest.mark.casebook(max_runs=3)\ndef test_it():\n    script('it', 'p')\n    raise SystemExit(3)")
    result = run()
    assert result.parseoutcomes() == {"failed": 1}
    assert attempts("it") == 1


def test_delays_grow(casefile, run, pytester):
    casefile(
        """
import time
@pytest.mark.casebook(max_runs=3, delay=0.2)
def test_it():
    with open("times", "a") as file: file.write(f"{time.monotonic()}\\n")
    script("it", "ffp")
"""
    )
    pytester.makeini("[pytest]\ncasebook_delay_factor = 2\n")
    run()
    times = [float(line) for line in (pytester.path / "times").read_text().split()]
    assert times[1] - times[0] >= 0.2
    assert times[2] - times[1] >= 0.4


@pytest.mark.parametrize("family", ["xunit1", "xunit2"])
def test_junit_families(policy_file, casefile, run, pytester, xdist, family):
    from xml.etree import ElementTree

    policy = policy_file(
        {"class_name": "test_case", "name": "test_a", "max_runs": 3},
        {"class_name": "test_case", "name": "test_b", "max_runs": 2},
        {"class_name": "test_case", "name": "test_off", "mode": "disabled"},
    )
    casefile(
        """
def test_a(): script("a", "fp")
def test_b(): script("b", "f")
def test_c(): pass
def test_off(): pass
"""
    )
    run(policy, "--junitxml=o.xml", "-o", f"junit_family={family}", "-W", "error", xdist=xdist)
    suite = ElementTree.parse(pytester.path / "o.xml").getroot().find("testsuite")
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["4", "1", "0", "1"]
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert len(cases) == len(list(suite.iter("testcase"))) == 4
    told = {
        name: {each.get("name"): each.get("value") for each in case.iter("property")} for name, case in cases.items()
    }
    assert told["test_a"]["casebook.attempts"] == "failed,passed"
    assert told["test_a"]["casebook.verdict"] == "flaky"
    assert told["test_a"]["casebook.max_runs"] == "3"
    assert told["test_a"]["casebook.attempt.1.failure"] == "AssertionError: a failed by script"
    assert told["test_b"]["casebook.verdict"] == "failed"
    assert told["test_off"] == {"casebook.mode": "disabled", "casebook.verdict": "skipped"}
    assert told["test_c"] == {}
    allowed = {"properties", "property", "failure", "error", "skipped", "system-out", "system-err"}
    assert {child.tag for case in cases.values() for child in case.iter()} - {"testcase"} <= allowed


def test_junit_for_all_tests(casefile, run, pytester):
    casefile("def test_a(): pass")
    run("--junitxml=o.xml", "-o", "casebook_junit=all")
    assert '<property name="casebook.attempts" value="passed"' in (pytester.path / "o.xml").read_text()


def test_warnings_are_those_of_the_shown_attempt(server, casefile, run):
    server.list("test_it", max_runs=3)
    casefile(
        """
import warnings
def test_it():
    attempt = len(pathlib.Path("it.count").read_text()) if pathlib.Path("it.count").exists() else 0
    warnings.warn(f"careful {attempt}", DeprecationWarning)
    script("it", "ffp")
"""
    )
    result = run("--casebook-report=full")
    assert result.parseoutcomes() == {"passed": 1, "rerun": 2, "warnings": 1}
    summary = result.stdout.str().partition("warnings summary")[2].partition("flaky tests (casebook)")[0]
    assert "careful 2" in summary
    assert "careful 0" not in summary
    result.stdout.fnmatch_lines(["attempt 1: *", "*DeprecationWarning: careful 0", "attempt 2: *", "*careful 1"])
    told = [line for part in server.entries[0]["failure_expanded"] for line in part["expanded"]]
    assert any("DeprecationWarning: careful 0" in line for line in told)


def test_warnings_as_errors_fail_an_attempt(casefile, run, attempts):
    casefile(
        """
import warnings
def test_it():
    if not pathlib.Path("it.count").exists():
        warnings.warn("careful")
    script("it", "p")
"""
    )
    result = run("--casebook-runs=2", "-W", "error")
    assert result.parseoutcomes() == {"failed": 1, "rerun": 1}
    assert result.stdout.str().count("UserWarning: careful") >= 1


@pytest.mark.parametrize("word", ["skip", "xfail"])
def test_a_skip_in_a_fixture_is_left_alone(casefile, run, attempts, word):
    casefile(
        f"@pytest.fixture\ndef before():\n    script('before', 'p')\n    pytest.{word}('in setup')\n"
        "def test_it(before): pass"
    )
    assert run("--casebook-runs=3").ret == 0
    assert attempts("before") == 1


def test_pytest_fail_in_a_fixture_is_a_failure(casefile, run):
    casefile(
        "@pytest.fixture\ndef before():\n"
        "    if not pathlib.Path('b.count').exists():\n"
        "        script('b', 'p')\n        pytest.fail('in setup', pytrace=False)\n"
        "def test_it(before): pass"
    )
    assert run("--casebook-runs=3").parseoutcomes() == {"passed": 1, "rerun": 1}


@pytest.mark.parametrize("stop", ["pytest.exit('enough')", "raise KeyboardInterrupt"])
@pytest.mark.parametrize("runs", ["1", "3"])
def test_a_test_that_was_interrupted_has_no_result(server, casefile, run, stop, runs):
    casefile(f"def test_a(): pass\ndef test_b():\n    {stop}")
    assert run(f"--casebook-runs={runs}").ret == 2
    assert (server.results("test_a"), server.results("test_b")) == (["passed"], [])


def test_a_failure_is_told_also_if_closing_its_fixtures_ends_the_run(server, casefile, run):
    casefile(
        "@pytest.fixture\ndef leaves():\n    yield\n    pytest.exit('enough')\n"
        "def test_a(leaves): assert False\ndef test_b(): pass"
    )
    result = run("--casebook-runs=3")
    assert (result.ret, result.parseoutcomes()) == (2, {"failed": 1})
    assert (server.results("test_a"), server.results("test_b")) == (["failed"], [])


def test_the_junit_file_is_found_after_a_test_changed_the_folder(casefile, run, pytester):
    casefile("def test_it(tmp_path):\n    script('it', 'fp')\n    os.chdir(tmp_path)")
    run("--casebook-runs=2", "--junitxml=o.xml", "-o", "casebook_junit_attempts=true")
    assert "<flakyFailure" in (pytester.path / "o.xml").read_text()


def test_junit_elements_hold_what_xml_can_hold(casefile, run, pytester):
    from xml.etree import ElementTree

    casefile("def test_it():\n    print('\\x00\\ud800\\x1b')\n    script('it', 'fp')")
    run("--casebook-runs=2", "--junitxml=o.xml", "-o", "casebook_junit_attempts=true")
    (found,) = ElementTree.parse(pytester.path / "o.xml").iter("flakyFailure")
    assert "???" in found.findtext("system-out")
