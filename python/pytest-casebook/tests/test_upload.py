"""What is uploaded, in which batches, what is kept for later, and what our own server makes of it."""

from __future__ import annotations

import gzip
import json
import os
import re

import pytest


def spool(pytester):
    return sorted((pytester.path / ".pytest_cache" / "d" / "casebook").glob("*.json.gz"))


def test_one_entry_for_each_attempt(server, casefile, run, xdist):
    server.list("test_a", max_runs=5)
    casefile(
        """
@pytest.mark.casebook_tag("team", "pay")
def test_a():
    print("said")
    script("a", "fp")
def test_skip(): pytest.skip("not today")
"""
    )
    run(xdist=xdist)
    upload = server.uploads[0]
    assert upload["format"] == "json"
    environment = upload["run_env"]
    assert environment["collector"] == "pytest-casebook"
    assert (environment["repo"], environment["check"], environment["test_runner"]) == ("org/repo", "unit", "pytest")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", environment["started_at"])
    first, second = sorted(
        (each for each in server.entries if each["name"] == "test_a"), key=lambda each: each["tags"]["casebook.attempt"]
    )
    assert first["scope"] == "test_case"
    assert first["location"].startswith("test_case.py:")
    assert (first["result"], second["result"]) == ("failed", "passed")
    assert first["failure_reason"] == "AssertionError: a failed by script"
    text = "\n".join(line for part in first["failure_expanded"] for line in part["expanded"])
    assert "assert 'f' == 'p'" in text
    assert "said" in text
    assert any("test_case.py" in frame for frame in first["failure_expanded"][0]["backtrace"])
    assert "failure_reason" not in second
    expected = {
        "casebook.attempt": "1",
        "casebook.attempts": "2",
        "casebook.verdict": "flaky",
        "casebook.mode": "rerun",
        "casebook.max_runs": "5",
        "casebook.min_passes": "1",
        "casebook.phase": "call",
        "team": "pay",
    }
    assert expected.items() <= first["tags"].items()
    assert ("casebook.worker" in first["tags"]) == xdist
    assert second["history"]["start_at"] >= first["history"]["end_at"] - 0.01
    assert server.results("test_skip") == ["skipped"]


def test_spans_redaction_and_outcomes_only(server, casefile, run, pytester):
    casefile("def test_a(): assert False, 'password=hunter2'")
    pytester.makeini("[pytest]\ncasebook_spans = true\ncasebook_redact = password=\\w+\n")
    run()
    entry = server.entries[0]
    assert [span["detail"]["content"] for span in entry["history"]["children"]] == ["setup", "call", "teardown"]
    assert "hunter2" not in json.dumps(entry)
    assert "***" in entry["failure_reason"]
    os.environ["CASEBOOK_UPLOAD"] = "outcomes"
    os.environ["CI"] = "true"
    run()
    assert "failure_reason" not in server.entries[1]
    assert "failure_expanded" not in server.entries[1]


@pytest.mark.parametrize(
    ("mode", "in_ci", "sent"), [("ci", False, 0), ("ci", True, 1), ("always", False, 1), ("never", True, 0)]
)
def test_when_results_are_sent(server, casefile, run, monkeypatch, mode, in_ci, sent):
    monkeypatch.setenv("CASEBOOK_UPLOAD", mode)
    if in_ci:
        monkeypatch.setenv("CI", "true")
    casefile("def test_a(): pass")
    run()
    assert len(server.uploads) == sent
    server.uploads.clear()
    run("--casebook-no-upload")
    assert not server.uploads


def test_gzip_if_the_server_says_so(server, casefile, run):
    casefile("def test_a(): pass")
    run()
    server.accepts_gzip = True
    server.etag = '"two"'
    run()
    encodings = [headers.get("Content-Encoding") for method, _, headers in server.requests if method == "POST"]
    assert encodings == [None, "gzip"]
    assert len(server.entries) == 2


@pytest.mark.slow
def test_many_attempts_in_batches(server, casefile, run, pytester):
    pytester.makeini("[pytest]\ncasebook_batch = 9000\n")
    casefile("@pytest.mark.parametrize('n', range(12001))\ndef test_a(n): pass")
    run("-q", "-p", "no:cacheprovider")
    assert [len(upload["data"]) for upload in server.uploads] == [5000, 5000, 2001]
    assert len({upload["run_env"]["key"] for upload in server.uploads}) == 1
    assert len({entry["id"] for entry in server.entries}) == 12001


def test_too_large_is_halved(server, casefile, run):
    server.upload_statuses = [413, 413]
    casefile("@pytest.mark.parametrize('n', range(8))\ndef test_a(n): pass")
    run()
    assert [len(upload["data"]) for upload in server.uploads] == [2, 2, 4]
    assert len({entry["id"] for entry in server.entries}) == 8


def test_refused_batch_is_dropped_with_a_line(server, casefile, run, pytester):
    server.upload_statuses = [422]
    casefile("def test_a(): pass")
    result = run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["upload: 1 results were refused (422): scripted"])
    assert not spool(pytester)


def test_repeated_after_failures_with_the_same_ids(server, casefile, run):
    server.upload_statuses = [503, 429]
    casefile("def test_a(): pass")
    run()
    assert len(server.entries) == 1
    assert sum(method == "POST" for method, *_ in server.requests) == 3


