"""Ports of this machine that lead to ports behind a host."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from pytest_execo import (
    ConnectionFailed,
    Host,
    InvalidInput,
    Lease,
    PortForwarder,
    ProcessFailed,
    StartFailed,
    State,
)
from pytest_execo.errors import NotSupported, ProcessError, WaitTimeout
from pytest_execo.processes import ParallelActions
from pytest_execo.processes.io_thread import io_thread
from pytest_execo.processes.scopes import Scope, entered

pytestmark = pytest.mark.integration

Eventually = Callable[[Callable[[], object]], None]
MIB = 1024 * 1024


class Server:
    """A port on which ``talk`` is called with each connection, in a thread of its own."""

    def __init__(self, talk: Callable[[socket.socket], None]) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the end
            while True:
                connection = self._listener.accept()[0]
                self.connections.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._talk(connection)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], Server]]:
    """Make servers, which end with the test."""
    with contextlib.ExitStack() as stack:

        def make(talk: Callable[[socket.socket], None]) -> Server:
            return stack.enter_context(contextlib.closing(Server(talk)))

        yield make


Serve = Callable[[Callable[[socket.socket], None]], Server]


def everything(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(MIB), b""))


def echo(connection: socket.socket) -> None:
    """Say what was said, piece by piece."""
    while data := connection.recv(65536):
        connection.sendall(data)


def echo_at_the_end(connection: socket.socket) -> None:
    """Say what was said, once all of it was."""
    connection.sendall(everything(connection))


@pytest.fixture(params=["local", "ssh to embedded", "ssh to openssh", "openssh to openssh", "paramiko to openssh"])
def host(request: pytest.FixtureRequest) -> Host | None:
    """What is in between."""
    if request.param == "local":
        return None
    connector, _, server = request.param.partition(" to ")
    if server == "embedded":
        lease: Lease = request.getfixturevalue("embedded")
        return lease.nodes[0]
    openssh: Host = request.getfixturevalue("openssh")
    return dataclasses.replace(openssh, connector=connector)


def connect(forwarder: PortForwarder) -> socket.socket:
    return socket.create_connection(forwarder.address, timeout=20)


def is_open(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# what is carried


def test_many_connections_at_once(host: Host | None, serve: Serve) -> None:
    server = serve(echo)
    with PortForwarder(host, "localhost", server.port) as forwarder:
        assert forwarder.state is State.RUNNING
        clients = [connect(forwarder) for _ in range(20)]
        for number, client in enumerate(clients):
            client.sendall(b"%d" % number)
        assert [client.recv(100) for client in clients] == [b"%d" % number for number in range(20)]
        for client in clients:
            client.close()
        assert (forwarder.connections, forwarder.failures) == (20, 0)
        port = forwarder.port
    assert not is_open(port)
    assert (forwarder.ok, forwarder.outcome(), forwarder.port) == (True, "killed", port)


@pytest.mark.slow
def test_each_direction_is_closed_by_itself(host: Host | None, serve: Serve) -> None:
    server = serve(echo_at_the_end)
    said = os.urandom(3 * MIB)
    with PortForwarder(host, "127.0.0.1", server.port) as forwarder, connect(forwarder) as client:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        assert everything(client) == said
        assert forwarder.failures == 0


def test_the_far_end_may_close_first(host: Host | None, serve: Serve) -> None:
    if host is not None and host.connector == "openssh":
        pytest.skip("the ssh program's -W ends both directions when the far end ends its own")
    heard: list[bytes] = []
    heard_all = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"bye")
        connection.shutdown(socket.SHUT_WR)
        heard.append(everything(connection))
        heard_all.set()

    with PortForwarder(host, "localhost", serve(talk).port) as forwarder, connect(forwarder) as client:
        assert everything(client) == b"bye"
        client.sendall(b"and you")
        client.shutdown(socket.SHUT_WR)
        assert heard_all.wait(10)
        assert (heard, forwarder.failures) == ([b"and you"], 0)


@pytest.mark.slow
def test_who_does_not_read_holds_up_who_writes(host: Host | None, serve: Serve) -> None:
    sent = [0]
    held_up = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while sent[0] < 64 * MIB:
                sent[0] += connection.send(bytes(65536))
        held_up.set()

    with PortForwarder(host, "localhost", serve(talk).port) as forwarder, connect(forwarder) as client:
        assert held_up.wait(30)
        assert sent[0] < 48 * MIB  # what sockets and windows on the way hold
        assert len(everything(client)) == sent[0]


# connections that fail


def test_nobody_listens_there(host: Host | None, closed: Host, caplog: pytest.LogCaptureFixture) -> None:
    assert closed.port is not None
    with PortForwarder(host, "127.0.0.1", closed.port) as forwarder:
        for _ in range(2):
            with pytest.raises(ConnectionResetError), connect(forwarder) as client:
                client.recv(1)
        assert forwarder.running
        assert (forwarder.connections, forwarder.failures) == (2, 2)
    assert forwarder.ok
    assert len(caplog.records) == 2
    assert str(closed.port) in caplog.messages[0]
    assert "\n" not in caplog.messages[0]


def test_a_client_that_breaks_off_is_no_failure(host: Host | None, serve: Serve) -> None:
    ended = threading.Event()

    def talk(connection: socket.socket) -> None:
        try:
            everything(connection)
        finally:
            ended.set()

    with PortForwarder(host, "localhost", serve(talk).port) as forwarder:
        with connect(forwarder) as client:
            client.sendall(b"x")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert ended.wait(10)
        assert forwarder.failures == 0


def test_a_host_that_is_lost_and_comes_back(embedded: Lease, serve: Serve) -> None:
    node = embedded.nodes[3]
    server = serve(echo)
    with node.forward(server.port, log=False) as forwarder:
        with connect(forwarder) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
            with node.power_off():  # type: ignore[attr-defined]
                with pytest.raises(ConnectionResetError):
                    client.recv(1)
                with pytest.raises(ConnectionResetError), connect(forwarder) as other:
                    other.recv(1)
        assert forwarder.failures == 2
        with connect(forwarder) as client:
            client.sendall(b"again")
            assert client.recv(5) == b"again"


# the forwarder's own errors


def test_a_host_that_cannot_be_reached(closed: Host) -> None:
    with pytest.raises(ProcessFailed, match="refused"), PortForwarder(closed, "localhost", 80, log=False):
        pytest.fail("there is nothing to do here")
    forwarder = PortForwarder(closed, "localhost", 80, log=False).start()
    assert forwarder.port
    forwarder.wait(20)
    assert isinstance(forwarder.error, ConnectionFailed)
    assert (forwarder.ok, forwarder.outcome()) == (False, "unreachable")
    assert not is_open(forwarder.port)


def test_a_host_that_never_answers(silent: Host) -> None:
    forwarder = PortForwarder(silent, "localhost", 80, timeout=0.2, log=False).start()
    with pytest.raises(WaitTimeout, match="not reached"):
        forwarder.ready(0.01)
    with pytest.raises(ProcessFailed, match=r"not started within 0\.2 s"):
        forwarder.ready(10)
    assert forwarder.timed_out
    forwarder = PortForwarder(silent, "localhost", 80).start()
    assert forwarder.kill().ended
    assert forwarder.ok
    silent.disconnect()


def test_a_connector_that_cannot_forward() -> None:
    forwarder = PortForwarder("x", "localhost", 80, connector="taktuk", log=False).start().wait(10)
    assert isinstance(forwarder.error, NotSupported)
    assert "tcp" in str(forwarder.error)
    assert not is_open(forwarder.port)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        forwarder = PortForwarder(None, "localhost", 80, local_port=port, log=False).start().wait(10)
    assert isinstance(forwarder.error, StartFailed)
    with pytest.raises(StartFailed, match=rf"^localhost: could not start: 127\.0\.0\.1 port {port}: Address already"):
        forwarder.address  # noqa: B018
    with pytest.raises(ProcessFailed, match="Address already in use"):
        forwarder.ready()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((None, "localhost", 0), "remote_port: 0 is not a port"),
        ((None, "localhost", "http"), "remote_port: 'http'"),
        ((None, "", 80), "remote_host: ''"),
        ((None, "localhost", 80, 70000), "local_port: 70000"),
    ],
)
def test_what_is_no_port_is_refused_at_once(arguments: tuple[object, ...], words: str) -> None:
    host, remote_host, remote_port, *local_port = arguments
    with pytest.raises(InvalidInput, match=words):
        PortForwarder(host, remote_host, remote_port, local_port=local_port[0] if local_port else None)  # type: ignore[arg-type]


# its life


def test_the_port_is_known_when_start_returns(serve: Serve) -> None:
    forwarder = PortForwarder(None, "localhost", serve(echo).port)
    with pytest.raises(ProcessError, match="before start"):
        forwarder.port  # noqa: B018
    with pytest.raises(ProcessError, match="before start"):
        forwarder.ready()
    forwarder.start()
    with connect(forwarder) as client:  # whether the host was reached by now or not
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    assert forwarder.address == ("127.0.0.1", forwarder.port)
    forwarder.kill()


def test_a_given_port_can_be_used_again_at_once(serve: Serve) -> None:
    server = serve(echo)
    with PortForwarder(None, "localhost", server.port) as forwarder, connect(forwarder) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    with PortForwarder(None, "localhost", server.port, local_port=forwarder.port) as again:
        assert again.port == forwarder.port


def test_kill_ends_what_it_carries(host: Host | None, serve: Serve, eventually: Eventually) -> None:
    closed = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"up")
        with contextlib.suppress(ConnectionError):
            everything(connection)
        closed.set()

    server = serve(talk)
    with PortForwarder(host, "localhost", server.port) as warm, connect(warm) as client:
        client.recv(2)
    assert closed.wait(10)
    closed.clear()
    before = descriptors() + len(io_thread()._tasks)
    forwarder = PortForwarder(host, "localhost", server.port).start()
    with connect(forwarder) as client:
        assert client.recv(2) == b"up"
        forwarder.kill()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert closed.wait(10)
    eventually(lambda: descriptors() + len(io_thread()._tasks) <= before)


def test_it_belongs_to_its_scope(serve: Serve) -> None:
    scope = Scope("mine")
    with entered(scope):
        forwarder = PortForwarder(None, "localhost", serve(echo).port).start()
    assert scope.close() == []
    assert (forwarder.ended, forwarder.ok, is_open(forwarder.port)) == (True, True, False)


def test_a_timeout_ends_it(serve: Serve) -> None:
    forwarder = PortForwarder(None, "localhost", serve(echo).port, timeout=0.1, ignore_timeout=True).start().wait(10)
    assert (forwarder.timed_out, forwarder.ok, is_open(forwarder.port)) == (True, True, False)


def test_as_a_part_of_others(serve: Serve) -> None:
    server = serve(echo)
    forwarders = [PortForwarder(None, "localhost", server.port) for _ in range(3)]
    with ParallelActions(forwarders) as both:
        assert len({forwarder.port for forwarder in forwarders}) == 3
        assert both.running
    assert both.ok
    assert both.summary() == "3 killed"


def test_disconnecting_a_host_breaks_what_is_carried(embedded: Lease, serve: Serve) -> None:
    node = embedded.nodes[2]
    with node.forward(serve(echo).port, log=False) as forwarder, connect(forwarder) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        node.disconnect()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert forwarder.running


FORK = """
import os, socket, sys
from pytest_execo import PortForwarder

server = socket.create_server(("127.0.0.1", 0))
forwarder = PortForwarder(None, "localhost", server.getsockname()[1]).start().ready()
client = socket.create_connection(forwarder.address)
far, _ = server.accept()
child = os.fork()
if child == 0:
    sys.stdin.read()
    os._exit(0)
forwarder.kill()
try:
    print(client.recv(1))
except ConnectionResetError:
    print("reset")
try:
    socket.create_connection(forwarder.address)
except ConnectionRefusedError:
    print("refused")
"""


@pytest.mark.slow
def test_a_forked_child_does_not_keep_it_open() -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as script:  # fmt: skip
        out, err = script.communicate(timeout=60)
    assert (out, err, script.returncode) == ("reset\nrefused\n", "", 0)
