"""Side by side with other plugins, with debuggers, interrupts and crashes; and quiet when nothing runs."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest


def needs(name):
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")


FLAKY = """
def test_a(): script("a", "fp")
@pytest.mark.flaky(max_runs=2, reruns=1, retries=1)
def test_b(): script("b", "fp")
"""


@needs("pytest_rerunfailures")
def test_rerunfailures_keeps_what_is_its_own(policy_file, casefile, run):
    casefile(FLAKY)
    policy = policy_file({"class_name": "test_case", "name": "test_a", "max_runs": 3})
    result = run(policy, plugins=["pytest_rerunfailures"])
    assert result.parseoutcomes() == {"passed": 2, "rerun": 2}
    result.stdout.fnmatch_lines(["FLAKY *test_a *failed, passed; needed 1 of 3"])
    result.stdout.no_fnmatch_line("FLAKY *test_b*needed 1 of 3")


@needs("pytest_rerunfailures")
def test_rerunfailures_everywhere_and_taken_over(casefile, run, attempts, pytester):
    casefile("def test_a(): script('a', 'ffffp')")
    options = ("--reruns=1", "--casebook-rerun=all", "--casebook-max-reruns=9")
    result = run(*options, "-o", "casebook_max_runs=5", plugins=["pytest_rerunfailures"])
    assert (attempts("a"), result.ret) == (2, 1)
    result.stdout.fnmatch_lines(["casebook: reruns are left to rerunfailures"])
    (pytester.path / "a.count").unlink()
    result = run(
        *options, "-o", "casebook_max_runs=5", "-o", "casebook_take_over=true", plugins=["pytest_rerunfailures"]
    )
    assert (attempts("a"), result.ret) == (5, 0)


@needs("flaky")
def test_flaky_keeps_what_is_its_own(casefile, run, attempts):
    casefile("from flaky import flaky\n@flaky(max_runs=2)\ndef test_b(): script('b', 'fp')\ndef test_c(): pass")
    result = run("--casebook-rerun=all", "--casebook-max-reruns=9", plugins=["flaky.flaky_pytest_plugin"])
    assert (attempts("b"), result.ret) == (2, 0)
    result = run("--force-flaky", "--casebook-rerun=all", plugins=["flaky.flaky_pytest_plugin"])
    assert result.ret == 0


@needs("pytest_retry")
def test_retry_keeps_what_is_its_own(casefile, pytester, attempts):
    casefile("@pytest.mark.flaky(retries=1)\ndef test_b(): script('b', 'fp')\ndef test_c(): script('c', 'fp')")
    command = [sys.executable, "-m", "pytest", "-p", "no:flaky", "-p", "no:rerunfailures", "-p", "no:randomly"]
    command += ["-p", "no:pytest-aviator"]
    result = pytester.run(*command, "-p", "no:xdist", "--casebook-rerun=all", "-o", "casebook_max_runs=2", timeout=60)
    assert result.ret == 0
    assert (attempts("b"), attempts("c")) == (2, 2)


@needs("pytest_timeout")
def test_timer_is_restarted_for_each_attempt(casefile, run, attempts):
    casefile(
        """
import threading
def test_a():
    threading.Event().wait(0.8)
    script("a", "ffp")
def test_hangs():
    if not pathlib.Path("h.count").exists():
        pathlib.Path("h.count").write_text("x")
        threading.Event().wait(20)
def test_hangs_later():
    if pathlib.Path("later.count").exists() and not pathlib.Path("last.count").exists():
        pathlib.Path("last.count").write_text("x")
        threading.Event().wait(20)
    script("later", "fp")
"""
    )
    result = run("--timeout=2", "--casebook-runs=3", plugins=["pytest_timeout"])
    assert result.parseoutcomes() == {"passed": 3, "rerun": 5}
    assert attempts("later") == 2


@needs("pytest_randomly")
def test_randomly_resets_the_seed(casefile, run):
    casefile(
        """
import random
seen = []
def test_a():
    seen.append(random.random())
    script("a", "fp")
    assert seen[0] == seen[1]
"""
    )
    assert run("--casebook-runs=2", plugins=["pytest_randomly"]).ret == 0


@needs("pytest_cov")
def test_coverage_adds_up(casefile, run):
    casefile("def test_a():\n    script('a', 'fp')")
    result = run("--casebook-runs=2", "--cov=.", plugins=["pytest_cov.plugin"])
    assert result.ret == 0
    result.stdout.fnmatch_lines(["TOTAL *"])


@needs("pytest_forked")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_attempts_and_crashes(casefile, run):
    casefile(
        """
