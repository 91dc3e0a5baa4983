"""What the comparable plugins do in the rows of the comparison that test_comparison.py has no word of them on.

Trunk's analytics client is no plugin but a program around the test command that reads JUnit files; it is on no package
index and needs its vendor's service, so it is compared by its manual. ddtrace runs without its vendor's service, with
the answers of that service in files; its tests are in test_ddtrace.py.
"""

from __future__ import annotations

import sys

import pytest
from others import (
    AVIATOR,
    FLAKY,
    RERUNFAILURES,
    RERUNFAILURES_NOW,
    RETRY,
    TWO,
    each_of,
    listed,
    only_with,
)

QUARANTINE = only_with("quarantine", "attr")
RERUNNERS = each_of("rerunfailures", "flaky", "retry")


class TestRuns:
    @RERUNNERS
    def test_maximum_runs_for_everything(self, other, casefile, attempts, name):
        casefile("def test_a(): script('a', 'fffp')\ndef test_b(): script('b', 'p')")
        assert other(name).ret == 1
        assert (attempts("a"), attempts("b")) == (3, 1)

    @RERUNNERS
    def test_markers(self, casefile, attempts, pytester, monkeypatch, other, name):
        # Without the option for everything.
        casefile("@pytest.mark.flaky(reruns=1, retries=1, max_runs=2)\ndef test_a(): script('a', 'fp')")
        option = {"rerunfailures": "--reruns=0", "flaky": "--max-runs=2", "retry": "--retries=0"}[name]
        assert other(name, option).ret == 0
        assert attempts("a") == 2

    @AVIATOR
    def test_aviator_runs_only_what_its_server_lists(self, aviator, casefile, attempts):
        casefile(TWO)
        assert aviator(listed("test_a")).ret == 1
        assert (attempts("a"), attempts("b")) == (2, 1)

    @FLAKY
    def test_flaky_knows_required_passes_and_stops_out_of_reach(self, other, casefile, attempts):
        casefile("def test_a(): script('a', 'ffp')\ndef test_b(): script('b', 'pp')")
        assert other("flaky", "--min-passes=2").ret == 1
        assert (attempts("a"), attempts("b")) == (2, 2)

    @each_of("rerunfailures", "retry")
    def test_one_pass_is_enough_for_others(self, other, casefile, attempts, name):
        casefile("def test_a(): script('a', 'fp')")
        assert other(name).ret == 0
        assert attempts("a") == 2

    @RERUNFAILURES
    def test_rerunfailures_chooses_by_exception(self, other, casefile, attempts):
        casefile("def test_a(): script('a', 'vp')\ndef test_b(): script('b', 'fp')")
        assert other("rerunfailures", "--only-rerun=ValueError").ret == 1
        assert (attempts("a"), attempts("b")) == (2, 1)

    @FLAKY
    def test_flaky_chooses_by_a_function(self, other, casefile, attempts):
        casefile(
            "from flaky import flaky\ndef chosen(error, *more): return issubclass(error[0], ValueError)\n"
            "@flaky(max_runs=2, rerun_filter=chosen)\ndef test_a(): script('a', 'vp')\n"
            "@flaky(max_runs=2, rerun_filter=chosen)\ndef test_b(): script('b', 'fp')"
        )
        assert other("flaky").ret == 1
        assert (attempts("a"), attempts("b")) == (2, 1)

    @RETRY
    def test_retry_chooses_by_class_alone(self, other, casefile, attempts):
        casefile(
            "@pytest.mark.flaky(retries=1, only_on=[ValueError])\ndef test_a(): script('a', 'vp')\n"
            "@pytest.mark.flaky(retries=1, only_on=[ValueError])\ndef test_b(): script('b', 'fp')"
        )
        assert other("retry").ret == 1
        assert (attempts("a"), attempts("b")) == (2, 1)

    @pytest.mark.parametrize(
        ("name", "options", "grows"),
        [
            pytest.param(
                "rerunfailures",
                ["--reruns-delay=0.1", "--reruns-delay-backoff-factor=3"],
                True,
                marks=[RERUNFAILURES, RERUNFAILURES_NOW],
            ),
            pytest.param("retry", ["--retry-delay=0.1"], False, marks=RETRY),
        ],
    )
    def test_delays(self, other, casefile, pytester, name, options, grows):
        casefile(
            "import time\ndef test_a():\n"
            "    with open('times.txt', 'a') as file: file.write(f'{time.time()}\\n')\n"
            "    script('a', 'ffp')"
        )
        other(name, *options)
        first, second, third = map(float, (pytester.path / "times.txt").read_text().split())
        assert second - first >= 0.1
        assert (third - second >= 0.3) == grows

    @RERUNFAILURES
    @RERUNFAILURES_NOW
    def test_rerunfailures_limits_the_count_of_the_run(self, other, casefile):
        casefile("@pytest.mark.parametrize('n', range(6))\ndef test_a(n): script(f'a{n}', 'fp')")
        found = other("rerunfailures", "--max-suite-reruns=2").parseoutcomes()
        assert found == {"passed": 2, "failed": 4, "rerun": 2}

    @RERUNFAILURES
    @RERUNFAILURES_NOW
    def test_rerunfailures_can_fail_the_build(self, other, casefile):
        casefile(TWO)
        assert other("rerunfailures", "--fail-on-flaky").ret == 7

    @RERUNFAILURES
    def test_rerunfailures_refuses_to_start_a_debugger(self, other, casefile):
        casefile(TWO)
        assert other("rerunfailures", "--pdb").ret == 4


