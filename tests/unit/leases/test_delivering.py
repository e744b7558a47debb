"""How a notification reaches its target, where :mod:`.test_events` does not go."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.leases import delivering
from pytest_execo.leases.delivering import Command, Undelivered, Webhook, scheme

URL = "https://hooks.example.org/services/not-to-be-seen?key=not-to-be-seen"
#: Longer than any of this takes.
LONG = 30.0


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "_GRACE", 0.2)
    monkeypatch.setattr(delivering, "_LOOK", 0.005)


def never() -> bool:
    """Nobody gives up."""
    return False


# what a target is


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("https://host/x", "https"),
        (" HTTP://host", "http"),
        ("http:host", "http"),  # a URL that is wrong, and no command
        ("ftp://host", "ftp"),
        ("mail -s done me", None),
        ("curl https://host", None),
        ("./notify", None),
        ("C:notify", None),
    ],
)
def test_what_is_a_url_and_what_a_command(target: str, kind: str | None) -> None:
    assert scheme(target) == kind


# commands


def test_a_command_may_leave_the_event_unread() -> None:
    Command("true", LONG, never).deliver("started", "text", b"x" * 1_000_000)


def test_a_command_reads_all_of_it(tmp_path: Path) -> None:
    body = os.urandom(300_000)
    Command(f"cat > {tmp_path}/body; printf '%s|%s' \"$EXECO_EVENT\" \"$EXECO_TEXT\" > {tmp_path}/said", LONG, never) \
        .deliver("lease-lost", "it is gone; $(touch x)", body)  # fmt: skip
    assert (tmp_path / "body").read_bytes() == body
    assert (tmp_path / "said").read_text() == "lease-lost|it is gone; $(touch x)"


def test_what_a_command_leaves_in_the_background_goes_on(tmp_path: Path) -> None:
    began = time.monotonic()
    Command(f"sleep 20 & echo $! > {tmp_path}/pid", LONG, never).deliver("started", "text", b"{}")
    assert time.monotonic() - began < 10
    pid = int((tmp_path / "pid").read_text())
    os.kill(pid, 0)  # it is there
    os.kill(pid, 9)


def test_a_command_is_ended_when_it_is_given_up() -> None:
    began = time.monotonic()
    with pytest.raises(Undelivered, match="command ended with signal 15"):
        Command("sleep 20", LONG, lambda: True).deliver("started", "text", b"{}")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("line", "reason"),
    [("exit 3", "exit code 3"), ("kill -9 $$", "signal 9"), ("not-there-at-all", "was not found")],
)
def test_why_a_command_has_not_delivered(line: str, reason: str) -> None:
    with pytest.raises(Undelivered, match=reason) as raised:
        Command(line, LONG, never).deliver("started", "text", b"{}")
    assert not raised.value.again
    assert line not in str(raised.value)


def test_a_shell_that_can_not_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(Undelivered, match="command can't be started: Resource temporarily unavailable"):
        Command("true", LONG, never).deliver("started", "text", b"{}")


# webhooks


class Answers:
    """Stands for the web: what it answers, or raises, and where it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.urls: list[str] = []

    def post(self, url: str, **options: Any) -> Any:
        self.urls.append(url)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return _Answer(*answer)


class _Answer:
    def __init__(self, status: int, location: str | None = None) -> None:
        self.status_code = status
        self.headers = {} if location is None else {"Location": location}

    def __enter__(self) -> _Answer:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answers]:
    """Makes the web answer so."""
    import requests

    def make(*answers: Any) -> Answers:
        there = Answers(*answers)
        monkeypatch.setattr(requests, "post", there.post)
        return there

    return make


def deliver(url: str = URL) -> None:
    """Send something."""
    Webhook(url, 5.0, never).deliver("started", "text", b"{}")


@pytest.mark.parametrize(
    ("url", "where", "followed"),
    [
        ("https://h/a", "/b", True),
        ("https://h/a", "https://h:443/b", True),
        ("https://h/a", "https://H/b", True),
        ("http://h/a", "https://h/b", True),  # safer
        ("https://h/a", "http://h/b", False),  # everybody could read it
        ("http://h/a", "https://h:8443/b", False),
        ("http://h:8080/a", "http://h:8081/b", False),
        ("https://h/a", "https://other/b", False),
        ("https://h/a", "//other/b", False),
        ("https://h/a", "https://h.other/b", False),
    ],
)
def test_who_gets_what_was_sent_elsewhere(web: Callable[..., Answers], url: str, where: str, *, followed: bool) -> None:
    there = web((308, where), (204,))
    if followed:
        deliver(url)
        assert len(there.urls) == 2
    else:
        with pytest.raises(Undelivered, match="sends to another place, which is not followed"):
            deliver(url)
        assert there.urls == [url]


@pytest.mark.parametrize(
    ("status", "again"), [(400, False), (404, False), (429, True), (500, True), (503, True), (302, False), (304, False)]
)
def test_which_answers_may_be_others_in_a_moment(web: Callable[..., Answers], status: int, *, again: bool) -> None:
    web((status, "/elsewhere"))
    with pytest.raises(Undelivered) as raised:
        deliver()
    assert raised.value.again is again
    assert f"HTTP {status}" in str(raised.value)
    assert "not-to-be-seen" not in str(raised.value)


def test_it_is_not_sent_in_circles(web: Callable[..., Answers]) -> None:
    there = web(*[(307, "/again")] * 9)
    with pytest.raises(Undelivered, match="sends from one address to the next"):
        deliver()
    assert len(there.urls) == 4


@pytest.mark.parametrize(
    ("error", "reason", "again"),
    [
        ("ConnectTimeout", "can't be reached within 5 s", True),
        ("ReadTimeout", "does not answer within 5 s", False),  # it may have been taken
        ("SSLError", "has a certificate that is not believed, or speaks no TLS", False),
        ("ProxyError", "can't be reached through the proxy", True),
        ("ConnectionError", "can't be reached", True),
        ("TooManyRedirects", "can't be asked: TooManyRedirects", False),
        ("InvalidURL", "can't be asked: InvalidURL", False),
    ],
)
def test_what_goes_wrong_on_the_way(web: Callable[..., Answers], error: str, reason: str, *, again: bool) -> None:
    import requests

    web(getattr(requests.exceptions, error)(f"at {URL}"))
    with pytest.raises(Undelivered) as raised:
        deliver()
    assert str(raised.value) == f"webhook at hooks.example.org {reason}"
    assert raised.value.again is again
    # A traceback would have the address, from the error that is behind it.
    assert raised.value.__suppress_context__


def test_logs_of_others_are_not_silenced(web: Callable[..., Answers], caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("urllib3.connectionpool")
    with caplog.at_level(logging.DEBUG):
        with delivering._unlogged():
            logger.debug("of this thread")
        logger.debug("afterwards")
    assert [record.message for record in caplog.records] == ["afterwards"]
    assert logger.filters == []
