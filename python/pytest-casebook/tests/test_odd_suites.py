"""Odd suites of which nothing is flaky: with the plugin, and with every test rerun, they end as without it."""

from __future__ import annotations

import re
import shutil
import sys

import pytest

SUITES = {
    "parameters with odd characters": """
import pytest
@pytest.mark.parametrize("value", ["a b", "a::b", "a/b.py", "[x]", "é", "\\n", "\\x00", "", "%", "a" * 300, "\\ud800"])
def test_a(value): assert len(value) != 1
@pytest.mark.parametrize("value", [object(), b"\\xff", None, 1.5])
def test_b(value): pass
""",
    "fixtures that fail in setup": """
import pytest
@pytest.fixture(scope="session")
def session(): raise OSError("session")
@pytest.fixture(scope="module")
def module(): raise OSError("module")
@pytest.fixture(scope="class")
def class_(): raise OSError("class")
@pytest.fixture
def function(): raise OSError("function")
def test_session(session): pass
def test_session_again(session): pass
def test_module(module): pass
class TestA:
    def test_class(self, class_): pass
    def test_class_again(self, class_): pass
    def test_function(self, function): pass
def test_fine(): pass
""",
    "fixtures that fail in teardown": """
import pytest
@pytest.fixture(scope="session")
def session():
    yield
    raise OSError("session")
@pytest.fixture(scope="module")
def module():
    yield
    raise OSError("module")
@pytest.fixture(scope="class")
def class_():
    yield
    raise OSError("class")
@pytest.fixture
def function():
    yield
    raise OSError("function")
class TestA:
    def test_1(self, class_): pass
    def test_2(self, class_): assert False
def test_function(function): pass
def test_module(module): pass
def test_session(session): pass
def test_last(module): pass
""",
    "unittest": """
import unittest
class TestSetUpClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls): raise OSError("class")
    def test_1(self): pass
    def test_2(self): pass
class TestTearDownClass(unittest.TestCase):
    @classmethod
    def tearDownClass(cls): raise OSError("class")
    def test_1(self): pass
    def test_2(self): self.fail("no")
class TestCleanups(unittest.TestCase):
    def setUp(self): self.addCleanup(self.fail, "cleanup")
    def test_1(self): pass
class TestTearDown(unittest.TestCase):
    def tearDown(self): raise OSError("method")
    def test_1(self): pass
    @unittest.skip("no")
    def test_2(self): pass
    @unittest.expectedFailure
    def test_3(self): self.fail("no")
    @unittest.expectedFailure
    def test_4(self): pass
    def test_5(self): raise unittest.SkipTest("now")
@unittest.skip("all")
class TestSkipped(unittest.TestCase):
    def test_1(self): pass
""",
    "skips and expected failures": """
import pytest
@pytest.fixture
def skips(): pytest.skip("in setup")
@pytest.fixture
def xfails(): pytest.xfail("in setup")
@pytest.fixture
def fails(): pytest.fail("in setup", pytrace=False)
@pytest.fixture
def breaks():
    yield
    pytest.fail("in teardown", pytrace=False)
def test_1(skips): pass
def test_2(xfails): pass
def test_3(fails): pass
def test_4(breaks): pytest.skip("then it breaks")
@pytest.mark.xfail
def test_5(breaks): assert False
@pytest.mark.xfail(raises=OSError)
def test_6(): raise ValueError
@pytest.mark.xfail(strict=True)
def test_7(): pass
@pytest.mark.xfail(run=False)
def test_8(): raise SystemExit
@pytest.mark.skipif(True, reason="no")
class TestA:
    def test_9(self): pass
""",
    "errors that are hard to show": """
import pytest
class Mute(Exception):
    def __str__(self): raise RuntimeError("no text")
    __repr__ = __str__
class Picky(Exception):
    def __eq__(self, other): raise RuntimeError("not comparable")
    __hash__ = Exception.__hash__
class Base(BaseException): pass
def test_mute(): raise Mute()
def test_picky(): raise Picky("x")
@pytest.fixture(scope="module")
def picky(): raise Picky("y")
def test_late(request): request.getfixturevalue("picky")
def test_base(): raise Base("base")
def test_leaves(): raise SystemExit(3)
def test_nul(): assert False, "a\\x00b\\x1b[31m"
def test_deep():
    def again(): again()
    again()
def test_no_traceback():
    __tracebackhide__ = True
    assert False
def test_chain():
    try:
        raise KeyError("one")
    except KeyError:
        raise ValueError("two")
""",
    "halves of surrogate pairs": """
def test_a():
    print("\\ud800")
    assert "\\ud800" == "x", "\\ud800"
""",
    "output of every kind": """
import logging, os, sys, warnings
import pytest
def test_out(): print("out"); print("err", file=sys.stderr); os.write(1, b"fd"); assert False
def test_log(caplog): logging.warning("logged"); assert caplog.records; assert False
def test_warns(): warnings.warn("careful"); assert False
def test_capture(capsys, capfd=None): print("x"); assert capsys.readouterr().out == "x\\n"
def test_binary(capfdbinary): os.write(1, b"x"); assert capfdbinary.readouterr().out == b"x"
def test_recwarn(recwarn): warnings.warn("seen"); assert len(recwarn) == 1
def test_pytest_warns():
    with pytest.warns(UserWarning): warnings.warn("seen")
def test_closed(): sys.stdout.flush()
""",
    "tests that leave things changed": """
import os, sys, time
import pytest
def test_folder(tmp_path): os.chdir(tmp_path)
def test_environment(): os.environ.clear()
def test_streams(): sys.stdout = sys.stderr
def test_descriptors():
    if not sys.gettrace(): os.closerange(30, 60)
def test_fails(): assert False
""",
    "markers and names": """
import pytest
pytestmark = pytest.mark.usefixtures("tmp_path")
@pytest.mark.parametrize("a", [1, 2])
@pytest.mark.parametrize("b", [pytest.param(1, marks=pytest.mark.xfail), pytest.param(2, id="é"), 3])
class TestA:
    @pytest.mark.parametrize("c", [1], indirect=True)
    def test_it(self, a, b, c): assert a != b
    @pytest.fixture
    def c(self, request): return request.param
    class TestB:
        @staticmethod
        def test_static(a, b): pass
        @classmethod
        def test_class(cls, a, b): pass
@pytest.fixture(params=[1, 2], scope="module", autouse=True)
def auto(request):
    yield request.param
    assert request.param == 1
def test_plain(): pass
""",
    "subtests": """
import unittest
class TestA(unittest.TestCase):
    def test_1(self):
        for number in range(4):
            with self.subTest(number=number): self.assertNotEqual(number, 2)
        self.fail("then this")
    def test_2(self):
        with self.subTest("one"): pass
    def test_3(self):
        with self.subTest("one"): self.skipTest("no")
    def test_4(self):
        with self.subTest("one"): self.fail("no")
""",
    "asynchronous unittest": """
import unittest
class TestA(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self): self.ready = True
    async def test_1(self): assert self.ready
    async def test_2(self): self.fail("no")
    async def asyncTearDown(self): assert self.ready
class TestB(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self): raise OSError("no")
    async def test_1(self): pass
""",
    "the test before the last fails and the last leaves": """
import pytest
@pytest.fixture(scope="module", autouse=True)
def module():
    yield
    print("closed")
def test_1(): assert False
def test_2(): pytest.exit("enough", 3)
def test_3(): pass
""",
    "an interrupt": """
def test_1(): assert False
def test_2(): raise KeyboardInterrupt
def test_3(): pass
""",
    "leaving while fixtures close": """
import pytest
@pytest.fixture
def leaves():
    yield
    pytest.exit("while closing")
def test_1(leaves): assert False
def test_2(): pass
""",
    "a collection error": "import nowhere\ndef test_a(): pass",
    "nothing": "",
}
# xdist cannot tell of the first; what it makes of the others depends on how far which worker is.
IN_ONE_PROCESS = (
    "halves of surrogate pairs",
    "the test before the last fails and the last leaves",
    "an interrupt",
    "leaving while fixtures close",
)
OPTIONS = {
    "plainly": (),
    "-x": ("-x",),
    "--maxfail": ("--maxfail=2",),
    "-s": ("-s",),
    "sys": ("--capture=sys",),
    "tee": ("--capture=tee-sys",),
    "warnings are errors": ("-W", "error"),
    "strict": ("--strict-markers", "--strict-config"),
    "no cache": ("-p", "no:cacheprovider"),
    "no terminal": ("-p", "no:terminal"),
    "junit": ("--junitxml=o.xml", "-o", "junit_logging=all"),
    "setup-show": ("--setup-show",),
    "live log": ("-o", "log_cli=true", "--log-cli-level=INFO"),
    "importlib": ("--import-mode=importlib",),
    "stepwise": ("--sw",),
    "failed first": ("--ff", "--nf"),
    "setup-only": ("--setup-only",),
    "no warnings plugin": ("-p", "no:warnings"),
    "no faults, no logs": ("-p", "no:faulthandler", "-p", "no:logging"),
    "one test": ("test_case.py::TestA::test_2",),
    "nothing chosen": ("-k", "nowhere"),
    "quiet": ("-q", "--tb=no", "--color=yes", "--no-header"),
    "continue": ("--continue-on-collection-errors", "--durations=3", "-rA"),
}
RERUN = ("--casebook-rerun=all", "-o", "casebook_max_runs=2", "-o", "casebook_guard_failures=999")


