"""Every option, ini key and environment variable, in one table, and how their values are read.

Precedence: command line, environment, ini file, server, built in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union

import pytest

from pytest_casebook.meter import WORDS


@dataclass(frozen=True)
class Key:
    """One setting: ``kind`` is bool, int, float, text, list, or the words it may be."""

    name: str
    kind: Any
    default: Any
    help: str
    ini: bool = True
    option: str = ""
    environment: str = ""
    off: str = ""
    minimum: float = 0

    @property
    def dest(self) -> str:
        """Where pytest keeps the option's value."""
        return "casebook_" + self.name


KEYS = (
    Key(
        "casebook",
        bool,
        None,
        "use the plugin; by default when server and token are known",
        option="--casebook",
        off="--no-casebook",
        environment="CASEBOOK_ENABLED",
    ),
    Key("url", "text", "", "origin of the Casebook server", option="--casebook-url", environment="CASEBOOK_URL"),
    Key("repo", "text", "", "repository, org/name", option="--casebook-repo", environment="CASEBOOK_REPO"),
    Key("check", "text", "", "name of the check", option="--casebook-check", environment="CASEBOOK_CHECK"),
    Key(
        "rerun",
        ("server", "all", "none"),
        "server",
        "which tests to rerun",
        option="--casebook-rerun",
        environment="CASEBOOK_RERUN",
    ),
    Key("max_runs", int, None, "maximum runs of every test", option="--casebook-runs", minimum=1),
    Key("min_passes", int, None, "passes that every test needs", option="--casebook-passes", minimum=1),
    Key("delay", float, 0.0, "seconds between attempts", option="--casebook-delay"),
    Key("delay_factor", float, 1.0, "growth of the delay"),
    Key(
        "only",
        "list",
        (),
        "rerun only failures of these exception classes, or matching these expressions",
        option="--casebook-only",
    ),
    Key(
        "except",
        "list",
        (),
        "never rerun failures of these exception classes, or matching these expressions",
        option="--casebook-except",
    ),
    Key("reset", ("function", "class", "module", "session"), "function", "least scope made anew for each attempt"),
    Key("run_out", bool, False, "make all runs, also when the goal is out of reach"),
    Key("max_reruns", int, None, "reruns in the whole run (200)", option="--casebook-max-reruns"),
    Key("max_seconds", float, None, "seconds spent in reruns in the whole run (600)", option="--casebook-max-seconds"),
    Key("max_test_seconds", float, None, "seconds spent in all attempts of one test (300)"),
    Key("guard_failures", int, None, "no reruns when more tests than this failed (20) ..."),
    Key("guard_share", float, None, "... and more than this share (0.3)"),
    Key(
        "quarantine",
        bool,
        True,
        "quarantined failures do not fail the build",
        off="--casebook-no-quarantine",
        environment="CASEBOOK_QUARANTINE",
    ),
    Key(
        "new_tests",
        ("server", "on", "off"),
        "server",
        "run tests that are new several times",
        option="--casebook-new-tests",
    ),
    Key(
        "attempt_to_fix",
        "list",
        (),
        "test that must pass 20 times",
        ini=False,
        option="--casebook-attempt-to-fix",
        environment="CASEBOOK_FIXES",
    ),
    Key("report", ("none", "short", "full", "flakybot"), "short", "report of flaky tests", option="--casebook-report"),
    Key("annotations", bool, True, "annotations in GitHub Actions"),
    Key("junit", ("touched", "all"), "touched", "which tests get properties in the JUnit file"),
    Key("junit_attempts", bool, False, "write flakyFailure and rerunFailure elements"),
    Key("fail_on_flaky", bool, False, "exit with 7 if a test was flaky", ini=False, option="--casebook-fail-on-flaky"),
    Key(
        "fail_on_quarantined",
        bool,
        False,
        "exit with 7 if a quarantined test failed",
        ini=False,
        option="--casebook-fail-on-quarantined",
    ),
    Key(
        "upload",
        ("always", "ci", "never", "outcomes"),
        "ci",
        "when to send results",
        off="--casebook-no-upload",
        environment="CASEBOOK_UPLOAD",
    ),
    Key("batch", int, 1000, "results in one request", minimum=1),
    Key("upload_seconds", float, None, "seconds to wait for uploads at the end (20; 60 in CI)"),
    Key("cache_days", float, 7.0, "days a policy may be used without the server"),
    Key(
        "offline",
        bool,
        False,
        "make no request",
        ini=False,
        option="--casebook-offline",
        environment="CASEBOOK_OFFLINE",
    ),
    Key(
        "require_server",
        bool,
        False,
        "exit with 4 if the policy cannot be fetched",
        ini=False,
        option="--casebook-require-server",
    ),
    Key(
        "policy",
        "text",
        "",
        "use this policy file",
        ini=False,
        option="--casebook-policy",
        environment="CASEBOOK_POLICY",
    ),
    Key("save_policy", "text", "", "write the policy to this file", ini=False, option="--casebook-save-policy"),
    Key(
        "dry_run", bool, False, "show the mode of each test, run nothing again", ini=False, option="--casebook-dry-run"
    ),
    Key("protocol", ("auto", "casebook", "aviator"), "auto", "how to ask the server for policies"),
    Key("take_over", bool, False, "rerun also what another plugin is configured to rerun"),
    Key("foreign_markers", bool, True, "honour the flaky marker of other plugins that are not installed"),
    Key("redact", "list", (), "regular expressions; what they match is not uploaded"),
    Key("root", "text", "", "root of the repository"),
    Key("insecure", bool, False, "allow http to public addresses"),
    Key("spans", bool, False, "upload setup, call and teardown as spans"),
    Key("resources", WORDS, "all", "what to measure of each attempt: time and memory, time, or nothing"),
    Key(
        "debug",
        bool,
        False,
        "print requests, decisions and timings",
        ini=False,
        option="--casebook-debug",
        environment="CASEBOOK_DEBUG",
    ),
)

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def ini_name(key: Key) -> str:
    """The ini key, or nothing."""
    if not key.ini:
        return ""
    return "casebook" if key.name == "casebook" else "casebook_" + key.name


