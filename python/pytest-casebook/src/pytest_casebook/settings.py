"""What this run was told: options, environment and ini file together, with the CI environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from pytest_casebook import ci, identity, options
from pytest_casebook.secrets import Redactor, Token, is_misplaced, read_token

DEFAULT_LIMITS = {
    "max_reruns": 200,
    "max_seconds": 600.0,
    "max_test_seconds": 300.0,
    "guard_failures": 20,
    "guard_share": 0.3,
}


@dataclass
class Settings:
    """All settings of the run. ``values`` has one entry for each key of :mod:`pytest_casebook.options`;
    ``by_option`` names those that came from the command line."""

    values: dict[str, Any]
    by_option: set[str]
    token: Token | None = None
    url: str = ""
    redactor: Redactor = field(default_factory=Redactor)
    ci: ci.Surroundings = field(default_factory=ci.Surroundings)
    root: Path | None = None
    prefix: str = ""
    hint: str = ""

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def configured(self) -> bool:
        """Whether server and token are known."""
        return bool(self.url) and self.token is not None

    @property
    def host(self) -> str:
        """The server's name, for people."""
        return urlsplit(self.url).netloc or "casebook"

    @property
    def uploads(self) -> bool:
        """Whether results of this run are sent."""
        mode = self["upload"]
        if not self.configured or mode == "never":
            return False
        return mode == "always" or self.ci.in_ci

    @property
    def texts(self) -> bool:
        """Whether failure texts are sent."""
        return bool(self["upload"] != "outcomes")

    @property
    def upload_seconds(self) -> float:
        """How long the end of the run waits for uploads, in seconds."""
        given = self["upload_seconds"]
        return float(given) if given is not None else (60.0 if self.ci.in_ci else 20.0)

    def limits(self, server: dict[str, float]) -> dict[str, float]:
        """The limits of the whole run. The server may lower a default, never raise a value that was set here."""
        limits: dict[str, float] = {}
        for name, default in DEFAULT_LIMITS.items():
            local = self[name] if self[name] is not None else default
            offered = server.get(name)
            limits[name] = local if offered is None else min(local, offered)
        return limits


def read(config: pytest.Config) -> Settings:
    """Reads everything. Raises ``pytest.UsageError`` on an invalid value."""
    environment = os.environ
    values, by_option = options.read_all(config, environment)
    url, url_token = _url(values["url"], environment.get("AVIATOR_API_URL", ""))
    hint = ""
    if is_misplaced(environment.get("AVIATOR_API_URL", "")):
        hint = "AVIATOR_API_URL holds no address; put the token into CASEBOOK_TOKEN and the address into CASEBOOK_URL"
    try:
        token = read_token(environment) or (Token(url_token) if url_token else None)
    except ValueError as error:
        raise pytest.UsageError(f"CASEBOOK_TOKEN (or CASEBOOK_TOKEN_FILE, AVIATOR_API_TOKEN): {error}") from None
    root = Path(values["root"]) if values["root"] else identity.repository_root(config.rootpath)
    if values["root"] and not root.is_absolute():  # type: ignore[union-attr]
        root = config.rootpath / values["root"]
    if values["min_passes"] is not None and values["min_passes"] > (values["max_runs"] or 1):
        raise pytest.UsageError("--casebook-passes (casebook_min_passes): must not be more than casebook_max_runs")
    settings = Settings(
        values=values,
        by_option=by_option,
        token=token,
        url=url,
        redactor=Redactor(token, values["redact"]),
        root=root,
        prefix=identity.path_prefix(config.rootpath, root),
        hint=hint,
    )
    settings.ci = ci.detect(environment, root or config.rootpath, use_git=settings.configured)
    if values["repo"]:
        settings.ci.repo = ci.clean_repository(values["repo"])
    if values["check"]:
        settings.ci.check = values["check"]
    return settings


def _url(value: str, aviator: str) -> tuple[str, str]:
    """The server's origin (with a path, if it has one) and a token that was embedded in it."""
    if not value and aviator and not is_misplaced(aviator):
        parts = urlsplit(aviator.strip())
        path = parts.path.rstrip("/")
        value = parts._replace(path="" if path == "/api/v1/flaky-tests" else path, query="", fragment="").geturl()
    if not value:
        return "", ""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise pytest.UsageError("casebook_url (CASEBOOK_URL): must be an http or https address")
    try:
        port = parts.port
    except ValueError:
        raise pytest.UsageError("casebook_url (CASEBOOK_URL): the port is not a number") from None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port else "") + parts.path.rstrip("/")
    return origin, parts.password or ""