@pytest.fixture
def counts(pytester, monkeypatch):
    """Exit code and counts of a run of this suite without the plugin, or with it."""

    def start(source, *arguments):
        pytester.makepyfile(test_case=source)
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        monkeypatch.setenv("XDG_CACHE_HOME", str(pytester.path / "cache"))
        shutil.rmtree(pytester.path / ".pytest_cache", ignore_errors=True)
        result = pytester.run(sys.executable, "-m", "pytest", *arguments, timeout=120)
        text = result.stdout.str() + result.stderr.str()
        assert "switched itself off" not in text
        assert "INTERNALERROR" not in text
        plain = [re.sub(r"\x1b\[[\d;]*m", "", line) for line in result.outlines]
        last = next((line for line in reversed(plain) if re.search(r" in [\d.]+s", line)), "")
        outcomes = {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", last)}
        # A warning may be given once for each attempt, "errors" are one "error".
        for name in ("rerun", "warning", "warnings"):
            outcomes.pop(name, None)
        return result.ret, outcomes

    return start


@pytest.mark.parametrize("suite", list(SUITES))
def test_each_suite_ends_as_without_the_plugin(counts, server, suite):
    bare = counts(SUITES[suite])
    assert counts(SUITES[suite], "-p", "pytest_casebook.plugin") == bare
    assert counts(SUITES[suite], "-p", "pytest_casebook.plugin", *RERUN) == bare


@pytest.mark.parametrize("suite", [name for name in SUITES if name not in IN_ONE_PROCESS])
def test_each_suite_ends_as_without_the_plugin_in_workers(counts, suite):
    pytest.importorskip("xdist")
    workers = ("-p", "xdist.plugin", "-n", "2", "--dist=loadfile")
    bare = counts(SUITES[suite], *workers)
    assert counts(SUITES[suite], "-p", "pytest_casebook.plugin", *RERUN, *workers) == bare


@pytest.mark.parametrize("options", list(OPTIONS))
def test_each_option_works_as_without_the_plugin(counts, options):
    source = "\n".join(SUITES[name] for name in ("fixtures that fail in teardown", "output of every kind"))
    bare = counts(source, *OPTIONS[options])
    assert counts(source, "-p", "pytest_casebook.plugin", *RERUN, *OPTIONS[options]) == bare
