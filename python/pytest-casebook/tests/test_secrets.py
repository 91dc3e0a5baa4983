"""The token is nowhere but in the Authorization header."""

from __future__ import annotations

import copy
import pickle
import shutil
import ssl
import subprocess
import threading

import pytest

from pytest_casebook.secrets import Redactor, Token, read_token
from pytest_casebook.transport import RefusedError, Transport, TransportError, is_private

SECRET = "cb_secret_7f3a9d"


def everything(folder):
    """All files below a folder, unpacked where needed."""
    import gzip

    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found.append(gzip.decompress(data) if path.suffix == ".gz" else data)
    return b"\n".join(found)


@pytest.mark.parametrize("upload_fails", [False, True])
def test_token_is_in_no_output_and_no_file(server, casefile, run, pytester, xdist, upload_fails):
    server.list("test_a", max_runs=2)
    server.upload_statuses = [500] * 4 if upload_fails else []
    casefile("def test_a(): script('a', 'fp')")
    result = run(
        "--casebook-debug",
        "--debug",
        "--casebook-report=full",
        "-rA",
        "-vv",
        "--junitxml=o.xml",
        "--full-trace",
        xdist=xdist,
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(["casebook: GET /api/casebook/v1/policy*: 200, * ms"])
    assert SECRET not in result.stdout.str()
    assert SECRET not in result.stderr.str()
    assert SECRET.encode() not in everything(pytester.path)


def test_token_is_in_no_failure_text(server, casefile, run):
    casefile(f"import os\ndef test_a(): assert False, os.environ['CASEBOOK_TOKEN'] + ' {SECRET}'")
    run()
    assert SECRET not in str(server.uploads)
    assert "***" in server.entries[0]["failure_reason"]


def test_token_is_in_no_command_line(server, casefile, run, xdist):
    casefile(
        f"""
def test_a():
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert b"{SECRET[:-1]}" + b"d" not in file.read_bytes()
        except OSError:
            pass
"""
    )
    assert run(xdist=xdist).ret == 0


def test_configuration_does_not_hold_it(server, casefile, run, pytester):
    pytester.makeconftest(
        f"""
def pytest_runtest_setup(item):
    assert "{SECRET[:-1]}" + "d" not in str(vars(item.config.option))
    assert "{SECRET[:-1]}" + "d" not in str(getattr(item.config, "workerinput", ""))
"""
    )
    casefile("def test_a(): pass")
    assert run(xdist=False).ret == 0


def test_token_can_be_hidden_from_tests(server, casefile, run, xdist, monkeypatch):
    monkeypatch.setenv("CASEBOOK_HIDE_TOKEN", "1")
    casefile("def test_a(): assert 'CASEBOOK_TOKEN' not in os.environ")
    assert run(xdist=xdist).ret == 0
    assert len(server.entries) == 1


def test_every_way_of_writing_it_down():
    token = Token(SECRET)
    written = [repr(token), str(token), f"{token}", f"{token!r}", str([token]), repr(pickle.dumps(token))]
    written += [str(pickle.loads(pickle.dumps(token)).reveal()), repr(copy.deepcopy(token)), str(vars(Redactor(token)))]
    assert not [text for text in written if SECRET in text]


def test_messages_are_cleaned():
    redactor = Redactor(Token(SECRET))
    cleaned = redactor.message(
        f"{SECRET} http://user:pass@host/x Authorization: Bearer abc.def 'authorization': 'Token xyz'"
    )
    for secret in (SECRET, "user", "pass", "abc.def", "xyz"):
        assert secret not in cleaned


def test_where_the_token_comes_from(tmp_path):
    file = tmp_path / "token"
    file.write_text("from-file\n")
    assert read_token({}) is None
    assert read_token({"CASEBOOK_TOKEN": " "}) is None
    assert (
        read_token({"CASEBOOK_TOKEN": "a", "CASEBOOK_TOKEN_FILE": str(file), "AVIATOR_API_TOKEN": "b"}).reveal() == "a"
    )
    assert read_token({"CASEBOOK_TOKEN_FILE": str(file), "AVIATOR_API_TOKEN": "b"}).reveal() == "from-file"
    assert read_token({"CASEBOOK_TOKEN_FILE": "/nowhere", "AVIATOR_API_TOKEN": "b"}).reveal() == "b"
    assert read_token({"AVIATOR_API_URL": "av_live_1"}).reveal() == "av_live_1"
    assert read_token({"AVIATOR_API_URL": "https://host/"}) is None


def test_misplaced_token_is_used_with_a_hint_that_does_not_show_it(server, casefile, run, monkeypatch):
    monkeypatch.delenv("CASEBOOK_TOKEN")
    monkeypatch.setenv("AVIATOR_API_URL", "av_live_misplaced")
    casefile("def test_a(): pass")
    result = run()
    assert server.requests[0][2]["Authorization"] == "Bearer av_live_misplaced"
    result.stdout.fnmatch_lines(["AVIATOR_API_URL holds no address*"])
    assert "av_live_misplaced" not in result.stdout.str()


def test_token_inside_the_address(server, casefile, run, monkeypatch):
    monkeypatch.delenv("CASEBOOK_TOKEN")
    monkeypatch.setenv("CASEBOOK_URL", server.url.replace("http://", "http://any:cb_embedded@"))
    casefile("def test_a(): pass")
    result = run()
    assert server.requests[0][2]["Authorization"] == "Bearer cb_embedded"
    assert "cb_embedded" not in result.stdout.str()


def test_redirects_within_the_server_keep_the_token_and_others_are_refused(server):
    seen = []

    def answer(handler):
        seen.append(handler.headers.get("Authorization"))
        target = "/known" if len(seen) == 1 else "https://127.0.0.1:1/known"
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    server.policy_answer = answer
    server.files["/known"] = b"{}"
    transport = Transport(server.url, Token(SECRET), Redactor(Token(SECRET)))
    assert transport.get("/api/casebook/v1/policy").status == 200
    assert server.requests[-1][2]["Authorization"] == f"Bearer {SECRET}"
    with pytest.raises(RefusedError, match="another server"):
        transport.get("/api/casebook/v1/policy")


def test_http_only_to_private_addresses():
    assert is_private("127.0.0.1")
    assert is_private("::1")
    assert is_private("192.168.1.7")
    assert not is_private("8.8.8.8")
    with pytest.raises(RefusedError, match="use https"):
        Transport("http://8.8.8.8", Token(SECRET), Redactor()).get("/")


def secure(server, folder):
    """Makes a server speak https, with a certificate of its own in ``folder``."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server.http.socket = context.wrap_socket(server.http.socket, server_side=True)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_certificates(server, tmp_path, monkeypatch):
    secure(server, tmp_path)
    url = server.url.replace("http://", "https://")
    with pytest.raises(TransportError, match="(?i)certificate"):
        Transport(url, Token(SECRET), Redactor()).get("/api/casebook/v1/policy")
    monkeypatch.setenv("CASEBOOK_CA_FILE", str(tmp_path / "cert.pem"))
    assert Transport(url, Token(SECRET), Redactor()).get("/api/casebook/v1/policy").status == 200
    monkeypatch.setenv("CASEBOOK_CA_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(TransportError, match="cannot be read"):
        Transport(url, Token(SECRET), Redactor()).get("/api/casebook/v1/policy")


def test_no_thread_outlives_a_request_for_long(server):
    before = threading.active_count()
    Transport(server.url, None, Redactor()).get("/nothing")
    assert threading.active_count() <= before + 1


@pytest.mark.parametrize("token", ["two words", "zwölf", "one\ntwo"])
def test_what_can_be_no_token_is_refused_without_showing_it(server, casefile, run, monkeypatch, tmp_path, token):
    casefile("def test_a(): pass")
    monkeypatch.setenv("CASEBOOK_TOKEN", token)
    result = run("-vv")
    assert result.ret == 4
    assert "CASEBOOK_TOKEN" in result.stderr.str()
    assert "printable" in result.stderr.str()
    for part in token.split():
        assert part not in result.stderr.str().replace("one word", "") + result.stdout.str()
    assert server.requests == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("variable", ["CASEBOOK_CA_FILE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_may_be_named_by(server, tmp_path, monkeypatch, variable):
    secure(server, tmp_path)
    monkeypatch.setenv(variable, str(tmp_path / "cert.pem"))
    url = server.url.replace("http://", "https://")
    assert Transport(url, Token(SECRET), Redactor()).get("/api/casebook/v1/policy").status == 200


def test_proxies_of_the_usual_variables_are_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    Transport("http://127.0.0.9:81", Token(SECRET), Redactor()).get("/api/casebook/v1/policy")
    assert server.requests[0][1] == "http://127.0.0.9:81/api/casebook/v1/policy"


def test_http_to_the_world_only_if_asked_for(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    Transport("http://8.8.8.8", Token(SECRET), Redactor(), insecure=True).get("/x")
    assert server.requests[0][1] == "http://8.8.8.8/x"


def test_nothing_else_of_the_environment_changes_for_tests(server, casefile, run, monkeypatch):
    casefile(
        "BEFORE = dict(os.environ)\ndef test_a():\n"
        "    assert os.environ['CASEBOOK_TOKEN'] and os.environ['CASEBOOK_URL']\n"
        "    assert {**os.environ, 'PYTEST_CURRENT_TEST': ''} == {**BEFORE, 'PYTEST_CURRENT_TEST': ''}"
    )
    assert run().ret == 0
