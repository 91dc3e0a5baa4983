"""Other plugins: how each is loaded, and told to run every test up to three times."""

from __future__ import annotations

import importlib.util

import pytest

OTHERS = {
    "rerunfailures": ("pytest_rerunfailures", "--reruns=2"),
    "flaky": ("flaky.flaky_pytest_plugin", "--force-flaky", "--max-runs=3"),
    "retry": ("pytest_retry.retry_plugin", "--retries=2"),
    "aviator": ("pytest_aviator.runner",),
    "quarantine": ("pytest_quarantine.plugin",),
    "timeout": ("pytest_timeout",),
    "ddtrace": ("ddtrace.testing.internal.pytest.entry_point", "--ddtrace"),
}


def only_with(*names):
    """Leaves a test out where one of these plugins is not installed."""
    modules = [OTHERS[name][0].partition(".")[0] if name in OTHERS else name for name in names]
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed")


def each_of(*names):
    """A parameter for each of these plugins that is installed."""
    return pytest.mark.parametrize("name", [pytest.param(name, marks=only_with(name)) for name in names])


def listed(name, max_runs=3, min_passes=1, class_name="test_case"):
    """An entry of the list that pytest-aviator asks for."""
    return {"test_name": name, "class_name": class_name, "max_runs": max_runs, "min_passes": min_passes}


AVIATOR = only_with("aviator")
RERUNFAILURES = only_with("rerunfailures")
# What it did before its release 14 is another matter.
RERUNFAILURES_NOW = pytest.mark.skipif(
    pytest.version_tuple < (7, 2), reason="the last rerunfailures for this pytest is old"
)
FLAKY = only_with("flaky")
RETRY = only_with("retry")
TWO = "def test_a(): script('a', 'fp')\ndef test_b(): script('b', 'fp')"
