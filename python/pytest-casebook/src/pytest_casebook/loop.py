"""The rerun loop, and everything that touches pytest's internals."""

from __future__ import annotations

import copy
import time
import warnings
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any, Callable

import pytest
from _pytest.runner import runtestprotocol

from pytest_casebook import filters, goal
from pytest_casebook.attempt import FAILED, OUTPUT_LIMIT, PASSED, SKIPPED, Attempt, Record, cut, first_line, say
from pytest_casebook.limits import Limits
from pytest_casebook.plan import Plan

RERUN = "rerun"


@dataclass
class Made:
    """One attempt as it was made: its reports and exceptions."""

    reports: list[Any] = field(default_factory=list)
    subtests: list[Any] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    warnings: list[Any] = field(default_factory=list)
    seconds: float = 0.0
    attempt: Attempt = field(default_factory=Attempt)

    @property
    def final(self) -> bool:
        """Whether it was skipped, ended as xfail or xpass, or wanted to leave: such a result is never repeated."""
        if any(isinstance(error, SystemExit) for error in self.errors):
            return True
        for report in self.reports:
            if hasattr(report, "wasxfail") or report.outcome == SKIPPED or _is_strict_xpass(report):
                return True
        return False

    @property
    def outcome(self) -> str:
        """As far as it is known now, also while the attempt is still under way."""
        reports = self.reports + self.subtests
        if any(report.outcome == FAILED for report in reports):
            return FAILED
        if any(report.outcome == SKIPPED for report in self.reports):
            return SKIPPED
        return PASSED

    def complete(self) -> None:
        """Takes in the reports of all phases."""
        for report in self.reports:
            self.attempt.resources = report.__dict__.pop("_casebook_resources", None) or self.attempt.resources
            self.attempt.observe(report)
        failed = next((report for report in self.subtests if report.outcome == FAILED), None)
        if failed is not None and self.attempt.outcome != FAILED:
            self.attempt.outcome = FAILED
            self.attempt.fail(failed, "subtest")
        if self.errors:
            error = self.errors[0]
            self.attempt.exception, self.attempt.message = str(type(error)), say(error)
        if self.attempt.outcome == FAILED and self.warnings:
            told = [
                f"{each.filename}:{each.lineno}: {each.category.__name__}: {say(each.message)}"
                for each in self.warnings
            ]
            self.attempt.output = cut("\n".join(["Warnings", *told, self.attempt.output]), OUTPUT_LIMIT)


