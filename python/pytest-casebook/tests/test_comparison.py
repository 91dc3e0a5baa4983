"""What comparable plugins do and do not do: a test for each row of the comparison, with ours and with theirs."""

from __future__ import annotations

import importlib.util
import json
import time

import pytest
from others import AVIATOR, FLAKY, RERUNFAILURES, RERUNFAILURES_NOW, RETRY, TWO, listed, only_with

from pytest_casebook.providers import PROVIDERS

OURS = ("--casebook-rerun=all", "-o", "casebook_max_runs=3")


class TestRuns:
    def test_policy_comes_from_a_server_per_test(self, server, casefile, run, attempts):
        server.list("test_a", max_runs=3)
        casefile(TWO)
        assert run().parseoutcomes() == {"passed": 1, "failed": 1, "rerun": 1}
        assert (attempts("a"), attempts("b")) == (2, 1)

    def test_maximum_runs(self, casefile, run, attempts):
        casefile("def test_a(): script('a', 'fffp')")
        assert run(*OURS).ret == 1
        assert attempts("a") == 3

    def test_required_passes(self, casefile, run):
        casefile("@pytest.mark.casebook(max_runs=3, min_passes=2)\ndef test_a(): script('a', 'fpp')")
        assert run().ret == 0
        casefile("@pytest.mark.casebook(max_runs=3, min_passes=2)\ndef test_b(): script('b', 'pff')")
        assert run().ret == 1

    def test_stops_when_the_goal_is_out_of_reach(self, casefile, run, attempts):
        casefile("@pytest.mark.casebook(max_runs=3, min_passes=2)\ndef test_a(): script('a', 'ffp')")
        assert run().ret == 1
        assert attempts("a") == 2

    @AVIATOR
    def test_aviator_lets_the_last_run_decide_and_never_stops_early(self, aviator, casefile, attempts):
        casefile("def test_a(): script('a', 'ffp')")
        assert aviator(listed("test_a", 3, 2)).ret == 0
        assert attempts("a") == 3

    def test_retries_by_duration_of_the_test(self, policy_file, casefile, run, attempts):
        casefile("def test_a(): script('a', 'p')")
        policy = policy_file(new_tests={"enabled": True, "runs": [4, 3, 2, 1], "known": []})
        assert run(policy).ret == 0
        assert attempts("a") == 5

    def test_choice_by_exception_type_or_text(self, casefile, run, attempts):
        casefile("def test_a(): script('a', 'vp')\ndef test_b(): script('b', 'fp')")
        assert run(*OURS, "--casebook-only=ValueError").ret == 1
        assert (attempts("a"), attempts("b")) == (2, 1)
        run(*OURS, "--casebook-except=ValueError: by .*")

    def test_growing_delay(self, casefile, run, pytester):
        casefile(
            "import time\ndef test_a():\n"
            "    with open('times.txt', 'a') as file: file.write(f'{time.time()}\\n')\n"
            "    script('a', 'ffp')"
        )
        run(*OURS, "--casebook-delay=0.1", "-o", "casebook_delay_factor=3")
        first, second, third = map(float, (pytester.path / "times.txt").read_text().split())
        assert second - first >= 0.1
        assert third - second >= 0.3

    def test_marker_in_the_code(self, casefile, run, attempts):
        casefile("@pytest.mark.casebook(max_runs=4)\ndef test_a(): script('a', 'fffp')")
        assert run().ret == 0
        assert attempts("a") == 4

    @AVIATOR
    def test_aviators_marker_has_no_effect(self, aviator, casefile):
        casefile("@pytest.mark.aviator\ndef test_a(): script('a', 'fp')")
        assert aviator().ret == 1

    def test_rerun_everything(self, casefile, run, attempts):
        casefile(TWO)
        assert run(*OURS).parseoutcomes() == {"passed": 2, "rerun": 2}


ERRORS = """
@pytest.fixture
def before(): script("before", "fp")
@pytest.fixture
def after():
    yield
    script("after", "fp")
def test_setup(before): pass
def test_teardown(after): pass
"""


