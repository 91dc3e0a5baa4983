"""Against our own server: what it makes of the results, and what it tells the next run. Needs ``CASEBOOK_BINARY``."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest

from pytest_casebook.secrets import Redactor, Token
from pytest_casebook.transport import Transport

BINARY = os.environ.get("CASEBOOK_BINARY", "")
SUITE = "/api/casebook/v1/suites/acme/shop"
DAY = 24 * 3600

pytestmark = pytest.mark.skipif(not BINARY, reason="CASEBOOK_BINARY does not name the server's binary")


class Casebook:
    """Our server on a database and a port that outlive it, so that it can go away and come back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.database = f"sqlite:{folder / 'casebook.db'}"
        self.process = None
        self.token = ""

    def command(self, *arguments, **more):
        done = subprocess.run([BINARY, *arguments, "--database", self.database], capture_output=True, text=True, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self, *arguments):
        command = [BINARY, "serve", "--listen", f"127.0.0.1:{self.port}", "--database", self.database, *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=self.folder)
        for line in self.process.stdout:
            if "listening on" in line:
                return
        raise AssertionError("the server did not start")

    def stop(self, kill=False):
        if self.process is not None:
            (self.process.kill if kill else self.process.terminate)()
            self.process.wait(20)
            self.process.stdout.close()
            self.process = None

    def ask(self, path):
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read())

    def post(self, body):
        transport = Transport(self.url, Token(self.token), Redactor())
        return transport.post("/v1/uploads", body, {"Content-Type": "application/json"}, 10)

    def policy(self, name):
        """What the next run is told of a test."""
        return next((test for test in self.ask("/api/casebook/v1/policy")["tests"] if test["name"] == name), None)

    def test(self, name, which=""):
        """What the detector says of a test; it must be among the first."""
        (found,) = (test for test in self.ask(f"{SUITE}/tests{which}")["items"] if test["name"] == name)
        return self.ask(f"{SUITE}/tests/{found['id']}")

    def executions(self, name, which=""):
        return self.ask(f"{SUITE}/tests/{self.test(name, which)['id']}/executions")["items"]

    def runs(self):
        return self.ask("/v2/analytics/organizations/acme/suites/shop/runs")


@pytest.fixture
def casebook(tmp_path, monkeypatch):
    found = Casebook(tmp_path)
    found.command("suite", "create", "acme/shop")
    found.start()
    found.token = found.command("token", "create", "--suite", "acme/shop", "--scope", "write")
    monkeypatch.setenv("CASEBOOK_URL", found.url)
    monkeypatch.setenv("CASEBOOK_TOKEN", found.token)
    monkeypatch.setenv("CASEBOOK_UPLOAD", "always")
    yield found
    found.stop()


@pytest.fixture
def build(casefile, run, pytester, monkeypatch):
    """Runs the suite as one build of one commit; scripts begin anew."""
    number = [0]

    def start(source, *arguments, commit=None, **more):
        number[0] += 1
        monkeypatch.setenv("CASEBOOK_COMMIT", commit or f"c{number[0]:039}")
        monkeypatch.setenv("CASEBOOK_BRANCH", "main")
        monkeypatch.setenv("CASEBOOK_BUILD_ID", f"build {number[0]}")
        for count in pytester.path.glob("*.count"):
            count.unlink()
        casefile(source)
        return run(*arguments, **more)

    return start


FLAKY = "def test_flaky(): script('flaky', 'fp')\ndef test_calm(): pass"
GREEN = "def test_flaky(): script('flaky', 'p')\ndef test_calm(): pass"
EVERYTHING = ("--casebook-rerun=all", "-o", "casebook_max_runs=3")


def make_flaky(casebook, build):
    for _ in range(2):
        assert build(FLAKY, *EVERYTHING).ret == 0
    assert casebook.test("test_flaky")["health"] == "flaky"