class Loop:
    """Makes the attempts of one test after another."""

    def __init__(self, limits: Limits, run_out: bool, trouble: Callable[[BaseException], None]) -> None:
        self.current: Made | None = None
        self.failed_fixtures: list[Any] = []
        self._limits = limits
        self._run_out = run_out
        self._trouble = trouble

    def run(self, item: pytest.Item, nextitem: pytest.Item | None, plan: Plan) -> None:
        """Runs one test to its verdict and reports it."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        made: list[Made] = []
        try:
            decided, stopped_by = self._repeat(item, plan, made)
        except BaseException:  # somebody leaves: what is known of this attempt is told, as pytest does
            for report in made[-1].reports if made else ():
                item.ihook.pytest_runtest_logreport(report=report)
            raise
        closing = _close_scopes(item, nextitem)
        try:
            reports = _shown(plan, made, decided, stopped_by, item, closing)
        except Exception as error:
            self._trouble(error)
            reports = made[-1].reports
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _repeat(self, item: pytest.Item, plan: Plan, made: list[Made]) -> tuple[str, str]:
        """Makes the attempts. Returns the outcome, and what stopped them before it was reached."""
        before = _ItemState(item)
        delay = plan.delay
        while True:
            if made:
                before.restore()
                _restart_timer(item)
            made.append(Made())
            self._attempt(item, plan, made)
            try:
                self._count(plan, made)
                decided, stopped_by = self._decide(item, plan, made)
                if decided:
                    return decided, stopped_by
                item.ihook.pytest_runtest_logreport(report=_superseded(made[-1]))
            except Exception as error:
                self._trouble(error)
                return made[-1].outcome, ""
            if delay:
                time.sleep(delay)
                delay *= plan.delay_factor

    def _attempt(self, item: pytest.Item, plan: Plan, made: list[Made]) -> None:
        last = self.current = made[-1]
        started = time.perf_counter()

        def goes_on() -> bool:
            return not last.final and not self._reached(plan, made)

        try:
            with _collected_warnings(item, last):
                last.reports = _execute(
                    item, _StandIn(item, plan.reset, goes_on, self.failed_fixtures, last.errors, self._trouble)
                )
        finally:
            self.current = None
        last.seconds = time.perf_counter() - started

    def _count(self, plan: Plan, made: list[Made]) -> None:
        last = made[-1]
        last.complete()
        if len(made) > 1:
            self._limits.count_rerun(last.seconds, plan.mode == "new")
        else:
            self._limits.count_first(last.outcome == FAILED, last.seconds)

    def _reached(self, plan: Plan, made: list[Made]) -> str:
        return goal.reached(plan, [each.outcome for each in made], made[0].attempt.duration, self._run_out)

    def _decide(self, item: pytest.Item, plan: Plan, made: list[Made]) -> tuple[str, str]:
        last = made[-1]
        if last.final:
            return last.outcome, ""
        decided = self._reached(plan, made)
        if decided:
            return decided, ""
        outcomes = [each.outcome for each in made]
        if item.session.shouldstop or item.session.shouldfail:
            return goal.when_stopped(outcomes), "session"
        if last.outcome == FAILED:
            messages = [] if last.errors else [_message(last.attempt)]
            if not filters.allows(plan.only, plan.except_, last.errors, messages):
                return FAILED, "filter"
        limit = self._limits.forbid(sum(each.seconds for each in made), plan.mode == "new")
        if limit:
            self._limits.blocked[limit] += 1
            return goal.when_stopped(outcomes), limit
        return "", ""


def _collected_warnings(item: pytest.Item, made: Made) -> Any:
    """Keeps an attempt's warnings from pytest's own record until it is known whether the attempt is shown."""
    stack = ExitStack()
    if item.config.pluginmanager.hasplugin("warnings"):
        found = stack.enter_context(warnings.catch_warnings(record=True))
        made.warnings = [] if found is None else found
    return stack


def _tell_warnings(made: Made) -> None:
    for each in made.warnings:
        warnings.showwarning(each.message, each.category, each.filename, each.lineno, each.file, each.line)


def frames(item: Any, excinfo: Any) -> str:
    """The traceback as pytest-aviator writes it.

    That plugin runs with pytest before 8.1, and prints the traceback as it finds it there. Newer versions of pytest no
    longer shorten it in place, so it is done here.
    """
    shorten = getattr(item, "_traceback_filter", None)
    entries = excinfo.traceback
    if shorten is not None and pytest.version_tuple >= (8, 1):
        entries = shorten(excinfo)
    return str(list(entries))


def _message(attempt: Attempt) -> str:
    return "\n".join(attempt.expanded) or attempt.reason


def _is_strict_xpass(report: Any) -> bool:
    return report.outcome == FAILED and str(report.longrepr or "").startswith("[XPASS(strict)]")


def is_subtest(report: Any) -> bool:
    """Whether a report is that of a subtest, of pytest 9 or of the plugin before it."""
    return type(report).__name__.lower() == "subtestreport"


def withhold(report: Any, made: Made) -> None:
    """Keeps a subtest's report back until it is known whether its attempt counts."""
    made.subtests.append(copy.copy(report))
    report.outcome = RERUN
    report.duration = 0.0
    report._casebook_withheld = True


def _superseded(made: Made) -> Any:
    """The one report of an attempt that will be followed by another.

    Its duration is zero, because durations of one test are added up where they are shown.
    """
    chosen = next((report for report in made.reports if report.when == "call"), made.reports[0])
    report = copy.copy(chosen)
    if report.outcome != FAILED:
        failed = next((each for each in made.reports + made.subtests if each.outcome == FAILED), None)
        report.longrepr = failed.longrepr if failed is not None else None
    report.outcome = RERUN
    report.duration = 0.0
    report._casebook_rerun = True
    report._casebook_attempt = asdict(made.attempt)
    return report


