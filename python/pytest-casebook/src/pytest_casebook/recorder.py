"""The part of the plugin that sees all reports: in the only process, or in xdist's controller."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import pytest

from pytest_casebook import goal, junit, limits, sections
from pytest_casebook.attempt import FAILED, PASSED, SKIPPED, Attempt, Record, judge
from pytest_casebook.identity import identify
from pytest_casebook.limits import Limits
from pytest_casebook.plan import Planner
from pytest_casebook.settings import Settings
from pytest_casebook.source import Source
from pytest_casebook.upload import Tally, Uploader

FLAKY_EXIT = 7
# How long the end of the run waits for a server that did not answer at its start either.
UNREACHED_SECONDS = 3.0


@dataclass
class Open:
    """A test that is not finished: what was seen of it so far."""

    attempts: list[Attempt] = field(default_factory=list)
    crashed: list[Attempt] = field(default_factory=list)
    current: Attempt | None = None
    record: Record | None = None
    location: tuple[str, int | None] = ("", None)
    worker: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    setups: int = 0
    goes_on: bool = False


@dataclass(eq=False)
class Recorder:
    """Keeps the records of the run, and at its end reports and uploads them."""

    config: pytest.Config
    settings: Settings
    planner: Planner
    trouble: Callable[[BaseException], None]
    source: Source = field(default_factory=Source)
    uploader: Uploader | None = None
    limits: Limits | None = None
    records: list[Record] = field(default_factory=list)
    opened: dict[str, Open] = field(default_factory=dict)
    verdicts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    reruns: int = 0
    rerun_seconds: float = 0.0
    blocked: Counter[str] = field(default_factory=Counter)
    renamed: set[str] = field(default_factory=set)
    tally: Tally | None = None
    off: bool = False
    finished: bool = False
    planned: list[str] = field(default_factory=list)
    # Tests change folders and variables.
    junit_file: str = ""
    summary_file: str = field(default_factory=lambda: os.environ.get("GITHUB_STEP_SUMMARY", ""))

    def __post_init__(self) -> None:
        path = getattr(self.config.option, "xmlpath", None)
        self.junit_file = os.path.abspath(os.path.expanduser(os.path.expandvars(path))) if path else ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        if self.off:
            return
        try:
            self._take(report)
        except Exception as error:
            self._give_up(error)

    def _take(self, report: Any) -> None:
        values = report.__dict__
        opened = self.opened.get(report.nodeid)
        if opened is None:
            opened = self.opened[report.nodeid] = Open()
        if not opened.location[0]:
            line = report.location[1]
            opened.location = (self.planner.prefix + report.location[0], None if line is None else line + 1)
            opened.worker = getattr(report, "worker_id", "") or ""
        opened.tags = values.pop("_casebook_tags", None) or opened.tags
        attempt = values.pop("_casebook_attempt", None)
        record = values.pop("_casebook", None)
        disabled = values.pop("_casebook_disabled", None)
        resources = values.pop("_casebook_resources", None)
        if attempt is not None:
            opened.attempts.append(Attempt(**attempt))
        elif record is not None:
            opened.record = Record.from_json(record)
            opened.record.attempts = opened.crashed + opened.record.attempts
            if opened.crashed and opened.record.verdict == PASSED:
                opened.record.verdict = "flaky"
            self._add_properties(report, opened.record)
        elif disabled is not None:
            opened.record = Record.from_json(disabled)
            self._add_properties(report, opened.record)
        elif not values.pop("_casebook_loop", False) and "_casebook_withheld" not in values:
            self._observe(opened, report, resources or {})
        values.pop("_casebook_loop", None)

    def _observe(self, opened: Open, report: Any, resources: dict[str, float]) -> None:
        """A report of a test that is none of our business. A repeated setup begins another attempt."""
        if report.when == "setup" and opened.current is not None and opened.setups:
            opened.attempts.append(opened.current)
            opened.current = None
        if opened.current is None:
            opened.current = Attempt()
        if report.when == "setup":
            opened.setups += 1
            opened.goes_on = False
        opened.goes_on = opened.goes_on or report.outcome in ("rerun", "retried")
        opened.current.observe(report, foreign=True)
        opened.current.resources = resources or opened.current.resources
        if report.when == "teardown" and self.settings["junit"] == "all":
            attempts = [*opened.attempts, opened.current]
            self._add_properties(report, Record(report.nodeid, verdict=judge(attempts), attempts=attempts))

    def _add_properties(self, report: Any, record: Record) -> None:
        if record.touched or self.settings["junit"] == "all":
            report.user_properties = [*report.user_properties, *junit.properties(record)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        opened = self.opened.get(nodeid)
        if opened is None or opened.goes_on or self.off:
            return
        del self.opened[nodeid]
        try:
            self._close(nodeid, opened)
        except Exception as error:
            self._give_up(error)

    def _close(self, node_id: str, opened: Open) -> None:
        record = opened.record
        if record is None:
            attempts = opened.crashed + opened.attempts + ([opened.current] if opened.current else [])
            if not attempts:
                return
            record = Record(node_id, attempts=attempts, verdict=judge(attempts))
        elif record.mode == "disabled":
            record.attempts = opened.attempts + ([opened.current] if opened.current else [Attempt(SKIPPED)])
            record.attempts[-1].reason = record.attempts[-1].reason or f"disabled: {record.reason}"
        record.location, record.worker, record.tags = opened.location, opened.worker, opened.tags
        self._count(record)
        identity = self.planner.identify(node_id)
        if "0x…" in identity.node_id:
            self.renamed.add(identity.node_id)
        record.node_id = self.planner.prefix + node_id
        if self.uploader is not None:
            self.uploader.add(record, identity)
        if record.source or len(record.attempts) > 1:
            self.records.append(record)

    def _count(self, record: Record) -> None:
        self.verdicts[record.verdict] += 1
        self.outcomes["disabled" if record.mode == "disabled" else "ran"] += 1
        if record.source:
            self.reruns += len(record.attempts) - 1
            self.rerun_seconds += sum(attempt.duration for attempt in record.attempts[1:])

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: Any, sched: Any) -> None:
        """A worker died with a test: that was an attempt, and may be followed by another."""
        if self.off:
            return
        try:
            self._crashed(crashitem, report, sched)
        except Exception as error:
            self._give_up(error)

    def _crashed(self, node_id: str, report: Any, sched: Any) -> None:
        plan = self.planner.plan_of_node(node_id)
        opened = self.opened.setdefault(node_id, Open())
        attempt = Attempt(FAILED, phase="crash", reason=str(report.longrepr), text=str(report.longrepr))
        opened.crashed = opened.crashed + opened.attempts + [attempt]
        opened.attempts, opened.current, opened.setups = [], None, 0
        report._casebook_loop = True
        opened.worker = getattr(getattr(getattr(report, "node", None), "gateway", None), "id", "") or opened.worker
        outcomes = [each.outcome for each in opened.crashed]
        decided = goal.reached(plan, outcomes, opened.crashed[0].duration, run_out=False)
        if not decided and _is_scheduled_again(sched, node_id):
            report.outcome = "rerun"
            report._casebook_rerun = True
            return
        record = Record(node_id, mode=plan.mode, source=plan.source, verdict="failed", attempts=[])
        record.max_runs, record.min_passes = plan.max_runs, plan.min_passes
        if plan.quarantines:
            record.verdict, report.outcome = "quarantined", SKIPPED
            report.wasxfail = f"quarantined: {attempt.reason}"
            report._casebook_status = "quarantined"
        record.attempts = opened.crashed
        opened.record = record

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        if getattr(report, "_casebook_withheld", False):
            return "", "", ""
        if getattr(report, "_casebook_status", "") == "quarantined":
            return "quarantined", "Q", ("QUARANTINED", {"blue": True})
        if getattr(report, "_casebook_rerun", False):
            return "rerun", "R", ("RERUN", {"yellow": True})
        return None

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """What a worker needs to know: no address and no token."""
        node.workerinput["casebook"] = json.dumps(
            {
                "values": self.planner.values,
                "policy": self.planner.document.raw,
                "known": None if self.planner.document.known is None else sorted(self.planner.document.known),
                "fixes": sorted(self.planner.fixes),
                "prefix": self.planner.prefix,
                "idle": self.planner.idle,
                "limits": self.settings.limits(self.source.document.limits),
            }
        )

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Adds up what the workers used of the limits."""
        try:
            told = json.loads(getattr(node, "workeroutput", {}).get("casebook", "{}"))
            self.blocked.update(told.get("blocked", {}))
            # In a dry run every worker knows the same.
            self.planned = told.get("planned", [])
            notes = self.source.document.notes
            notes += [note for note in told.get("notes", []) if note not in notes]
            if told.get("problem"):
                self.trouble(RuntimeError(told["problem"]))
        except (ValueError, AttributeError):
            return

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.finished:
            return
        self.finished = True
        try:
            self._finish(session, int(exitstatus))
        except Exception as error:
            self._give_up(error)

    def _finish(self, session: pytest.Session, exitstatus: int) -> None:
        for node_id, opened in list(self.opened.items()):
            if opened.current is not None and opened.current.unfinished:
                opened.current = None
            self._close(node_id, opened)
        self.opened.clear()
        if self.limits is not None:
            self.blocked.update(self.limits.blocked)
        if self.uploader is not None:
            self.uploader.limits_hit = sorted(name for name, count in self.blocked.items() if count)
            seconds = self.settings.upload_seconds
            if self.source.problem:
                seconds = min(seconds, UNREACHED_SECONDS)
            self.tally = self.uploader.finish(seconds)
        if self.junit_file and self.settings["junit_attempts"]:
            named = [(identify(record.node_id[len(self.planner.prefix) :]), record) for record in self.records]
            junit.add_attempts(self.junit_file, [(test.class_name, test.name, record) for test, record in named])
        self.write_summary_page()
        code = self._exit_status()
        # Another plugin may have changed the status since it was handed to this hook.
        if code != pytest.ExitCode.OK and exitstatus == session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = code

    def _exit_status(self) -> int | pytest.ExitCode:
        if self.settings["fail_on_flaky"] and self.verdicts["flaky"]:
            return FLAKY_EXIT
        if self.settings["fail_on_quarantined"] and self.verdicts["quarantined"]:
            return FLAKY_EXIT
        if self.outcomes["disabled"] and not self.outcomes["ran"]:
            return pytest.ExitCode.NO_TESTS_COLLECTED
        return pytest.ExitCode.OK

    def _give_up(self, error: BaseException) -> None:
        self.off = True
        self.trouble(error)

    def limit_lines(self) -> list[str]:
        """One line for each limit that was used up."""
        values = self.settings.limits(self.source.document.limits)
        return limits.lines(values, self.reruns, self.rerun_seconds, dict(self.blocked))

    def write_summary_page(self) -> None:
        """Adds a table to the summary page of a GitHub job."""
        name, page = self.summary_file, sections.summary_page(self.records)
        if not name or not page or self.settings["report"] == "none" or not os.access(name, os.W_OK):
            return
        try:
            with Path(name).open("a", encoding="utf-8", errors="replace") as file:
                file.write(page)
        except OSError:
            return

    @property
    def notes(self) -> list[str]:
        """Things to tell that belong to no single test."""
        found = list(self.source.document.notes)
        if self.renamed:
            found.append(f"{len(self.renamed)} test ids hold object addresses; they are uploaded as 0x…")
        if self.settings.hint:
            found.append(self.settings.hint)
        if self.source.problem and self.verdicts[FAILED] and not self.source.document.entries:
            found.append(f"{self.source.how}; a failure might be a known one")
        return found


def _is_scheduled_again(sched: Any, node_id: str) -> bool:
    """Asks xdist to run a test again whose worker crashed; those that keep scopes together do so by themselves."""
    try:
        sched.mark_test_pending(node_id)
    except NotImplementedError:
        work = [getattr(sched, "workqueue", {}), *getattr(sched, "assigned_work", {}).values()]
        return any(unit.get(node_id) is False for units in work for unit in units.values())
    return True
