"""A scripted server, tests that pass and fail by a script, and an environment without CI."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from others import OTHERS

TOKEN = "cb_secret_7f3a9d"
REPORTED = (
    "CI",
    "GITHUB_",
    "GITLAB_",
    "CIRCLE",
    "BUILDKITE",
    "JENKINS_",
    "CASEBOOK_",
    "AVIATOR_",
    "TF_BUILD",
    "PYTEST_",
)

# Each test counts its attempts in a file, so that counting survives xdist, forks and crashes.
SCRIPT = '''
import os, pathlib, pytest

def script(name, outcomes):
    """Passes (p), fails (f) or skips (s) by the letter for this attempt."""
    file = pathlib.Path(__file__).parent / f"{name}.count"
    with file.open("a") as stream:
        stream.write("x")
    letter = outcomes[min(len(file.read_text()), len(outcomes)) - 1]
    if letter == "s":
        pytest.skip("by script")
    if letter == "x":
        pytest.xfail("by script")
    if letter == "v":
        raise ValueError("by script")
    assert letter == "p", f"{name} failed by script"
'''


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    keep = {"CASEBOOK_BINARY"}
    for name in list(os.environ):
        if name.startswith(REPORTED) and name not in keep:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")


class Server:
    """Answers policies as its fields say, and keeps every request."""

    def __init__(self) -> None:
        self.policy = {"version": 1, "tests": []}
        self.requests = []
        self.uploads = []
        self.etag = '"one"'
        self.policy_answer = None
        self.post_answer = None
        self.upload_statuses = []
        self.aviator = None
        self.files = {}
        self.accepts_gzip = False
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                owner.requests.append(("GET", self.path, dict(self.headers)))
                path = self.path.partition("?")[0]
                if path == "/api/casebook/v1/policy":
                    owner.answer_policy(self)
                elif path == "/api/v1/flaky-tests" and owner.aviator is not None:
                    owner.send(self, 200, json.dumps(owner.aviator).encode())
                elif path in owner.files:
                    owner.send(self, 200, owner.files[path], {"Content-Type": "text/plain"})
                else:
                    owner.send(self, 404, b'{"error": "no such path"}')

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if owner.post_answer is not None:
                    owner.post_answer(self)
                owner.requests.append(("POST", self.path, dict(self.headers)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status = owner.upload_statuses.pop(0) if owner.upload_statuses else 202
                if status == 202:
                    owner.uploads.append(json.loads(body))
                owner.send(self, status, b'{"message": "scripted", "run_url": "http://x/runs/1"}')

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer_policy(self, handler):
        if self.policy_answer is not None:
            self.policy_answer(handler)
        elif handler.headers.get("If-None-Match") == self.etag:
            handler.send_response(304)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            headers = {"ETag": self.etag}
            if self.accepts_gzip:
                headers["Accept-Encoding"] = "gzip"
            self.send(handler, 200, json.dumps(self.policy).encode(), headers)

    def send(self, handler, status, body, headers=None):
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def list(self, name, mode="rerun", class_name="test_case", **more):
        """Adds a policy."""
        self.policy["tests"].append({"class_name": class_name, "name": name, "mode": mode, **more})

    @property
    def entries(self):
        return [entry for upload in self.uploads for entry in upload["data"]]

    def results(self, name):
        """The uploaded outcomes of one test, in order of its attempts."""
        found = [entry for entry in self.entries if entry["name"] == name]
        return [entry["result"] for entry in sorted(found, key=lambda each: int(each["tags"]["casebook.attempt"]))]


@pytest.fixture
def server(monkeypatch):
    found = Server()
    monkeypatch.setenv("CASEBOOK_URL", found.url)
    monkeypatch.setenv("CASEBOOK_TOKEN", TOKEN)
    monkeypatch.setenv("CASEBOOK_REPO", "org/repo")
    monkeypatch.setenv("CASEBOOK_CHECK", "unit")
    monkeypatch.setenv("CASEBOOK_UPLOAD", "always")
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture
def casefile(pytester):
    """Writes a test file that may call ``script(name, outcomes)``."""

    def write(source, name="test_case"):
        pytester.makepyfile(**{name: SCRIPT + "\n" + source})

    return write


@pytest.fixture
def policy_file(pytester):
    """Writes a policy file with these entries and returns the option that uses it."""

    def write(*tests, **more):
        path = pytester.path / "policy.json"
        path.write_text(json.dumps({"version": 1, "tests": list(tests), **more}))
        return f"--casebook-policy={path}"

    return write


@pytest.fixture
def run(pytester):
    """Runs pytest in a process of its own, without other plugins unless they are asked for."""

    def start(*arguments, xdist=False, plugins=()):
        command = [sys.executable, "-m", "pytest", "-p", "pytest_casebook.plugin", *arguments]
        wanted = [*plugins, *(["xdist.plugin", "xdist.looponfail"] if xdist else [])]
        for plugin in wanted:
            command += ["-p", plugin]
        if xdist:
            command += ["-n", "2"]
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        try:
            return pytester.run(*command, timeout=60)
        finally:
            del os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]

    return start


@pytest.fixture(params=[False, True], ids=["alone", "xdist"])
def xdist(request):
    """Every test that takes this runs in one process and with two workers."""
    if request.param:
        pytest.importorskip("xdist")
    return request.param


@pytest.fixture
def attempts(pytester):
    """How many attempts a scripted test made."""

    def count(name):
        file = pytester.path / f"{name}.count"
        return len(file.read_text()) if file.exists() else 0

    return count


@pytest.fixture
def other(pytester, monkeypatch):
    """Runs pytest with another plugin in place of ours; scripts begin anew."""

    def start(name, *arguments):
        for count in pytester.path.glob("*.count"):
            count.unlink()
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        module, *options = OTHERS[name]
        return pytester.run(sys.executable, "-m", "pytest", "-p", module, *options, *arguments, timeout=60)

    return start


@pytest.fixture
def aviator(server, other, monkeypatch):
    """Runs pytest-aviator with these tests listed; its names are import names."""

    def start(*tests, arguments=("--junitxml=o.xml",)):
        server.aviator = {"flaky_tests": list(tests)}
        monkeypatch.setenv("AVIATOR_API_URL", server.url + "/api/v1/flaky-tests")
        monkeypatch.setenv("AVIATOR_API_TOKEN", os.environ["CASEBOOK_TOKEN"])
        return other("aviator", *arguments)

    return start


def executable(name: str) -> str | None:
    """The path of a program next to this Python."""
    path = Path(sys.executable).with_name(name)
    return str(path) if path.exists() else None


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs this Python."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False)