def test_a(): script("a", "fp")
def test_b(): pass
def test_crash():
    if not pathlib.Path("c.count").exists():
        pathlib.Path("c.count").write_text("x")
        os._exit(3)
"""
    )
    if "passed" not in run("--forked", "--no-casebook", "-k", "test_b", plugins=["pytest_forked"]).parseoutcomes():
        pytest.skip("this pytest-forked does not work with this pytest")
    result = run("--forked", "--casebook-runs=2", "-k", "not test_b", plugins=["pytest_forked"])
    assert result.parseoutcomes() == {"passed": 2, "rerun": 2, "deselected": 1}


@needs("ddtrace")
def test_ddtrace_at_rest(casefile, run):
    casefile("def test_a(): script('a', 'fp')")
    result = run("--casebook-runs=2", plugins=["ddtrace.testing.internal.pytest.entry_point"])
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}


@needs("xdist")
@pytest.mark.parametrize(
    "options", [["--dist=loadscope"], ["--dist=loadfile"], ["--dist=worksteal"], ["--maxprocesses=1"]]
)
def test_ways_to_distribute(server, casefile, run, options):
    casefile("".join(f"def test_{n}(): script('t{n}', 'fp')\n" for n in range(6)))
    result = run("--casebook-rerun=all", "--casebook-runs=2", *options, xdist=True)
    assert result.parseoutcomes() == {"passed": 6, "rerun": 6}
    assert len(server.entries) == 12


@needs("xdist")
def test_zero_workers(casefile, run):
    casefile("def test_a(): script('a', 'fp')")
    result = run("-n0", "--casebook-runs=2", plugins=["xdist.plugin", "xdist.looponfail"])
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}


CRASH = """
def test_a():
    if len(pathlib.Path("c.count").read_text() if pathlib.Path("c.count").exists() else "") < CRASHES:
        with open("c.count", "a") as file: file.write("x")
        os._exit(3)
def test_b(): pass
"""


@needs("xdist")
def test_a_crash_is_an_attempt(server, casefile, run):
    server.list("test_a", max_runs=3)
    casefile(CRASH.replace("CRASHES", "1"))
    result = run(xdist=True)
    assert result.ret == 0
    assert result.parseoutcomes() == {"passed": 2, "rerun": 1}
    assert server.results("test_a") == ["failed", "passed"]
    assert server.entries[-1]["tags"]["casebook.verdict"] in ("flaky", "passed")


@needs("xdist")
@pytest.mark.parametrize(("mode", "code"), [("rerun", 1), ("quarantine", 0)])
def test_a_test_that_always_crashes(server, casefile, run, mode, code):
    server.list("test_a", mode=mode, max_runs=2, min_passes=1)
    casefile(CRASH.replace("CRASHES", "9"))
    result = run(xdist=True)
    assert result.ret == code
    assert server.results("test_a") == ["failed", "failed"]


@pytest.mark.parametrize(
    "option",
    ["--collect-only", "--version", "--help", "--markers", "--fixtures", "--fixtures-per-test", "--cache-show"],
)
def test_nothing_is_asked_when_nothing_runs(server, casefile, run, option):
    casefile("def test_a(): pass")
    result = run(option)
    assert result.ret == 0
    assert server.requests == []
    result.stdout.no_fnmatch_line("casebook: *")


def test_importing_is_cheap_and_opens_no_connection():
    program = (
        "import pytest, _pytest.runner, sys, time\n"
        "import json, subprocess, uuid, urllib.parse, pathlib, dataclasses\n"
        "before = set(sys.modules); start = time.process_time()\n"
        "import pytest_casebook.plugin\n"
        "took = time.process_time() - start\n"
        "new = {name for name in set(sys.modules) - before if not name.startswith('pytest_casebook')}\n"
        "assert not new & {'urllib.request', 'http.client', 'ssl', 'email'}, new\n"
        "print(took)\n"
    )
    times = []
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
        )
        times.append(float(done.stdout))
    assert min(times) < 0.03


def test_idle_without_configuration(casefile, run, monkeypatch):
    casefile("def test_a(): assert False")
    result = run()
    assert result.parseoutcomes() == {"failed": 1}
    result.stdout.no_fnmatch_line("*casebook:*")
    result.stdout.no_fnmatch_line("*flaky tests*")
    run("-v").stdout.fnmatch_lines(["casebook: idle, no server (CASEBOOK_URL)"])
    monkeypatch.setenv("CI", "true")
    run().stdout.fnmatch_lines(["casebook: idle, no server (CASEBOOK_URL)"])
    monkeypatch.setenv("CASEBOOK_URL", "http://127.0.0.1:9")
    run().stdout.fnmatch_lines(["casebook: idle, no token (CASEBOOK_TOKEN)"])
    monkeypatch.setenv("CASEBOOK_TOKEN_FILE", "/nowhere")
    run().stdout.fnmatch_lines(["casebook: idle, no token in the file that CASEBOOK_TOKEN_FILE names"])


def test_quietness(casefile, run):
    casefile("@pytest.mark.casebook(max_runs=2)\ndef test_a(): script('a', 'fpfpfp')")
    assert "flaky tests (casebook)" in run().stdout.str()
    quiet = run("-q").stdout.str()
    assert "1 rerun, " in quiet
    assert "FLAKY" not in quiet
    assert "1 rerun, " not in run("-qq").stdout.str()
    assert run("-p", "no:terminal").ret == 0


def test_errors_of_our_own_never_change_the_result(casefile, run, pytester):
    pytester.makeconftest(
        """