class TestWhatIsRunAgain:
    def test_setup_and_teardown_errors(self, casefile, run):
        casefile(ERRORS)
        assert run(*OURS).parseoutcomes() == {"passed": 2, "rerun": 2}

    @RERUNFAILURES
    def test_rerunfailures_does_so_too(self, other, casefile, attempts):
        casefile(ERRORS)
        assert other("rerunfailures").ret == 0

    @FLAKY
    def test_flaky_does_not_care_for_teardown(self, other, casefile, attempts):
        casefile(ERRORS)
        assert other("flaky").ret == 1
        assert (attempts("before"), attempts("after")) == (2, 1)

    @RETRY
    def test_retry_does_not_care_for_either(self, other, casefile, attempts):
        casefile(ERRORS)
        assert other("retry").ret == 1
        assert (attempts("before"), attempts("after")) == (1, 1)

    def test_skip_and_xfail_are_left_alone(self, casefile, run, attempts):
        casefile(
            "def test_skip(): script('skip', 's')\n"
            "@pytest.mark.xfail\ndef test_xfail(): script('xfail', 'f')\n"
            "def test_raises(): script('raises', 'x')"
        )
        assert run(*OURS).parseoutcomes() == {"skipped": 1, "xfailed": 2}
        assert [attempts(name) for name in ("skip", "xfail", "raises")] == [1, 1, 1]

    @AVIATOR
    def test_aviator_repeats_both(self, aviator, casefile, attempts):
        casefile("def test_a(): script('a', 's')\ndef test_b(): script('b', 'x')")
        aviator(listed("test_a"), listed("test_b"))
        assert (attempts("a"), attempts("b")) == (3, 3)

    @pytest.mark.skipif(
        pytest.version_tuple < (9,) and importlib.util.find_spec("pytest_subtests") is None, reason="no subtests"
    )
    def test_subtests(self, casefile, run, attempts):
        casefile("def test_a(subtests):\n    with subtests.test('one'): script('a', 'fp')")
        plugins = () if pytest.version_tuple >= (9,) else ("pytest_subtests.plugin",)
        assert run(*OURS, plugins=plugins).ret == 0
        assert attempts("a") == 2

    def test_unittest_and_plain_classes(self, casefile, run):
        casefile(
            "import unittest\n"
            "class TestA(unittest.TestCase):\n    def test_a(self): script('a', 'fp')\n"
            "class TestB:\n    def test_b(self): script('b', 'fp')"
        )
        assert run(*OURS).parseoutcomes() == {"passed": 2, "rerun": 2}

    @AVIATOR
    def test_aviator_cannot_run_plain_classes(self, aviator, casefile):
        casefile("class TestB:\n    def test_b(self): pass")
        assert aviator().ret == pytest.ExitCode.INTERNAL_ERROR


SCOPES = """
@pytest.fixture(scope="module")
def module():
    with open("module.count", "a") as file: file.write("x")
def test_a(module): script("a", "fp")
def test_b(module): pass
class TestState:
    def test_state(self):
        assert not hasattr(self, "seen"), "the state of the first attempt is visible"
        self.seen = True
        script("state", "fp")
"""


class TestWhatIsMadeAnew:
    def test_instances_are_and_module_fixtures_are_not(self, casefile, run, attempts):
        casefile(SCOPES)
        assert run(*OURS).ret == 0
        assert attempts("module") == 1

    @RERUNFAILURES
    @RERUNFAILURES_NOW
    def test_rerunfailures(self, other, casefile, attempts):
        casefile(SCOPES)
        assert other("rerunfailures").ret == 0
        assert attempts("module") == 1

    @FLAKY
    def test_flaky_shows_old_state(self, other, casefile, attempts):
        casefile(SCOPES)
        assert other("flaky").ret == 1
        assert attempts("module") == 1

    @RETRY
    def test_retry_redoes_modules_and_shows_old_state(self, other, casefile, attempts):
        casefile(SCOPES)
        assert other("retry").ret == 1
        assert attempts("module") > 1

    def test_a_module_fixture_that_failed_is_made_anew(self, casefile, run):
        casefile('@pytest.fixture(scope="module")\ndef module(): script("module", "fp")\ndef test_a(module): pass')
        assert run(*OURS).parseoutcomes() == {"passed": 1, "rerun": 1}

    @only_with("timeout")
    def test_the_timer_of_pytest_timeout(self, casefile, run, attempts):
        casefile("import time\ndef test_a():\n    time.sleep(0.6)\n    script('a', 'fp')")
        assert run(*OURS, "--timeout=1", plugins=["pytest_timeout"]).ret == 0
        assert attempts("a") == 2


