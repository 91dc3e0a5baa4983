"""Which fixtures are kept between attempts and which are made anew."""

from __future__ import annotations

COUNTED = """
def log(word):
    with (pathlib.Path(__file__).parent / "log").open("a") as stream:
        stream.write(word + " ")
"""


def read_log(pytester):
    return (pytester.path / "log").read_text().split()


def test_wider_scopes_are_kept_also_for_their_last_user(casefile, run, pytester, xdist):
    casefile(
        COUNTED
        + """
@pytest.fixture(scope="session")
def session():
    log("session+"); yield; log("session-")
@pytest.fixture(scope="package")
def package():
    log("package+"); yield; log("package-")
@pytest.fixture(scope="module")
def module():
    log("module+"); yield; log("module-")
@pytest.fixture(scope="class")
def class_():
    log("class+"); yield; log("class-")
@pytest.fixture
def function(tmp_path):
    log("function+"); yield; log("function-")
class TestIt:
    @pytest.mark.casebook(max_runs=3)
    def test_it(self, session, package, module, class_, function):
        script("it", "ffp")
"""
    )
    assert run(xdist=xdist).ret == 0
    log = read_log(pytester)
    assert log.count("function+") == log.count("function-") == 3
    for scope in ("session", "package", "module", "class"):
        assert log.count(f"{scope}+") == log.count(f"{scope}-") == 1
    assert log.index("module-") > log.index("class-") > len(log) - 1 - log[::-1].index("function-")


def test_a_failed_module_fixture_is_made_anew(casefile, run, pytester, xdist):
    casefile(
        COUNTED
        + """
@pytest.fixture(scope="session")
def session():
    log("session+"); yield; log("session-")
@pytest.fixture(scope="module")
def module(session):
    log("module+")
    script("module", "fp")
@pytest.mark.casebook(max_runs=3)
def test_it(module): pass
def test_other(module): pass
"""
    )
    result = run(xdist=False)
    assert result.parseoutcomes() == {"passed": 2, "rerun": 1}
    log = read_log(pytester)
    assert log.count("module+") == 2
    assert log.count("session+") == log.count("session-") == 1


def test_a_failed_session_and_class_fixture_is_made_anew(casefile, run):
    casefile(
        """
@pytest.fixture(scope="session")
def session(): script("session", "fp")
@pytest.fixture(scope="class")
def class_(): script("class", "fp")
@pytest.mark.casebook(max_runs=3)
def test_session(session): pass
class TestClass:
    @pytest.mark.casebook(max_runs=3)
    def test_class(self, class_): pass
class TestDynamic:
    @pytest.mark.casebook(max_runs=3)
    def test_it(self, request):
        request.getfixturevalue("late")
@pytest.fixture(scope="class")
def late(): script("late", "fp")
"""
    )
    assert run().parseoutcomes() == {"passed": 3, "rerun": 3}


def test_setup_class_and_setup_module(casefile, run, attempts):
    casefile(
        """
import unittest
def setup_module(): script("module", "fp")
class TestUnit(unittest.TestCase):
    @classmethod
    def setUpClass(cls): script("unit", "fp")
    def test_it(self): pass
class TestPlain:
    @classmethod
    def setup_class(cls): script("plain", "fp")
    def test_it(self): pass
"""
    )
    result = run("--casebook-rerun=all", "--casebook-runs=3")
    assert result.parseoutcomes() == {"passed": 2, "rerun": 3}
    assert (attempts("module"), attempts("unit"), attempts("plain")) == (2, 2, 2)


def test_reset_widens_what_is_made_anew(casefile, run, pytester):
    pytester.makeini("[pytest]\ncasebook_reset = module\n")
    casefile(
        COUNTED
        + """
@pytest.fixture(scope="session")
def session(): log("session+")
@pytest.fixture(scope="module")
def module(session): log("module+")
@pytest.mark.casebook(max_runs=3)
def test_it(module): script("it", "fp")
def test_other(module): pass
"""
    )
    assert run().ret == 0
    assert read_log(pytester) == ["session+", "module+", "module+"]


def test_each_attempt_has_its_own_instance_and_fixtures(casefile, run):
    casefile(
        """
import unittest
class TestPlain:
    class TestNested:
        @pytest.mark.casebook(max_runs=2)
        def test_it(self, tmp_path, monkeypatch, caplog):
            assert not hasattr(self, "seen")
            assert not list(tmp_path.iterdir())
            (tmp_path / "file").touch()
            self.seen = True
            script("plain", "fp")
class TestUnit(unittest.TestCase):
    def setUp(self): self.ready = True
    @pytest.mark.casebook(max_runs=2)
    def test_it(self):
        assert self.ready and not hasattr(self, "seen")
        self.seen = True
        script("unit", "fp")
"""
    )
    assert run().parseoutcomes() == {"passed": 2, "rerun": 2}


def test_an_error_of_the_last_teardown_is_reported_once_and_not_quarantined(policy_file, casefile, run):
    policy = policy_file({"class_name": "test_case", "name": "test_it", "mode": "quarantine", "max_runs": 3})
    casefile(
        """
@pytest.fixture(scope="module")
def module():
    yield
    print("said while closing")
    assert False, "closing"
def test_it(module): pass
"""
    )
    result = run(policy)
    assert result.parseoutcomes() == {"passed": 1, "errors": 1}
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*said while closing*"])


def test_markers_and_properties_of_an_attempt_do_not_stay(casefile, run):
    casefile(
        """
@pytest.mark.casebook(max_runs=2)
def test_it(request):
    if not pathlib.Path("it.count").exists():
        script("it", "f") if not request.node.add_marker(pytest.mark.skipif(True, reason="left")) else None
    script("it", "fp")
"""
    )
    assert run().parseoutcomes() == {"passed": 1, "rerun": 1}


def test_errors_of_both_teardowns_are_shown(casefile, run):
    casefile(
        """
@pytest.fixture(scope="module")
def module():
    yield
    assert False, "closing the module"
@pytest.fixture
def function(module):
    yield
    assert False, "closing the function"
@pytest.mark.casebook(max_runs=2)
def test_it(function): pass
"""
    )
    result = run()
    assert result.parseoutcomes() == {"errors": 1, "passed": 1, "rerun": 1}
    result.stdout.fnmatch_lines(["*closing the module*", "*own teardown*", "*closing the function*"])


def test_setup_show(casefile, run, attempts):
    casefile("@pytest.mark.casebook(max_runs=2)\ndef test_it(tmp_path): script('it', 'fp')")
    result = run("--setup-show")
    assert result.parseoutcomes() == {"passed": 1, "rerun": 1}
    assert result.stdout.str().count("SETUP    F tmp_path") == 2


def test_a_failed_package_fixture_is_made_anew(run, pytester):
    package = pytester.mkpydir("pack")
    (package / "conftest.py").write_text(
        """
import pathlib, pytest
LOG = pathlib.Path(__file__).parent.parent / "log"
def log(word):
    with LOG.open("a") as stream: stream.write(word + " ")
@pytest.fixture(scope="session")
def session(): log("session+")
@pytest.fixture(scope="package")
def package(session):
    log("package+")
    assert LOG.read_text().count("package+") > 1
    yield
    log("package-")
"""
    )
    (package / "test_inner.py").write_text("def test_1(package): pass\ndef test_2(package): pass\n")
    result = run("--casebook-rerun=all", "-o", "casebook_max_runs=3")
    assert result.parseoutcomes() == {"passed": 2, "rerun": 1}
    assert read_log(pytester) == ["session+", "package+", "package+", "package-"]