class TestKinds:
    @RERUNNERS
    def test_unittest_and_plain_classes(self, other, casefile, name):
        casefile(
            "import unittest\n"
            "class TestA(unittest.TestCase):\n    def test_a(self): script('a', 'fp')\n"
            "class TestB:\n    def test_b(self): script('b', 'fp')"
        )
        assert other(name).ret == 0

    @AVIATOR
    def test_aviator_runs_unittest(self, aviator, casefile):
        casefile("import unittest\nclass TestA(unittest.TestCase):\n    def test_a(self): script('a', 'fp')")
        assert aviator(listed("test_a", class_name="TestA")).ret == 0

    @AVIATOR
    def test_aviator_reruns_setup_but_not_teardown(self, aviator, casefile, attempts):
        casefile(
            "@pytest.fixture\ndef before(): script('before', 'fp')\n"
            "@pytest.fixture\ndef after():\n    yield\n    script('after', 'fp')\n"
            "def test_a(before): pass\ndef test_b(after): pass"
        )
        assert aviator(listed("test_a"), listed("test_b")).ret == 1
        assert (attempts("before"), attempts("after")) == (2, 1)

    @each_of("rerunfailures", "retry")
    def test_skip_and_xfail_are_left_alone(self, other, casefile, attempts, name):
        casefile(
            "def test_skip(): script('skip', 's')\n"
            "@pytest.mark.xfail\ndef test_xfail(): script('xfail', 'f')\n"
            "def test_raises(): script('raises', 'x')"
        )
        other(name)
        assert [attempts(each) for each in ("skip", "xfail", "raises")] == [1, 1, 1]

    @FLAKY
    def test_flaky_repeats_what_is_expected_to_fail(self, other, casefile, attempts):
        casefile("def test_skip(): script('skip', 's')\n@pytest.mark.xfail\ndef test_xfail(): script('xfail', 'f')")
        other("flaky")
        assert (attempts("skip"), attempts("xfail")) == (1, 3)

    @pytest.mark.skipif(pytest.version_tuple < (9,), reason="subtests came with pytest 9")
    @pytest.mark.parametrize(
        ("name", "runs"),
        [
            pytest.param("rerunfailures", 2, marks=RERUNFAILURES),
            pytest.param("flaky", 1, marks=FLAKY),
            # It sees the error that pytest 9 adds to a test with failed subtests.
            pytest.param("retry", 2, marks=RETRY),
        ],
    )
    def test_subtests(self, other, casefile, attempts, name, runs):
        casefile("def test_a(subtests):\n    with subtests.test('one'): script('a', 'fp')")
        assert other(name).ret == (0 if runs == 2 else 1)
        assert attempts("a") == runs

    @RERUNNERS
    @only_with("timeout")
    def test_further_attempts_have_no_timer(self, other, casefile, pytester, run, name):
        casefile(
            "import time\ndef test_a():\n    if pathlib.Path('a.count').exists(): time.sleep(3)\n    script('a', 'fp')"
        )
        assert other(name, "--timeout=1.5", "-p", "pytest_timeout").ret == 0
        (pytester.path / "a.count").unlink()
        ours = run("--casebook-runs=2", "--timeout=1.5", plugins=["pytest_timeout"])
        assert ours.ret == 1
        ours.stdout.fnmatch_lines(["*Timeout*"])

    @RERUNNERS
    @only_with("xdist")
    def test_xdist(self, other, casefile, name):
        casefile(TWO)
        # By the name of its entry point, by which they look for it.
        assert other(name, "-p", "xdist", "-n", "2").ret == 0