def add_options(parser: pytest.Parser) -> None:
    """Registers all options and ini keys."""
    parser.addini("casebook_token", "refused: a token does not belong into a file that gets committed", default=None)
    group = parser.getgroup("casebook", "flaky tests by the policies of a Casebook server")
    for key in KEYS:
        if key.option and key.kind is bool:
            group.addoption(key.option, dest=key.dest, action="store_const", const="true", default=None, help=key.help)
        elif key.option and key.kind == "list":
            group.addoption(key.option, dest=key.dest, action="append", default=None, help=key.help)
        elif key.option:
            group.addoption(key.option, dest=key.dest, default=None, help=key.help)
        if key.off:
            const = "never" if key.name == "upload" else "false"
            group.addoption(
                key.off,
                dest=key.dest,
                action="store_const",
                const=const,
                default=None,
                help="the opposite: " + key.help,
            )
        if key.ini:
            _add_ini(parser, key)


def _add_ini(parser: pytest.Parser, key: Key) -> None:
    """Every value may be text; where pytest can read them from a pyproject.toml, also a number, true or false."""
    kind: Any = "linelist" if key.kind == "list" else "string"
    if key.kind in (bool, int, float):
        either: Any = Union[key.kind, str]
        try:
            parser.addini(ini_name(key), key.help, type=either, default=None)
        except (AssertionError, TypeError, ValueError):  # this pytest knows no such types
            pass
        else:
            return
    parser.addini(ini_name(key), key.help, type=kind, default=None)


def read_all(config: pytest.Config, environment: Mapping[str, str]) -> tuple[dict[str, Any], set[str]]:
    """The value of every key, and the names of those that came from the command line.

    Raises ``pytest.UsageError`` that names the key and where its value came from.
    """
    if config.getini("casebook_token"):
        raise pytest.UsageError("casebook_token: a token does not belong into an ini file; use CASEBOOK_TOKEN")
    values: dict[str, Any] = {}
    by_option: set[str] = set()
    for key in KEYS:
        raw, source = _find(key, config, environment)
        if raw is None:
            values[key.name] = key.default
        else:
            values[key.name] = _parse(key, raw, source)
            if source.startswith("--"):
                by_option.add(key.name)
    return values, by_option


def _find(key: Key, config: pytest.Config, environment: Mapping[str, str]) -> tuple[Any, str]:
    option = getattr(config.option, key.dest, None)
    if option is not None:
        return option, key.option or key.off
    if key.environment and environment.get(key.environment):
        return environment[key.environment], key.environment
    if key.ini:
        try:
            raw = config.getini(ini_name(key))
        except (TypeError, ValueError, pytest.UsageError):
            raise pytest.UsageError(f"{ini_name(key)}: must be {_wanted(key)}, written as text") from None
        if raw not in (None, "", []):
            return raw, ini_name(key)
    return None, ""


def _parse(key: Key, raw: Any, source: str) -> Any:
    if key.kind == "list":
        entries = re.split(r"[\n,]", raw) if isinstance(raw, str) else raw
        values = tuple(str(entry).strip() for entry in entries if str(entry).strip())
        if key.name in ("only", "except", "redact"):
            for value in values:
                _check_expression(value, source)
        return values
    text = str(raw).strip()
    if key.kind == "text":
        return text
    if key.kind is bool:
        return _parse_bool(text, source)
    if isinstance(key.kind, tuple):
        if text.lower() not in key.kind:
            raise pytest.UsageError(f"{source}: must be one of {', '.join(key.kind)}, not {text!r}")
        return text.lower()
    try:
        number = key.kind(text)
    except ValueError:
        number = -1
    if not key.minimum <= number < float("inf"):
        raise pytest.UsageError(f"{source}: must be {_wanted(key)}, not {text!r}")
    return number


def _wanted(key: Key) -> str:
    """What values a setting takes."""
    if key.kind in (int, float):
        return f"{'a whole number' if key.kind is int else 'a number'} of at least {key.minimum:g}"
    return {bool: "true or false", "list": "a list"}.get(key.kind, "a word")


def _parse_bool(text: str, source: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise pytest.UsageError(f"{source}: must be true or false, not {text!r}")


def _check_expression(value: str, source: str) -> None:
    try:
        re.compile(value)
    except re.error as error:
        raise pytest.UsageError(f"{source}: {value!r} is no regular expression: {error}") from None
