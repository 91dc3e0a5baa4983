"""What people read: the lines of the terminal section, the FlakyBot block, annotations and the summary page. Pure."""

from __future__ import annotations

from pytest_casebook.attempt import FAILED, PASSED, Attempt, Record, first_line

TITLES = {
    "flaky": "FLAKY",
    "failed": "FAILED",
    "quarantined": "QUARANTINED",
    "fixed": "FIXED",
    "not_fixed": "NOT FIXED",
}


def title(record: Record) -> str:
    """The word at the head of a test's line, or nothing if there is nothing to say about it."""
    if record.verdict == "flaky" and record.mode == "new":
        return "NEW FLAKY"
    if record.verdict in ("failed", "passed") and len(record.attempts) < 2:
        return ""
    return TITLES.get(record.verdict, "")


def explanation(record: Record) -> str:
    """``failed, passed; needed 1 of 5``."""
    text = ", ".join(attempt.outcome for attempt in record.attempts)
    if record.verdict == "quarantined":
        text += "; known flaky" + (f" since {record.since}" if record.since else "")
        if record.details_url:
            text += f"  {record.details_url}"
    elif record.mode == "new":
        text += "; first seen in this run"
    elif record.mode == "attempt_to_fix":
        text += f"; needed all of {record.max_runs}"
    else:
        text += f"; needed {record.min_passes} of {record.max_runs}"
    return text


def lines(records: list[Record], style: str) -> list[str]:
    """The section's lines: one for each test, then what ``style`` (short or full) adds."""
    shown = [(title(record), record) for record in records]
    shown = [(word, record) for word, record in shown if word]
    width = min(60, max((len(record.node_id) for _, record in shown), default=0))
    result = []
    for word, record in shown:
        result.append(f"{word:<12} {record.node_id:<{width}}  {explanation(record)}")
        failures = [(number, each) for number, each in enumerate(record.attempts, 1) if each.outcome == FAILED]
        if style == "short" and failures and failures[0][1].reason:
            result.append(f"{'':<12} {failures[0][1].reason}")
        if style == "full":
            seconds = ", ".join(f"{attempt.duration:.2f} s" for attempt in record.attempts)
            result.append(f"{'':<12} {seconds}")
            for number, attempt in failures:
                result += ["", f"attempt {number}: {attempt.phase} failed after {attempt.duration:.2f} s"]
                result += [
                    f"    {line}" for line in (attempt.text + "\n" + attempt.output).splitlines() if line.strip()
                ]
            result.append("")
    return result


def flakybot(records: list[Record]) -> str:
    """The report block of pytest-aviator, character by character (Aviator contract, 4.7)."""
    text = "===FlakyBot Test Report===\n\n"
    for record in records:
        if record.source in ("", "new test") or record.mode not in ("rerun", "quarantine"):
            continue
        name = record.node_id.rpartition("::")[2].partition("[")[0]
        text += _flakybot_test(name, record)
    return text + "\n===End FlakyBot Test Report===\n"


def _flakybot_test(name: str, record: Record) -> str:
    text, passes = "", 0
    for runs, attempt in enumerate(record.attempts, 1):
        left = record.max_runs - runs
        if attempt.outcome == PASSED:
            passes += 1
            text += f"{name} passed {passes} out of the required {record.min_passes} times.\n"
            if left and passes < record.min_passes:
                text += f"Running test again until it passes {record.min_passes} times.\n\n"
        elif attempt.outcome == FAILED and left and runs < len(record.attempts):
            text += f"{name}\n\tFAILED: ({left} runs remaining out of {record.max_runs}).\n"
            text += f"\t{_exception(attempt)}\n\t{attempt.traceback or '[]'}\n\n"
        elif attempt.outcome == FAILED:
            text += f"{name}: FAILED\n\tIt passed {passes} out of the required {record.min_passes} times.\n"
    return text


def _exception(attempt: Attempt) -> str:
    if attempt.exception:
        return f"{attempt.exception}: {attempt.message}"
    return first_line(attempt.reason)


def workflow_commands(records: list[Record]) -> list[str]:
    """Workflow commands of GitHub Actions, one for each line of the section."""
    commands = []
    for record in records:
        word = title(record)
        if not word:
            continue
        level = "notice" if record.verdict in ("flaky", "fixed") else "warning"
        file, line = record.location
        place = f"file={_property(file)}" + (f",line={line}" if line is not None else "")
        text = _data(f"{record.node_id}: {explanation(record)}")
        commands.append(f"::{level} {place},title={_property(word.lower() + ' test')}::{text}")
    return commands


def summary_page(records: list[Record]) -> str:
    """A Markdown table for the job's summary page."""
    rows = [(title(record), record) for record in records]
    table = ["### Flaky tests", "", "| | test | attempts |", "|---|---|---|"]
    for word, record in rows:
        if word:
            table.append(f"| {word} | `{_cell(record.node_id)}` | {_cell(explanation(record))} |")
    return "\n".join(table) + "\n\n" if len(table) > 4 else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("`", "'").replace("\n", " ").replace("<", "&lt;")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
