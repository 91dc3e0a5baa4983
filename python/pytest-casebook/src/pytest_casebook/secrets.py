"""The token, and the filter that keeps it out of every text."""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from pathlib import Path

MASK = "***"
_USER_INFORMATION = re.compile(r"(?<=://)[^/@\s'\"]+@")
_AUTHORIZATION = re.compile(r"(?i)(authorization['\"]?\s*[:=]\s*['\"]?)(?:(?:bearer|basic|token)\s+)?[^\s'\",}]+")


class Token:
    """Holds the token so that no ordinary way of writing an object down shows it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The token itself; only for the ``Authorization`` header and for :class:`Redactor`."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, _format: str) -> str:
        return MASK

    def __reduce__(self) -> tuple[type[Token], tuple[str]]:
        return (Token, (MASK,))

    def __bool__(self) -> bool:
        return bool(self._value)


class Redactor:
    """Removes the token, user information in URLs, ``Authorization`` values, and what the user's patterns find."""

    def __init__(self, token: Token | None = None, patterns: tuple[str, ...] = ()) -> None:
        self._token = token
        self._patterns = [re.compile(pattern) for pattern in patterns]

    def message(self, text: object) -> str:
        """For a text of our own, such as one made from an exception."""
        cleaned = str(text)
        if self._token is not None and len(self._token.reveal()) >= 4:
            cleaned = cleaned.replace(self._token.reveal(), MASK)
        cleaned = _USER_INFORMATION.sub(MASK + "@", cleaned)
        return _AUTHORIZATION.sub(r"\1" + MASK, cleaned)

    def failure(self, text: str) -> str:
        """For a text of the tested program, before it is uploaded."""
        for pattern in self._patterns:
            text = pattern.sub(MASK, text)
        return self.message(text)


def read_token(environment: MutableMapping[str, str]) -> Token | None:
    """``CASEBOOK_TOKEN``, else the file ``CASEBOOK_TOKEN_FILE`` names, else ``AVIATOR_API_TOKEN``.

    With ``CASEBOOK_HIDE_TOKEN=1`` the variables are removed once they were read. Raises ``ValueError``, without showing
    it, if what is there can be no token: it would be shown by the errors of those who refuse it.
    """
    value = environment.get("CASEBOOK_TOKEN", "").strip()
    file = environment.get("CASEBOOK_TOKEN_FILE", "").strip()
    if not value and file:
        try:
            value = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            value = ""
    if not value:
        value = environment.get("AVIATOR_API_TOKEN", "").strip()
    if not value:
        value = _misplaced_token(environment)
    if environment.get("CASEBOOK_HIDE_TOKEN") == "1" and environment is os.environ:
        for name in ("CASEBOOK_TOKEN", "AVIATOR_API_TOKEN"):
            environment.pop(name, None)
        if is_misplaced(environment.get("AVIATOR_API_URL", "")):
            environment.pop("AVIATOR_API_URL", None)
    if not re.fullmatch(r"[!-~]*", value):
        raise ValueError("the token must be one word of printable ASCII characters")
    return Token(value) if value else None


def is_misplaced(value: str) -> bool:
    """Whether ``AVIATOR_API_URL`` holds a token, as the README of pytest-aviator 0.1.1 asked for."""
    return bool(value.strip()) and not re.match(r"(?i)https?://", value.strip())


def _misplaced_token(environment: MutableMapping[str, str]) -> str:
    value = environment.get("AVIATOR_API_URL", "").strip()
    return value if is_misplaced(value) else ""
