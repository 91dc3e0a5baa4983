"""The part of the plugin that is at work where tests run: in the only process, or in each of xdist's workers."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, Callable

import pytest

from pytest_casebook.attempt import FAILED, Record
from pytest_casebook.limits import Limits
from pytest_casebook.loop import Loop, frames, is_subtest, withhold
from pytest_casebook.meter import Meter
from pytest_casebook.plan import Plan, Planner


class Runner:
    """Hooks around each test."""

    def __init__(
        self, config: pytest.Config, planner: Planner, limits: Limits, trouble: Callable[[BaseException], None]
    ) -> None:
        self.off = False
        self._problem = ""
        self._config = config
        self._planner = planner
        self._limits = limits
        self._meter = Meter(planner.values["resources"])
        self._trouble = trouble
        self._loop = Loop(limits, planner.values["run_out"], self.give_up)
        self._setup_only = config.getoption("setuponly", False) or config.getoption("setupplan", False)
        self._plain = ""
        self._plain_failed = False
        self._planned: list[str] = []
        self._extra: tuple[dict[str, str], Plan | None] = ({}, None)

    def give_up(self, error: BaseException) -> None:
        """An error of our own: the plugin does nothing for the rest of the run."""
        self.off = True
        self._problem = self._problem or f"{type(error).__name__}: {error}"
        self._trouble(error)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> object:
        if self.off:
            return None
        try:
            plan = self._planner.plan(item)
            tags = {
                str(mark.args[0]): str(mark.args[1]) for mark in item.iter_markers("casebook_tag") if len(mark.args) > 1
            }
            self._extra = (tags, plan if plan.mode == "disabled" else None)
            if plan.mode == "disabled":
                item.add_marker(pytest.mark.skip(reason=self._disabled_reason(plan)))
        except Exception as error:
            self.give_up(error)
            return None
        repeats = plan.max_runs > 1 or plan.quarantines
        if plan.mode in ("none", "disabled") or self._setup_only or not repeats or self._planner.values["dry_run"]:
            self._plain, self._plain_failed = item.nodeid, False
            return None
        self._plain = ""
        self._loop.run(item, nextitem, plan)
        return True

    def _disabled_reason(self, plan: Plan) -> str:
        reason = f"disabled on {self._planner.values['host']}"
        return f"{reason}: {plan.reason}" if plan.reason else reason

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        self._meter.start()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Generator[None, Any, None]:
        outcome = yield
        if outcome.excinfo is not None:
            return
        try:
            self._observe(item, call, outcome.get_result())
        except Exception as error:
            self.give_up(error)

    def _observe(self, item: pytest.Item, call: Any, report: Any) -> None:
        if not hasattr(report, "start"):
            # Reports of pytest 7.0 do not say when their phase began, and with xdist they arrive late.
            report.start = call.start
        if call.when == "teardown":
            taken = self._meter.stop()
            if taken:
                report._casebook_resources = taken
        made = self._loop.current
        if made is None:
            return
        if call.when in ("setup", "call") and report not in made.reports:
            made.reports.append(report)
        if call.excinfo is not None and report.outcome == FAILED:
            made.errors.append(call.excinfo.value)
            if not made.attempt.traceback:
                made.attempt.traceback = frames(item, call.excinfo)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, None]:
        outcome = yield
        if outcome.excinfo is not None and fixturedef.scope != "function":
            self._loop.failed_fixtures.append(fixturedef)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        if self.off:
            return
        try:
            if self._loop.current is not None and is_subtest(report):
                withhold(report, self._loop.current)
                return
            if report.nodeid == self._plain:
                self._count(report)
            if report.when == "teardown":
                self._attach(report)
        except Exception as error:
            self.give_up(error)

    def _count(self, report: Any) -> None:
        """The guard looks at all tests, also at those that are none of our business."""
        self._limits.spent += float(getattr(report, "duration", 0.0) or 0.0)
        if report.when == "setup" and not self._plain_failed:
            self._limits.started += 1
        if report.outcome == FAILED and not self._plain_failed:
            self._plain_failed = True
            self._limits.failed += 1

    def _attach(self, report: Any) -> None:
        tags, disabled = self._extra
        if tags:
            report._casebook_tags = tags
        if disabled is not None:
            record = Record(
                report.nodeid, mode="disabled", source=disabled.source, verdict="skipped", max_runs=0, min_passes=0
            )
            record.since, record.reason, record.details_url = disabled.since, disabled.reason, disabled.details_url
            report._casebook_disabled = record.to_json()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if self._planner.values["dry_run"] and hasattr(self._config, "workeroutput"):
            self._planned = self._planner.table(session.items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            told = {**self._limits.to_json(), "problem": self._problem, "notes": self._planner.document.notes}
            output["casebook"] = json.dumps({**told, "planned": self._planned})
