"""Other plugins that rerun tests: who of them is at work, and what their markers mean when they are not installed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class _Plugin:
    """How another plugin is registered, by its entry point or by ``-p``, and what makes it rerun every test."""

    name: str
    module: str
    options: tuple[str, ...] = ()
    ini: str = ""
    owns_marker: bool = False
    always: bool = False


_PLUGINS = (
    _Plugin("rerunfailures", "pytest_rerunfailures", ("reruns", "force_reruns"), "reruns", owns_marker=True),
    _Plugin("flaky", "flaky.flaky_pytest_plugin", ("force_flaky",), owns_marker=True),
    _Plugin("pytest-retry", "pytest_retry.retry_plugin", ("retries",), "retries", owns_marker=True),
    _Plugin("pytest-aviator", "pytest_aviator.runner", always=True),
    _Plugin("ddtrace", "ddtrace.testing.internal.pytest.entry_point", ("ddtrace",)),
)
# Registered by plugins that this one replaces.
MARKERS = ("aviator", "flaky")


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
    for plugin in _PLUGINS:
        if not is_loaded(config, plugin):
            continue
        if plugin.owns_marker:
            foreign.owns_marker = foreign.owns_marker or plugin.name
        configured = plugin.always or any(_positive(getattr(config.option, name, None)) for name in plugin.options)
        if configured or (plugin.ini and _positive(_ini(config, plugin.ini))):
            foreign.everywhere = foreign.everywhere or plugin.name
    return foreign


def is_loaded(config: pytest.Config, plugin: _Plugin) -> bool:
    """Whether a plugin is at work, under either of its names."""
    return config.pluginmanager.hasplugin(plugin.name) or config.pluginmanager.hasplugin(plugin.module)


def unregistered_markers(config: pytest.Config) -> list[str]:
    """The markers whose plugins are not installed, so that nobody registers them."""
    owners = {"aviator": [plugin for plugin in _PLUGINS if plugin.always]}
    owners["flaky"] = [plugin for plugin in _PLUGINS if plugin.owns_marker]
    return [name for name in MARKERS if not any(is_loaded(config, plugin) for plugin in owners[name])]


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
