"""One attempt of a test, and the record of all attempts with their verdict.

Both travel from xdist's workers to its controller as attributes of a report, so they become plain dictionaries.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

PASSED = "passed"
FAILED = "failed"
SKIPPED = "skipped"
# Together at most 64 KiB for one attempt.
TEXT_LIMIT = 36 * 1024
MESSAGE_LIMIT = 8 * 1024
OUTPUT_LIMIT = 12 * 1024
FRAME_LIMIT = 40


@dataclass
class Attempt:
    """One run of setup, call and teardown. Times are seconds; ``start`` since the epoch."""

    outcome: str = PASSED
    phase: str = ""
    start: float = 0.0
    duration: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    expanded: list[str] = field(default_factory=list)
    backtrace: list[str] = field(default_factory=list)
    text: str = ""
    output: str = ""
    exception: str = ""
    message: str = ""
    traceback: str = ""
    resources: dict[str, float] = field(default_factory=dict)

    def observe(self, report: Any, foreign: bool = False) -> None:
        """Takes in the report of one phase; the first failure gives the texts.

        ``foreign``: another plugin reruns, and calls a superseded attempt's outcome "rerun".
        """
        when = report.when or "call"
        duration = float(getattr(report, "duration", 0.0) or 0.0)
        if not self.phases:
            self.start = float(getattr(report, "start", 0.0) or 0.0) or time.time() - duration
        self.phases[when] = self.phases.get(when, 0.0) + duration
        self.duration += duration
        failed = report.outcome == FAILED or (foreign and report.outcome == "rerun")
        if failed and self.outcome != FAILED:
            self.outcome = FAILED
            self.fail(report, when)
        elif report.outcome == SKIPPED and self.outcome == PASSED:
            self.outcome = SKIPPED
            self.reason = skip_reason(report)

    @property
    def unfinished(self) -> bool:
        """Whether it was interrupted before it failed, so that it has no outcome."""
        return self.outcome == PASSED and "teardown" not in self.phases

    def fail(self, report: Any, phase: str) -> None:
        """Keeps what ``report`` says about a failure in ``phase``."""
        self.phase = phase
        message = crash_message(report)
        self.text = cut(str(getattr(report, "longreprtext", "") or report.longrepr or ""), TEXT_LIMIT)
        self.reason = first_line(message)
        self.expanded = cut(message, MESSAGE_LIMIT).splitlines()
        self.backtrace = backtrace(report)
        sections = getattr(report, "sections", [])
        self.output = cut("\n".join(f"{title}\n{content}" for title, content in sections), OUTPUT_LIMIT)


@dataclass
class Record:
    """All attempts of one test in this run."""

    node_id: str
    mode: str = "none"
    source: str = ""
    verdict: str = ""
    max_runs: int = 1
    min_passes: int = 1
    attempts: list[Attempt] = field(default_factory=list)
    location: tuple[str, int | None] = ("", None)
    tags: dict[str, str] = field(default_factory=dict)
    worker: str = ""
    since: str = ""
    reason: str = ""
    details_url: str = ""
    stopped_by: str = ""

    @property
    def touched(self) -> bool:
        """Whether the plugin did something with this test."""
        return (
            len(self.attempts) > 1 or self.mode == "disabled" or self.verdict in ("quarantined", "fixed", "not_fixed")
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values, which survive the way from a worker."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Record:
        """The record that ``to_json`` wrote."""
        values = dict(data)
        values["attempts"] = [Attempt(**attempt) for attempt in values["attempts"]]
        values["location"] = tuple(values["location"])
        return cls(**values)


def judge(attempts: list[Attempt]) -> str:
    """The verdict over attempts that somebody else made: the last one decides, an earlier failure makes it flaky."""
    last = attempts[-1].outcome
    if last == PASSED and any(attempt.outcome == FAILED for attempt in attempts):
        return "flaky"
    return last


def say(error: BaseException) -> str:
    """An exception's text. One that cannot tell it, as tested programs have them, is no reason to stop."""
    try:
        return str(error)
    except Exception as reason:
        return f"<no text: {type(reason).__name__}>"


def cut(text: str, limit: int) -> str:
    """Keeps head and tail of a text that is too long, with a visible note."""
    if len(text.encode("utf-8", "surrogatepass")) <= limit:
        return text
    half = limit // 8
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"


def first_line(text: str) -> str:
    """The first line that says something."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def crash_message(report: Any) -> str:
    """``Type: message`` of the failure, or the last line of a text without structure."""
    crash = getattr(report.longrepr, "reprcrash", None)
    message = getattr(crash, "message", None)
    if message:
        return str(message)
    text = str(report.longrepr or "")
    marked = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    return marked[0] if marked else text


def backtrace(report: Any) -> list[str]:
    """``file:line: what`` of each frame, innermost last."""
    frames: list[str] = []
    chain = getattr(report.longrepr, "chain", None)
    tracebacks = [part[0] for part in chain] if chain else [getattr(report.longrepr, "reprtraceback", None)]
    for traceback in tracebacks:
        for entry in getattr(traceback, "reprentries", None) or []:
            place = getattr(entry, "reprfileloc", None)
            if place is not None:
                frames.append(f"{place.path}:{place.lineno}: {place.message}".rstrip(": "))
    return [frame[:200] for frame in frames[-FRAME_LIMIT:]]


def skip_reason(report: Any) -> str:
    """Why a test was skipped or expected to fail."""
    expected = getattr(report, "wasxfail", None)
    if expected is not None:
        return str(expected)
    if isinstance(report.longrepr, (tuple, list)) and len(report.longrepr) == 3:
        return str(report.longrepr[2]).partition("Skipped: ")[2] or str(report.longrepr[2])
    return ""
