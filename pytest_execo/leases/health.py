"""Whether nodes answer: asked before a trial, and when something went wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator

from ..errors import ConnectionFailed, ConnectionLost, ConnectorError, ExpectFailed, ProcessFailed
from ..hosts import Hosts
from ..processes import Remote

__all__ = ("ailing", "lost_hosts")

#: Seconds that a node has for an answer. A busy one needs a second or two; one that is cut off says nothing for ever.
TIMEOUT = 10.0
#: Seconds between the two times that a node is asked which did not answer: a server that restarts is no death.
AGAIN = 1.0


def ailing(nodes: Hosts, *, timeout: float = TIMEOUT) -> dict[str, str]:
    """Return the nodes that do not run a command, and why, by name. Asked twice, at most ``2 * timeout + 1`` seconds.

    A node that answers costs a session on a connection that is there already.
    """
    ill = _silent(nodes, timeout)
    if ill:
        time.sleep(AGAIN)
        asked = Hosts(node for node in nodes if node.name in ill)
        asked.disconnect()  # what hangs may be the connection alone
        ill = _silent(asked, timeout)
    return ill


def _silent(nodes: Hosts, timeout: float) -> dict[str, str]:
    if not nodes:
        return {}
    group = Remote(
        "true", nodes, timeout=timeout, ignore_exit_code=True, ignore_timeout=True, ignore_error=True
    ).run(check=False)  # fmt: skip
    ill: dict[str, str] = {}
    for node, process in zip(nodes, group, strict=True):
        if isinstance(process.error, ConnectorError):
            ill[node.name] = process.error.reason
        elif process.error is not None:
            ill[node.name] = str(process.error)
        elif process.timed_out:
            ill[node.name] = f"no answer within {timeout:g} s"
    return ill


def lost_hosts(error: BaseException) -> dict[str, str]:
    """Return the hosts whose connections failed or broke, and how, as an exception and what led to it tell."""
    return {
        each.host: str(each) for each in _errors(error, set()) if isinstance(each, ConnectionFailed | ConnectionLost)
    }


def _errors(error: BaseException, seen: set[int]) -> Iterator[BaseException]:
    if id(error) in seen:
        return
    seen.add(id(error))
    yield error
    within: list[BaseException | None] = [error.__cause__]
    if not error.__suppress_context__:
        within.append(error.__context__)
    if isinstance(error, BaseExceptionGroup):
        within += error.exceptions
    if isinstance(error, ProcessFailed):
        within += [process.error for process in error.processes]
    if isinstance(error, ExpectFailed):
        within.append(error.process.error)
    for each in within:
        if each is not None:
            yield from _errors(each, seen)