MANY_FAIL = "@pytest.mark.parametrize('n', range(6))\ndef test_a(n): script(f'a{n}', 'fp')"


class TestLimits:
    def test_count_for_the_whole_run(self, casefile, run):
        casefile(MANY_FAIL)
        assert run(*OURS, "--casebook-max-reruns=2").parseoutcomes() == {"passed": 2, "failed": 4, "rerun": 2}

    def test_time_for_the_whole_run(self, casefile, run):
        casefile(
            "import time\n@pytest.mark.parametrize('n', range(4))\n"
            "def test_a(n):\n    time.sleep(0.2)\n    script(f'a{n}', 'fp')"
        )
        started = time.monotonic()
        found = run(*OURS, "--casebook-max-seconds=0.3").parseoutcomes()
        assert (found["passed"], found["failed"]) == (2, 2), time.monotonic() - started

    def test_nothing_is_rerun_when_far_too_much_fails(self, casefile, run):
        casefile(MANY_FAIL)
        guard = ("-o", "casebook_guard_failures=2", "-o", "casebook_guard_share=0.5")
        found = run(*OURS, *guard).parseoutcomes()
        assert found["failed"] == 4

    def test_new_tests_run_several_times(self, policy_file, casefile, run):
        casefile("def test_a(): script('a', 'ppf')")
        result = run(policy_file(new_tests={"enabled": True, "runs": [4, 3, 2, 1], "known": []}))
        assert result.ret == 0
        result.stdout.fnmatch_lines(["NEW FLAKY *test_a *"])


class TestModes:
    def test_attempt_to_fix(self, casefile, run, attempts):
        casefile("def test_a(): script('a', 'p')\ndef test_b(): script('b', 'pppf')")
        result = run("--casebook-attempt-to-fix=test_case.test_a", "--casebook-attempt-to-fix=test_case.test_b")
        assert result.parseoutcomes()["failed"] == 1
        assert (attempts("a"), attempts("b")) == (20, 4)

    def test_quarantine(self, server, casefile, run):
        server.list("test_a", mode="quarantine")
        casefile("def test_a(): script('a', 'f')")
        result = run()
        assert result.ret == 0
        assert result.parseoutcomes() == {"quarantined": 1}
        assert server.results("test_a") == ["failed"]

    def test_disabled(self, policy_file, casefile, run, attempts):
        casefile(TWO)
        entry = {"class_name": "test_case", "name": "test_a", "mode": "disabled", "reason": "known since spring"}
        result = run(policy_file(entry), "-rs")
        assert result.parseoutcomes() == {"skipped": 1, "failed": 1}
        result.stdout.fnmatch_lines(["*known since spring*"])
        assert attempts("a") == 0

    def test_a_flaky_test_can_fail_the_build(self, casefile, run):
        casefile(TWO)
        assert run(*OURS, "--casebook-fail-on-flaky").ret == 7

    def test_pdb_turns_reruns_off_with_a_line(self, casefile, run, attempts):
        casefile("def test_a(): script('a', 'fp')")
        result = run(*OURS, "--pdb")
        result.stdout.fnmatch_lines(["casebook: reruns are off, a debugger is asked for*"])
        assert attempts("a") == 1


def count_testcases(pytester):
    return (pytester.path / "o.xml").read_text().count("<testcase")


