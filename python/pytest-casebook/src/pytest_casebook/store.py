"""Files kept between runs: the last policy, and results that could not be sent. Never a token."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SPOOL_BYTES = 50 * 1024 * 1024
SPOOL_DAYS = 30
DAY = 86_400.0


class Store:
    """A folder for the policy cache and the spool. Every trouble with files is taken as "there is nothing"."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def _policy(self) -> Path:
        return self.folder / "policy.json"

    def load_policy(self, scope: str) -> dict[str, Any] | None:
        """The cached policy of this scope: ``policy``, ``etag``, ``fetched_at`` (seconds since the epoch)."""
        try:
            data = json.loads(self._policy.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(data, dict) or data.get("scope") != scope or not isinstance(data.get("policy"), dict):
            return None
        if not isinstance(data.get("fetched_at"), (int, float)) or not isinstance(data.get("etag", ""), str):
            return None
        return data

    def save_policy(self, scope: str, policy: dict[str, Any], etag: str, protocol: str) -> None:
        """Remembers a policy for the next run."""
        data = {"scope": scope, "etag": etag, "fetched_at": time.time(), "protocol": protocol, "policy": policy}
        with contextlib.suppress(OSError):
            self._write(self._policy, json.dumps(data).encode())

    def drop_policy(self) -> None:
        """Forgets the policy: its token is no longer valid."""
        with contextlib.suppress(OSError):
            self._policy.unlink()

    def spool(self, payload: dict[str, Any]) -> bool:
        """Keeps one upload for later. False if that is not possible."""
        path = self.folder / f"{time.time_ns():020d}-{uuid.uuid4().hex}.json.gz"
        try:
            self._write(path, gzip.compress(json.dumps(payload).encode(), 5))
        except OSError:
            return False
        self.trim()
        return path.exists()

    def spooled(self) -> list[Path]:
        """Kept uploads, oldest first."""
        try:
            return sorted(self.folder.glob("*.json.gz"))
        except OSError:
            return []

    def read_spooled(self, path: Path) -> dict[str, Any] | None:
        """One kept upload; a damaged file is removed."""
        try:
            payload = json.loads(gzip.decompress(path.read_bytes()))
        except (OSError, ValueError, EOFError, RecursionError):
            payload = None
        except Exception:  # zlib.error has no common base with the others
            payload = None
        if isinstance(payload, dict) and isinstance(payload.get("data"), list):
            return payload
        self.remove(path)
        return None

    def remove(self, path: Path) -> None:
        """Removes one kept upload."""
        with contextlib.suppress(OSError):
            path.unlink()

    def trim(self) -> None:
        """Drops what is too old, and the oldest beyond the size."""
        total = 0
        for path, size, age in reversed(list(self._sizes())):
            total += size
            if age > SPOOL_DAYS * DAY or total > SPOOL_BYTES:
                self.remove(path)

    def _sizes(self) -> Iterator[tuple[Path, int, float]]:
        for path in self.spooled():
            try:
                state = path.stat()
            except OSError:
                continue
            yield path, state.st_size, time.time() - state.st_mtime

    def _write(self, path: Path, content: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise


def folder(config: Any) -> Path:
    """Below pytest's cache; without the cache plugin, in the user's cache directory."""
    cache = getattr(config, "cache", None)
    if cache is not None:
        # A folder that cannot be written is noticed when something is to be kept.
        with contextlib.suppress(OSError):
            return Path(cache.mkdir("casebook"))
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "casebook" / "pytest"


def scope(*parts: str) -> str:
    """A name for (URL, suite) that tells nothing about them."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