def test_kept_and_sent_with_the_next_run(server, casefile, run, pytester):
    server.upload_statuses = [500] * 4
    casefile("def test_a(): pass\ndef test_b(): pass")
    result = run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["2 results kept in *casebook, sent with the next run"])
    (kept,) = spool(pytester)
    assert oct(kept.stat().st_mode & 0o777) == "0o600"
    payload = json.loads(gzip.decompress(kept.read_bytes()))
    assert payload.pop("scope")
    result = run("-v")
    assert not spool(pytester)
    assert [upload["run_env"]["run_id"] for upload in server.uploads][1] == payload["run_env"]["run_id"]
    assert server.uploads[1] == payload
    run()
    assert len(server.uploads) == 3


def test_offline_results_are_kept(server, casefile, run, pytester):
    casefile("def test_a(): pass")
    run("--casebook-offline")
    assert len(spool(pytester)) == 1


def test_damaged_and_old_and_too_many_kept_files(server, casefile, run, pytester, monkeypatch):
    from pytest_casebook import store

    folder = pytester.path / "kept"
    kept = store.Store(folder)
    assert kept.spool({"data": [1]})
    (folder / "00000-damaged.json.gz").write_bytes(b"no gzip")
    (folder / "00001-cut.json.gz").write_bytes(gzip.compress(b'{"data": []}')[:-6])
    assert [kept.read_spooled(path) for path in kept.spooled()] == [None, None, {"data": [1]}]
    assert len(kept.spooled()) == 1
    os.utime(kept.spooled()[0], (1, 1))
    kept.trim()
    assert kept.spooled() == []
    monkeypatch.setattr(store, "SPOOL_BYTES", 250)
    for number in range(9):
        kept.spool({"data": [number]})
    assert kept.read_spooled(kept.spooled()[-1]) == {"data": [8]}
    assert sum(path.stat().st_size for path in kept.spooled()) <= 250


def test_folder_that_cannot_be_written(server, casefile, run, pytester):
    (pytester.path / ".pytest_cache").mkdir()
    (pytester.path / ".pytest_cache" / "d").write_text("a file, no folder")
    server.upload_statuses = [500] * 4
    casefile("def test_a(): pass")
    assert run().ret == 0


def test_long_texts_are_cut(server, casefile, run):
    casefile("def test_a():\n    print('y' * 300_000)\n    assert False, 'x' * 300_000")
    run()
    texts = json.dumps(server.entries[0]["failure_expanded"]) + server.entries[0]["failure_reason"]
    assert len(texts) <= 64 * 1024
    assert "characters left out" in texts


def test_other_plugins_attempts_are_recognised(server, casefile, run):
    pytest.importorskip("pytest_rerunfailures")
    casefile("def test_a(): script('a', 'fp')")
    result = run("--reruns=2", plugins=["pytest_rerunfailures"])
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}
    assert server.results("test_a") == ["failed", "passed"]
    assert server.entries[0]["tags"]["casebook.verdict"] == "flaky"


def test_a_batch_that_could_not_be_sent_is_tried_again_at_the_end(server, casefile, run, pytester):
    pytester.makeini("[pytest]\ncasebook_batch = 1\n")
    server.upload_statuses = [500] * 4
    casefile("def test_a(): pass\ndef test_b(): pass")
    result = run("-v")
    assert sorted(entry["name"] for entry in server.entries) == ["test_a", "test_b"]
    assert not spool(pytester)
    result.stdout.no_fnmatch_line("upload: *")


def test_no_thread_stays_while_there_is_nothing_to_send(server, casefile, run, pytester):
    pytester.makeini("[pytest]\ncasebook_batch = 1\n")
    casefile(
        """
import threading, time
def test_a(): pass
def test_b():
    until = time.monotonic() + 10
    while [each for each in threading.enumerate() if each.name.startswith("casebook")]:
        assert time.monotonic() < until
        threading.Event().wait(0.01)
"""
    )
    assert run().ret == 0
    assert len(server.uploads) == 2


def test_results_of_another_suite_wait_for_that_suite(server, casefile, run, pytester, monkeypatch):
    server.upload_statuses = [500] * 4
    casefile("def test_a(): pass")
    run()
    monkeypatch.setenv("CASEBOOK_CHECK", "other")
    run()
    assert [upload["run_env"]["check"] for upload in server.uploads] == ["other"]
    assert len(spool(pytester)) == 1
    monkeypatch.setenv("CASEBOOK_CHECK", "unit")
    run()
    assert [upload["run_env"]["check"] for upload in server.uploads] == ["other", "unit", "unit"]
    assert not spool(pytester)


def test_a_large_batch_is_cut(server, casefile, run):
    casefile(
        "@pytest.mark.parametrize('n', range(800))\n"
        "def test_a(n):\n    print('y' * 20_000)\n    assert False, 'x' * 9_000"
    )
    run("-q", "--tb=no", "--show-capture=no", "-o", "casebook_report=none")
    assert len(server.entries) == 800
    assert len(server.uploads) > 1
    assert all(len(json.dumps(upload)) <= 8 * 1024 * 1024 for upload in server.uploads)


def test_texts_that_are_no_unicode_are_sent(server, casefile, run):
    casefile("def test_a(): assert False, 'half \\ud800 and whole é'")
    run()
    assert server.entries[0]["failure_reason"].startswith("AssertionError: half ? and whole é")


def test_the_seed_is_told(server, casefile, run):
    pytest.importorskip("pytest_randomly")
    casefile("def test_a(): pass")
    run("--randomly-seed=42", plugins=["pytest_randomly"])
    assert server.uploads[0]["run_env"]["random_seed"] == "42"
