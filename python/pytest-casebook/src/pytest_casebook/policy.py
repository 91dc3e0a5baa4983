"""The policy document: what the server says about each test, and which entry a test matches."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_casebook.identity import Identity

MODES = ("none", "rerun", "quarantine", "disabled", "attempt_to_fix")
RESETS = ("function", "class", "module", "session")
ATTEMPT_TO_FIX_RUNS = 20
NEW_TEST_RUNS = (10, 5, 3, 2)
MOST_RUNS = 1000


class PolicyError(ValueError):
    """The document is not one that can be obeyed."""


@dataclass(frozen=True)
class Policy:
    """What to do with one test."""

    mode: str = "none"
    max_runs: int = 1
    min_passes: int = 1
    since: str = ""
    reason: str = ""
    details_url: str = ""
    only: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()
    delay: float | None = None
    reset: str = ""
    fragment: str = ""


@dataclass
class PolicyDocument:
    """All policies of a suite, with indexes by every spelling that an entry may use."""

    raw: dict[str, Any] = field(default_factory=dict)
    suite: dict[str, str] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    defaults: tuple[int, int] = (1, 1)
    new_tests: bool = False
    new_runs: tuple[int, ...] = NEW_TEST_RUNS
    known: frozenset[str] | None = None
    known_url: str = ""
    notes: list[str] = field(default_factory=list)
    entries: list[Policy] = field(default_factory=list)
    _by_node: dict[str, Policy] = field(default_factory=dict)
    _by_pair: dict[tuple[str, str], Policy] = field(default_factory=dict)
    _by_class: dict[str, Policy] = field(default_factory=dict)
    _by_fragment: dict[str, list[Policy]] = field(default_factory=dict)

    def find(self, test: Identity, other_class_name: str = "", plainly: bool = True) -> Policy | None:
        """The entry for a test: with its parameters, without them if ``plainly``, then for its class or module.

        ``other_class_name`` is the import name, by which Aviator's protocol may know the test's class.
        """
        found = self._by_node.get(test.node_id) or self._by_pair.get((test.class_name, test.name))
        if found is None and plainly and "[" in test.name:
            found = self._by_node.get(test.plain_node_id) or self._by_pair.get((test.class_name, test.plain_name))
        if found is None and self._by_fragment:
            found = self._containing(test, other_class_name)
        class_name = test.class_name
        while found is None and self._by_class and class_name:
            found = self._by_class.get(class_name)
            if class_name == test.module:
                break
            class_name = class_name.rpartition(".")[0]
        return found

    def _containing(self, test: Identity, other_class_name: str) -> Policy | None:
        for name in dict.fromkeys((test.name, test.plain_name)):
            candidates = self._by_fragment.get(name, [])
            for class_name in (test.class_name, other_class_name):
                for candidate in candidates:
                    if candidate.fragment == class_name:
                        return candidate
            for candidate in reversed(candidates):
                if candidate.fragment in test.class_name or candidate.fragment in other_class_name:
                    return candidate
        return None

    def is_new(self, test: Identity) -> bool:
        """Whether the server does not know the test. Without a list of known tests nothing is new."""
        return self.known is not None and test.digest not in self.known

    def without_quarantine(self) -> PolicyDocument:
        """The same, as it is obeyed when it is too old to hide failures."""
        tests = [
            entry
            for entry in self.raw.get("tests", [])
            if not (isinstance(entry, dict) and entry.get("mode") in ("quarantine", "disabled"))
        ]
        return parse({**self.raw, "tests": tests})


def parse(data: Any) -> PolicyDocument:
    """Reads a policy document. Unknown keys and modes are ignored; raises :class:`PolicyError` if it is none at all."""
    if not isinstance(data, dict):
        raise PolicyError("the policy is not a JSON object")
    if data.get("version", 1) != 1:
        raise PolicyError(f"the policy has version {str(data.get('version'))[:20]}, this plugin reads version 1")
    tests = data.get("tests", [])
    if not isinstance(tests, list):
        raise PolicyError("the policy's tests are not a list")
    document = PolicyDocument(raw=data)
    suite = data.get("suite")
    if isinstance(suite, dict):
        document.suite = {str(name): value for name, value in suite.items() if isinstance(value, str)}
    limits = data.get("limits")
    if isinstance(limits, dict):
        document.limits = {str(name): value for name, value in limits.items() if _is_number(value)}
    defaults = data.get("defaults")
    if isinstance(defaults, dict):
        document.defaults = _counts(defaults, (1, 1)) or (1, 1)
    _parse_new_tests(document, data.get("new_tests"))
    for entry in tests:
        if isinstance(entry, dict):
            _add(document, entry)
    return document


def _parse_new_tests(document: PolicyDocument, new_tests: Any) -> None:
    if not isinstance(new_tests, dict):
        return
    document.new_tests = new_tests.get("enabled") is True
    runs = new_tests.get("runs")
    if isinstance(runs, list) and len(runs) == 4 and all(_is_count(each, 0) for each in runs):
        document.new_runs = tuple(runs)
    known = new_tests.get("known")
    if isinstance(known, str):
        document.known_url = known
    elif isinstance(known, list):
        document.known = frozenset(str(each) for each in known)


def _add(document: PolicyDocument, entry: dict[str, Any]) -> None:
    mode = entry.get("mode", "rerun")
    mode = mode if mode in MODES else "none"
    default = (ATTEMPT_TO_FIX_RUNS, ATTEMPT_TO_FIX_RUNS) if mode == "attempt_to_fix" else document.defaults
    if mode == "quarantine":
        default = (1, 1)
    label = str(entry.get("node_id") or f"{entry.get('class_name')}.{entry.get('name')}")[:200]
    counts = _counts(entry, default)
    if counts is None:
        document.notes.append(f"policy of {label}: its counts are ignored, they are not 1 <= min_passes <= max_runs")
        counts = default
    delay = entry.get("delay")
    policy = Policy(
        mode=mode,
        max_runs=counts[0],
        min_passes=counts[1],
        since=_text(entry, "since"),
        reason=_text(entry, "reason"),
        details_url=_text(entry, "details_url"),
        only=_expressions(document, entry, "only", label),
        except_=_expressions(document, entry, "except", label),
        delay=float(delay) if delay is not None and _is_number(delay) else None,
        reset=entry["reset"] if entry.get("reset") in RESETS else "",
        fragment=_text(entry, "class_fragment"),
    )
    node_id, class_name, name = _text(entry, "node_id"), _text(entry, "class_name"), _text(entry, "name")
    if node_id:
        document._by_node[node_id] = policy
    elif name and "class_fragment" in entry:
        document._by_fragment.setdefault(name, []).append(policy)
    elif name:
        document._by_pair[(class_name, name)] = policy
    elif class_name:
        document._by_class[class_name] = policy
    else:
        return
    document.entries.append(policy)


def _counts(entry: dict[str, Any], default: tuple[int, int]) -> tuple[int, int] | None:
    """``max_runs`` and ``min_passes``, or nothing if they cannot be obeyed."""
    max_runs = entry.get("max_runs", default[0])
    if not _is_count(max_runs):
        return None
    fallback = max_runs if entry.get("mode") == "attempt_to_fix" else min(default[1], max_runs)
    min_passes = entry.get("min_passes", fallback)
    if not _is_count(min_passes) or min_passes > max_runs:
        return None
    return max_runs, min_passes


def _expressions(document: PolicyDocument, entry: dict[str, Any], name: str, label: str) -> tuple[str, ...]:
    value = entry.get(name)
    values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    kept = []
    for each in values:
        try:
            re.compile(str(each))
        except re.error:
            document.notes.append(f"policy of {label}: an entry of {name} is no regular expression and is ignored")
        else:
            kept.append(str(each))
    return tuple(kept)


def _text(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")


def _is_count(value: Any, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MOST_RUNS


def from_aviator(data: Any) -> PolicyDocument:
    """Reads the answer of Aviator's ``GET /api/v1/flaky-tests`` (Aviator contract, 4.4)."""
    if not isinstance(data, dict) or not isinstance(data.get("flaky_tests", []), list):
        raise PolicyError("the answer is not a list of flaky tests")
    if "flaky_tests" not in data and ("error" in data or "errors" in data):
        raise PolicyError("the server answered with an error")
    tests = []
    for entry in data.get("flaky_tests", []):
        if isinstance(entry, dict) and isinstance(entry.get("test_name"), str) and entry["test_name"]:
            tests.append(
                {
                    "name": entry["test_name"],
                    "class_fragment": entry.get("class_name") or "",
                    "mode": "rerun",
                    "max_runs": entry.get("max_runs") or 1,
                    "min_passes": entry.get("min_passes") or 1,
                }
            )
    return parse({"version": 1, "tests": tests})


def with_known(document: PolicyDocument, digests: list[str]) -> PolicyDocument:
    """The same document with the list of known tests in place of its address."""
    new_tests = {**document.raw.get("new_tests", {}), "known": digests}
    document.raw = {**document.raw, "new_tests": new_tests}
    return replace(document, known=frozenset(digests), known_url="")
