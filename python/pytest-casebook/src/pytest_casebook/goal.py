"""When a test has made enough attempts, and what its verdict is. Pure."""

from __future__ import annotations

from pytest_casebook.attempt import FAILED, PASSED, SKIPPED
from pytest_casebook.plan import Plan

# A new test is run further as many times as stands in the plan for the first of these limits, in seconds.
_NEW_TEST_SECONDS = (5.0, 10.0, 30.0, 300.0)


def further_runs(plan: Plan, first_seconds: float) -> int:
    """How many further runs a new test gets, by the duration of its first."""
    for seconds, runs in zip(_NEW_TEST_SECONDS, plan.new_runs):
        if first_seconds <= seconds:
            return runs
    return 0


def reached(plan: Plan, outcomes: list[str], first_seconds: float, run_out: bool) -> str:
    """``passed`` or ``failed`` once it is decided, nothing while the test must go on."""
    runs, passes = len(outcomes), outcomes.count(PASSED)
    if plan.mode == "new":
        decided = passes not in (0, runs) or runs > further_runs(plan, first_seconds)
        return (PASSED if passes else FAILED) if decided else ""
    if passes >= plan.min_passes:
        return PASSED
    out_of_reach = passes + plan.max_runs - runs < plan.min_passes
    may_run_out = run_out and plan.mode != "attempt_to_fix"
    if runs >= plan.max_runs or (out_of_reach and not may_run_out):
        return FAILED
    return ""


def when_stopped(outcomes: list[str]) -> str:
    """The outcome if further attempts are forbidden. A test that only ever passed has not failed."""
    return FAILED if FAILED in outcomes else PASSED


def verdict(plan: Plan, outcomes: list[str], decided: str) -> str:
    """The name of the verdict."""
    if decided == SKIPPED:
        return SKIPPED
    if plan.mode == "attempt_to_fix":
        if decided == FAILED:
            return "not_fixed"
        return "fixed" if outcomes.count(PASSED) >= plan.min_passes else PASSED
    if decided == FAILED:
        return "quarantined" if plan.quarantines else FAILED
    return "flaky" if FAILED in outcomes else PASSED
