"""What an attempt takes: wall, user and system time, and the peak memory of the process while it lasts.

The peak is the largest resident size of the whole process between the start of setup and the end of teardown. On
Linux the kernel's own record of it is reset before each attempt, where ``/proc`` allows that. Elsewhere, and without
that, it is the peak since the process began. Windows tells times alone.
"""

from __future__ import annotations

import os
import re
import sys
import time
from typing import Callable

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

WORDS = ("all", "time", "none")
_MIB = 1024 * 1024
_PEAK = re.compile(rb"VmHWM:\s*(\d+) kB")


class Meter:
    """Measures one attempt after another. ``what``: all, time (no memory), or none."""

    def __init__(self, what: str) -> None:
        self._on = what != "none"
        self._peak: Callable[[], float | None] | None = None
        self._wants_memory = what == "all" and resource is not None
        self._resets = sys.platform.startswith("linux")
        self._wall = 0.0
        self._cpu = (0.0, 0.0)

    def start(self) -> None:
        """Begins with an attempt."""
        if not self._on:
            return
        if self._wants_memory:
            self._resets = self._resets and _reset_peak()
            self._peak = _peak_since_reset if self._resets else _process_peak
        self._cpu = _processor_seconds()
        self._wall = time.perf_counter()

    def stop(self) -> dict[str, float]:
        """Ends it; empty if nothing was measured."""
        if not self._wall:
            return {}
        wall = time.perf_counter() - self._wall
        self._wall = 0.0
        user, system = _processor_seconds()
        found = {
            "wall_seconds": round(wall, 6),
            "user_seconds": round(max(0.0, user - self._cpu[0]), 6),
            "system_seconds": round(max(0.0, system - self._cpu[1]), 6),
        }
        peak = self._peak() if self._peak is not None else None
        if peak is not None:
            found["memory_mib"] = round(peak, 3)
        return found


def _processor_seconds() -> tuple[float, float]:
    """User and system seconds of this process and of those of its children that it has waited for."""
    if resource is None:
        times = os.times()
        return times.user + times.children_user, times.system + times.children_system
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + children.ru_utime, own.ru_stime + children.ru_stime


def _process_peak() -> float | None:
    """MiB since the process began. Linux counts in KiB, macOS in bytes."""
    largest = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return largest / _MIB if sys.platform == "darwin" else largest / 1024


def _reset_peak() -> bool:
    """Makes the kernel forget the peak it has seen. No file stays open: a test may close what is not its own."""
    try:
        record = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(record, b"5")
    except OSError:
        return False
    finally:
        os.close(record)
    return True


def _peak_since_reset() -> float | None:
    """MiB."""
    try:
        status = os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = _PEAK.search(os.read(status, 4096))
    except OSError:
        return None
    finally:
        os.close(status)
    return int(found.group(1)) / 1024 if found else None
