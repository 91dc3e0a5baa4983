"""With pytest-xdist: every way to distribute, workers that crash, and what workers are told."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("xdist")

DISTRIBUTIONS = ["load", "loadscope", "loadfile", "loadgroup"]
if pytest.version_tuple >= (7, 2):
    DISTRIBUTIONS.append("worksteal")
CRASH = """
def crash(name, times):
    with open(f"{name}.crashes", "a+") as file:
        file.seek(0)
        if len(file.read()) < times:
            file.write("x")
            file.flush()
            os._exit(3)
"""


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_reruns_work_with_every_distribution(server, casefile, run, distribution):
    server.list("test_quarantined", mode="quarantine")
    casefile(
        "".join(f"@pytest.mark.xdist_group('{n % 2}')\ndef test_{n}(): script('t{n}', 'fp')\n" for n in range(6))
        + "def test_quarantined(): assert False"
    )
    result = run("--casebook-rerun=all", "-o", "casebook_max_runs=2", f"--dist={distribution}", xdist=True)
    assert result.parseoutcomes() == {"passed": 6, "rerun": 6, "quarantined": 1}
    assert len(server.entries) == 13
    # With loadgroup, xdist gives tests other node ids.
    assert {entry["name"].partition("@")[0] for entry in server.entries} == {
        "test_quarantined",
        *(f"test_{n}" for n in range(6)),
    }


# xdist itself hangs when a worker crashes with loadgroup.
@pytest.mark.parametrize("distribution", [name for name in DISTRIBUTIONS if name != "loadgroup"])
def test_a_crash_ends_well_with_every_distribution(server, casefile, run, distribution):
    server.list("test_a", max_runs=3)
    casefile(CRASH + "def test_a(): crash('a', 1)\ndef test_b(): pass\ndef test_c(): pass")
    result = run(f"--dist={distribution}", xdist=True)
    assert (result.ret, result.parseoutcomes()) == (0, {"passed": 3, "rerun": 1})
    assert server.results("test_a") == ["failed", "passed"]
    assert "crashed while running" in str([entry.get("failure_reason") for entry in server.entries])


@pytest.mark.parametrize("options", [["--casebook-runs=2"], ["--casebook-rerun=all", "-o", "casebook_max_runs=2"]])
def test_a_crash_is_repeated_as_the_command_line_says(casefile, run, options):
    casefile(CRASH + "def test_a(): crash('a', 1)\ndef test_b(): pass")
    assert run(*options, xdist=True).parseoutcomes() == {"passed": 2, "rerun": 1}


@pytest.mark.parametrize(("max_runs", "min_passes", "crashes"), [(2, 2, 1), (3, 2, 2), (3, 3, 1)])
def test_a_crash_counts_towards_what_is_out_of_reach(server, casefile, run, max_runs, min_passes, crashes):
    server.list("test_a", max_runs=max_runs, min_passes=min_passes)
    casefile(CRASH + "def test_a(): crash('a', 9)\ndef test_b(): pass")
    assert run(xdist=True).ret == 1
    assert server.results("test_a") == ["failed"] * crashes


def test_a_crash_proves_that_nothing_was_fixed(server, casefile, run):
    server.list("test_a", mode="attempt_to_fix", max_runs=4)
    casefile(CRASH + "def test_a(): crash('a', 1)\ndef test_b(): pass")
    assert run(xdist=True).ret == 1
    assert server.results("test_a") == ["failed"]


def test_a_crash_in_the_second_attempt_keeps_the_first(server, casefile, run):
    server.list("test_a", max_runs=4)
    casefile(
        CRASH + "def test_a():\n    if pathlib.Path('a.count').exists(): crash('a', 1)\n    script('a', 'fp')\n"
        "def test_b(): pass"
    )
    assert run(xdist=True).ret == 0
    assert server.results("test_a") == ["failed", "failed", "passed"]


def test_workers_are_told_neither_address_nor_token(server, casefile, run, pytester):
    pytester.makeconftest(
        """
import json, pathlib
def pytest_configure(config):
    if hasattr(config, "workerinput"):
        pathlib.Path(config.rootpath, config.workerinput["workerid"]).write_text(config.workerinput["casebook"])
"""
    )
    server.list("test_a", max_runs=2)
    casefile("def test_a(): pass")
    run(xdist=True)
    told = (pytester.path / "gw0").read_text()
    assert "test_a" in told
    assert "http://" not in told
    assert "cb_secret" not in told
    assert json.loads(told)["policy"] == server.policy


def test_other_plugins_do_not_see_the_records(server, casefile, run, pytester):
    pytester.makeconftest(
        """
def pytest_runtest_logreport(report):
    if hasattr(report, "node"):
        assert not {"_casebook", "_casebook_attempt", "_casebook_resources"} & set(vars(report))
"""
    )
    server.list("test_a", max_runs=2)
    casefile("def test_a(): script('a', 'fp')")
    assert run(xdist=True).parseoutcomes() == {"passed": 1, "rerun": 1}


def test_uploads_come_from_one_process_and_name_the_worker(server, casefile, run):
    casefile("".join(f"def test_{n}(): pass\n" for n in range(4)))
    run(xdist=True)
    assert len(server.uploads) == 1
    assert {entry["tags"]["casebook.worker"] for entry in server.entries} <= {"gw0", "gw1"}


def test_maxfail_counts_verdicts_of_all_workers(casefile, run):
    casefile("".join(f"def test_{n}(): script('t{n}', 'fp')\n" for n in range(4)))
    assert run("--casebook-runs=2", "--maxfail=1", xdist=True).parseoutcomes() == {"passed": 4, "rerun": 4}
