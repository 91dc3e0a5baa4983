"""Other plugins that rerun tests: who of them is at work, and what their markers mean when they are not installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

# The name under which each plugin is registered, and the options that make it rerun every test.
_PLUGINS = {
    "rerunfailures": ("reruns", "force_reruns"),
    "flaky": ("force_flaky",),
    "pytest-retry": ("retries",),
    "pytest-aviator": (),
    "ddtrace": (),
}
_MARKER_OWNERS = ("rerunfailures", "flaky", "pytest-retry")
_INI_KEYS = {"rerunfailures": "reruns", "pytest-retry": "retries"}


@dataclass
class Foreign:
    """The other plugins of this run."""

    everywhere: str = ""
    owns_marker: str = ""

    def reruns(self, item: pytest.Item) -> bool:
        """Whether another plugin is configured to rerun this test."""
        if self.everywhere:
            return True
        if not self.owns_marker:
            return False
        if item.get_closest_marker("flaky") is not None:
            return True
        return hasattr(getattr(item, "obj", None), "_flaky_max_runs")


@dataclass
class MarkerCounts:
    """What a ``flaky`` marker asks for."""

    max_runs: Any
    min_passes: Any = 1
    delay: float = 0.0
    only: Any = None
    except_: Any = None


def find(config: pytest.Config) -> Foreign:
    """Looks at the plugins that are loaded and at their options."""
    foreign = Foreign()
    for name, options in _PLUGINS.items():
        if not config.pluginmanager.hasplugin(name):
            continue
        if name in _MARKER_OWNERS:
            foreign.owns_marker = foreign.owns_marker or name
        configured = any(_positive(getattr(config.option, option, None)) for option in options)
        configured = configured or (name in _INI_KEYS and _positive(_ini(config, _INI_KEYS[name])))
        configured = configured or name == "pytest-aviator"
        configured = configured or (name == "ddtrace" and bool(getattr(config.option, "ddtrace", False)))
        if configured:
            foreign.everywhere = foreign.everywhere or name
    return foreign


def marker_counts(marker: pytest.Mark) -> MarkerCounts | None:
    """The counts of ``flaky(reruns=n)``, ``flaky(retries=n)`` or ``flaky(max_runs=n, min_passes=m)``."""
    arguments = marker.kwargs
    condition = arguments.get("condition", True)
    if isinstance(condition, str) or not condition:
        return None
    if "max_runs" in arguments or "min_passes" in arguments:
        passes = arguments.get("min_passes", 1)
        return MarkerCounts(arguments.get("max_runs", 2), passes)
    reruns = arguments.get("reruns", arguments.get("retries", marker.args[0] if marker.args else 1))
    if not isinstance(reruns, int):
        return None
    delay = arguments.get("reruns_delay", arguments.get("delay", 0))
    return MarkerCounts(
        max_runs=reruns + 1,
        delay=float(delay) if isinstance(delay, (int, float)) else 0.0,
        only=arguments.get("only_rerun", arguments.get("only_on")),
        except_=arguments.get("rerun_except", arguments.get("exclude")),
    )


def _ini(config: pytest.Config, name: str) -> Any:
    try:
        return config.getini(name)
    except (KeyError, ValueError):
        return None


def _positive(value: Any) -> bool:
    if isinstance(value, bool) or value is None:
        return bool(value)
    try:
        return int(value) > 0
    except (TypeError, ValueError):
        return bool(value)
