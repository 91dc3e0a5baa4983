"""Where this run's policy comes from: a file, the server, the cache, or nowhere; never an exception."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from pytest_casebook import policy as policies
from pytest_casebook.policy import PolicyDocument, PolicyError
from pytest_casebook.settings import Settings
from pytest_casebook.store import DAY, Store, scope
from pytest_casebook.transport import READ_SECONDS, Answer, RefusedError, Transport, TransportError

PATH = "/api/casebook/v1/policy"
AVIATOR_PATH = "/api/v1/flaky-tests"
TRIES = 3
TOTAL_SECONDS = 6.0
QUARANTINE_HOURS = 24


@dataclass
class Source:
    """The policy of this run, and how it was got."""

    document: PolicyDocument = field(default_factory=PolicyDocument)
    how: str = ""
    problem: str = ""
    rejected: bool = False
    fetched: bool = False
    gzip: bool = False


class _Rejected(Exception):
    """The token is not accepted."""


class _Missing(Exception):
    """The server does not know the path."""


def load(settings: Settings, transport: Transport | None, store: Store) -> Source:
    """Finds the policy. Raises ``pytest.UsageError`` for a policy file that cannot be read."""
    if settings["policy"]:
        return from_file(settings["policy"])
    if transport is None:
        return Source(how="not configured")
    name = scope(settings.url, settings.ci.repo, settings.ci.check, settings["protocol"])
    cached = store.load_policy(name)
    if settings["offline"]:
        return _from_cache(cached, "--casebook-offline", settings)
    started = time.monotonic()
    try:
        source = _fetch(settings, transport, store, name, cached, started + TOTAL_SECONDS)
    except _Rejected:
        store.drop_policy()
        return Source(how="token rejected; running without policies", problem="token rejected", rejected=True)
    except (TransportError, PolicyError) as error:
        return _from_cache(cached, settings.redactor.message(error), settings)
    source.how = f"fetched in {(time.monotonic() - started) * 1000:.0f} ms"
    return source


def from_file(name: str) -> Source:
    """A policy from a file."""
    try:
        data = json.loads(Path(name).read_text(encoding="utf-8"))
        document = policies.parse(data) if "flaky_tests" not in data else policies.from_aviator(data)
    except OSError as error:
        raise pytest.UsageError(f"--casebook-policy: {name} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError) as error:
        raise pytest.UsageError(f"--casebook-policy: {name} is no policy: {error}") from None
    return Source(document, how=f"from {name}")


def describe(document: PolicyDocument) -> str:
    """``37 policies (2 quarantined)``."""
    count = len(document.entries)
    quarantined = sum(entry.mode == "quarantine" for entry in document.entries)
    text = f"{count} {'policy' if count == 1 else 'policies'}"
    return text + (f" ({quarantined} quarantined)" if quarantined else "")


def _from_cache(cached: dict[str, Any] | None, reason: str, settings: Settings) -> Source:
    age = time.time() - cached["fetched_at"] if cached else 0.0
    if cached and 0 <= age <= settings["cache_days"] * DAY:
        try:
            document = policies.parse(cached["policy"])
            if age > QUARANTINE_HOURS * 3600:
                document = document.without_quarantine()
        except PolicyError:
            pass
        else:
            return Source(document, how=f"offline, policy from {_age(age)} ago", problem=reason)
    return Source(how=f"offline: {reason}; running without policies", problem=reason)


def _age(seconds: float) -> str:
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 2 * DAY else f"{seconds / DAY:.0f} days"


def _fetch(
    settings: Settings, transport: Transport, store: Store, name: str, cached: dict[str, Any] | None, deadline: float
) -> Source:
    protocol = settings["protocol"]
    if protocol != "aviator":
        try:
            return _fetch_casebook(settings, transport, store, name, cached, deadline)
        except _Missing:
            if protocol == "casebook":
                raise TransportError("the server has no policies (404)") from None
    try:
        return _fetch_aviator(settings, transport, store, name, deadline)
    except _Missing:
        raise TransportError("the server has no policies (404)") from None


def _fetch_casebook(
    settings: Settings, transport: Transport, store: Store, name: str, cached: dict[str, Any] | None, deadline: float
) -> Source:
    ci = settings.ci
    query = {"repo": ci.repo, "check": ci.check, "branch": ci.branch, "commit": ci.commit}
    path = PATH + "?" + urlencode({key: value for key, value in query.items() if value})
    headers = {"Accept": "application/json"}
    if cached and cached.get("protocol") == "casebook" and cached.get("etag"):
        headers["If-None-Match"] = cached["etag"]
    answer = _ask(transport, path.rstrip("?"), headers, deadline)
    packs = "gzip" in answer.headers.get("accept-encoding", "")
    if answer.status == 304 and cached:
        document = policies.parse(cached["policy"])
        etag = cached["etag"]
    else:
        document = policies.parse(answer.json())
        etag = answer.headers.get("etag", "")
        if document.known_url:
            document = _with_known_tests(document, transport, deadline)
    store.save_policy(name, document.raw, etag, "casebook")
    upload = document.raw.get("upload")
    packs = packs or (isinstance(upload, dict) and upload.get("gzip") is True)
    return Source(document, fetched=True, gzip=packs)


def _with_known_tests(document: PolicyDocument, transport: Transport, deadline: float) -> PolicyDocument:
    """Fetches the list of known tests: one SHA-256 a line. Without it nothing is taken as new."""
    try:
        answer = _ask(transport, document.known_url, {"Accept": "text/plain"}, deadline)
        lines = answer.body.decode("ascii").split()
    except (TransportError, _Missing, _Rejected, UnicodeDecodeError):
        document.notes.append("the list of known tests could not be fetched, so no test counts as new")
        return document
    return policies.with_known(document, lines)


def _fetch_aviator(settings: Settings, transport: Transport, store: Store, name: str, deadline: float) -> Source:
    query = {"repo_name": settings.ci.repo, "job_name": settings.ci.check}
    path = AVIATOR_PATH + "?" + urlencode({key: value for key, value in query.items() if value})
    document = policies.from_aviator(_ask(transport, path.rstrip("?"), {"Accept": "application/json"}, deadline).json())
    store.save_policy(name, document.raw, "", "aviator")
    return Source(document, fetched=True)


def _ask(transport: Transport, path: str, headers: dict[str, str], deadline: float) -> Answer:
    """Up to three tries before the deadline. Repeated are only failures that may pass."""
    problem = "no answer"
    for attempt in range(TRIES):
        if attempt:
            pause = min(0.2 * 2**attempt * (0.5 + random.random()), max(0.0, deadline - time.monotonic()))
            time.sleep(pause)
        left = deadline - time.monotonic()
        if left <= 0.05:
            break
        try:
            answer = transport.get(path, headers, min(READ_SECONDS, left))
        except RefusedError:
            raise
        except TransportError as error:
            problem = str(error)
            continue
        if answer.status in (200, 304):
            return answer
        _refuse(answer.status)
        problem = f"the server answered {answer.status}"
    raise TransportError(problem)


def _refuse(status: int) -> None:
    """Raises what must not be tried again."""
    if status in (401, 403):
        raise _Rejected
    if status == 404:
        raise _Missing
    if status < 500 and status != 429:
        raise TransportError(f"the server answered {status}")
