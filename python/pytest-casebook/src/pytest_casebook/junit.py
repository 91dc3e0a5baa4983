"""What the JUnit file says about attempts: properties, and on request the elements that other tools read."""

from __future__ import annotations

import os
import re
from typing import Any

from pytest_casebook.attempt import FAILED, PASSED, Attempt, Record


def properties(record: Record) -> list[tuple[str, str]]:
    """The properties of one test."""
    found = [("casebook.mode", record.mode)]
    if record.verdict:
        found.append(("casebook.verdict", record.verdict))
    if record.attempts:
        found.append(("casebook.attempts", ",".join(attempt.outcome for attempt in record.attempts)))
    if record.mode not in ("none", "disabled"):
        found += [("casebook.max_runs", str(record.max_runs)), ("casebook.min_passes", str(record.min_passes))]
    for number, attempt in enumerate(record.attempts, 1):
        if attempt.outcome == FAILED:
            found.append((f"casebook.attempt.{number}.failure", attempt.reason))
    return found


def add_attempts(path: str, records: list[tuple[str, str, Record]]) -> None:
    """Adds ``flakyFailure`` and ``rerunFailure`` elements to the file that pytest has written.

    ``records`` are (class name, name, record). Elements go where surefire puts them: earlier failures of a test that
    passed in the end are flaky ones, those of a test that failed are reruns.
    """
    import xml.etree.ElementTree as ElementTree

    if not os.path.isfile(path):
        return
    wanted = {(class_name, name): record for class_name, name, record in records if len(record.attempts) > 1}
    if not wanted:
        return
    tree = ElementTree.parse(path)
    for case in tree.iter("testcase"):
        key = _match(wanted, case.get("classname", ""), case.get("name", ""))
        if key is None:
            continue
        record = wanted[key]
        earlier = [attempt for attempt in record.attempts if attempt.outcome == FAILED]
        ended_well = record.attempts[-1].outcome == PASSED and record.verdict not in ("failed", "not_fixed")
        if not ended_well:
            earlier = earlier[:-1]
        for attempt in earlier:
            case.append(_element(ElementTree, "flakyFailure" if ended_well else "rerunFailure", attempt))
    temporary = f"{path}.casebook"
    tree.write(temporary, encoding="utf-8", xml_declaration=True)
    os.replace(temporary, path)


def _match(wanted: dict[tuple[str, str], Record], class_name: str, name: str) -> tuple[str, str] | None:
    """With ``--junitprefix`` the file's class names have something in front."""
    if (class_name, name) in wanted:
        return class_name, name
    return next((key for key in wanted if key[1] == name and class_name.endswith("." + key[0])), None)


def _element(library: Any, tag: str, attempt: Attempt) -> Any:
    kind, separator, _ = attempt.reason.partition(":")
    attributes = {"message": _printable(attempt.reason), "type": kind if separator and " " not in kind else "Failure"}
    element = library.Element(tag, attributes)
    trace = library.SubElement(element, "stackTrace")
    trace.text = _printable(attempt.text)
    if attempt.output:
        output = library.SubElement(element, "system-out")
        output.text = _printable(attempt.output)
    return element


def _printable(text: str) -> str:
    """XML has no control characters and no halves of pairs."""
    return re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
