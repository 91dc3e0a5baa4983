"""What the plugin costs when nothing is flaky: ``python tests/overhead.py`` prints milliseconds a run and a test.

It runs one test and 10,000 trivial tests: without the plugin, with it, and with it but measuring no resources. Each
several times, in turns, and the fastest of each counts. The plugin fetches 200 policies from a server on this machine
and uploads all results to it. Then it imports the plugin alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from conftest import REPORTED, Server

TESTS = 10_000
ROUNDS = 5
MANY = "import pytest\n@pytest.mark.parametrize('n', range({}))\ndef test_a(n): pass\n"
OURS = ("-p", "pytest_casebook.plugin")
WAYS = {
    "bare pytest": (),
    "the plugin, nothing measured": (*OURS, "-o", "casebook_resources=none"),
    "the plugin, times": (*OURS, "-o", "casebook_resources=time"),
    "the plugin, times and memory": OURS,
}


def seconds(folder: Path, file: str, *arguments: str, environment: dict[str, str]) -> float:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file, *arguments]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def import_seconds(environment: dict[str, str]) -> float:
    """What importing the plugin takes where pytest is imported."""
    program = (
        "import time, pytest; t = time.perf_counter(); import pytest_casebook.plugin; print(time.perf_counter() - t)"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    server = Server()
    for number in range(200):
        server.list(f"test_{number}", max_runs=5)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(REPORTED)}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environment.update(CASEBOOK_URL=server.url, CASEBOOK_TOKEN="t", CASEBOOK_UPLOAD="always", CASEBOOK_REPO="o/r")
    fastest: dict[tuple[str, int], float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (1, TESTS):
            (folder / f"test_{count}.py").write_text(MANY.format(count))
        for _ in range(ROUNDS):
            for way, arguments in WAYS.items():
                for count in (1, 1, 1, 1, TESTS):
                    taken = seconds(folder, f"test_{count}.py", *arguments, environment=environment)
                    fastest[way, count] = min(taken, fastest.get((way, count), taken))
    server.http.shutdown()
    imported = min(import_seconds(environment) for _ in range(3 * ROUNDS))
    sys.stdout.write(f"importing the plugin: {imported * 1000:.1f} ms\n")
    bare = fastest["bare pytest", 1], fastest["bare pytest", TESTS]
    for way in WAYS:
        one, many = fastest[way, 1], fastest[way, TESTS]
        each = (many - bare[1] - (one - bare[0])) / (TESTS - 1)
        sys.stdout.write(
            f"{way}: one test {one:.2f} s, {TESTS} tests {many:.2f} s;"
            f" {(one - bare[0]) * 1000:.0f} ms a run and {each * 1000:.3f} ms a test more\n"
        )


main()
