"""What attempts take: measured for every outcome and way of running, and only where it is wanted."""

from __future__ import annotations

import importlib.util
import os
import sys
import time

import pytest

from pytest_casebook import meter
from pytest_casebook.meter import Meter

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells the peak of an attempt")
HEAVY = """
def test_flaky():
    memory = bytearray(96 * 1024 * 1024)
    memory[::4096] = b"x" * len(memory[::4096])
    del memory
    script("flaky", "fp")
def test_light(): pass
"""


def taken(server, name):
    found = [entry for entry in server.entries if entry["name"] == name]
    return [each.get("resources") for each in sorted(found, key=lambda each: each["tags"]["casebook.attempt"])]


@LINUX
def test_every_attempt_has_its_own(server, casefile, run, xdist):
    server.list("test_flaky", max_runs=2)
    casefile(HEAVY)
    assert run(xdist=xdist).ret == 0
    failed, passed = taken(server, "test_flaky")
    (light,) = taken(server, "test_light")
    for each in (failed, passed):
        assert each["memory_mib"] > 96
        assert each["wall_seconds"] > 0
        assert each["user_seconds"] + each["system_seconds"] > 0
    # The peak is that of the attempt, not of the process.
    assert light["memory_mib"] < failed["memory_mib"] - 48


@pytest.mark.skipif(importlib.util.find_spec("pytest_forked") is None, reason="pytest-forked is not installed")
def test_a_child_measures_itself(server, casefile, run):
    server.list("test_flaky", max_runs=2)
    casefile(HEAVY)
    if run("--forked", "--no-casebook", "-k", "light", plugins=["pytest_forked"]).ret != 0:
        pytest.skip("this pytest-forked does not work with this pytest")
    assert run("--forked", plugins=["pytest_forked"]).ret == 0
    assert [each["memory_mib"] > 96 for each in taken(server, "test_flaky")] == [True, True]


@pytest.mark.parametrize(("word", "names"), [("time", 3), ("none", 0)])
def test_it_can_be_switched_off(server, casefile, run, word, names):
    casefile("def test_a(): pass")
    run("-o", f"casebook_resources={word}")
    (found,) = taken(server, "test_a")
    assert len(found or {}) == names


def test_processor_time_of_children_counts():
    clock = Meter("time")
    clock.start()
    os.system(f"{sys.executable} -c 'sum(range(3_000_000))'")
    assert clock.stop()["user_seconds"] > 0.01


@LINUX
def test_without_permission_it_is_the_peak_of_the_process(monkeypatch):
    def refuse(path, *arguments):
        raise PermissionError(path)

    monkeypatch.setattr(meter.os, "open", refuse)
    clock = Meter("all")
    clock.start()
    assert clock.stop()["memory_mib"] == pytest.approx(meter._process_peak(), rel=0.1)


def test_stopping_what_was_not_started_says_nothing():
    assert Meter("all").stop() == {}


def test_it_costs_less_than_a_hundredth_of_a_short_test():
    clock = Meter("all")
    fastest = 1.0
    for _ in range(20):
        started = time.process_time()
        for _ in range(50):
            clock.start()
            clock.stop()
        fastest = min(fastest, (time.process_time() - started) / 50)
    assert fastest < 0.01 * 0.010
