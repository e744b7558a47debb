"""Notifications: to a webhook or a command, never in the way, and with no secret in what is said."""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.leases import delivering, events
from pytest_execo.leases.events import KINDS, Event, Notifier, check_target

SECRET = "T0123/B4567/not-to-be-seen"
#: Longer than any of this takes, for what must not be waited for at all.
LONG = 60.0


class Hook(ThreadingHTTPServer):
    """A webhook: what it was sent, and what it answers. An answer is a status, or a status and where to."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        self.got: queue.SimpleQueue[tuple[str, str, Any]] = queue.SimpleQueue()
        self.answers: list[int | tuple[int, str]] = []
        self.go = threading.Event()
        self.go.set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/{SECRET}?key={SECRET}"

    def kinds(self) -> list[str]:
        return [body["kind"] for _, _, body in self.all()]

    def all(self) -> list[tuple[str, str, Any]]:
        found = []
        while not self.got.empty():
            found.append(self.got.get())
        return found


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.put((self.path, self.headers["Content-Type"], body))
        self.server.go.wait(LONG)
        answer = self.server.answers.pop(0) if self.server.answers else 200
        status, where = answer if isinstance(answer, tuple) else (answer, None)
        self.send_response(status)
        if where is not None:
            self.send_header("Location", where)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_PAUSE", 0.0)
    monkeypatch.setattr(delivering, "_GRACE", 0.2)
    monkeypatch.setattr(delivering.Command, "ending", LONG)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[[], Hook]]:
    running: list[Hook] = []

    def start() -> Hook:
        hook = Hook()
        running.append(hook)
        threading.Thread(target=hook.serve_forever, args=(0.005,), daemon=True).start()
        return hook

    yield start
    for hook in running:
        hook.go.set()
        hook.shutdown()
        hook.server_close()


@pytest.fixture
def hook(serve: Callable[[], Hook]) -> Hook:
    return serve()


@pytest.fixture
def warned() -> Iterator[list[str]]:
    lines: list[str] = []
    yield lines
    assert SECRET not in "\n".join(lines)
    assert not any("\n" in line for line in lines)


def event(kind: str = "started", text: str = "it has begun", **data: Any) -> Event:
    return Event(kind, text, 1795802400.0, "lyon-1", data)


# events


def test_an_event_as_json() -> None:
    assert event(nodes=["a"]).as_json() == {
        "schema": "pytest-execo/event/1",
        "kind": "started",
        "text": "it has begun",
        "date": 1795802400.0,
        "at": "2026-11-27T18:00:00.000000Z",
        "campaign": "lyon-1",
        "data": {"nodes": ["a"]},
    }
    assert Event("finished", "", 0.0).as_json()["campaign"] is None


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'over' is no kind of event; there are: started, lease-taken"):
        event("over")


@pytest.mark.parametrize(
    ("text", "line"),
    [("two\nlines\tand\0more", "two lines and more"), ("\udcff", "?"), ("x" * 3000, "x" * 1999 + "…"), ("é ✓", "é ✓")],
)
def test_a_text_is_one_line(text: str, line: str) -> None:
    assert event(text=text).text == line


# targets


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("", "an empty target"),
        ("  ", "an empty target"),
        ("ftp://host/x", "a target for notifications that begins with ftp://; "),
        ("FILE:///etc/passwd", "a target for notifications that begins with file://; "),
        ("https://", "a target for notifications that is no URL"),
        ("https:host/x", "a target for notifications that is no URL"),
        ("http://host:port/", "a target for notifications that is no URL"),
        ("http://host:99999/", "a target for notifications that is no URL"),
        ("http://a b/", "a target for notifications that is no URL"),
        ("http://[::1/", "a target for notifications that is no URL"),
        ("echo \0", "a target for notifications with a NUL"),
    ],
)
def test_what_can_not_be_a_target(target: str, line: str) -> None:
    for refuses in (check_target, lambda text: Notifier(text, print)):
        with pytest.raises(ValueError, match=r"write https://…, http://… or a shell command$") as raised:
            refuses(target)
        assert str(raised.value).startswith(line)


@pytest.mark.parametrize(
    "target", ["http://h", "HTTPS://u:p@[::1]:80/x?y", "mail -s execo me@lyon", "curl -d @- https://h/", "/a b"]
)
def test_what_can_be_a_target(target: str) -> None:
    check_target(target)


def test_a_target_is_not_to_be_seen() -> None:
    for target in (f"https://hooks.example/{SECRET}", f"curl https://hooks.example/{SECRET}"):
        assert SECRET not in repr(Notifier(target, print))


# webhooks


def test_events_come_in_their_order(hook: Hook, warned: list[str]) -> None:
    notifier = Notifier(hook.url, warned.append)
    for kind in KINDS:
        notifier.send(event(kind, nodes=2))
    notifier.close(LONG)
    got = hook.all()
    assert [body for _, _, body in got] == [event(kind, nodes=2).as_json() for kind in KINDS]
    assert got[0][:2] == (f"/services/{SECRET}?key={SECRET}", "application/json")
    assert warned == []
    notifier.close()


def test_what_is_no_json_is_made_it(hook: Hook, warned: list[str]) -> None:
    notifier = Notifier(hook.url, warned.append)
    notifier.send(event(path=Path("/a"), figures=[float("nan"), {"x": float("inf")}], both={1}))
    notifier.close(LONG)
    ((_, _, body),) = hook.all()
    assert body["data"] == {"path": "/a", "figures": [None, {"x": None}], "both": [1]}


def test_what_can_not_be_sent_is_said(hook: Hook, warned: list[str]) -> None:
    endless: list[Any] = []
    endless.append(endless)
    notifier = Notifier(hook.url, warned.append)
    notifier.send(event(endless=endless))
    notifier.send(event("finished"))
    notifier.close(LONG)
    assert hook.kinds() == ["finished"]
    assert warned[0].startswith("notification 'started' not sent: RecursionError")


def test_it_is_tried_once_more(hook: Hook, warned: list[str]) -> None:
    hook.answers = [503, 200, 429, 500]
    notifier = Notifier(hook.url, warned.append)
    notifier.send(event("started"))
    notifier.send(event("finished"))
    notifier.close(LONG)
    assert hook.kinds() == ["started", "started", "finished", "finished"]
    assert warned == [
        f"notification 'finished' not delivered: webhook at 127.0.0.1:{hook.server_port} answers HTTP 500"
    ]


def test_each_kind_of_failure_is_said_once(hook: Hook, warned: list[str]) -> None:
    hook.answers = [404, 404, 403, 404, 200]
    notifier = Notifier(hook.url, warned.append)
    for kind in KINDS[:5]:
        notifier.send(event(kind))
    notifier.close(LONG)
    assert hook.kinds() == list(KINDS[:5])
    assert [line.rpartition(" ")[2] for line in warned] == ["404", "403"]


def test_nobody_listens(warned: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    notifier = Notifier(f"http://127.0.0.1:{port}/{SECRET}", warned.append)
    notifier.send(event())
    notifier.close(LONG)
    assert warned == [f"notification 'started' not delivered: webhook at 127.0.0.1:{port} can't be reached"]


def test_something_else_listens(warned: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"127.0.0.1:{silent.getsockname()[1]}"
        for scheme in ("http", "https"):
            notifier = Notifier(f"{scheme}://{url}/{SECRET}", warned.append, timeout=0.05)
            notifier.send(event())
            notifier.close(LONG)
    assert [line.rpartition(url)[2] for line in warned] == [" does not answer within 0.05 s"] * 2


def test_a_redirect_on_the_same_host_is_followed(hook: Hook, warned: list[str]) -> None:
    hook.answers = [(307, "/there"), (308, "elsewhere?x=1"), 200]
    notifier = Notifier(hook.url, warned.append)
    notifier.send(event())
    notifier.close(LONG)
    assert [(path, body["kind"]) for path, _, body in hook.all()][1:] == [
        ("/there", "started"), ("/elsewhere?x=1", "started")
    ]  # fmt: skip
    assert warned == []


def test_a_redirect_to_another_place_is_not(serve: Callable[[], Hook], warned: list[str]) -> None:
    hook, other = serve(), serve()
    hook.answers = [(307, other.url), (302, "/login"), (307, "http://[/"), *[(307, "/again")] * 9]
    notifier = Notifier(hook.url, warned.append)
    for kind in KINDS[:4]:
        notifier.send(event(kind))
    notifier.close(LONG)
    assert other.kinds() == []
    assert [line.rpartition(f"{hook.server_port} ")[2] for line in warned] == [
        "sends to another place, which is not followed; give it the final address",
        "sends elsewhere (HTTP 302); give it the final address",
        "sends to what is no address",
        "sends from one address to the next",
    ]


def test_proxies_are_used_as_usual(hook: Hook, warned: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{hook.server_port}")
    notifier = Notifier(f"http://hooks.invalid/{SECRET}", warned.append)
    notifier.send(event())
    notifier.close(LONG)
    assert [path for path, _, _ in hook.all()] == [f"http://hooks.invalid/{SECRET}"]


def test_the_address_is_in_no_log(hook: Hook, warned: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hook.answers = [500, 500]
    hook.go.clear()
    notifier = Notifier(hook.url, warned.append)
    notifier.send(event())
    hook.got.get(timeout=LONG)
    logging.getLogger("urllib3.connectionpool").debug("of others")
    hook.go.set()
    notifier.close(LONG)
    assert SECRET not in caplog.text
    assert "of others" in caplog.text


# never in the way


def test_a_webhook_that_hangs_holds_up_nobody(hook: Hook, warned: list[str]) -> None:
    hook.go.clear()
    notifier = Notifier(hook.url, warned.append, timeout=LONG)
    notifier.send(event())
    hook.got.get(timeout=LONG)
    began = time.monotonic()
    for _ in range(110):
        notifier.send(event("lease-lost"))
    notifier.close(0.01)
    assert time.monotonic() - began < LONG / 2
    assert warned[0] == "notification 'lease-lost' not sent: 100 wait already"
    assert warned[1] == f"notifications not delivered within 0.01 s: started{', lease-lost' * 100}"
    notifier.send(event("finished"))
    assert warned[2:] == ["notification 'finished' not sent: notifications have ended"]


def test_what_warns_may_fail(warned: list[str]) -> None:
    def fails(line: str) -> None:
        warned.append(line)
        raise RuntimeError

    notifier = Notifier("exit 1", fails)
    notifier.send(event())
    notifier.send(event())
    notifier.close(LONG)
    assert warned == ["notification 'started' not delivered: command ended with exit code 1"]


def test_no_thread_before_the_first_event() -> None:
    before = threading.active_count()
    Notifier("true", print).close()
    assert threading.active_count() == before


def test_a_machine_without_a_thread_left(warned: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def none(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    notifier = Notifier("true", warned.append)
    with monkeypatch.context() as without:
        without.setattr(threading.Thread, "start", none)
        notifier.send(event())
    notifier.send(event("finished"))
    notifier.close(LONG)
    assert warned == ["notification 'started' not sent: RuntimeError: can't start new thread"]


# commands


def test_a_command_gets_the_event(tmp_path: Path, warned: list[str]) -> None:
    notifier = Notifier(
        f'cat > {tmp_path}/json; printf "%s|%s" "$EXECO_EVENT" "$EXECO_TEXT" > {tmp_path}/text', warned.append
    )
    notifier.send(event("needs-help", 'it\'s "$HOME" `false`', nodes=["n"] * 50_000))  # more than a pipe holds
    notifier.close(LONG)
    assert json.loads((tmp_path / "json").read_text())["data"] == {"nodes": ["n"] * 50_000}
    assert (tmp_path / "text").read_text() == 'needs-help|it\'s "$HOME" `false`'
    assert warned == []


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("exit 3", "ended with exit code 3"),
        ("kill -9 $$", "ended with signal 9"),
        ("no-such-thing-as-this", "was not found, or what it runs was not (exit code 127)"),
        ("", ""),
    ],
)
def test_a_command_that_fails(command: str, reason: str, warned: list[str]) -> None:
    notifier = Notifier(f"{command or 'true'} # {SECRET}", warned.append)
    notifier.send(event(nodes=["n"] * 50_000))
    notifier.close(LONG)
    assert warned == ([f"notification 'started' not delivered: command {reason}"] if reason else [])


def _gone(pid: int) -> bool:
    """Wait until a process is gone; a zombie that nobody reaps is."""
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.005)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("deaf", ["", "trap '' TERM; "])
def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path: Path, warned: list[str], deaf: str) -> None:
    fifo = tmp_path / "pids"
    os.mkfifo(fifo)
    notifier = Notifier(f"{deaf}sleep 1000 & echo $$ $! > {fifo}; wait; sleep 1000", warned.append, timeout=0.3)
    notifier.send(event())
    pids = [int(pid) for pid in fifo.read_text().split()]
    assert len(pids) == 2
    notifier.close(LONG)
    assert warned == ["notification 'started' not delivered: command took more than 0.3 s and was ended"]
    assert all(_gone(pid) for pid in pids)


@pytest.mark.slow
def test_a_command_does_not_outlive_the_close(tmp_path: Path, warned: list[str]) -> None:
    fifo = tmp_path / "pid"
    os.mkfifo(fifo)
    notifier = Notifier(f"echo $$ > {fifo}; sleep 1000; true", warned.append, timeout=LONG)
    notifier.send(event())
    pid = int(fifo.read_text())
    notifier.send(event("finished"))
    notifier.close(0.01)
    assert _gone(pid)
    assert warned == ["notifications not delivered within 0.01 s: started, finished"]
