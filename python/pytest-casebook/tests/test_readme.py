"""The README names every setting there is, and none that is not."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_casebook import options

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
TABLE = README.partition("## Settings")[2].partition("## ")[0]
# What ci.py and secrets.py read beside the table of settings.
VARIABLES = {
    *(f"CASEBOOK_{name}" for name in ("TOKEN", "TOKEN_FILE", "BRANCH", "COMMIT", "BUILD_ID", "BUILD_URL", "JOB_ID")),
    "CASEBOOK_MESSAGE",
    "CASEBOOK_HIDE_TOKEN",
    "CASEBOOK_CA_FILE",
}


def named(pattern, text=README):
    return set(re.findall(pattern, text))


def test_every_option():
    registered = {name for key in options.KEYS for name in (key.option, key.off) if name}
    assert named(r"--(?:no-)?casebook[a-z-]*", TABLE) == registered
    assert named(r"--(?:no-)?casebook[a-z-]*") == registered


def test_every_ini_key():
    registered = {options.ini_name(key) for key in options.KEYS if key.ini}
    assert named(r"`(casebook(?:_[a-z_]+)?)`", TABLE) == registered
    assert named(r"\b(casebook_[a-z_]+)") - {"casebook_tag"} <= registered


def test_every_variable():
    told = named(r"\bCASEBOOK_[A-Z_]+")
    assert told - {"CASEBOOK_BINARY"} == {key.environment for key in options.KEYS if key.environment} | VARIABLES


def test_every_variable_that_the_source_reads_is_known():
    source = "".join(path.read_text(encoding="utf-8") for path in Path(options.__file__).parent.glob("*.py"))
    read = set(re.findall(r'"(CASEBOOK_[A-Z_]+)"', source))
    assert read == {key.environment for key in options.KEYS if key.environment} | VARIABLES


def test_every_word():
    for key in options.KEYS:
        if isinstance(key.kind, tuple):
            row = next(line for line in TABLE.splitlines() if options.ini_name(key) + "`" in line)
            for word in key.kind:
                assert f"`{word}`" in row, (key.name, word)


def test_every_option_is_in_the_help(run):
    text = run("--help").stdout.str()
    for key in options.KEYS:
        for name in (key.option, key.off, options.ini_name(key)):
            assert name in text, name


def test_markers_are_told(run):
    text = run("--markers").stdout.str()
    assert "@pytest.mark.casebook(max_runs=2, min_passes=1, only=None, except_=None, delay=0, pin=False)" in text
    assert "@pytest.mark.casebook_tag(key, value)" in text
