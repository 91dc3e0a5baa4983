"""Kinds of tests: classes, unittest, async, parameters, doctests; and how each is named."""

from __future__ import annotations

import importlib.util

import pytest

from pytest_casebook.identity import identify


def has(name):
    return importlib.util.find_spec(name) is not None


def test_unittest_and_async_unittest(casefile, run, xdist):
    casefile(
        """
import unittest
class TestUnit(unittest.TestCase):
    def test_it(self): script("unit", "fp")
class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self): self.ready = True
    async def test_it(self):
        assert self.ready
        script("async", "fp")
class TestPlain:
    class TestNested:
        def test_it(self): script("nested", "fp")
"""
    )
    result = run("--casebook-rerun=all", "--casebook-runs=2", xdist=xdist)
    assert result.parseoutcomes() == {"passed": 3, "rerun": 3}


@pytest.mark.skipif(not has("pytest_asyncio"), reason="pytest-asyncio is not installed")
def test_pytest_asyncio(casefile, run):
    casefile(
        """
loops = []
@pytest.mark.asyncio
async def test_it():
    import asyncio
    loops.append(asyncio.get_running_loop())
    script("it", "fp")
    assert loops[0] is not loops[1]
"""
    )
    result = run("--casebook-rerun=all", "--casebook-runs=2", plugins=["pytest_asyncio.plugin"])
    assert result.parseoutcomes()["passed"] == 1


@pytest.mark.skipif(not has("anyio"), reason="anyio is not installed")
def test_anyio(casefile, run):
    casefile(
        """
@pytest.fixture
def anyio_backend(): return "asyncio"
@pytest.mark.anyio
async def test_it(): script("it", "fp")
"""
    )
    result = run("--casebook-rerun=all", "--casebook-runs=2", plugins=["anyio.pytest_plugin"])
    assert result.parseoutcomes()["passed"] == 1


def test_parameters_with_and_without_ids(policy_file, casefile, run, attempts):
    casefile(
        """
@pytest.mark.parametrize("value", ["a", "b"])
def test_all(value): script("all" + value, "fp")
@pytest.mark.parametrize("value", ["a", "b"])
def test_one(value): script("one" + value, "fp")
@pytest.mark.parametrize("value", ["a", "b"])
def test_both(value): script("both" + value, "ffp")
"""
    )
    policy = policy_file(
        {"class_name": "test_case", "name": "test_all", "max_runs": 2},
        {"class_name": "test_case", "name": "test_one[a]", "max_runs": 2},
        {"class_name": "test_case", "name": "test_both", "max_runs": 2},
        {"node_id": "test_case.py::test_both[b]", "max_runs": 3},
    )
    result = run(policy)
    assert result.parseoutcomes() == {"passed": 4, "failed": 2, "rerun": 6}
    assert [attempts(name) for name in ("alla", "allb", "onea", "oneb", "botha", "bothb")] == [2, 2, 2, 1, 2, 3]


def test_whole_class_and_whole_module(policy_file, casefile, run):
    casefile(
        """
class TestIt:
    def test_1(self): script("one", "fp")
    class TestInner:
        def test_2(self): script("two", "fp")
def test_3(): script("three", "fp")
"""
    )
    result = run(policy_file({"class_name": "test_case.TestIt", "max_runs": 2}))
    assert result.parseoutcomes() == {"passed": 2, "failed": 1, "rerun": 2}


def test_doctests(policy_file, pytester, run):
    pytester.makepyfile(
        thing='''
def thing():
    """
    >>> import pathlib
    >>> with pathlib.Path("count").open("a") as file: _ = file.write("x")
    >>> len(pathlib.Path("count").read_text())
    2
    """
'''
    )
    result = run("--doctest-modules", "--casebook-rerun=all", "--casebook-runs=3")
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}


@pytest.mark.parametrize(
    ("node_id", "prefix", "class_name", "name"),
    [
        ("tests/test_x.py::test_a", "", "tests.test_x", "test_a"),
        ("tests/test_x.py::TestA::TestB::test_a[x::y/z.py]", "", "tests.test_x.TestA.TestB", "test_a[x::y/z.py]"),
        ("test_x.py::test_a", "sub/dir/", "sub.dir.test_x", "test_a"),
        ("t.py::test_a[<object at 0x7f12ab>]", "", "t", "test_a[<object at 0x…>]"),
    ],
)
def test_names(node_id, prefix, class_name, name):
    found = identify(node_id, prefix)
    assert (found.class_name, found.name) == (class_name, name)


