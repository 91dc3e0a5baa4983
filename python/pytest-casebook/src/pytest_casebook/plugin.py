"""The plugin's entry point: registers the options, and for a real run the parts that do the work."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pytest_casebook import ci, foreign, options, settings
from pytest_casebook.limits import Limits
from pytest_casebook.plan import Planner
from pytest_casebook.policy import PolicyDocument, parse
from pytest_casebook.settings import Settings

_MARKERS = (
    "casebook(max_runs=2, min_passes=1, only=None, except_=None, delay=0, pin=False): "
    "rerun this test when it fails (pytest-casebook)",
    "casebook_tag(key, value): a tag for this test's results (pytest-casebook)",
)
# Known to the suites of the plugins that this one replaces; without them --strict-markers would refuse the suite.
_FOREIGN_MARKERS = {
    "aviator": "aviator: registered by pytest-aviator, without effect",
    "flaky": "flaky(reruns=1, max_runs=2, min_passes=1): rerun this test when it fails (pytest-casebook)",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    for line in _MARKERS:
        config.addinivalue_line("markers", line)
    for name in foreign.unregistered_markers(config):
        config.addinivalue_line("markers", _FOREIGN_MARKERS[name])
    if hasattr(config, "workerinput"):
        _configure_worker(config)
    else:
        _configure_main(config)


def _configure_worker(config: pytest.Config) -> None:
    """A worker knows only what the controller told it. It never sees the token, not even by its environment."""
    if os.environ.get("CASEBOOK_HIDE_TOKEN") == "1":
        for name in ("CASEBOOK_TOKEN", "AVIATOR_API_TOKEN"):
            os.environ.pop(name, None)
    text = config.workerinput.get("casebook")  # type: ignore[attr-defined]
    if not text:
        return
    from pytest_casebook.runner import Runner

    told = json.loads(text)
    document = parse(told["policy"])
    if told["known"] is not None:
        document.known = frozenset(told["known"])
    planner = Planner(
        values=told["values"],
        document=document,
        foreign=foreign.find(config),
        fixes=frozenset(told["fixes"]),
        prefix=told["prefix"],
        idle=told["idle"],
    )
    workers = int(config.workerinput.get("workercount", 1))  # type: ignore[attr-defined]
    limits = Limits.divided(told["limits"], max(1, workers))
    runner = Runner(config, planner, limits, lambda error: None)
    config.pluginmanager.register(runner, "casebook-runner")


def _configure_main(config: pytest.Config) -> None:
    found = settings.read(config)
    if found["casebook"] is False or _only_informs(config) or getattr(config.option, "looponfail", False):
        return
    config.pluginmanager.register(Starter(config, found), "casebook-starter")


def _only_informs(config: pytest.Config) -> bool:
    """Whether pytest was asked to show something rather than to run tests."""
    wanted = ("version", "help", "markers", "showfixtures", "show_fixtures_per_test", "collectonly", "cacheshow")
    return any(getattr(config.option, name, False) for name in wanted)


class Starter:
    """Waits until the session really starts, then gets the policy and registers the rest."""

    def __init__(self, config: pytest.Config, found: Settings) -> None:
        self._config = config
        self._settings = found
        self._problems: list[str] = []
        self._debug: list[str] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        try:
            self._start()
        except pytest.UsageError:
            raise
        except Exception as error:
            self._trouble(error)

    def _trouble(self, error: BaseException) -> None:
        if not self._problems:
            self._problems.append(self._settings.redactor.message(f"{type(error).__name__}: {error}"))

    def _start(self) -> None:
        from pytest_casebook.recorder import Recorder
        from pytest_casebook.runner import Runner
        from pytest_casebook.source import Source
        from pytest_casebook.terminal import Terminal

        config, found = self._config, self._settings
        planner = Planner(_shared_values(found), PolicyDocument(), foreign.find(config), frozenset(), found.prefix)
        recorder = Recorder(config, found, planner, self._trouble)
        terminal = Terminal(recorder, self._debug, self._problems)
        planner.idle = bool(config.getoption("usepdb", False) or config.getoption("trace", False))
        if planner.idle:
            terminal.idle = "reruns are off, a debugger is asked for"
        config.pluginmanager.register(terminal, "casebook-terminal")
        try:
            if found.configured:
                self._connect(recorder)
            elif found["policy"]:
                from pytest_casebook.source import from_file

                recorder.source = from_file(found["policy"])
        except pytest.UsageError:
            raise
        except Exception as error:
            self._trouble(error)
            recorder.source = Source(how="running without policies")
        if found["require_server"] and not recorder.source.fetched:
            reason = recorder.source.problem or recorder.source.how or "it is not configured"
            raise pytest.UsageError(f"--casebook-require-server: the policy could not be fetched: {reason}")
        if recorder.uploader is None:
            planner.values["resources"] = "none"
        planner.document = recorder.source.document
        planner.fixes = _fixes(found, config)
        if found["save_policy"]:
            _save_policy(found["save_policy"], recorder.source.document)
        config.pluginmanager.register(recorder, "casebook-recorder")
        if not _is_controller(config):
            recorder.limits = Limits.divided(found.limits(recorder.source.document.limits), 1)
            runner = Runner(config, planner, recorder.limits, self._trouble)
            config.pluginmanager.register(runner, "casebook-runner")

    def _connect(self, recorder: Any) -> None:
        from pytest_casebook import source, store
        from pytest_casebook.transport import Transport
        from pytest_casebook.upload import Uploader

        found = self._settings
        say = self._debug.append if found["debug"] else None
        transport = Transport(found.url, found.token, found.redactor, found["insecure"], say)
        kept = store.Store(store.folder(self._config))
        recorder.source = source.load(found, transport, kept)
        if found.uploads and not recorder.source.rejected:
            recorder.uploader = Uploader(found, transport, kept, recorder.source.gzip)
            seed = getattr(self._config.option, "randomly_seed", None)
            recorder.uploader.seed = "" if seed is None else str(seed)


def _shared_values(found: Settings) -> dict[str, Any]:
    """The settings by which plans are made, in a form that can be sent to workers."""
    names = (
        "rerun", "max_runs", "min_passes", "delay", "delay_factor", "only", "except", "reset", "run_out", "quarantine",
        "new_tests", "foreign_markers", "take_over", "dry_run", "resources",
    )  # fmt: skip
    values = {name: found[name] for name in names}
    explicit = {
        f"explicit_{short}": found[name] if name in found.by_option else None
        for short, name in (("runs", "max_runs"), ("passes", "min_passes"))
    }
    return {**values, **explicit, "host": found.host}


def _fixes(found: Settings, config: pytest.Config) -> frozenset[str]:
    """Tests that this commit claims to fix: by option, by variable, or by a trailer of its message."""
    named = list(found["attempt_to_fix"])
    message = found.ci.message
    if not message and found.configured and found.root is not None:
        message = ci.last_message(found.root)
    return frozenset(named + ci.fixes(message))


def _is_controller(config: pytest.Config) -> bool:
    """Whether xdist's workers run the tests."""
    return str(getattr(config.option, "dist", "no")) != "no" and bool(getattr(config.option, "tx", None))


def _save_policy(name: str, document: PolicyDocument) -> None:
    try:
        Path(name).write_text(json.dumps(document.raw, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise pytest.UsageError(f"--casebook-save-policy: {name} cannot be written: {error.strerror}") from None
