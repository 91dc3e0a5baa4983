"""Which CI system runs the tests, and what it says about repository, branch, commit, build and check."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pytest_casebook.providers import PROVIDERS, Provider

_GIT_SECONDS = 1.0


@dataclass
class Surroundings:
    """Where this run comes from. Empty means unknown."""

    provider: str = ""
    repo: str = ""
    branch: str = ""
    commit: str = ""
    key: str = ""
    number: str = ""
    job_id: str = ""
    url: str = ""
    message: str = ""
    check: str = ""

    @property
    def in_ci(self) -> bool:
        """Whether a CI system was recognised."""
        return bool(self.provider)


def detect(environment: Mapping[str, str], folder: Path, use_git: bool = True) -> Surroundings:
    """Looks at the variables of every known provider, in order, then at git; overrides win field by field."""
    provider = next((each for each in PROVIDERS if each.recognised(environment)), None)
    found = Surroundings()
    if provider is not None:
        found = _from_provider(provider, environment)
    elif environment.get("CI", "").lower() not in ("", "0", "false"):
        found = Surroundings(provider="generic", check="default")
    override(found, environment)
    found.repo = clean_repository(found.repo)
    found.branch = re.sub(r"^(refs/heads/|refs/remotes/origin/|origin/)", "", found.branch)
    if use_git:
        _ask_git(found, folder)
    if not found.key:
        found.key = str(uuid.uuid4())
    found.url = without_credentials(found.url)
    return found


def override(found: Surroundings, environment: Mapping[str, str]) -> None:
    """``CASEBOOK_BRANCH`` and its like."""
    for name, variable in (
        ("branch", "CASEBOOK_BRANCH"),
        ("commit", "CASEBOOK_COMMIT"),
        ("key", "CASEBOOK_BUILD_ID"),
        ("url", "CASEBOOK_BUILD_URL"),
        ("job_id", "CASEBOOK_JOB_ID"),
        ("message", "CASEBOOK_MESSAGE"),
    ):
        if environment.get(variable):
            setattr(found, name, environment[variable])


def clean_repository(value: str) -> str:
    """``org/repo`` of a clone address in any of its usual forms; other text as it is, without credentials."""
    value = value.strip()
    if "://" in value:
        value = urlsplit(value).path
    else:
        match = re.match(r"^[^/@]+@[^/:]+:(.*)$", value)
        if match:
            value = match.group(1)
    value = value.strip("/")
    return value[:-4] if value.endswith(".git") else value


def without_credentials(address: str) -> str:
    """An address without user information."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", address)


def fixes(message: str) -> list[str]:
    """Test ids of the trailer lines ``Fixes-flaky: <test id>``."""
    return [found.strip() for found in re.findall(r"(?im)^Fixes-flaky:[ \t]*(\S.*)$", message)]


def last_message(folder: Path) -> str:
    """The message of the last commit, or nothing."""
    return _git(folder, "log", "-1", "--format=%B")


def _from_provider(provider: Provider, environment: Mapping[str, str]) -> Surroundings:
    def first(alternatives: tuple[str, ...], parts: str = "") -> str:
        for alternative in alternatives:
            text = _expand(alternative, environment)
            if text:
                return text
        return parts

    found = Surroundings(
        provider=provider.name,
        repo=first(provider.repo),
        branch=first(provider.branch),
        commit=first(provider.commit),
        number=first(provider.number),
        job_id=first(provider.job_id),
        url=first(provider.url),
        message=first(provider.message),
        check=first(provider.check),
    )
    if provider.name in ("github_actions", "gitea_actions"):
        found.commit = _pull_request_head(environment) or found.commit
    if provider.name == "codebuild":
        found.check = found.check.partition(":")[0]
    pieces = [_expand(piece, environment) for piece in provider.key]
    found.key = "-".join(piece for piece in pieces if piece)
    return found


def _expand(template: str, environment: Mapping[str, str]) -> str:
    """Fills in ``{NAME}``. All of them must be set; ``{NAME?}`` may be missing."""
    missing = False

    def value(match: re.Match[str]) -> str:
        nonlocal missing
        text = environment.get(match.group(1), "")
        missing = missing or (not text and not match.group(2))
        return text

    text = re.sub(r"\{(\w+)(\??)\}", value, template)
    return "" if missing else text.strip()


def _pull_request_head(environment: Mapping[str, str]) -> str:
    """On pull requests GITHUB_SHA is the merge commit, which nobody knows; the event names the real one."""
    path = environment.get("GITHUB_EVENT_PATH", "")
    if not path:
        return ""
    try:
        event = json.loads(Path(path).read_text(encoding="utf-8"))
        return str(event["pull_request"]["head"]["sha"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _ask_git(found: Surroundings, folder: Path) -> None:
    if not found.commit:
        found.commit = _git(folder, "rev-parse", "HEAD")
    if not found.branch:
        branch = _git(folder, "rev-parse", "--abbrev-ref", "HEAD")
        found.branch = "" if branch == "HEAD" else branch
    if not found.repo:
        found.repo = clean_repository(_git(folder, "config", "--get", "remote.origin.url"))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace").strip()
