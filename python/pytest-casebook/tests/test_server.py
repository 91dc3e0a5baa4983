"""What happens when the server answers oddly, late or not at all; cache and Aviator's protocol."""

from __future__ import annotations

import json
import os
import socket
import threading
import time

import pytest

from pytest_casebook import policy as policies
from pytest_casebook.policy import PolicyError

CASE = """
def test_pass(): pass
def test_fail(): assert False
"""


def plain(handler, status, body, **headers):
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def hang(handler):
    threading.Event().wait(8)


def trickle(handler):
    handler.send_response(200)
    handler.end_headers()
    for _ in range(80):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        threading.Event().wait(0.1)


def truncated(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"version": 1, "tests": [')
    handler.close_connection = True


ODD = {
    "hangs": hang,
    "trickles": trickle,
    "500": lambda handler: plain(handler, 500, b"{}"),
    "html": lambda handler: plain(handler, 200, b"<html>", Content_Type="text/html"),
    "401": lambda handler: plain(handler, 401, b"{}"),
    "403": lambda handler: plain(handler, 403, b"{}"),
    "404": lambda handler: plain(handler, 404, b"{}"),
    "429": lambda handler: plain(handler, 429, b"{}", Retry_After="100"),
    "redirect": lambda handler: plain(handler, 302, b"", Location="http://127.0.0.2:1/api/casebook/v1/policy"),
    "truncated": truncated,
    "a list": lambda handler: plain(handler, 200, b"[]"),
    "null tests": lambda handler: plain(handler, 200, b'{"version": 1, "tests": null}'),
    "another version": lambda handler: plain(handler, 200, b'{"version": 2, "tests": []}'),
    "gzip that is none": lambda handler: plain(handler, 200, b"{}", Content_Encoding="gzip"),
    "deep": lambda handler: plain(handler, 200, b"[" * 200_000),
}


@pytest.mark.parametrize("name", list(ODD))
def test_an_odd_server_changes_nothing(server, casefile, run, name):
    server.policy_answer = ODD[name]
    casefile(CASE)
    started = time.monotonic()
    result = run()
    assert time.monotonic() - started < 10 + 3
    assert result.ret == 1
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    result.stdout.fnmatch_lines(["casebook: *running without policies"])
    asked = [path for method, path, _ in server.requests if path.startswith("/api/casebook")]
    assert len(asked) == (1 if name in ("401", "403", "404", "redirect") else len(asked))


def test_a_server_that_hangs_in_everything(server, casefile, run, pytester, monkeypatch):
    monkeypatch.setenv("CI", "true")
    server.policy_answer = server.post_answer = hang
    casefile(CASE)
    started = time.monotonic()
    result = run()
    assert time.monotonic() - started < 10 + 3
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    result.stdout.fnmatch_lines(["2 results kept in *, sent with the next run"])


def test_nobody_listens(casefile, run, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("CASEBOOK_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("CASEBOOK_TOKEN", "t0ken")
    casefile(CASE)
    result = run()
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    result.stdout.fnmatch_lines(["casebook: *offline: *refused*; running without policies", "*might be a known one*"])


def test_a_rejected_token_forgets_the_cache(server, casefile, run):
    server.list("test_fail", mode="quarantine")
    casefile(CASE)
    assert run().ret == 0
    server.policy_answer = ODD["401"]
    result = run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["casebook: *token rejected*"])
    server.policy_answer = ODD["500"]
    assert run().ret == 1


def test_required_server(server, casefile, run, attempts):
    casefile("def test_a(): script('a', 'p')")
    assert run("--casebook-require-server").ret == 0
    server.policy_answer = ODD["500"]
    result = run("--casebook-require-server")
    assert result.ret == 4
    assert "--casebook-require-server: the policy could not be fetched: the server answered 500" in result.stderr.str()
    assert attempts("a") == 1


def test_policy_is_asked_for_once_with_what_is_known(server, casefile, run, xdist, monkeypatch):
    monkeypatch.setenv("CASEBOOK_BRANCH", "feature/x")
    monkeypatch.setenv("CASEBOOK_COMMIT", "abc")
    casefile("def test_a(): pass")
    result = run(xdist=xdist)
    asked = [(path, headers) for method, path, headers in server.requests if method == "GET"]
    assert [path for path, _ in asked] == [
        "/api/casebook/v1/policy?repo=org%2Frepo&check=unit&branch=feature%2Fx&commit=abc"
    ]
    assert asked[0][1]["Authorization"] == "Bearer cb_secret_7f3a9d"
    result.stdout.fnmatch_lines(["casebook: 127.0.0.1:*, org/repo, check unit, 0 policies, fetched in * ms"])


def test_unchanged_policy_is_not_sent_again(server, casefile, run):
    server.list("test_a", max_runs=2)
    casefile("def test_a(): script('a', 'fpfp')")
    assert run().parseoutcomes() == {"passed": 1, "rerun": 1}
    assert run().parseoutcomes() == {"passed": 1, "rerun": 1}
    conditions = [headers.get("If-None-Match") for method, _, headers in server.requests if method == "GET"]
    assert conditions == [None, '"one"']


def cache(pytester):
    return pytester.path / ".pytest_cache" / "d" / "casebook" / "policy.json"


def grow_old(pytester, seconds):
    data = json.loads(cache(pytester).read_text())
    data["fetched_at"] -= seconds
    cache(pytester).write_text(json.dumps(data))


def test_cached_policy_by_age(server, casefile, run, pytester):
    server.list("test_fail", mode="quarantine")
    server.list("test_flaky", max_runs=2)
    casefile("def test_fail(): assert False\ndef test_flaky(): script('a', 'fp' * 9)")
    run()
    assert oct(cache(pytester).stat().st_mode & 0o777) == "0o600"
    server.policy_answer = ODD["500"]
    result = run()
    assert result.parseoutcomes() == {"quarantined": 1, "passed": 1, "rerun": 1}
    result.stdout.fnmatch_lines(["*offline, policy from 0 min ago"])
    grow_old(pytester, 25 * 3600)
    assert run().parseoutcomes() == {"failed": 1, "passed": 1, "rerun": 1}
    grow_old(pytester, 7 * 86400)
    assert run().parseoutcomes() == {"failed": 2}


def test_cache_of_another_suite_or_damaged(server, casefile, run, pytester, monkeypatch):
    server.list("test_fail", mode="quarantine")
    casefile(CASE)
    run()
    server.policy_answer = ODD["500"]
    monkeypatch.setenv("CASEBOOK_CHECK", "other")
    assert run().ret == 1
    monkeypatch.setenv("CASEBOOK_CHECK", "unit")
    assert run().ret == 0
    for damage in ("{", "[]", '{"scope": 1}', '{"policy": {"tests": 1}}'):
        cache(pytester).write_text(damage)
        assert run().ret == 1


def test_offline_makes_no_request(server, casefile, run):
    server.list("test_fail", mode="quarantine")
    casefile(CASE)
    run()
    count = len(server.requests)
    assert run("--casebook-offline").ret == 0
    assert len(server.requests) == count


def test_saved_policy_can_be_used(server, casefile, run, monkeypatch):
    server.list("test_fail", mode="quarantine")
    casefile(CASE)
    run("--casebook-save-policy=saved.json")
    monkeypatch.delenv("CASEBOOK_URL")
    assert run("--casebook-policy=saved.json").ret == 0


def test_falls_back_to_aviators_protocol(server, casefile, run, xdist):
    server.policy_answer = ODD["404"]
    server.aviator = {
        "flaky_tests": [
            {"test_name": "test_part", "class_name": "case", "max_runs": 2, "min_passes": 1},
            {"test_name": "test_wrong", "class_name": "elsewhere", "max_runs": 2, "min_passes": 1},
            {"test_name": "test_counts", "class_name": "", "max_runs": 0, "min_passes": None},
            {"test_name": "test_impossible", "class_name": "", "max_runs": 1, "min_passes": 5},
            {"test_name": "", "class_name": None},
        ]
    }
    casefile("\n".join(f"def test_{n}(): script('{n}', 'fp')" for n in ("part", "wrong", "counts", "impossible")))
    result = run(xdist=xdist)
    assert result.parseoutcomes() == {"passed": 1, "failed": 3, "rerun": 1}
    paths = [path for method, path, _ in server.requests if method == "GET"]
    assert paths[1] == "/api/v1/flaky-tests?repo_name=org%2Frepo&job_name=unit"


def test_old_variables_still_work(server, casefile, run, monkeypatch):
    server.list("test_fail", mode="quarantine")
    casefile(CASE)
    monkeypatch.setenv("AVIATOR_API_URL", os.environ["CASEBOOK_URL"] + "/api/v1/flaky-tests")
    monkeypatch.setenv("AVIATOR_API_TOKEN", "av_live_1")
    monkeypatch.delenv("CASEBOOK_URL")
    monkeypatch.delenv("CASEBOOK_TOKEN")
    assert run().ret == 0
    assert server.requests[0][1].startswith("/api/casebook/v1/policy")
    assert server.requests[0][2]["Authorization"] == "Bearer av_live_1"


def test_unknown_modes_and_wrong_counts(server, casefile, run):
    server.list("test_a", mode="teleport", max_runs=5)
    server.list("test_b", max_runs=1, min_passes=5)
    server.list("test_c", max_runs="5", min_passes=1)
    server.list("test_d", max_runs=2, future="key")
    casefile("\n".join(f"def test_{n}(): script('{n}', 'fp')" for n in "abcd"))
    result = run()
    assert result.parseoutcomes() == {"failed": 3, "passed": 1, "rerun": 1}
    result.stdout.fnmatch_lines(["policy of test_case.test_b: its counts are ignored*"])


@pytest.mark.parametrize("data", [None, [], "x", {"version": 3}, {"tests": {}}, {"tests": 1}])
def test_documents_that_are_none(data):
    with pytest.raises(PolicyError):
        policies.parse(data)


def test_odd_members_are_passed_over():
    document = policies.parse(
        {
            "tests": [None, 1, [], {}, {"name": 1}, {"class_name": "a", "name": "b", "only": ["("], "delay": "x"}],
            "suite": [],
            "limits": {"max_reruns": "x", "max_seconds": float("inf")},
            "defaults": {"max_runs": True},
            "new_tests": 1,
        }
    )
    assert len(document.entries) == 1
    assert document.limits == {}
    assert document.defaults == (1, 1)


def test_a_cache_that_cannot_be_written_costs_only_the_cache(server, casefile, run, pytester):
    server.list("test_fail", mode="quarantine")
    (pytester.path / ".pytest_cache").write_text("no folder")
    casefile(CASE)
    result = run()
    assert result.parseoutcomes()["quarantined"] == 1
    assert len(server.entries) == 2
    result.stdout.no_fnmatch_line("*switched itself off*")


def test_without_pytests_cache_the_users_is_used(server, casefile, run, pytester, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "of the user"))
    server.list("test_fail", mode="quarantine")
    casefile(CASE)
    assert run("-p", "no:cacheprovider").ret == 0
    assert (pytester.path / "of the user" / "casebook" / "pytest" / "policy.json").exists()
    server.policy_answer = ODD["500"]
    assert run("-p", "no:cacheprovider").ret == 0


def test_the_protocol_can_be_chosen(server, casefile, run):
    server.list("test_fail", mode="quarantine")
    server.aviator = {"flaky_tests": []}
    casefile(CASE)
    assert run("-o", "casebook_protocol=aviator").ret == 1
    assert [path.partition("?")[0] for method, path, _ in server.requests if method == "GET"] == ["/api/v1/flaky-tests"]
    server.policy_answer = ODD["404"]
    run("-o", "casebook_protocol=casebook").stdout.fnmatch_lines(["casebook: *404*running without policies"])


def test_an_answer_may_be_packed(server, casefile, run):
    import gzip

    server.list("test_fail", mode="quarantine")
    body = gzip.compress(json.dumps(server.policy).encode())
    server.policy_answer = lambda handler: plain(handler, 200, body, Content_Encoding="gzip")
    casefile(CASE)
    assert run().ret == 0
    assert server.requests[0][2]["Accept-Encoding"] == "gzip"