def test_uploaded_found_given_a_policy_rerun_and_resolved(casebook, build):
    assert casebook.policy("test_flaky") is None
    make_flaky(casebook, build)
    policy = casebook.policy("test_flaky")
    assert (policy["mode"], policy["class_name"]) == ("rerun", "test_case")
    assert policy["max_runs"] > 1
    assert casebook.policy("test_calm") is None

    more = ["p"] * policy["min_passes"]
    again = build(FLAKY.replace("'fp'", f"'f{''.join(more)}'"), "-v")
    assert again.ret == 0
    again.stdout.fnmatch_lines(["*1 policy*fetched in*", "FLAKY *test_case.py::test_flaky *failed, passed*"])
    assert [each["outcome"] for each in casebook.executions("test_flaky")][: 1 + len(more)] == [
        "failed",
        *["passed"] * len(more),
    ]

    casebook.stop()
    casebook.start("--clock-ahead-seconds", str(15 * DAY))
    assert casebook.test("test_flaky")["health"] == "resolved"
    assert casebook.policy("test_flaky") is None
    assert build(FLAKY).ret == 1


def test_a_commit_that_names_a_test_proves_its_fix(casebook, build, monkeypatch):
    make_flaky(casebook, build)
    monkeypatch.setenv("CASEBOOK_FIXES", "test_case.test_flaky")
    fixed = build(GREEN, "-v", commit="f" * 40)
    assert fixed.ret == 0
    assert casebook.test("test_flaky")["health"] == "resolved"
    assert casebook.policy("test_flaky") is None
    casebook.stop()
    casebook.command("check")


def test_a_fix_that_fails_proves_nothing(casebook, build, monkeypatch):
    make_flaky(casebook, build)
    monkeypatch.setenv("CASEBOOK_FIXES", "test_case.test_flaky")
    failed = build(GREEN.replace("'p'", "'pppf'"), commit="e" * 40)
    assert failed.ret == 1
    assert casebook.test("test_flaky")["health"] == "flaky"


def test_new_tests_are_run_several_times_until_they_are_known(casebook, build, attempts):
    casebook.command("suite", "create", "acme/shop", "--new-tests", "on")
    build("def test_old(): pass")
    steady = "def test_old(): script('old', 'p')\ndef test_new(): script('new', 'p')\n"
    result = build(steady + "def test_shaky(): script('shaky', 'pppf')")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["NEW FLAKY *test_case.py::test_shaky *"])
    assert (attempts("old"), attempts("new"), attempts("shaky")) == (1, 11, 4)
    assert casebook.test("test_shaky")["health"] == "suspect"
    build(steady)
    assert attempts("new") == 1


def test_attempts_bring_what_they_took(casebook, build):
    build(
        "def test_flaky():\n"
        "    memory = bytearray(64 * 1024 * 1024)\n"
        "    sum(range(2_000_000))\n"
        "    script('flaky', 'fp')\n",
        *EVERYTHING,
    )
    failed, passed = casebook.executions("test_flaky")
    assert (failed["outcome"], passed["outcome"]) == ("failed", "passed")
    for execution in (failed, passed):
        taken = execution["resources"]
        assert 0 < taken["user_seconds"] + taken["system_seconds"] <= taken["wall_seconds"] * 1.5 + 0.05
        assert taken["wall_seconds"] >= execution["duration"] * 0.5
        assert taken["memory_mib"] > 64
    build("def test_flaky(): script('flaky', 'fp')", *EVERYTHING, "-o", "casebook_resources=none")
    assert casebook.executions("test_flaky")[0]["resources"] is None