class TestReports:
    @FLAKY
    def test_flaky_reports_always(self, other, casefile):
        casefile("def test_a(): pass")
        other("flaky").stdout.fnmatch_lines(["===Flaky Test Report==="])

    @RETRY
    def test_retry_reports_what_was_flaky(self, other, casefile):
        casefile("def test_a(): script('a', 'fp')")
        other("retry").stdout.fnmatch_lines(["*test_a*"])

    @AVIATOR
    def test_aviator_reports_always(self, aviator, casefile):
        casefile("def test_a(): pass")
        aviator().stdout.fnmatch_lines(["===FlakyBot Test Report==="])

    @AVIATOR
    def test_aviator_recognises_two_ci_systems(self, server, aviator, casefile, monkeypatch):
        casefile("def test_a(): pass")
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_REPOSITORY", "org/repo")
        monkeypatch.setenv("GITHUB_JOB", "unit")
        aviator()
        assert "org" not in server.requests[-1][1]
        monkeypatch.setenv("CIRCLE_JOB", "unit")
        aviator()
        assert "unit" in server.requests[-1][1]


@QUARANTINE
class TestQuarantine:
    """A list in a file; the file is written by a run, and no server knows of it."""

    def run(self, pytester, monkeypatch, *arguments):
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return pytester.run(sys.executable, "-m", "pytest", "-p", "pytest_quarantine.plugin", *arguments, timeout=60)

    def test_a_list_in_a_file(self, casefile, pytester, monkeypatch, attempts):
        casefile(TWO + "\ndef test_c(): script('c', 'f')")
        saved = self.run(pytester, monkeypatch, "--save-quarantine=list.txt")
        assert saved.ret == 1
        assert (pytester.path / "list.txt").read_text().splitlines() == [f"test_case.py::test_{n}" for n in "abc"]
        used = self.run(pytester, monkeypatch, "--quarantine=list.txt", "--junitxml=o.xml")
        assert (used.ret, used.parseoutcomes()) == (0, {"xpassed": 2, "xfailed": 1})
        used.stdout.fnmatch_lines(["added mark.xfail to 3 of 3 items from list.txt"])
        assert (pytester.path / "o.xml").read_text().count("<testcase") == 3
        # Nothing is run again, and nothing is told of what is flaky.
        assert (attempts("a"), attempts("c")) == (2, 2)
        used.stdout.no_fnmatch_line("*test_case.py::test_*")

    @only_with("xdist")
    def test_every_worker_writes_the_same_file(self, casefile, pytester, monkeypatch):
        casefile("".join(f"def test_{n}(): assert False\n" for n in range(8)))
        self.run(pytester, monkeypatch, "--save-quarantine=list.txt", "-p", "xdist.plugin", "-n", "2")
        lines = (pytester.path / "list.txt").read_text().splitlines()
        assert sorted(lines) != [f"test_case.py::test_{n}" for n in range(8)]

    def test_ours_beside_it(self, casefile, pytester, monkeypatch, policy_file):
        casefile("def test_a(): script('a', 'fp')\ndef test_b(): assert False")
        (pytester.path / "list.txt").write_text("test_case.py::test_b\n")
        policy = policy_file({"class_name": "test_case", "name": "test_a", "max_runs": 2})
        arguments = ("-p", "pytest_casebook.plugin", policy, "--quarantine=list.txt")
        assert self.run(pytester, monkeypatch, *arguments).parseoutcomes() == {"passed": 1, "xfailed": 1, "rerun": 1}
