"""One ``taktuk`` process and the hosts that it reaches.

What TakTuk does, as far as it matters here (3.7.7): it opens connections, a window of them at a time; a host's own
commands (the relay, and what it hears first) run as soon as that host is connected. What is sent to hosts later waits
until every connection was made or has failed, and hosts have numbers; a host that accepts and never answers would hold
up all others for as long as it is waited for. So when nothing has moved for a while and somebody has to be told
something, the connections that are still being made are cancelled, and those hosts get trees of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import cast

from ...errors import ConnectionFailed, ConnectionLost, ConnectorError
from ..ssh_program import record_key, write_key
from ..supervision import lifeline
from .lines import SEPARATOR, TEMPLATES, bootstrap, host_set, relay_source, understand, words
from .node import Node
from .options import Settings, connector_words, helper_words
from .session import CREDIT

__all__ = ("Again", "Tree")

# Seconds between SIGTERM and SIGKILL when a relay ends what was left behind.
_GRACE = 2
# Seconds without a new connection after which those that are being made are cancelled, if somebody has to wait for
# them; more when connections take longer here.
_STALL = 3.0
# Seconds without anything to do after which a tree ends: the next command finds it, for it is slow to build.
_LINGER = 20.0
# Seconds that a tree may take to end by itself: the grace of the relays, and slow machines.
_QUIT_TIMEOUT = 10.0


class Again(Enum):
    """How a host that was not reached is to be tried again."""

    ALONE = "in a tree of its own"
    TOGETHER = "in a new tree, with others"
    DIRECT = "from this machine"


class Tree(asyncio.SubprocessProtocol):
    """One ``taktuk`` process. Ends when none of its hosts has anything to do, at the latest with this process.

    :param helpers: hosts reach each other.
    :param timeout: seconds for each connection.
    :param again: called with hosts that are to be tried again.
    :param ended: called when the process has ended.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        settings: Settings,
        *,
        helpers: bool,
        timeout: int,
        again: Callable[[Sequence[Node], Again], None],
        ended: Callable[[Tree], None],
    ) -> None:
        #: By their positions on the command line, which TakTuk counts from 1.
        self._nodes = dict(enumerate(nodes, 1))
        self._settings = settings
        self._helpers = helpers
        self._timeout = timeout
        self._again = again
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.SubprocessTransport | None = None
        self._keys = ""
        self._waiting = set(nodes)  # neither connected nor failed
        self._cancelled: set[Node] = set()
        self._is_cancelling = False
        self._is_numbered = False
        self._is_stopping = False
        self._moved_at = self._loop.time()
        self._slowest = 0.0
        self._said = bytearray()
        self._errors: list[str] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._gone = asyncio.Event()

    async def begin(self) -> None:
        """Start the process. What goes wrong is told to the nodes."""
        for node in self._nodes.values():
            node.join(self)
        try:
            self._keys = tempfile.mkdtemp(prefix="pytest-execo-taktuk-")
            argv, options = self._command_line()
            environment = {name: value for name, value in os.environ.items() if not name.startswith("TAKTUK_")}
            transport, _ = await self._loop.subprocess_exec(
                lambda: self, *argv, env=environment, start_new_session=True
            )
        except OSError as error:
            missing = isinstance(error, FileNotFoundError) and shutil.which("taktuk") is None
            self._over("taktuk is not installed on this machine (apt-get install taktuk)" if missing else str(error))
            return
        self._transport = transport
        self._write(options)
        self._command("network", "renumber")
        self._timers["stall"] = self._loop.call_later(_STALL / 4, self._look_for_stall)
        self.settled()  # they may have been given up meanwhile

    def _command_line(self) -> tuple[list[str], bytes]:
        """Return the arguments of ``taktuk``, and the options that it reads from its standard input."""
        settings, arity = self._settings, self._settings.arity if self._helpers else -1
        argv = ["taktuk", "-s", "-n", "-M", "-g", "0.2", "-O", SEPARATOR, "-C", "\n"]
        for stream, template in TEMPLATES.items():
            argv += ["-o", stream if template is None else f"{stream}={template}"]
        argv += ["-d", str(arity), "-w", str(settings.window), "-t", str(self._timeout), "-F", "-"]
        options: list[str] = helper_words(settings.ssh, self._timeout) if self._helpers else []
        relay = bootstrap(lifeline().silence, _GRACE, CREDIT)
        for position, node in self._nodes.items():
            host = node.host
            if self._helpers:
                name = f"{host.user}@{host.address}" if host.user else host.address
            else:
                name = f"h{position}"
                options += connector_words(host, settings.ssh, self._timeout, self._known_hosts(position, node))
            options += ["-m", name, "-[", "exec", "[", relay, "]", "\n", "input", "data", "[", relay_source(), "]"]
            for line in node.first_lines():
                options += ["\n", "input", "line", "[", line, "]"]
            options.append("-]")
        return argv, words([*options, ""])

    def _known_hosts(self, position: int, node: Node) -> Path:
        path = Path(self._keys, str(position))
        write_key(node.host, path)
        return path

    # what is sent

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        pipe = cast("asyncio.WriteTransport | None", self._transport.get_pipe_transport(0))
        if pipe is not None and not pipe.is_closing():
            pipe.write(data)

    def _command(self, *parts: str) -> None:
        self._write(words(parts) + b"\n")

    def tell(self, ranks: Sequence[int], line: str) -> None:
        self._command(host_set(ranks), "input", "line", "[", line, "]")

    def _beat(self) -> None:
        """Send a sign of life to all relays."""
        self._command("broadcast", "input", "line", "[", ".", "]")
        self._timers["beat"] = self._loop.call_later(lifeline().interval, self._beat)

    @property
    def nodes(self) -> list[Node]:
        """The hosts, without those that were given to other trees."""
        return list(self._nodes.values())

    def settled(self) -> None:
        """Stop when nobody is left, or there was nothing to do for a while."""
        if self._is_stopping:
            return
        timer = self._timers.get("idle")
        nodes = self._nodes.values()
        busy, useful = any(node.is_busy for node in nodes), any(node.is_up and not node.is_over for node in nodes)
        if timer is not None and (busy or not useful):
            timer.cancel()
            del self._timers["idle"]
        if not busy and "idle" not in self._timers:
            self._timers["idle"] = self._loop.call_later(_LINGER if useful else 0, self.stop)

    def stop(self, error: ConnectorError | None = None) -> None:
        """Have the process and the relays end, and what they still run. A second call does nothing."""
        if self._is_stopping:
            return
        self._is_stopping = True
        for node in self._nodes.values():
            node.fail(error or ConnectionLost(node.host.name, "its tree has ended"))
        self._cancel_timers()
        if self._transport is None:
            return
        if not self._is_numbered:
            self._command("network", "cancel")
        self._command("quit")
        self._close_input()
        self._timers["quit"] = self._loop.call_later(_QUIT_TIMEOUT, self._kill)

    async def stopped(self, seconds: float) -> None:
        """Wait until the process has ended; it is killed when that takes longer than ``seconds``."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gone.wait(), seconds)
        if not self._gone.is_set():
            self._kill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), 1)

    def _kill(self) -> None:
        if self._transport is None or self._transport.get_returncode() is not None:
            return
        pid = self._transport.get_pid()
        # The ssh programs are in process groups of their own.
        with contextlib.suppress(OSError, ValueError):
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self._transport.kill()

    def _close_input(self) -> None:
        if self._transport is not None and (pipe := self._transport.get_pipe_transport(0)) is not None:
            pipe.close()

    def drop(self) -> None:
        """Close our end of its input, in a forked child: the parent's stays open."""
        pipe = self._transport.get_pipe_transport(0) if self._transport is not None else None
        if pipe is not None and (file := pipe.get_extra_info("pipe")) is not None:
            with contextlib.suppress(OSError):
                file.close()

    # hosts that do not answer

    def _look_for_stall(self) -> None:
        if self._is_numbered or self._is_stopping:
            return
        now = self._loop.time()
        stalled = self._waiting and now - self._moved_at > max(_STALL, 2 * self._slowest)
        if stalled and not self._is_cancelling and any(node.has_unsent for node in self._nodes.values()):
            self._is_cancelling = True
            self._command("network", "cancel")
        self._timers["stall"] = self._loop.call_later(_STALL / 4, self._look_for_stall)

    def _numbered(self) -> None:
        """The tree is complete: all have numbers who will ever have one."""
        self._is_numbered = True
        self._forget_keys()  # no connection is made any more
        if lifeline().silence:
            self._beat()
        waiting, self._waiting = self._waiting, set()
        self._try_again(self._cancelled, Again.ALONE)
        self._try_again(waiting - self._cancelled, Again.TOGETHER)
        self.settled()

    def _try_again(self, nodes: set[Node], how: Again) -> None:
        """Let go of hosts that were not reached."""
        if self._is_stopping:
            return
        left = {position: node for position, node in self._nodes.items() if node in nodes}
        for position in left:
            del self._nodes[position]
        if again := [node for node in left.values() if node.is_busy]:
            self._again(again, how)

    # what taktuk says

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._note(data.decode("utf-8", "replace"))
            return
        self._said += data
        if b"\n" not in data:
            return
        *lines, rest = bytes(self._said).split(b"\n")
        self._said = bytearray(rest)
        for line in lines:
            said = understand(line)
            if said is None:
                self._note(line.decode("utf-8", "replace"))
            elif said.kind == "k":
                self._note(said.rest.decode("utf-8", "replace"))
            elif said.kind == "t":
                self._event(said.position, said.rest.decode("utf-8", "replace"))
            elif said.kind == "c":
                peer, _, text = said.rest.decode("utf-8", "replace").partition(" ")
                self._with(peer, lambda node, text=text: node.noted(text))  # type: ignore[misc]
            else:
                node = self._nodes.get(said.position)
                if node is None or node.is_over:
                    continue
                if said.kind == "s":
                    node.relay_ended(int(said.rest))
                else:
                    node.heard(said)

    def _note(self, text: str) -> None:
        self._errors = [*self._errors[-20:], *(line for line in text.splitlines() if line.strip())]

    def _with(self, position: str, act: Callable[[Node], None]) -> None:
        node = self._nodes.get(int(position)) if position.isdecimal() else None
        if node is not None and not node.is_over:
            act(node)

    def _event(self, position: int, rest: str) -> None:
        code, _, rest = rest.partition(" ")
        rank, peer, given = rest.split(",", 2)
        if code == "1" and position == 0:
            self._numbered()
        elif code == "1":
            if node := self._nodes.get(position):
                node.numbered(int(rank))
        elif code == "3":
            self._with(peer, lambda node: self._failed(node, by=position))
        elif code == "4":
            self._with(peer, self._connected)
        elif code == "5":
            self._with(peer, lambda node: self._lost(node, node.why()))
            for other in given.split():
                self._with(other.rpartition(":")[2], lambda node: self._lost(node, "a host on the way was lost"))

    def _moved(self, node: Node) -> None:
        now = self._loop.time()
        self._slowest = max(self._slowest, now - self._moved_at)
        self._moved_at = now
        self._waiting.discard(node)

    def _connected(self, node: Node) -> None:
        self._moved(node)
        node.is_up = True
        if not self._helpers:
            position = next(position for position, other in self._nodes.items() if other is node)
            try:
                record_key(node.host, Path(self._keys, str(position)))
            except ConnectionFailed as error:
                node.fail(error)

    def _failed(self, node: Node, *, by: int) -> None:
        if node.was_cancelled:
            self._cancelled.add(node)
            return
        self._moved(node)
        if by != 0:
            self._try_again({node}, Again.DIRECT)
        else:
            node.fail(ConnectionFailed(node.host.name, node.why()))

    def _lost(self, node: Node, why: str) -> None:
        self._waiting.discard(node)
        if node.is_up:
            node.fail(ConnectionLost(node.host.name, why))
        else:
            self._try_again({node}, Again.DIRECT)

    # the end

    def process_exited(self) -> None:
        # taktuk is two processes, of which the second lives as long as its input.
        self._close_input()
        self._timers["pipes"] = self._loop.call_later(1, self._over, None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._over(None)

    def _over(self, error: str | None) -> None:
        if self._gone.is_set():
            return
        self._gone.set()
        self._cancel_timers()
        self._forget_keys()
        if error is None and not self._is_stopping:
            assert self._transport is not None
            status = self._transport.get_returncode()
            how = "ended" if status is None else f"ended with {f'signal {-status}' if status < 0 else f'code {status}'}"
            error = f"taktuk {how}{f': {self._errors[-1]}' if self._errors else ''}"
        self._is_stopping = True
        for node in self._nodes.values():
            kind = ConnectionLost if node.is_up else ConnectionFailed
            node.fail(kind(node.host.name, error or "its tree has ended"))
        if self._transport is not None:
            self._transport.close()
        self._ended(self)

    def _forget_keys(self) -> None:
        if self._keys:
            shutil.rmtree(self._keys, ignore_errors=True)
            self._keys = ""

    def _cancel_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
