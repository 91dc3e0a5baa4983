"""Header and report in the terminal. Nothing is printed but through pytest's terminal reporter."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pytest_casebook import sections, source
from pytest_casebook.recorder import Recorder


class Terminal:
    """Hooks that write to the terminal."""

    def __init__(self, recorder: Recorder, debug: list[str], problems: list[str]) -> None:
        self._recorder = recorder
        self._debug = debug
        self._problems = problems
        self.idle = ""

    def pytest_report_header(self, config: pytest.Config) -> list[str]:
        try:
            return self._header(config)
        except Exception as error:
            self._recorder.trouble(error)
            return []

    def _header(self, config: pytest.Config) -> list[str]:
        recorder = self._recorder
        settings = recorder.settings
        if config.option.collectonly:
            return []
        if self.idle:
            return [f"casebook: {self.idle}"]
        lines = []
        if settings.configured or settings["policy"]:
            suite = recorder.source.document.suite
            parts = [settings.host] if settings.configured else []
            parts += [suite.get("repo") or settings.ci.repo]
            check = suite.get("check") or settings.ci.check
            parts += [f"check {check}"] if check else []
            if recorder.source.fetched or recorder.source.document.entries:
                parts += [source.describe(recorder.source.document)]
            parts += [recorder.source.how]
            lines.append("casebook: " + ", ".join(part for part in parts if part))
        elif config.option.verbose > 0 or settings.ci.in_ci:
            lines.append(f"casebook: idle, {_missing(settings.url)}")
        other = recorder.planner.foreign.everywhere
        if other and not recorder.planner.values["take_over"]:
            lines.append(f"casebook: reruns are left to {other}")
        return lines

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> list[str]:
        recorder = self._recorder
        if not recorder.settings["dry_run"]:
            return []
        try:
            return recorder.planner.table(items)
        except Exception as error:
            recorder.trouble(error)
            return []

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        try:
            lines = self._recorder.planned + self._lines(terminalreporter)
            self._write(terminalreporter, lines)
            for line in self._debug_lines():
                terminalreporter.write_line(f"casebook: {line}")
        except Exception as error:
            self._recorder.trouble(error)
        for problem in self._problems if terminalreporter.config.option.verbose > -2 else ():
            terminalreporter.write_line(f"casebook switched itself off: {problem}")

    def _debug_lines(self) -> list[str]:
        """Requests with their timings, then what was decided for each test."""
        if not self._recorder.settings["debug"]:
            return []
        decided = []
        for record in self._recorder.records:
            stopped = f", stopped by {record.stopped_by}" if record.stopped_by else ""
            seconds = sum(attempt.duration for attempt in record.attempts)
            source = record.source or "another plugin"
            decided.append(
                f"{record.node_id}: {record.mode} by {source}, {len(record.attempts)} attempts in {seconds:.3f} s, "
                f"{record.verdict}{stopped}"
            )
        return self._debug + decided

    def _write(self, reporter: Any, lines: list[str]) -> None:
        recorder = self._recorder
        if not lines or reporter.config.option.verbose < -1:
            return
        if reporter.config.option.verbose > -1:
            reporter.section("flaky tests (casebook)", "=")
        for line in lines:
            reporter.write_line(line)
        if os.environ.get("GITHUB_ACTIONS") and recorder.settings["annotations"]:
            for command in sections.workflow_commands(recorder.records):
                reporter.write_line(command)

    def _lines(self, reporter: Any) -> list[str]:
        recorder = self._recorder
        style = recorder.settings["report"]
        if style == "none":
            return []
        if style == "flakybot":
            for line in sections.flakybot(recorder.records).splitlines():
                reporter.write_line(line)
            return []
        if "R" in reporter.config.option.reportchars:
            style = "full"
        told = sections.lines(recorder.records, style)
        if reporter.config.option.verbose < 0:
            last = self._last_line() if told else ""
            return [last] if last else []
        lines = told + recorder.limit_lines() + recorder.notes + self._upload_problems()
        if lines or reporter.config.option.verbose > 0:
            last = self._last_line()
            lines += [last] if last else []
        return lines

    def _upload_problems(self) -> list[str]:
        recorder = self._recorder
        tally = recorder.tally
        if tally is None:
            return []
        lines = [f"upload: {problem}" for problem in tally.problems]
        if tally.kept:
            folder = recorder.uploader.folder if recorder.uploader is not None else ""
            lines.append(f"{_grouped(tally.kept)} results kept in {folder}, sent with the next run")
        if tally.lost and not tally.problems:
            lines.append(f"{_grouped(tally.lost)} results could neither be sent nor kept")
        return lines

    def _last_line(self) -> str:
        recorder = self._recorder
        parts = []
        if recorder.reruns:
            limit = recorder.settings.limits(recorder.source.document.limits)["max_seconds"]
            count = f"{recorder.reruns} rerun{'s' if recorder.reruns != 1 else ''}"
            parts.append(f"{count}, {recorder.rerun_seconds:.1f} s of {limit:g} s.")
        tally = recorder.tally
        if tally is not None and tally.sent and recorder.uploader is not None:
            run = recorder.uploader.run_id[:4]
            parts.append(f"{_grouped(tally.sent)} results sent to {recorder.settings.host} (run {run}).")
        if tally is not None and tally.resent:
            parts.append(f"{_grouped(tally.resent)} results of earlier runs sent.")
        return " ".join(parts)


def _missing(url: str) -> str:
    if not url:
        return "no server (CASEBOOK_URL)"
    if os.environ.get("CASEBOOK_TOKEN_FILE"):
        return "no token in the file that CASEBOOK_TOKEN_FILE names"
    return "no token (CASEBOOK_TOKEN)"


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