class TestFiles:
    def test_one_testcase_for_each_test_with_properties(self, casefile, run, pytester):
        casefile(TWO)
        run(*OURS, "--junitxml=o.xml")
        text = (pytester.path / "o.xml").read_text()
        assert text.count("<testcase") == 2
        assert text.count('name="casebook.attempts" value="failed,passed"') == 2

    @RERUNFAILURES
    @RERUNFAILURES_NOW
    def test_rerunfailures_writes_one_for_each_attempt(self, other, casefile, pytester):
        casefile(TWO)
        other("rerunfailures", "--junitxml=o.xml")
        assert count_testcases(pytester) == 4

    @FLAKY
    def test_flaky_writes_one_for_each_attempt(self, other, casefile, pytester):
        casefile(TWO)
        other("flaky", "--junitxml=o.xml")
        assert count_testcases(pytester) == 4

    @RETRY
    def test_retry_writes_one_for_each_test(self, other, casefile, pytester):
        casefile(TWO)
        other("retry", "--junitxml=o.xml")
        assert count_testcases(pytester) == 2

    @AVIATOR
    def test_aviator_writes_one_for_each_attempt_and_cannot_do_without(self, aviator, casefile, pytester):
        casefile("def test_a(): script('a', 'fp')")
        assert aviator(listed("test_a")).ret == 0
        assert count_testcases(pytester) == 2
        assert aviator(arguments=()).ret == pytest.ExitCode.INTERNAL_ERROR

    def test_no_file_is_needed(self, casefile, run):
        casefile("def test_a(): pass")
        assert run(*OURS).ret == 0

    def test_report_in_the_terminal(self, casefile, run):
        casefile(TWO)
        run(*OURS).stdout.fnmatch_lines(["FLAKY *test_a *failed, passed; needed 1 of 3"])

    @RERUNFAILURES
    def test_rerunfailures_reports_only_when_asked(self, other, casefile):
        casefile(TWO)
        other("rerunfailures").stdout.no_fnmatch_line("*test_a*")
        other("rerunfailures", "-rR").stdout.fnmatch_lines(["RERUN *test_a*"])

    def test_every_attempt_is_uploaded(self, server, casefile, run):
        casefile(TWO)
        run(*OURS)
        assert server.results("test_a") == server.results("test_b") == ["failed", "passed"]


class TestSurroundings:
    @only_with("xdist")
    def test_xdist(self, casefile, run):
        casefile(TWO)
        assert run(*OURS, xdist=True).parseoutcomes() == {"passed": 2, "rerun": 2}

    @AVIATOR
    @only_with("xdist")
    def test_aviator_crashes_with_xdist(self, aviator, casefile):
        casefile(TWO)
        arguments = ("--junitxml=o.xml", "-p", "xdist.plugin", "-n", "2")
        result = aviator(listed("test_a"), arguments=arguments)
        assert "INTERNALERROR" in result.stdout.str() + result.stderr.str()

    def test_server_down(self, casefile, run, monkeypatch):
        monkeypatch.setenv("CASEBOOK_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("CASEBOOK_TOKEN", "t")
        casefile("def test_a(): pass")
        assert run().ret == 0

    @AVIATOR
    def test_aviator_dies_with_its_server(self, other, casefile, monkeypatch):
        monkeypatch.setenv("AVIATOR_API_URL", "http://127.0.0.1:9/api/v1/flaky-tests")
        casefile("def test_a(): pass")
        result = other("aviator", "--junitxml=o.xml")
        assert result.ret == 1
        result.stdout.no_fnmatch_line("*1 passed*")

    def test_a_misplaced_token_is_not_shown(self, casefile, run, monkeypatch):
        monkeypatch.setenv("AVIATOR_API_URL", "av_uat_secret_token")
        casefile("def test_a(): assert False")
        result = run("-v")
        assert "av_uat_secret_token" not in result.stdout.str() + result.stderr.str()

    @AVIATOR
    def test_aviator_prints_a_misplaced_token(self, other, casefile, monkeypatch):
        monkeypatch.setenv("AVIATOR_API_URL", "av_uat_secret_token")
        casefile("def test_a(): pass")
        result = other("aviator", "--junitxml=o.xml")
        assert "av_uat_secret_token" in result.stdout.str() + result.stderr.str()

    def test_ci_providers(self):
        # Gitea and Forgejo share a row.
        assert len(PROVIDERS) == 20


def test_a_policy_file_is_plain_json(casefile, run, pytester):
    casefile("def test_a(): pass")
    run(f"--casebook-save-policy={pytester.path / 'p.json'}")
    assert isinstance(json.loads((pytester.path / "p.json").read_text()), dict)
