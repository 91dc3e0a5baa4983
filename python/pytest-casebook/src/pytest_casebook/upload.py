"""Sends results: entries in the Buildkite JSON format, in batches, from a thread that never delays a test."""

from __future__ import annotations

import json
import platform
import random
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from pytest_casebook import __version__
from pytest_casebook.attempt import SKIPPED, Attempt, Record
from pytest_casebook.settings import Settings
from pytest_casebook.store import Store, scope
from pytest_casebook.transport import RefusedError, Transport, TransportError, packed

PATH = "/v1/uploads"
MOST_ENTRIES = 5000
MOST_TAGS = 10
MOST_BYTES = 8 * 1024 * 1024
TRIES = 4
REQUEST_SECONDS = 15.0


@dataclass
class Tally:
    """What became of the results."""

    sent: int = 0
    kept: int = 0
    lost: int = 0
    resent: int = 0
    problems: list[str] = field(default_factory=list)
    run_url: str = ""


class _Stop(Exception):
    """The token is not accepted: nothing more is sent."""


class Uploader:
    """Collects entries and sends them in the background."""

    def __init__(self, settings: Settings, transport: Transport, store: Store, gzip: bool) -> None:
        self.tally = Tally()
        self.run_id = str(uuid.uuid4())
        self.limits_hit: list[str] = []
        self.seed = ""
        self._settings = settings
        self._transport = transport
        self._store = store
        # Results of another suite must not be sent with this one's token.
        self._scope = scope(settings.url, settings.ci.repo, settings.ci.check)
        self._gzip = gzip
        self._started = time.time()
        self._batch = min(settings["batch"], MOST_ENTRIES)
        self._waiting: list[dict[str, Any]] = []
        self._queue: deque[dict[str, Any]] = deque()
        self._unsent: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._refused = settings["offline"]
        self._closing = False
        self._deadline = float("inf")

    @property
    def folder(self) -> str:
        """Where results are kept that could not be sent."""
        return str(self._store.folder)

    def add(self, record: Record, identity: Any) -> None:
        """Takes in the attempts of one test, and starts a request when a batch is full."""
        for entry in entries(record, identity, self._settings, self._started):
            self._waiting.append(entry)
            if len(self._waiting) >= self._batch:
                self._flush()

    def finish(self, seconds: float) -> Tally:
        """Sends the rest, waits at most ``seconds``, and keeps what could not be sent."""
        self._deadline = time.monotonic() + seconds
        if self._waiting:
            self._flush()
        if not self._refused and (self._unsent or self._store.spooled()):
            last = threading.Thread(target=self._send_rest, args=(self._thread,), name="casebook-upload", daemon=True)
            last.start()
            last.join(max(0.0, self._deadline - time.monotonic()))
        with self._lock:
            self._closing = True
            unsent, self._unsent = self._unsent, []
        for payload in unsent:
            self._keep(payload)
        return self.tally

    def _flush(self) -> None:
        payload = {"format": "json", "run_env": self._run_env(), "data": self._waiting}
        self._waiting = []
        with self._lock:
            self._unsent.append(payload)
            if self._refused or self._deadline < float("inf"):
                return
            self._queue.append(payload)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="casebook-upload", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        """Sends what waits, then ends: while a process has threads, tests that fork it are warned."""
        while True:
            with self._lock:
                if not self._queue:
                    self._thread = None
                    return
                payload = self._queue.popleft()
            self._send_own(payload)

    def _send_rest(self, earlier: threading.Thread | None) -> None:
        """At the end of the run: what is left, with what could not be sent before, then what earlier runs left."""
        if earlier is not None:
            earlier.join()
        with self._lock:
            left = list(self._unsent)
        # Where one is not accepted, the server is away.
        if all(self._send_own(payload, last=True) for payload in left) and not self._closing:
            self._send_spooled()

    def _send_own(self, payload: dict[str, Any], last: bool = False) -> bool:
        """Whether the server has decided on an upload. Who is not the last to try says nothing of it."""
        if self._refused or self._closing:
            return False
        try:
            done = self._send(payload)
        except _Stop:
            self._refused = True
            return False
        except Exception as error:  # a thread that dies would lose the rest
            if last:
                self._problem(self._settings.redactor.message(error))
            return False
        with self._lock:
            if not self._closing:
                self._unsent = [each for each in self._unsent if each is not payload]
        self.tally.sent += done
        return True

    def _send_spooled(self) -> None:
        """Earlier runs come after the current one, oldest first, while there is time."""
        self._store.trim()
        for path in self._store.spooled():
            payload = self._store.read_spooled(path)
            if payload is None or payload.pop("scope", self._scope) != self._scope:
                continue
            try:
                done = self._send(payload)
            except (_Stop, TransportError):
                return
            self._store.remove(path)
            self.tally.resent += done

    def _send(self, payload: dict[str, Any]) -> int:
        """Sends one upload, halved as often as it is too large. Returns how many results were taken."""
        # Halves of surrogate pairs, which texts of tests may hold, are no JSON.
        body = json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace")
        data = payload["data"]
        if len(body) > MOST_BYTES and len(data) > 1:
            return self._halves(payload)
        status, message = self._post(body)
        if status == 202 or 200 <= status < 300:
            return len(data)
        if status == 413 and len(data) > 1:
            return self._halves(payload)
        self.tally.lost += len(data)
        self._problem(f"{len(data)} results were refused ({status}): {message}")
        return 0

    def _halves(self, payload: dict[str, Any]) -> int:
        data = payload["data"]
        middle = len(data) // 2
        return sum(self._send({**payload, "data": half}) for half in (data[:middle], data[middle:]))

    def _post(self, body: bytes) -> tuple[int, str]:
        """Tries until the server decides. Raises :class:`TransportError` if it does not."""
        headers = {"Content-Type": "application/json"}
        if self._gzip:
            body, headers["Content-Encoding"] = packed(body), "gzip"
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(
                    min(0.25 * 2**attempt * (0.5 + random.random()), max(0.0, self._deadline - time.monotonic()))
                )
            if time.monotonic() >= self._deadline or self._closing:
                break
            try:
                answer = self._transport.post(PATH, body, headers, REQUEST_SECONDS)
            except RefusedError:
                raise
            except TransportError as error:
                problem = str(error)
                continue
            if answer.status in (401, 403):
                self._problem("the token may not upload")
                raise _Stop
            if answer.status != 429 and answer.status < 500:
                self._note_answer(answer)
                return answer.status, _message(answer.body, self._settings)
            problem = f"the server answered {answer.status}"
        raise TransportError(problem or "no time left")

    def _note_answer(self, answer: Any) -> None:
        try:
            address = answer.json().get("run_url")
        except (TransportError, AttributeError):
            return
        if isinstance(address, str):
            self.tally.run_url = address

    def _problem(self, text: str) -> None:
        if text and text not in self.tally.problems:
            self.tally.problems.append(text)

    def _keep(self, payload: dict[str, Any]) -> None:
        if self._store.spool({**payload, "scope": self._scope}):
            self.tally.kept += len(payload["data"])
        else:
            self.tally.lost += len(payload["data"])

    def _run_env(self) -> dict[str, Any]:
        ci = self._settings.ci
        started = datetime.fromtimestamp(self._started, timezone.utc)
        values = {
            "CI": ci.provider,
            "key": ci.key,
            "number": ci.number,
            "job_id": ci.job_id,
            "branch": ci.branch,
            "commit_sha": ci.commit,
            "message": ci.message,
            "url": ci.url,
            "repo": ci.repo,
            "check": ci.check,
            "collector": "pytest-casebook",
            "version": __version__,
            "test_runner": "pytest",
            "language_version": platform.python_version(),
            "started_at": started.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "run_id": self.run_id,
            "random_seed": self.seed,
            "limits_hit": ",".join(self.limits_hit),
        }
        return {name: value for name, value in values.items() if value}