import pytest_casebook.goal, pytest_casebook.recorder
def broken(*arguments): raise RuntimeError("our own")
pytest_casebook.goal.reached = broken
"""
    )
    casefile("@pytest.mark.casebook(max_runs=2)\ndef test_a(): script('a', 'fp')\ndef test_b(): pass")
    result = run()
    assert result.parseoutcomes() == {"failed": 1, "passed": 1}
    result.stdout.fnmatch_lines(["casebook switched itself off: RuntimeError: our own"])
    pytester.makeconftest(
        """
import pytest_casebook.recorder
def broken(*arguments): raise RuntimeError("our own")
pytest_casebook.recorder.Recorder._take = broken
"""
    )
    result = run("--casebook-rerun=all")
    assert result.parseoutcomes() == {"passed": 2}


def interactive(pytester, arguments):
    command = [sys.executable, "-m", "pytest", "-p", "pytest_casebook.plugin", *arguments]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command, cwd=pytester.path, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_debugger_gets_one_attempt_and_a_prompt(server, casefile, pytester, attempts):
    server.list("test_a", max_runs=5)
    casefile("def test_a(): script('a', 'fp')")
    process = interactive(pytester, ["--pdb"])
    output, _ = process.communicate("p 'at the prompt'\nc\n", timeout=30)
    assert "at the prompt" in output
    assert "casebook: reruns are off, a debugger is asked for" in output
    assert attempts("a") == 1
    assert "1 failed" in output


@pytest.mark.parametrize("how", ["interrupt", "exit"])
def test_interrupt_during_a_rerun_uploads_what_there_is(server, casefile, pytester, attempts, how):
    server.list("test_b", max_runs=5)
    stop = (
        "signal.signal(2, signal.default_int_handler); os.kill(os.getpid(), 2); threading.Event().wait(20)"
        if how == "interrupt"
        else "pytest.exit('enough', 2)"
    )
    casefile(
        f"""
import signal, threading
def test_a(): pass
def test_b():
    if pathlib.Path("b.count").exists():
        {stop}
    script("b", "f")