def _shown(plan: Plan, made: list[Made], decided: str, stopped_by: str, item: pytest.Item, closing: Any) -> list[Any]:
    """The reports of the attempt that pytest gets to see, the last of them with the record of all."""
    attempts = [each.attempt for each in made]
    verdict = goal.verdict(plan, [each.outcome for each in attempts], decided)
    shown = next((each for each in reversed(made) if each.outcome == decided), made[-1])
    calls = [report for report in shown.reports if report.when != "teardown"]
    last = [report for report in shown.reports if report.when == "teardown"]
    _tell_warnings(shown)
    if verdict == "quarantined":
        _quarantine(shown, calls, last)
    reports = calls[:1] + shown.subtests + calls[1:] + last
    if closing is not None:
        closing.sections += [
            ("Error of the test's own teardown", report.longreprtext) for report in last if report.outcome == FAILED
        ]
        reports = [report for report in reports if report.when != "teardown"] + [closing]
    record = Record(
        node_id=item.nodeid,
        mode=plan.mode,
        source=plan.source,
        verdict=verdict,
        max_runs=plan.max_runs,
        min_passes=plan.min_passes,
        attempts=attempts,
        since=plan.since,
        reason=plan.reason,
        details_url=plan.details_url,
        stopped_by=stopped_by,
    )
    for report in reports:
        report._casebook_loop = True
    reports[-1]._casebook = record.to_json()
    return reports


def _quarantine(shown: Made, calls: list[Any], last: list[Any]) -> None:
    """Turns the failure into an expected one. Exactly one report carries it, so that it is counted once."""
    failed = next(report for report in calls + shown.subtests + last if report.outcome == FAILED)
    carrier = calls[-1] if calls else failed
    carrier.longrepr = failed.longrepr
    for report in shown.subtests:
        report._casebook_withheld = True
        report.outcome = RERUN
    for report in calls + last:
        if report.outcome == FAILED:
            report.outcome = PASSED
            if report is not carrier:
                report.longrepr = None
    carrier.outcome = SKIPPED
    carrier.wasxfail = "quarantined: " + (first_line(shown.attempt.reason) or "failed")
    carrier._casebook_status = "quarantined"


def _execute(item: pytest.Item, stand_in: Any) -> list[Any]:
    """Setup, call and teardown, nothing logged; in a child process if pytest-forked is asked to."""
    forked = item.config.pluginmanager.getplugin("pytest_forked")
    if forked is not None and (item.config.getoption("forked", False) or item.get_closest_marker("forked")):
        return list(forked.forked_run_report(item))
    return list(runtestprotocol(item, log=False, nextitem=stand_in))


class _StandIn:
    """Stands for the next item: pytest tears down what is not in its chain, so this is the function alone.

    If a wider fixture is what failed, or a wider reset is asked for, and the test goes on, more is left out.
    """

    def __init__(
        self,
        item: pytest.Item,
        reset: str,
        goes_on: Callable[[], bool],
        failed: list[Any],
        errors: list[BaseException],
        trouble: Callable[[BaseException], None],
    ) -> None:
        self._trouble = trouble
        self._item = item
        self._failed = failed
        self._errors = errors
        self._reset = reset
        self._goes_on = goes_on

    def listchain(self) -> list[Any]:
        parents: list[Any] = self._item.listchain()[:-1]
        try:
            if self._goes_on():
                failed = _failed_index(self._item, parents, self._failed, self._errors)
                parents = parents[: min(failed, _scope_index(self._reset, "", parents))]
        except Exception as error:  # must not become an error of the test's teardown
            self._trouble(error)
        return [*parents, self]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._item, name)


def _scope_index(scope: str, base: str, parents: list[Any]) -> int:
    """How many parents stay when ``scope`` is made anew."""
    if scope == "session":
        return 0
    if scope == "package":
        for index, parent in enumerate(parents):
            if isinstance(parent, pytest.Package) and parent.nodeid in (base, f"{base}/__init__.py"):
                return index
        return 0
    wanted: dict[str, Any] = {"class": pytest.Class, "module": pytest.Module}
    if scope in wanted:
        found = [index for index, parent in enumerate(parents) if isinstance(parent, wanted[scope])]
        if found:
            return found[-1]
        if scope == "class":
            return len(parents)
        return next((i for i, parent in enumerate(parents) if isinstance(parent, pytest.File)), len(parents))
    return len(parents)