@pytest.mark.parametrize("kill", [False, True], ids=["before the run", "in mid-run"])
def test_what_a_server_missed_arrives_later_under_its_true_time(casebook, build, pytester, kill):
    make_flaky(casebook, build)
    before = len(casebook.runs())
    if kill:
        pytester.makepyfile(stop=f"import os, signal\ndef now(): os.kill({casebook.process.pid}, signal.SIGKILL)")
        missed = build("import stop\ndef test_stop(): stop.now()\ndef test_flaky(): script('flaky', 'fp')", *EVERYTHING)
        casebook.process.wait(20)
    else:
        casebook.stop()
        missed = build(FLAKY, *EVERYTHING)
    casebook.stop()
    assert missed.ret == 0
    missed.stdout.fnmatch_lines(["*results kept in*"])
    (kept,) = (pytester.path / ".pytest_cache" / "d" / "casebook").glob("*.json.gz")
    started_at = json.loads(gzip.decompress(kept.read_bytes()))["run_env"]["started_at"]

    casebook.start("--clock-ahead-seconds", str(3 * DAY))
    assert build(GREEN).ret == 0
    runs = casebook.runs()
    assert len(runs) == before + 2
    assert any(each["created_at"][:19] == started_at[:19] for each in runs)
    assert not kept.exists()


def test_the_attempts_of_a_run_are_one_run(casebook, build, xdist):
    source = FLAKY + "\ndef test_fail(): assert False"
    result = build(source, "-v", *EVERYTHING[:1], "-o", "casebook_max_runs=2", xdist=xdist)
    result.stdout.fnmatch_lines(["*5 results sent to 127.0.0.1*"])
    assert len(casebook.runs()) == 1


def test_a_repeated_upload_counts_once(casebook, build, pytester):
    build(FLAKY, *EVERYTHING, "--casebook-offline")
    (kept,) = (pytester.path / ".pytest_cache" / "d" / "casebook").glob("*.json.gz")
    body = gzip.decompress(kept.read_bytes())
    answers = [casebook.post(body).json() for _ in range(2)]
    assert [(answer["queued"], answer["skipped"]) for answer in answers] == [(3, 0), (0, 3)]


def test_many_attempts_are_one_run_without_duplicates(casebook, build, pytester):
    source = (
        "@pytest.mark.parametrize('n', range(1200))\ndef test_a(n): assert n\ndef test_flaky(): script('flaky', 'fp')"
    )
    build(source, *EVERYTHING, "-o", "casebook_batch=500", "-o", "casebook_guard_failures=9999")
    assert len(casebook.runs()) == 1
    assert len(casebook.executions("test_flaky", "?health=suspect")) == 2


@pytest.mark.parametrize("elements", ["true", "false"])
def test_the_junit_file_tells_the_same(casebook, build, pytester, elements):
    source = FLAKY + "\ndef test_bad(): assert False, 'always'"
    junit = ("--junitxml=o.xml", "-o", f"casebook_junit_attempts={elements}")
    build(source, *EVERYTHING, "--casebook-no-upload", *junit)
    text = (pytester.path / "o.xml").read_text()
    assert text.count("<testcase") == 3
    body = json.dumps({"format": "junit", "run_env": {"key": "k", "commit_sha": "c1"}, "data": text}).encode()
    answer = casebook.post(body)
    assert answer.status == 202, answer.body
    flaky = casebook.executions("test_flaky")
    assert [each["outcome"] for each in flaky] == ["failed", "passed"]
    bad = casebook.executions("test_bad")
    assert [each["outcome"] for each in bad] == ["failed", "failed", "failed"]


def test_a_recorded_policy_works_without_the_server(casebook, build, pytester, attempts):
    make_flaky(casebook, build)
    build(GREEN, f"--casebook-save-policy={pytester.path / 'policy.json'}")
    casebook.stop()
    shutil.rmtree(pytester.path / ".pytest_cache", ignore_errors=True)
    result = build(FLAKY.replace("'fp'", "'fppp'"), "--casebook-policy=policy.json", "--casebook-no-upload")
    assert result.ret == 0
    assert attempts("flaky") > 1
    assert re.search(r"FLAKY +test_case.py::test_flaky", result.stdout.str())
