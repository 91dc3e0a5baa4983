"""What bounds the reruns of a whole run: a count, a time, a time for each test, and the guard against outages."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

GUARD = "guard"
NEW_TESTS = "new_tests"
# What the further runs of new tests may use: of the reruns, and of the time of all tests so far, but a tenth of the
# time of reruns even where all tests are short.
_NEW_RERUNS = 0.5
_NEW_SECONDS = 0.2
_NEW_LEAST_SECONDS = 0.1


@dataclass
class Limits:
    """Limits and what was used of them. Times are in seconds."""

    max_reruns: int
    max_seconds: float
    max_test_seconds: float
    guard_failures: int
    guard_share: float
    reruns: int = 0
    seconds: float = 0.0
    started: int = 0
    failed: int = 0
    spent: float = 0.0
    new_reruns: int = 0
    new_seconds: float = 0.0
    blocked: Counter[str] = field(default_factory=Counter)

    @classmethod
    def divided(cls, values: dict[str, float], workers: int) -> Limits:
        """One worker's part. Rounded up, so the sum stays within the limit plus one for each worker."""
        return cls(
            max_reruns=math.ceil(values["max_reruns"] / workers),
            max_seconds=values["max_seconds"] / workers,
            max_test_seconds=values["max_test_seconds"],
            guard_failures=math.ceil(values["guard_failures"] / workers),
            guard_share=values["guard_share"],
        )

    def forbid(self, test_seconds: float, new: bool = False) -> str:
        """The limit that forbids another attempt of a test, which may be a new one, or nothing."""
        if self.guarded:
            return GUARD
        if self.reruns >= self.max_reruns:
            return "max_reruns"
        if self.seconds >= self.max_seconds:
            return "max_seconds"
        if test_seconds >= self.max_test_seconds:
            return "max_test_seconds"
        seconds = max(_NEW_SECONDS * self.spent, _NEW_LEAST_SECONDS * self.max_seconds)
        if new and (self.new_reruns >= _NEW_RERUNS * self.max_reruns or self.new_seconds >= seconds):
            return NEW_TESTS
        return ""

    @property
    def guarded(self) -> bool:
        """Whether so much fails at once that it cannot be flakiness. It stays so for the rest of the run."""
        if self.blocked[GUARD]:
            return True
        return self.failed > self.guard_failures and self.failed > self.guard_share * self.started

    def count_first(self, failed: bool, seconds: float) -> None:
        """A test made its first attempt."""
        self.started += 1
        self.failed += failed
        self.spent += seconds

    def count_rerun(self, seconds: float, new: bool = False) -> None:
        """A further attempt was made."""
        self.reruns += 1
        self.seconds += seconds
        self.spent += seconds
        if new:
            self.new_reruns += 1
            self.new_seconds += seconds

    def to_json(self) -> dict[str, object]:
        """What the controller adds up."""
        return {"reruns": self.reruns, "seconds": self.seconds, "blocked": dict(self.blocked)}


def lines(values: dict[str, float], reruns: int, seconds: float, blocked: dict[str, int]) -> list[str]:
    """One line for each limit that was used up."""
    texts = {
        "max_reruns": f"{reruns} of {values['max_reruns']:.0f} used",
        "max_seconds": f"{seconds:.1f} s of {values['max_seconds']:g} s used",
        "max_test_seconds": f"{values['max_test_seconds']:g} s for one test used",
        GUARD: f"more than {values['guard_failures']:.0f} tests and {values['guard_share']:.0%} of them failed, "
        "which looks like an outage",
        NEW_TESTS: "new tests used half of the reruns, or a fifth of the time",
    }
    found = []
    for name, text in texts.items():
        count = blocked.get(name, 0)
        if count:
            found.append(f"reruns stopped: {text}; {count} test{'s' if count != 1 else ''} not rerun")
    return found
