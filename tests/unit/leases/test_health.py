"""Which nodes answer, and which hosts an error tells of."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_execo.errors import (
    ConnectionFailed,
    ConnectionLost,
    ConnectorError,
    ProcessFailed,
    StartFailed,
    TransferFailed,
    WaitTimeout,
)
from pytest_execo.hosts import Host, Hosts
from pytest_execo.leases import health
from pytest_execo.leases.health import ailing, lost_hosts


class Asked:
    """Stands for processes: what nodes answer, one answer for each time that they are asked."""

    def __init__(self, answers: dict[str, list[Any]]) -> None:
        self.answers = answers
        self.groups: list[list[str]] = []
        self.options: list[dict[str, Any]] = []
        self.pauses: list[float] = []
        self.disconnected: list[str] = []

    def remote(self, command: str, nodes: Hosts, **options: Any) -> Any:
        assert command == "true"
        self.groups.append(nodes.names)
        self.options.append(options)
        group = [self._process(self.answers[node.name].pop(0)) for node in nodes]
        return SimpleNamespace(run=lambda *, check: group if not check else None)

    def _process(self, answer: Any) -> Any:
        error = answer if isinstance(answer, Exception) else None
        return SimpleNamespace(error=error, timed_out=answer == "silent")


@pytest.fixture
def asks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Asked]:
    """Makes nodes answer so: "well", "silent" or an error, each time that they are asked."""

    def make(**answers: list[Any]) -> Asked:
        asked = Asked(answers)
        monkeypatch.setattr(health, "Remote", asked.remote)
        monkeypatch.setattr(time, "sleep", asked.pauses.append)
        monkeypatch.setattr(Hosts, "disconnect", lambda hosts: asked.disconnected.extend(hosts.names))
        return asked

    return make


def hosts(*names: str) -> Hosts:
    """Nodes of these names."""
    return Hosts(Host(name) for name in names)


# asking


def test_nodes_that_answer_are_asked_once(asks: Callable[..., Asked]) -> None:
    asked = asks(a=["well"], b=["well"])
    assert ailing(hosts("a", "b")) == {}
    assert (asked.groups, asked.pauses, asked.disconnected) == ([["a", "b"]], [], [])


def test_nobody_is_asked_where_there_are_no_nodes(asks: Callable[..., Asked]) -> None:
    asked = asks()
    assert ailing(Hosts()) == {}
    assert asked.groups == []


def test_a_node_that_did_not_answer_is_asked_again_on_a_new_connection(asks: Callable[..., Asked]) -> None:
    asked = asks(a=["well"], b=[ConnectionLost("b", "reset"), "well"], c=["silent", "well"])
    assert ailing(hosts("a", "b", "c")) == {}
    assert asked.groups == [["a", "b", "c"], ["b", "c"]]
    assert asked.disconnected == ["b", "c"]
    assert asked.pauses == [health.AGAIN]


def test_what_is_wrong_is_said_as_it_was_the_second_time(asks: Callable[..., Asked]) -> None:
    asks(
        a=["silent", ConnectionFailed("a", "Connection refused")],
        b=[ConnectionFailed("b", "no route"), "silent"],
        c=["silent", OSError("too many open files")],
    )
    assert ailing(hosts("a", "b", "c"), timeout=2.5) == {
        "a": "Connection refused",
        "b": "no answer within 2.5 s",
        "c": "too many open files",
    }


def test_a_node_has_so_many_seconds_and_its_end_is_no_failure(asks: Callable[..., Asked]) -> None:
    asked = asks(a=["well"])
    ailing(hosts("a"), timeout=3.0)
    (options,) = asked.options
    assert options == {"timeout": 3.0, "ignore_exit_code": True, "ignore_timeout": True, "ignore_error": True}


def test_a_node_that_is_there_and_one_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "AGAIN", 0.0)
    closed = Host("127.0.0.1", name="gone", port=1, user="nobody", host_key="ssh-ed25519 AAAA")
    found = ailing(Hosts([Host("here", connector="local"), closed]))
    assert list(found) == ["gone"]
    assert found["gone"]
    assert "\n" not in found["gone"]


# errors


def failed(*errors: Exception | None) -> ProcessFailed:
    """Processes that failed with these errors."""
    processes = [SimpleNamespace(error=error, describe=lambda: "it failed") for error in errors]
    return ProcessFailed(cast("Any", processes))


@pytest.mark.parametrize("kind", [ConnectionFailed, ConnectionLost])
def test_a_broken_connection_tells_of_its_host(kind: type[ConnectorError]) -> None:
    error = kind("a", "no route")
    assert lost_hosts(error) == {"a": str(error)}


@pytest.mark.parametrize(
    "error",
    [
        AssertionError(),
        StartFailed("a", "no shell"),
        TransferFailed("a", "full"),
        failed(None),
        WaitTimeout("slow", []),
    ],
)
def test_what_is_no_loss_of_a_connection(error: Exception) -> None:
    assert lost_hosts(error) == {}


def test_each_of_many_processes_counts() -> None:
    lost, refused = ConnectionLost("a", "reset"), ConnectionFailed("b", "refused")
    assert lost_hosts(failed(lost, None, StartFailed("c", "no"), refused)) == {"a": str(lost), "b": str(refused)}


def test_what_led_to_an_error_counts() -> None:
    lost = ConnectionLost("a", "reset")
    caused, handled = RuntimeError(), RuntimeError()
    caused.__cause__ = lost
    handled.__context__ = lost
    for error in (caused, handled, ExceptionGroup("all", [ValueError(), ExceptionGroup("some", [caused])])):
        assert lost_hosts(error) == {"a": str(lost)}


def test_what_the_user_has_dealt_with_does_not() -> None:
    def deal_with_it() -> None:
        try:
            raise ConnectionLost("a", "reset")
        except ConnectionLost:
            raise AssertionError("its own") from None

    with pytest.raises(AssertionError) as raised:
        deal_with_it()
    assert raised.value.__context__ is not None
    assert lost_hosts(raised.value) == {}


def test_errors_that_lead_to_each_other_are_looked_at_once() -> None:
    first, second = RuntimeError(), failed(ConnectionLost("a", "reset"))
    first.__context__, second.__context__ = second, first
    assert list(lost_hosts(first)) == ["a"]