def _failed_index(item: Any, parents: list[Any], failed: list[Any], errors: list[BaseException]) -> int:
    """How many parents stay so that every fixture and collector whose setup failed is made anew.

    The fixtures a test names are looked at, and of those it asked for while it ran, ``failed``, the ones whose
    exception is among its ``errors``.
    """
    width = len(parents)
    definitions = [
        each
        for found in getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {}).values()
        for each in found
    ]
    # By identity: exceptions may compare as they like.
    own = {id(error) for error in errors}
    definitions += [each for each in failed if id(_cached_error(each)) in own]
    for definition in definitions:
        if _cached_error(definition) is not None:
            width = min(width, _scope_index(definition.scope, getattr(definition, "baseid", ""), parents))
    stack = getattr(item.session._setupstate, "stack", {})
    for index, parent in enumerate(parents):
        state = stack.get(parent)
        if state is not None and state[1] is not None:
            width = min(width, index)
    return width


def _cached_error(definition: Any) -> BaseException | None:
    """The exception with which a fixture's setup failed, if that is what it remembers.

    It is kept as ``sys.exc_info()`` before pytest 8.0, alone before 8.2, and with its traceback since.
    """
    cached = getattr(definition, "cached_result", None)
    if cached is None or cached[2] is None:
        return None
    parts = cached[2] if isinstance(cached[2], tuple) else (cached[2],)
    return next((part for part in parts if isinstance(part, BaseException)), None)


def _close_scopes(item: pytest.Item, nextitem: pytest.Item | None) -> Any:
    """Tears down what the next test does not share. Returns a report only if that failed."""
    if nextitem is not None:
        shared = set(nextitem.listchain())
        if all(parent in shared for parent in item.listchain()[:-1]):
            return None
    capture = item.config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.resume_global_capture()
    try:
        call = pytest.CallInfo.from_call(
            lambda: item.session._setupstate.teardown_exact(nextitem),
            when="teardown",
            reraise=(pytest.exit.Exception, KeyboardInterrupt),
        )
    finally:
        if capture is not None:
            capture.suspend_global_capture(in_=False)
            for name, content in zip(("stdout", "stderr"), capture.read_global_capture()):
                item.add_report_section("teardown", name, content)
    if call.excinfo is None:
        return None
    return item.ihook.pytest_runtest_makereport(item=item, call=call)


class _ItemState:
    """What an attempt leaves on the item, and what must not be seen by the next one."""

    def __init__(self, item: Any) -> None:
        self._item = item
        self._properties = list(item.user_properties)
        self._markers = list(item.own_markers)

    def restore(self) -> None:
        item = self._item
        item.user_properties[:] = self._properties
        item.own_markers[:] = self._markers
        item._report_sections.clear()
        _forget_failed_subtests(item)
        if isinstance(item, pytest.Function) and isinstance(item.parent, pytest.Class):
            item.__dict__.pop("_instance", None)
            item._obj = None


def _forget_failed_subtests(item: Any) -> None:
    """pytest 9 counts failed subtests for each test and fails a test that passes with some."""
    try:
        from _pytest.subtests import failed_subtests_key
    except ImportError:
        return
    counts = item.config.stash.get(failed_subtests_key, None)
    if counts is not None:
        counts.pop(item.nodeid, None)
        counts.pop(getattr(item, "id", item.nodeid), None)


def _restart_timer(item: pytest.Item) -> None:
    """pytest-timeout's timer covers the whole protocol; each attempt gets all of it."""
    manager = item.config.pluginmanager
    timeout = manager.getplugin("timeout") or manager.getplugin("pytest_timeout")
    read = getattr(timeout, "_get_item_settings", None)
    if read is None:
        return
    settings = read(item)
    if settings.timeout and settings.timeout > 0 and not settings.func_only:
        hook = item.config.pluginmanager.hook
        hook.pytest_timeout_cancel_timer(item=item)
        hook.pytest_timeout_set_timer(item=item, settings=settings)
