"""Which mode a test has in this run, and with which counts: the first source that says something wins."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import pytest

from pytest_casebook.foreign import Foreign, marker_counts
from pytest_casebook.identity import Identity, identify
from pytest_casebook.policy import ATTEMPT_TO_FIX_RUNS, Policy, PolicyDocument


@dataclass(frozen=True)
class Plan:
    """What to do with one test."""

    mode: str = "none"
    source: str = ""
    max_runs: int = 1
    min_passes: int = 1
    only: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()
    delay: float = 0.0
    delay_factor: float = 1.0
    reset: str = "function"
    since: str = ""
    reason: str = ""
    details_url: str = ""
    new_runs: tuple[int, ...] = ()
    quarantines: bool = False


NONE = Plan()


@dataclass
class Planner:
    """Decides the plan of each test. ``values`` are those of the settings that workers need too."""

    values: dict[str, Any]
    document: PolicyDocument
    foreign: Foreign
    fixes: frozenset[str]
    prefix: str = ""
    idle: bool = False

    def identify(self, node_id: str) -> Identity:
        """The names of a test."""
        return identify(node_id, self.prefix)

    def plan(self, item: pytest.Item) -> Plan:
        """The plan of one test."""
        if self.idle:
            return NONE
        if not self.values["take_over"] and self.foreign.reruns(item):
            return NONE
        test = self.identify(item.nodeid)
        found = self._decide(item, test)
        if self.values["rerun"] == "none" and found.source not in ("option", "") and found.mode in ("rerun", "new"):
            return NONE
        if getattr(item, "casebook_no_rerun", False) and found.mode not in ("disabled", "none"):
            found = replace(found, max_runs=1, min_passes=1)
        return found

    def table(self, items: list[pytest.Item]) -> list[str]:
        """What each test would get, for people."""
        lines = ["casebook: what each test would get"]
        for item in items:
            plan = self.plan(item)
            counts = f" {plan.min_passes} of {plan.max_runs} ({plan.source})" if plan.mode != "none" else ""
            lines.append(f"  {item.nodeid}: {plan.mode}{counts}")
        return lines

    def plan_of_node(self, node_id: str) -> Plan:
        """The plan of a test of which only the node id is known, because its worker crashed."""
        if self.idle or self.foreign.everywhere:
            return NONE
        test = self.identify(node_id)
        found = self._explicit(test) or self._server(self.document.find(test))
        return found or self._new(test) or self._everything() or NONE

    def _decide(self, item: pytest.Item, test: Identity) -> Plan:
        explicit = self._explicit(test)
        if explicit is not None:
            return explicit
        marked = self._marker(item)
        if marked is not None and marked.source == "pinned marker":
            return marked
        listed = None
        if self.document.entries:
            listed = self.document.find(test, _import_name(item), plainly=not _is_repetition(item))
        from_server = self._server(listed)
        if from_server is not None:
            return from_server
        if marked is not None:
            return marked
        return self._new(test) or self._everything() or NONE

    def _explicit(self, test: Identity) -> Plan | None:
        if self.fixes and self.fixes & {
            test.node_id,
            test.plain_node_id,
            f"{test.class_name}.{test.name}",
            f"{test.class_name}::{test.name}",
        }:
            runs = self.values["explicit_runs"] or ATTEMPT_TO_FIX_RUNS
            return self._plan("attempt_to_fix", "option", runs, runs)
        if self.values["explicit_runs"] is not None or self.values["explicit_passes"] is not None:
            return self._plan("rerun", "option", self.values["max_runs"] or 1, self.values["min_passes"] or 1)
        return None

    def _server(self, policy: Policy | None) -> Plan | None:
        if policy is None:
            return None
        runs, passes = policy.max_runs, policy.min_passes
        if policy.mode == "attempt_to_fix":
            passes = runs
        if policy.mode == "quarantine" and self.values["rerun"] == "none":
            runs = passes = 1
        plan = self._plan(policy.mode, "server", runs, passes)
        return replace(
            plan,
            only=policy.only or plan.only,
            except_=policy.except_ or plan.except_,
            delay=plan.delay if policy.delay is None else policy.delay,
            reset=policy.reset or plan.reset,
            since=policy.since,
            reason=policy.reason,
            details_url=policy.details_url,
            quarantines=policy.mode == "quarantine" and self.values["quarantine"],
        )

    def _marker(self, item: pytest.Item) -> Plan | None:
        marker = item.get_closest_marker("casebook")
        if marker is None:
            return self._foreign_marker(item)
        arguments = marker.kwargs
        runs = arguments.get("max_runs", marker.args[0] if marker.args else 2)
        passes = arguments.get("min_passes", 1)
        only, except_ = _names(arguments.get("only")), _names(arguments.get("except_"))
        delay = arguments.get("delay", 0)
        if not _counts(runs, passes) or not _usable(only + except_, delay):
            self._ignore(item)
            return None
        plan = self._plan("rerun", "pinned marker" if arguments.get("pin") else "marker", runs, passes)
        return replace(
            plan,
            only=only or plan.only,
            except_=except_ or plan.except_,
            delay=float(delay) if "delay" in arguments else plan.delay,
            reset=str(arguments.get("reset", plan.reset)),
        )

    def _foreign_marker(self, item: pytest.Item) -> Plan | None:
        if not self.values["foreign_markers"]:
            return None
        marker = item.get_closest_marker("flaky")
        counts = marker_counts(marker) if marker is not None else None
        if counts is None:
            return None
        only, except_ = _names(counts.only), _names(counts.except_)
        if not _counts(counts.max_runs, counts.min_passes) or not _usable(only + except_, counts.delay):
            self._ignore(item)
            return None
        plan = self._plan("rerun", "foreign marker", counts.max_runs, counts.min_passes)
        return replace(
            plan,
            only=only or plan.only,
            except_=except_ or plan.except_,
            delay=counts.delay or plan.delay,
        )

    def _ignore(self, item: pytest.Item) -> None:
        note = f"marker of {item.nodeid}: it is ignored, its counts, delay or expressions cannot be used"
        if note not in self.document.notes:
            self.document.notes.append(note)

    def _new(self, test: Identity) -> Plan | None:
        wanted = self.values["new_tests"]
        enabled = wanted == "on" or (wanted == "server" and self.document.new_tests)
        if not enabled or not self.document.is_new(test):
            return None
        runs = self.document.new_runs
        return replace(self._plan("new", "new test", 1 + max(runs), 1), new_runs=runs)

    def _everything(self) -> Plan | None:
        if self.values["rerun"] != "all":
            return None
        runs = self.values["max_runs"] or 1
        return self._plan("rerun", "all", runs, min(self.values["min_passes"] or 1, runs))

    def _plan(self, mode: str, source: str, max_runs: int, min_passes: int) -> Plan:
        values = self.values
        return Plan(
            mode=mode,
            source=source,
            max_runs=max_runs,
            min_passes=min_passes,
            only=tuple(values["only"]),
            except_=tuple(values["except"]),
            delay=values["delay"],
            delay_factor=values["delay_factor"],
            reset=values["reset"],
        )


def _counts(runs: Any, passes: Any) -> bool:
    return isinstance(runs, int) and isinstance(passes, int) and 1 <= passes <= runs


def _usable(expressions: tuple[str, ...], delay: Any) -> bool:
    try:
        for expression in expressions:
            re.compile(expression)
        return 0 <= float(delay) < float("inf")
    except (re.error, TypeError, ValueError):
        return False


def _names(value: Any) -> tuple[str, ...]:
    """Exception classes or expressions, one or several, as texts."""
    if value is None:
        return ()
    values = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    return tuple(each.__name__ if isinstance(each, type) else str(each) for each in values)


def _is_repetition(item: pytest.Item) -> bool:
    """Whether pytest-repeat or pytest-flakefinder made it. Who repeats a test wants to see each outcome."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return any(name.startswith(("__pytest_repeat", "__flakefinder")) for name in parameters)


def _import_name(item: pytest.Item) -> str:
    """``module.Class`` by import name, as pytest-aviator calls it."""
    module = getattr(getattr(item, "module", None), "__name__", "")
    test_class = getattr(getattr(item, "cls", None), "__qualname__", "")
    return f"{module}.{test_class}" if module and test_class else str(module)