def _message(body: bytes, settings: Settings) -> str:
    try:
        text = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        text = "no reason given"
    return settings.redactor.message(text)[:300]


def entries(record: Record, identity: Any, settings: Settings, run_started: float) -> list[dict[str, Any]]:
    """One entry for each attempt."""
    file, line = record.location
    attempts = record.attempts
    made = []
    for number, attempt in enumerate(attempts, 1):
        tags = _tags(record, number, attempt)
        start = max(0.0, attempt.start - run_started)
        entry: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "scope": identity.class_name,
            "name": identity.name,
            "identifier": identity.node_id,
            "location": f"{file}:{line}" if line is not None else file,
            "file_name": file,
            "result": attempt.outcome,
            "history": {
                "section": "top",
                "start_at": round(start, 6),
                "end_at": round(start + attempt.duration, 6),
                "duration": round(attempt.duration, 6),
            },
            "tags": tags,
        }
        if attempt.resources:
            entry["resources"] = attempt.resources
        if settings["spans"]:
            entry["history"]["children"] = _spans(attempt, start)
        if settings.texts and (attempt.outcome != SKIPPED or attempt.reason):
            _add_texts(entry, attempt, settings)
        made.append(entry)
    return made


def _tags(record: Record, number: int, attempt: Attempt) -> dict[str, str]:
    """Ours, then as many of the user's as the format allows."""
    tags = {
        "casebook.attempt": str(number),
        "casebook.attempts": str(len(record.attempts)),
        "casebook.verdict": record.verdict,
        "casebook.mode": record.mode,
    }
    if record.mode != "none":
        tags["casebook.max_runs"] = str(record.max_runs)
        tags["casebook.min_passes"] = str(record.min_passes)
    if attempt.phase:
        tags["casebook.phase"] = attempt.phase
    if record.worker:
        tags["casebook.worker"] = record.worker
    own = [(name, value) for name, value in record.tags.items() if name not in tags]
    return {**dict(own[: MOST_TAGS - len(tags)]), **tags}


def _add_texts(entry: dict[str, Any], attempt: Attempt, settings: Settings) -> None:
    clean = settings.redactor.failure
    if attempt.reason:
        entry["failure_reason"] = clean(attempt.reason)[:2000]
    if attempt.text or attempt.expanded:
        entry["failure_expanded"] = [
            {
                "expanded": clean("\n".join([*attempt.expanded, "", attempt.text])).splitlines(),
                "backtrace": clean("\n".join(attempt.backtrace)).splitlines(),
            }
        ]
        if attempt.output:
            entry["failure_expanded"].append({"expanded": clean(attempt.output).splitlines(), "backtrace": []})


def _spans(attempt: Attempt, start: float) -> list[dict[str, Any]]:
    spans = []
    for name in ("setup", "call", "teardown"):
        if name in attempt.phases:
            duration = attempt.phases[name]
            spans.append(
                {
                    "section": "annotation",
                    "start_at": round(start, 6),
                    "end_at": round(start + duration, 6),
                    "duration": round(duration, 6),
                    "detail": {"content": name},
                }
            )
            start += duration
    return spans
