"""The emulator behind a real socket: it answers, lets time pass by itself, and leaves nothing behind."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from pytest_execo.emulator.clock import ManualClock
from pytest_execo.emulator.faults import Faults
from pytest_execo.emulator.machines import NoMachines
from pytest_execo.emulator.sample import sample_reference
from pytest_execo.emulator.server import EmulatorServer
from pytest_execo.errors import InvalidRequest, TestbedError

pytestmark = pytest.mark.integration

Start = Callable[..., EmulatorServer]
USERS = {"alice": "wonder"}


@pytest.fixture
def start() -> Iterator[Start]:
    """Start emulators that end with the test."""
    servers: list[EmulatorServer] = []

    def start(**options: Any) -> EmulatorServer:
        options = {"machines": NoMachines(), "users": USERS, "speed": 600.0, **options}
        servers.append(EmulatorServer.start(sample_reference(), **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def ask(server: EmulatorServer, method: str, path: str, **options: Any) -> requests.Response:
    auth = options.pop("auth", ("alice", USERS["alice"]))
    return requests.request(method, f"{server.uri}{path}", auth=auth, timeout=20, **options)


def control(server: EmulatorServer, method: str, path: str, **options: Any) -> requests.Response:
    url = f"{server.uri.removesuffix('/stable')}/emulator/{path}"
    return requests.request(method, url, headers={"X-Emulator-Key": server.key}, timeout=20, **options)


def emulator_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("execo-emulator")]


def test_a_job_over_http_comes_and_goes_by_itself(start: Start, eventually: Callable[..., None]) -> None:
    machines = NoMachines()
    server = start(machines=machines)
    job = ask(server, "POST", "/sites/lyon/jobs", json={"resources": "nodes=1,walltime=0:10:00", "command": "x"})
    assert job.status_code == 201
    # Nobody asks: what comes and goes is time's doing.
    eventually(lambda: len(machines.on) == 1)
    (node,) = machines.on
    assert [entry["name"] for entry in control(server, "GET", f"nodes?names={node}").json()] == [node]
    eventually(lambda: len(machines.on) == 0)
    location = job.headers["Location"].removeprefix(server.uri)
    eventually(lambda: ask(server, "GET", location).json()["state"] == "error")


def test_location_leads_back_to_this_server(start: Start) -> None:
    server = start()
    job = ask(server, "POST", "/sites/lyon/jobs", json={"command": "sleep 1d"})
    assert job.headers["Location"].startswith(f"{server.uri}/sites/lyon/jobs/")
    assert ask(server, "GET", "/sites/versions/latest").json()["type"] == "version"


def test_many_at_once(start: Start) -> None:
    server = start()
    statuses: list[int] = []

    def worker() -> None:
        for _ in range(5):
            order = {"resources": "nodes=1,walltime=0:05:00", "command": "x"}
            statuses.append(ask(server, "POST", "/sites/nancy/jobs", json=order).status_code)
            statuses.append(ask(server, "GET", "/sites/nancy/status").status_code)

    threads = [threading.Thread(target=worker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(set(statuses)) in ([200, 201], [200, 201, 400])
    assert len(statuses) == 80


def test_close_leaves_no_thread_and_no_port(start: Start) -> None:
    server = start()
    ask(server, "GET", "/sites")
    port = int(server.uri.rpartition(":")[2].partition("/")[0])
    server.close()
    server.close()
    assert emulator_threads() == []
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_close_lets_go_who_is_held(start: Start) -> None:
    server = start(faults=Faults().api("timeout", seconds=60))
    caught: list[str] = []

    def held() -> None:
        try:
            ask(server, "GET", "/sites")
        except requests.ConnectionError:
            caught.append("connection")

    thread = threading.Thread(target=held)
    thread.start()
    while not server.platform.faults.happened:
        threading.Event().wait(0.01)
    server.close()
    thread.join(10)
    assert caught == ["connection"]
    assert emulator_threads() == []


def test_a_silent_connection_does_not_hold_up_the_end(start: Start) -> None:
    server = start()
    port = int(server.uri.rpartition(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as silent:
        silent.sendall(b"GET /stable/sites HTTP/1.1\r\nHost: x\r\n")
        assert ask(server, "GET", "/sites").status_code == 200
        server.close()
        assert emulator_threads() == []


def test_the_end_can_be_asked_for(start: Start, eventually: Callable[..., None]) -> None:
    server = start()
    assert control(server, "POST", "shutdown").status_code == 202
    assert server.ended.wait(20)
    eventually(lambda: emulator_threads() == [])


def test_a_dropped_connection_is_one(start: Start) -> None:
    server = start(faults=Faults().api("drop"))
    with pytest.raises(requests.ConnectionError):
        ask(server, "GET", "/sites")
    assert ask(server, "GET", "/sites").status_code == 200


def test_garbage_and_slowness_come_over_the_wire(start: Start) -> None:
    server = start(faults=Faults().api("garbage").api("slow", seconds=0.05))
    with pytest.raises(requests.JSONDecodeError):
        ask(server, "GET", "/sites").json()
    assert ask(server, "GET", "/sites").json()["total"] == 3


def test_a_manual_clock_is_advanced_over_http(start: Start) -> None:
    server = start(clock=ManualClock())
    job = ask(server, "POST", "/sites/lyon/jobs", json={"command": "sleep 1d"}).json()
    assert control(server, "POST", "clock/advance", json={"seconds": 60}).status_code == 200
    assert ask(server, "GET", f"/sites/lyon/jobs/{job['uid']}").json()["state"] == "running"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_only_loopback_is_listened_on(start: Start, host: str) -> None:
    with pytest.raises(InvalidRequest, match="loopback"):
        start(host=host)


def test_a_port_that_is_taken_is_said(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TestbedError, match=f"port {port}"):
            start(port=port)
    assert emulator_threads() == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_that_is_none_is_refused(start: Start, speed: float) -> None:
    with pytest.raises(InvalidRequest, match="above 0"):
        start(speed=speed)


def test_requests_say_nothing_on_the_terminal(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    server = start()
    ask(server, "GET", "/sites")
    ask(server, "GET", "/nowhere")
    assert capsys.readouterr() == ("", "")
