"""What a test is called: the same (class name, name) that pytest's JUnit writer derives from the node id."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@dataclass(frozen=True)
class Identity:
    """The names of one test, relative to the root of its repository."""

    node_id: str
    class_name: str
    name: str
    module: str

    @property
    def plain_name(self) -> str:
        """The name without the parameters."""
        return self.name.partition("[")[0]

    @property
    def plain_node_id(self) -> str:
        """The node id without the parameters."""
        return self.node_id.partition("[")[0]

    @property
    def digest(self) -> str:
        """SHA-256 of class name, line feed, name: how a list of known tests names this one."""
        return hashlib.sha256(f"{self.class_name}\n{self.name}".encode("utf-8", "replace")).hexdigest()


def without_addresses(text: str) -> str:
    """Object addresses change with every run, so they must not be part of a name."""
    return _ADDRESS.sub(" at 0x…", text)


def identify(node_id: str, prefix: str = "") -> Identity:
    """Derives the identity from a node id; ``prefix`` is the way from the repository's root to pytest's."""
    node_id = without_addresses(prefix + node_id)
    address, bracket, parameters = node_id.partition("[")
    parts = address.split("::")
    parts[0] = re.sub(r"\.py$", "", parts[0].replace("/", "."))
    module = parts[0]
    parts[-1] += bracket + parameters
    return Identity(node_id, ".".join(parts[:-1]), parts[-1], module)


def repository_root(start: Path) -> Path | None:
    """The nearest directory at or above ``start`` that holds ``.git``."""
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            return folder
    return None


def path_prefix(rootpath: Path, root: Path | None) -> str:
    """What to put before pytest's node ids to make them relative to ``root``."""
    if root is None:
        return ""
    try:
        relative = rootpath.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return ""
    return "" if relative == "." else relative + "/"