def test_c(): pass
"""
    )
    process = interactive(pytester, [])
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 2
    assert server.results("test_a") == ["passed"]
    assert server.results("test_b")[:1] == ["failed"]
    assert server.results("test_c") == []
    assert attempts("b") == 1


@needs("pytest_repeat")
def test_repetitions_of_pytest_repeat_are_tests_of_their_own(server, casefile, run, attempts):
    server.list("test_a", max_runs=5)
    casefile("def test_a(): script('a', 'fpf')")
    result = run("--count=3", plugins=["pytest_repeat"])
    assert (result.ret, result.parseoutcomes()) == (1, {"passed": 1, "failed": 2})
    assert sorted(entry["name"] for entry in server.entries) == [f"test_a[{n}-3]" for n in (1, 2, 3)]


@needs("pytest_flakefinder")
def test_repetitions_of_pytest_flakefinder_are_tests_of_their_own(server, casefile, run):
    server.list("test_a", max_runs=5)
    casefile("def test_a(): script('a', 'fpf')")
    assert run("--flake-finder", "--flake-runs=3", plugins=["pytest_flakefinder"]).parseoutcomes()["failed"] == 2


@needs("pytest_bdd")
def test_scenarios_of_pytest_bdd(casefile, run, pytester):
    (pytester.path / "door.feature").write_text(
        "Feature: Door\n  Scenario: It opens\n    Given a door\n    Then it opens\n"
    )
    casefile(
        "from pytest_bdd import scenarios, given, then\nscenarios('door.feature')\n"
        "@given('a door')\ndef door(): pass\n@then('it opens')\ndef opens(): script('a', 'fp')"
    )
    assert run("--casebook-runs=2", plugins=["pytest_bdd.plugin"]).parseoutcomes() == {"passed": 1, "rerun": 1}


@needs("pytest_order")
def test_order_is_taken_as_given(casefile, run):
    casefile(
        "seen = []\n@pytest.mark.order(2)\ndef test_a():\n    seen.append('a')\n    assert seen == ['b', 'b', 'a']\n"
        "@pytest.mark.order(1)\ndef test_b():\n    seen.append('b')\n    script('b', 'fp')"
    )
    assert run("--casebook-runs=2", plugins=["pytest_order"]).parseoutcomes() == {"passed": 2, "rerun": 1}


def test_hooks_of_others_see_every_attempt_but_one_test(casefile, run, pytester):
    pytester.makeconftest(
        """
import collections
calls = collections.Counter()
def pytest_runtest_logstart(): calls["start"] += 1
def pytest_runtest_logfinish(): calls["finish"] += 1
def pytest_runtest_setup(): calls["setup"] += 1
def pytest_runtest_call(): calls["call"] += 1
def pytest_runtest_teardown(): calls["teardown"] += 1
def pytest_runtest_makereport(): calls["report"] += 1
def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line("calls " + " ".join(f"{name}={count}" for name, count in sorted(calls.items())))
"""
    )
    casefile("def test_a(): script('a', 'ffp')")
    run("--casebook-runs=3").stdout.fnmatch_lines(["calls call=3 finish=1 report=9 setup=3 start=1 teardown=3"])


def test_the_summary_page_is_written_however_quiet_the_run(casefile, run, pytester, monkeypatch):
    (pytester.path / "summary.md").touch()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    casefile("def test_a(): script('a', 'fpfp')")
    run("--casebook-runs=2", "-qq")
    assert "| FLAKY | `test_case.py::test_a` |" in (pytester.path / "summary.md").read_text()
    (pytester.path / "summary.md").write_text("")
    run("--casebook-runs=2", "--casebook-report=none")
    assert (pytester.path / "summary.md").read_text() == ""


@pytest.mark.parametrize("hook", ["_header", "_lines", "_debug_lines", "_write"])
def test_errors_in_our_own_words_change_nothing(casefile, run, pytester, hook):
    pytester.makeconftest(
        f"""
import pytest_casebook.terminal
def broken(*arguments): raise RuntimeError("our own")
pytest_casebook.terminal.Terminal.{hook} = broken
"""
    )
    casefile("def test_a(): pass")
    result = run("--casebook-runs=2", "--casebook-debug")
    assert (result.ret, result.parseoutcomes()) == (0, {"passed": 1})
    result.stdout.fnmatch_lines(["casebook switched itself off: RuntimeError: our own"])


@pytest.mark.parametrize("target", ["loop.Made.complete", "loop._superseded", "loop._shown", "meter.Meter.stop"])
def test_errors_of_ours_in_mid_run_leave_pytests_outcome(casefile, run, pytester, target):
    module, *names = target.split(".")
    pytester.makeconftest(
        f"""
import pytest_casebook.{module}
def broken(*arguments): raise RuntimeError("our own")
pytest_casebook.{".".join([module, *names])} = broken
"""
    )
    casefile("def test_a(): pass\ndef test_b(): assert False")
    result = run("--casebook-rerun=all", "-o", "casebook_max_runs=2")
    assert result.ret == 1
    assert {"passed": 1, "failed": 1}.items() <= result.parseoutcomes().items()
    result.stdout.fnmatch_lines(["casebook switched itself off: RuntimeError: our own"])
