"""Which failures may be rerun: exception class names, or regular expressions on ``Type: message``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_casebook.attempt import say


def allows(only: tuple[str, ...], except_: tuple[str, ...], errors: list[BaseException], messages: list[str]) -> bool:
    """Whether a failed attempt may be followed by another.

    ``errors`` are the exceptions of the attempt. ``messages`` stand for failures without one, such as those of a
    subtest or of another process. ``only`` also looks at the causes and contexts of an exception.
    """
    if not only and not except_:
        return True
    if except_ and any(_matches(except_, error) for error in errors):
        return False
    if except_ and any(_matches_text(except_, message) for message in messages):
        return False
    if not only:
        return True
    return any(_matches(only, cause) for error in errors for cause in _causes(error)) or any(
        _matches_text(only, message) for message in messages
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [current.__cause__, current.__context__]


def _matches(patterns: tuple[str, ...], error: BaseException) -> bool:
    names = {each.__name__ for each in type(error).__mro__} | {
        f"{each.__module__}.{each.__qualname__}" for each in type(error).__mro__
    }
    return any(pattern in names for pattern in patterns) or _matches_text(
        patterns, f"{type(error).__name__}: {say(error)}"
    )


def _matches_text(patterns: tuple[str, ...], text: str) -> bool:
    return any(re.search(pattern, text) for pattern in patterns)