def test_names_are_those_of_pytests_junit_writer(server, casefile, run, pytester):
    from xml.etree import ElementTree

    casefile(
        """
class TestA:
    @pytest.mark.parametrize("value", ["a/b.py", "x::y", "[z]"])
    def test_it(self, value): pass
def test_plain(): pass
"""
    )
    run("--junitxml=o.xml", "--junitprefix=prefix")
    cases = ElementTree.parse(pytester.path / "o.xml").iter("testcase")
    wanted = {(case.get("classname").replace("prefix.", "", 1), case.get("name")) for case in cases}
    assert {(entry["scope"], entry["name"]) for entry in server.entries} == wanted


def test_names_are_relative_to_the_repository(server, pytester, run, monkeypatch):
    (pytester.path / ".git").mkdir()
    folder = pytester.mkdir("service")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_case.py").write_text("def test_it(): assert False\n")
    server.list("test_it", mode="quarantine", class_name="service.test_case")
    monkeypatch.chdir(folder)
    result = run()
    assert result.ret == 0
    entry = server.entries[0]
    assert (entry["scope"], entry["identifier"], entry["file_name"], entry["location"]) == (
        "service.test_case",
        "service/test_case.py::test_it",
        "service/test_case.py",
        "service/test_case.py:1",
    )


YAML_ITEMS = """
import pathlib, pytest
class Item(pytest.Item):
    def runtest(self):
        with open("yaml.count", "a") as file: file.write("x")
        assert len(pathlib.Path("yaml.count").read_text()) > 1
    def reportinfo(self): return self.path, 0, self.name
class File(pytest.File):
    def collect(self):
        item = Item.from_parent(self, name="one")
        item.casebook_no_rerun = NO_RERUN
        yield item
def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".yaml": return File.from_parent(parent, path=file_path)
"""


@pytest.mark.parametrize(("no_rerun", "outcomes"), [(False, {"passed": 1, "rerun": 1}), (True, {"quarantined": 1})])
def test_items_of_other_kinds(server, pytester, run, no_rerun, outcomes):
    server.list("one", mode="quarantine", max_runs=2, class_name="case.yaml")
    pytester.makeconftest(YAML_ITEMS.replace("NO_RERUN", str(no_rerun)))
    pytester.makefile(".yaml", case="")
    assert run().parseoutcomes() == outcomes
    assert {(entry["scope"], entry["name"]) for entry in server.entries} == {("case.yaml", "one")}


def test_a_doctest_can_be_quarantined_and_disabled(server, pytester, run):
    pytester.makepyfile(
        thing='def one():\n    """\n    >>> 1\n    2\n    """\ndef two():\n    """\n    >>> 1\n    2\n    """'
    )
    server.list("thing.one", mode="quarantine", class_name="thing")
    server.list("thing.two", mode="disabled", class_name="thing")
    assert run("--doctest-modules").parseoutcomes() == {"quarantined": 1, "skipped": 1}


def test_subtests_of_unittest(server, casefile, run, attempts):
    casefile(
        """
import unittest
class TestA(unittest.TestCase):
    def test_it(self):
        for name in ("one", "two"):
            with self.subTest(name): script(name, "fp" if name == "one" else "p")
"""
    )
    result = run("--casebook-runs=2")
    assert result.ret == 0
    assert (attempts("one"), server.results("test_it")) == (2, ["failed", "passed"])


def test_the_root_of_the_repository_can_be_named(server, pytester, run, monkeypatch):
    (pytester.path / ".git").mkdir()
    folder = pytester.mkdir("outer").joinpath("service")
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\ncasebook_root = ..\n")
    (folder / "test_case.py").write_text("def test_it(): pass\n")
    monkeypatch.chdir(folder)
    run()
    assert server.entries[0]["identifier"] == "service/test_case.py::test_it"


def test_addresses_of_objects_are_left_out_with_a_note(server, casefile, run):
    casefile("class Thing:\n    pass\n@pytest.mark.parametrize('value', [Thing()], ids=repr)\ndef test_it(value): pass")
    result = run("-v")
    (entry,) = server.entries
    assert entry["name"] == "test_it[<test_case.Thing object at 0x…>]"
    result.stdout.fnmatch_lines(["1 test ids hold object addresses; they are uploaded as 0x…"])


@pytest.mark.skipif(not has("trio") or not has("pytest_trio"), reason="pytest-trio is not installed")
def test_trio(casefile, run):
    casefile("@pytest.mark.trio\nasync def test_it(): script('it', 'fp')")
    result = run("--casebook-runs=2", plugins=["pytest_trio.plugin"])
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}
