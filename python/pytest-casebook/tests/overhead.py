"""What the plugin costs when nothing is flaky: ``python tests/overhead.py`` prints milliseconds a run and a test.

It runs one test and 5,000 tests, with and without the plugin, several times, and takes the fastest of each. The plugin
fetches 200 policies from a server on this machine and uploads all results to it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conftest import REPORTED, Server

TESTS = 5000
ROUNDS = 7
MANY = "import pytest\n@pytest.mark.parametrize('n', range({}))\ndef test_a(n): pass\n"


def seconds(folder: Path, file: str, *arguments: str, environment: dict[str, str]) -> float:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file, *arguments]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    server = Server()
    for number in range(200):
        server.list(f"test_{number}", max_runs=5)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(REPORTED)}
    plain["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    ours = {"CASEBOOK_URL": server.url, "CASEBOOK_TOKEN": "t", "CASEBOOK_UPLOAD": "always", "CASEBOOK_REPO": "o/r"}
    extra = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, count in (("test_one.py", 1), ("test_many.py", TESTS)):
            (folder / file).write_text(MANY.format(count))
            without, having = [], []
            for _ in range(ROUNDS):
                without.append(seconds(folder, file, environment=plain))
                having.append(seconds(folder, file, "-p", "pytest_casebook.plugin", environment={**plain, **ours}))
            extra[file] = min(having) - min(without)
    server.http.shutdown()
    each = (extra["test_many.py"] - extra["test_one.py"]) / (TESTS - 1)
    sys.stdout.write(f"{extra['test_one.py'] * 1000:.0f} ms a run, {each * 1000:.3f} ms a test\n")


main()
