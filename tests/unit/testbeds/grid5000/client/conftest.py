"""A server that says what it is told to, written by hand from the reference: codes, texts, headers, and bad manners."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_execo.testbeds.grid5000.client import Credentials, Grid5000Client
from pytest_execo.testbeds.grid5000.client.http import Http
from pytest_execo.testbeds.grid5000.client.retrying import Retrying


@dataclass
class Asked:
    """A request as the server saw it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def data(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """An answer. ``manners`` is how it is given: ``good``, or ``drop``, ``hang``, ``cut``, ``drip``, ``garble``."""

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    manners: str = "good"

    @property
    def content(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


Script = Reply | Callable[[Asked], Reply]


class Server:
    """What it answers to each method and path. Of several replies to one, each is given once, the last for ever."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.uri = f"http://127.0.0.1:{port}/stable"
        self.asked: list[Asked] = []
        self.let_go = threading.Event()
        self._scripts: dict[tuple[str, str], list[Script]] = {}

    def on(self, method: str, path: str, *replies: Script) -> None:
        self._scripts[method, f"/stable{path}"] = list(replies)

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        script = self._scripts.get((asked.method, asked.path))
        if script is None:
            return Reply(404, f"Cannot find resource {asked.path}", {"Content-Type": "text/plain"})
        found = script.pop(0) if len(script) > 1 else script[0]
        return found if isinstance(found, Reply) else found(asked)

    @property
    def last(self) -> Asked:
        return self.asked[-1]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    wbufsize = -1  # head and body in one packet, or the kernel waits 40 ms between them
    scripted: Server

    def handle_any(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, query, headers, body, self.client_address[1])
        self.give(self.scripted.answer(asked))

    do_GET = do_POST = do_PUT = do_DELETE = handle_any

    def give(self, reply: Reply) -> None:
        if reply.manners == "drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if reply.manners == "hang":
            self.scripted.let_go.wait(10)
            self.close_connection = True
            return
        if reply.manners == "garble":
            self.wfile.write(b"\x16\x03 not HTTP at all\r\n\r\n")
            self.close_connection = True
            return
        content = reply.content
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **reply.headers}.items():
            self.send_header(name, value)
        if reply.status not in (204, 304):
            self.send_header("Content-Length", str(len(content) + (10 if reply.manners in ("cut", "drip") else 0)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()
        if reply.manners == "cut":
            self.close_connection = True
        if reply.manners == "drip":
            self.close_connection = True
            for _ in range(9):
                self.scripted.let_go.wait(0.02)
                self.wfile.write(b" ")
                self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # who hangs up is not of interest


@pytest.fixture(scope="session")
def _listening() -> Iterator[tuple[Quiet, type[Handler]]]:
    handler = type("ScriptedHandler", (Handler,), {})
    with Quiet(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield listening, handler
        listening.shutdown()
        thread.join(10)


@pytest.fixture
def server(_listening: tuple[Quiet, type[Handler]]) -> Iterator[Server]:
    listening, handler = _listening
    handler.scripted = server = Server(listening.server_address[1])
    yield server
    server.let_go.set()


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def refused() -> str:
    """Return the address of an API that nobody serves."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/stable"


@pytest.fixture
def slept() -> list[float]:
    """Return the pauses that were made, none of them for real."""
    return []


@pytest.fixture
def make_http(server: Server, slept: list[float]) -> Iterator[Callable[..., Http]]:
    made: list[Http] = []

    def make(uri: str = server.uri, credentials: Credentials | None = None, **details: Any) -> Http:
        details = {"sleep": slept.append, "retrying": Retrying(seed=1), "read_timeout": 0.15, **details}
        made.append(Http(uri, credentials, **details))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def http_(make_http: Callable[..., Http]) -> Http:
    return make_http()


@pytest.fixture
def client(http_: Http) -> Iterator[Grid5000Client]:
    with Grid5000Client(http=http_) as client:
        yield client
