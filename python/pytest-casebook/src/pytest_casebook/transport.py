"""HTTP with the standard library: bounded in time, careful with the token, quiet about it in every message."""

from __future__ import annotations

import gzip
import ipaddress
import json
import os
import platform
import socket
import threading
import time
import zlib
from dataclasses import dataclass, field
from typing import Any, Callable
from urllib.parse import urlsplit

from pytest_casebook import __version__
from pytest_casebook.secrets import Redactor, Token

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
MOST_BYTES = 64 * 1024 * 1024


class TransportError(Exception):
    """No usable answer came. The text is safe to show."""


class RefusedError(TransportError):
    """A request that must not be made, so trying again is no use."""


@dataclass
class Answer:
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises :class:`TransportError`."""
        try:
            return json.loads(self.body.decode("utf-8"))
        except (ValueError, RecursionError):
            raise TransportError("the answer is not JSON") from None


@dataclass
class Transport:
    """Requests to one server."""

    origin: str
    token: Token | None
    redactor: Redactor
    insecure: bool = False
    debug: Callable[[str], None] | None = None
    _opener: Any = field(default=None, repr=False)

    def get(self, path: str, headers: dict[str, str] | None = None, seconds: float = READ_SECONDS) -> Answer:
        """One GET of a path, or of an address on the same origin."""
        return self._bounded("GET", path, None, {"Accept-Encoding": "gzip", **(headers or {})}, seconds)

    def post(self, path: str, body: bytes, headers: dict[str, str], seconds: float) -> Answer:
        """One POST."""
        return self._bounded("POST", path, body, headers, seconds)

    def _bounded(self, method: str, path: str, body: bytes | None, headers: dict[str, str], seconds: float) -> Answer:
        """Socket timeouts bound each step, not the sum, so the request has a thread that may be left behind."""
        result: list[Answer | BaseException] = []

        def work() -> None:
            try:
                result.append(self._send(method, path, body, headers, seconds))
            except BaseException as error:
                result.append(error)

        started = time.monotonic()
        thread = threading.Thread(target=work, name="casebook-request", daemon=True)
        thread.start()
        thread.join(seconds)
        took = time.monotonic() - started
        if not result:
            self._say(f"{method} {path}: no answer within {took:.1f} s")
            raise TransportError(f"no answer within {seconds:.0f} s")
        outcome = result[0]
        if isinstance(outcome, Answer):
            self._say(f"{method} {path}: {outcome.status}, {len(outcome.body)} bytes, {took * 1000:.0f} ms")
            return outcome
        text = outcome if isinstance(outcome, TransportError) else getattr(outcome, "reason", None) or outcome
        message = self.redactor.message(text) or type(outcome).__name__
        self._say(f"{method} {path}: {message}")
        if isinstance(outcome, RefusedError):
            raise RefusedError(message)
        raise TransportError(message)

    def _say(self, text: str) -> None:
        if self.debug is not None:
            self.debug(self.redactor.message(text))

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str], seconds: float) -> Answer:
        import urllib.error
        import urllib.request

        address = path if "://" in path else self.origin + path
        if not same_origin(self.origin, address):
            raise RefusedError("the address is on another server")
        self._check_scheme(address)
        request = urllib.request.Request(address, data=body, method=method)
        for name, value in headers.items():
            request.add_header(name, value)
        request.add_header("User-Agent", f"pytest-casebook/{__version__} Python/{platform.python_version()}")
        if self.token is not None:
            request.add_unredirected_header("Authorization", f"Bearer {self.token.reveal()}")
        if self._opener is None:
            self._opener = _build_opener(self.origin)
        try:
            with self._opener.open(request, timeout=seconds) as response:
                return _read(response.status, response)
        except urllib.error.HTTPError as error:
            with error:
                return _read(error.code, error)

    def _check_scheme(self, address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme == "https" or self.insecure:
            return
        if not is_private(parts.hostname or ""):
            raise RefusedError("http to a public address is refused; use https, or set casebook_insecure")


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses lead to the same scheme, host and port."""

    def origin(address: str) -> tuple[str, str, int]:
        parts = urlsplit(address)
        return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    try:
        return origin(one) == origin(other)
    except ValueError:
        return False


def is_private(host: str) -> bool:
    """Whether every address of a host is loopback, private or link-local."""
    try:
        addresses = {str(found[4][0]) for found in socket.getaddrinfo(host, None)}
        parsed = [ipaddress.ip_address(address.partition("%")[0]) for address in addresses]
    except (OSError, ValueError, UnicodeError):
        raise TransportError(f"the name {host} cannot be resolved") from None
    return bool(parsed) and all(each.is_loopback or each.is_private or each.is_link_local for each in parsed)


def _read(status: int, response: Any) -> Answer:
    import http.client

    headers = {name.lower(): value for name, value in response.headers.items()}
    try:
        body = response.read(MOST_BYTES + 1)
    except http.client.IncompleteRead:
        raise TransportError("the answer is cut off") from None
    if len(body) > MOST_BYTES:
        raise TransportError("the answer is too large")
    if headers.get("content-encoding", "").lower() == "gzip":
        body = _unpack(body)
    return Answer(status, headers, body)


def _unpack(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        unpacked = unpacker.decompress(body, MOST_BYTES)
    except zlib.error:
        raise TransportError("the answer is not gzip, though it says so") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise TransportError("the answer is too large or cut off")
    return unpacked


def _build_opener(origin: str) -> Any:
    import http.client
    import ssl
    import urllib.request

    class HTTPConnection(http.client.HTTPConnection):
        def connect(self) -> None:
            wanted, self.timeout = self.timeout, CONNECT_SECONDS
            super().connect()
            self.sock.settimeout(wanted)

    class HTTPSConnection(http.client.HTTPSConnection):
        def connect(self) -> None:
            wanted, self.timeout = self.timeout, CONNECT_SECONDS
            super().connect()
            self.sock.settimeout(wanted)

    class HTTPHandler(urllib.request.HTTPHandler):
        def http_open(self, request: Any) -> Any:
            return self.do_open(HTTPConnection, request)

    class HTTPSHandler(urllib.request.HTTPSHandler):
        def https_open(self, request: Any) -> Any:
            return self.do_open(HTTPSConnection, request, context=tls)

    class Redirects(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, request: Any, *rest: Any) -> Any:
            target = rest[-1]
            if not same_origin(request.full_url, target):
                raise RefusedError("the server redirects to another server, which is refused")
            followed = super().redirect_request(request, *rest)
            if followed is not None:
                for name, value in request.unredirected_hdrs.items():
                    if name.lower() == "authorization":
                        followed.add_unredirected_header(name, value)
            return followed

    tls = ssl.create_default_context() if origin.startswith("https") else None
    bundle = os.environ.get("CASEBOOK_CA_FILE") or os.environ.get("REQUESTS_CA_BUNDLE")
    if tls is not None and bundle:
        try:
            tls.load_verify_locations(
                cafile=bundle if os.path.isfile(bundle) else None, capath=bundle if os.path.isdir(bundle) else None
            )
        except (OSError, TypeError):
            raise TransportError(f"the certificates in {bundle} cannot be read") from None
    return urllib.request.build_opener(HTTPHandler(), HTTPSHandler(), Redirects())


def packed(body: bytes) -> bytes:
    """The body as gzip."""
    return gzip.compress(body, 5, mtime=0)
