"""The seed's two examples, next to the plugin that this one replaces."""

from __future__ import annotations

import importlib.util
import os
import re
import sys

import pytest

SOURCE = """
import unittest
class TestSample(unittest.TestCase):
    def test_sample_random(self):
        try:
            script("random", OUTCOMES)
            value = 1
        except AssertionError:
            value = 2
        self.assertEqual(value, 1)
    def test_2(self): pass
    def test_3(self): pass
def test_4(): pass
def test_5(): pass
def test_6(): pass
"""
EXAMPLES = pytest.mark.parametrize(
    ("outcomes", "max_runs", "min_passes", "code", "counts"),
    [("fp", 5, 1, 0, {"passed": 6}), ("pff", 3, 2, 1, {"passed": 5, "failed": 1})],
    ids=["example 1", "example 2"],
)


def block(text):
    found = re.search(r"===FlakyBot Test Report===\n(.*)===End FlakyBot Test Report===", text, re.DOTALL)
    assert found
    return found.group(1)


@EXAMPLES
def test_the_examples(server, casefile, run, attempts, xdist, outcomes, max_runs, min_passes, code, counts):
    server.list("test_sample_random", class_name="test_case.TestSample", max_runs=max_runs, min_passes=min_passes)
    casefile(SOURCE.replace("OUTCOMES", repr(outcomes)))
    result = run("--casebook-report=flakybot", xdist=xdist)
    assert result.ret == code
    assert attempts("random") == len(outcomes)
    assert result.parseoutcomes() == {**counts, "rerun": len(outcomes) - 1}
    told = re.sub(r"\[<.*>\]", "[<TracebackEntry>]", block(result.stdout.str()))
    error = "<class 'AssertionError'>: 2 != 1"
    if outcomes == "fp":
        assert told == (
            "\ntest_sample_random\n\tFAILED: (4 runs remaining out of 5).\n\t"
            + error
            + "\n\t[<TracebackEntry>]\n\ntest_sample_random passed 1 out of the required 1 times.\n\n"
        )
    else:
        assert told == (
            "\ntest_sample_random passed 1 out of the required 2 times.\n"
            "Running test again until it passes 2 times.\n\n"
            "test_sample_random\n\tFAILED: (1 runs remaining out of 3).\n\t"
            + error
            + "\n\t[<TracebackEntry>]\n\ntest_sample_random: FAILED\n\tIt passed 1 out of the required 2 times.\n\n"
        )


@EXAMPLES
@pytest.mark.skipif(importlib.util.find_spec("pytest_aviator") is None, reason="pytest-aviator is not installed")
def test_the_block_is_that_of_pytest_aviator(
    server, casefile, run, pytester, outcomes, max_runs, min_passes, code, counts, monkeypatch
):
    entry = {
        "test_name": "test_sample_random",
        "class_name": "TestSample",
        "max_runs": max_runs,
        "min_passes": min_passes,
    }
    server.aviator = {"flaky_tests": [entry]}
    casefile(SOURCE.replace("OUTCOMES", repr(outcomes)))
    ours = run("--casebook-report=flakybot", "-o", "casebook_protocol=aviator")
    (pytester.path / "random.count").unlink()
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("AVIATOR_API_URL", server.url + "/api/v1/flaky-tests")
    monkeypatch.setenv("AVIATOR_API_TOKEN", os.environ["CASEBOOK_TOKEN"])
    theirs = pytester.run(sys.executable, "-m", "pytest", "-p", "pytest_aviator.runner", "--junitxml=o.xml")
    assert theirs.ret == ours.ret == code
    assert block(ours.stdout.str()) == block(theirs.stdout.str())
