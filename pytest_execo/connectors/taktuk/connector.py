"""The connector: gathers what starts together, and gives it to trees."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import ClassVar

from ...errors import ConnectionFailed, ConnectionLost
from ...hosts import Host
from ..contract import Channel, Command, Connector, FileChannel, Receiver
from . import options
from .files import TaktukFiles
from .node import Node
from .options import Settings, helps, settings
from .tree import Again, Tree

__all__ = ("TaktukConnector",)

# Seconds after the last of several starts in a row, and after the first, before a tree is made of them.
_PAUSE = 0.005
_LONGEST_PAUSE = 0.1
# Seconds that closing the connector may take.
_CLOSE_TIMEOUT = 4.0
_NO_HOST = "the taktuk connector needs a host; use connector='local' or give host="


class TaktukConnector(Connector):
    """Starts commands on many hosts at once through TakTuk.

    :param settings: default: what the environment says; see :class:`Settings`.
    """

    name = "taktuk"
    cannot: ClassVar[dict[str, str]] = {
        "tcp": "TakTuk carries commands; connector='ssh' opens connections from a host",
    }

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings
        self._gathered: list[Node] = []
        self._gathered_since = 0.0
        self._gathering: asyncio.TimerHandle | None = None
        self._trees: set[Tree] = set()
        self._nodes: dict[Host, Node] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: Host | None, command: Command, receiver: Receiver) -> Channel:
        if host is None:
            raise ConnectionFailed("localhost", _NO_HOST)
        if host.keyfile is not None and not os.access(host.keyfile, os.R_OK):
            why = "Permission denied" if os.access(host.keyfile, os.F_OK) else "No such file or directory"
            raise ConnectionFailed(host.name, f"{why}: {host.keyfile!r}")
        self._how()  # wrong settings are an error before anything is started
        session = self._node(host).add(command, receiver)
        try:
            await session.begun()
        except asyncio.CancelledError:
            session.give_up()
            raise
        return session

    async def files(self, host: Host | None) -> FileChannel:
        if host is None:
            raise ConnectionFailed("localhost", _NO_HOST)
        channel = TaktukFiles(self, host)
        await channel.open()
        return channel

    def _how(self) -> Settings:
        return self._settings or settings()

    def _node(self, host: Host) -> Node:
        """Return the node of a host, which is reached already, or soon with others."""
        node = self._nodes.get(host)
        if node is None or not node.has_room:
            node = self._nodes[host] = Node(host, os.environ.get("TERM", "dumb"), self._node)
            self._gathered.append(node)
            loop = asyncio.get_running_loop()
            now = loop.time()
            if self._gathering is None:
                self._gathered_since = now
            else:
                self._gathering.cancel()
            pause = min(_PAUSE, self._gathered_since + _LONGEST_PAUSE - now)
            self._gathering = loop.call_later(max(pause, 0), self._launch_gathered)
        return node

    # trees

    def _launch_gathered(self) -> None:
        self._gathering = None
        gathered, self._gathered = self._gathered, []
        gathered = [node for node in gathered if node.is_busy]
        helping = [node for node in gathered if self._how().arity >= 0 and helps(node.host)]
        self._launch(helping, helpers=True)
        self._launch([node for node in gathered if node not in helping])

    def _launch(self, nodes: Sequence[Node], *, helpers: bool = False) -> None:
        if not nodes:
            return
        tree = Tree(
            nodes,
            self._how(),
            helpers=helpers,
            timeout=options.CONNECT_TIMEOUT,
            again=self._again,
            ended=self._ended,
        )
        self._trees.add(tree)
        task = asyncio.ensure_future(tree.begin())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _again(self, nodes: Sequence[Node], how: Again) -> None:
        if how is Again.TOGETHER:
            self._launch(nodes, helpers=all(helps(node.host) for node in nodes))
        elif how is Again.DIRECT:
            self._launch(nodes)
        else:
            # With all of its time: it was others who could not wait.
            for node in nodes:
                self._launch([node])

    def _ended(self, tree: Tree) -> None:
        self._trees.discard(tree)
        for host, node in list(self._nodes.items()):
            if node.is_over:
                del self._nodes[host]

    # closing

    async def disconnect(self, host: Host) -> None:
        error = ConnectionLost(host.name, "disconnected")
        nodes = [node for tree in self._trees for node in tree.nodes] + self._gathered
        for node in nodes:
            if node.host == host and not node.is_over:
                node.leave(error)
        self._nodes.pop(host, None)

    async def close(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
        for node in self._gathered:
            node.fail(ConnectionLost(node.host.name, "disconnected"))
        trees = list(self._trees)
        for tree in trees:
            tree.stop()
        await asyncio.gather(*(tree.stopped(_CLOSE_TIMEOUT) for tree in trees))

    def forget(self) -> None:
        # A tree ends with its input, which this child would hold open.
        for tree in self._trees:
            tree.drop()
