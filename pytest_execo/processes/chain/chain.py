"""The coordinator of one chain: who takes part, who sends to whom, what is wrong with it, and when it is over."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import threading
from collections.abc import Sequence

from ...errors import TransferFailed
from ..io_thread import io_thread
from ..transfer import our_path
from .head import Head
from .hop import PATIENCE, Hop, Listener
from .link import Link
from .order import Order
from .source import Source

__all__ = ("Chain",)

# Bytes per second of the slowest digest: how long a host that has all bytes may take to say so.
_SLOWEST_DIGEST = 20e6


class Chain(Listener):
    """Makes a chain of the hosts that take part. All methods are called on the I/O thread.

    A host takes part from :meth:`enter` to :meth:`leave`, and is in the chain from :meth:`join` on. It begins when all
    that have entered have joined, or ``hop_timeout`` after the first; who comes later goes to its end. It is over when
    everybody's file is in place: until then agents stay, because others may come to need them.

    :param paths: what is copied.
    :param hop_timeout: seconds without progress, or without a word, after which a hop is skipped.
    :param rate: bytes per second that this machine sends at most.
    """

    def __init__(self, paths: Sequence[str], hop_timeout: float, rate: float | None) -> None:
        self.paths: tuple[str, ...] = tuple(paths)
        # Where relative paths start is where we are now, not where the I/O thread will find us.
        self._places = [our_path(path, os.getcwd()) for path in paths]
        self.hop_timeout = hop_timeout
        self.rate = rate
        #: Known to this object and the agents alone.
        self.secret: str = secrets.token_hex(32)
        self._numbers = itertools.count(1)
        self._entered: set[Hop] = set()
        self._reset()

    def _reset(self) -> None:
        self._joined: list[Hop] = []
        self._order: Order[Hop] = Order()
        self._begun = False
        self._beginning: asyncio.TimerHandle | None = None
        self._opening: asyncio.Task[Source] | None = None
        self._unwanted = threading.Event()
        self._source: Source | None = None
        self._sums: dict[str, asyncio.Task[str]] = {}
        self._head: Head | None = None
        self._watching: asyncio.Task[None] | None = None

    # who takes part

    def enter(self, hop: Hop) -> None:
        """Take part."""
        self._entered.add(hop)

    async def source(self) -> Source:
        """Return what is copied, opened when the first asks.

        :raises OSError: when it can't be read.
        """
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._open(self._unwanted))
            self._opening.add_done_callback(_retrieve)
        # One who is killed must not take it from the others.
        return await asyncio.shield(self._opening)

    async def _open(self, unwanted: threading.Event) -> Source:
        loop = asyncio.get_running_loop()
        source = await loop.run_in_executor(None, Source, self._places, lambda: not unwanted.is_set())
        if unwanted.is_set():
            source.close()
        return source

    def join(self, hop: Hop) -> None:
        """Go into the chain, being ready."""
        self._joined.append(hop)
        if self._begun:
            self._order.add(hop)
            self._arrange()
        elif self._beginning is None:
            self._beginning = asyncio.get_running_loop().call_later(self.hop_timeout, self._begin)
        self._begin_if_complete()

    def leave(self, hop: Hop) -> None:
        """Take part no more, for whatever reason: who comes after it is served by who comes before it."""
        self._entered.discard(hop)
        if hop in self._joined:
            self._joined.remove(hop)
        self._order.remove(hop)
        if not self._entered:
            self._close()
            return
        self._begin_if_complete()
        self._arrange()
        self._end_if_over()

    def _begin_if_complete(self) -> None:
        if not self._begun and self._joined and len(self._joined) == len(self._entered):
            self._begin()

    def _begin(self) -> None:
        assert self._opening is not None
        self._begun = True
        if self._beginning is not None:
            self._beginning.cancel()
        self._source = self._opening.result()
        self._head = Head(
            self._source, self.secret, rate=self.rate, deadline=self.hop_timeout, broken=self._head_broken
        )
        self._checksum("sha256sum")
        for hop in sorted(self._joined, key=lambda hop: hop.position):
            self._order.add(hop)
        self._watching = io_thread().task(self._watch())
        self._arrange()

    def _close(self) -> None:
        self._unwanted.set()
        if self._beginning is not None:
            self._beginning.cancel()
        if self._watching is not None:
            self._watching.cancel()
        if self._head is not None:
            self._head.close()
        for task in self._sums.values():
            task.cancel()
        if self._opening is not None and self._opening.done() and not self._opening.exception():
            # What is still reading in a thread has a descriptor of its own.
            self._opening.result().close()
        self._reset()

    def _end_if_over(self) -> None:
        if self._begun and all(hop.placed for hop in self._entered):
            for hop in self._entered:
                hop.release()

    # who sends to whom

    def _arrange(self) -> None:
        """Have every hop that is not whole be served by the one before it."""
        for hop in self._order:
            upstream = self._order.before(hop)
            if not hop.whole and (hop.link is None or hop.link.upstream is not upstream):
                self._link(hop, upstream)

    def _link(self, hop: Hop, upstream: Hop | None) -> None:
        address = hop.addresses[self._order.tries(hop) % len(hop.addresses)]
        now = asyncio.get_running_loop().time()
        hop.listen(Link(next(self._numbers), upstream, address, hop.have, now))

    def _failed(self, hop: Hop, reason: str) -> None:
        if hop.link is not None and hop.have > hop.link.seen:
            self._order.advanced(hop)
        hop.link = None
        given_up = self._order.failed(hop, reason)
        if given_up is not None:
            hop.unable = True
            hop.fail(TransferFailed(hop.name, given_up))
            self._order.remove(hop)
        self._arrange()

    def _head_broken(self, link: Link, reason: str) -> None:
        for hop in self._order:
            if hop.link is link:
                self._failed(hop, reason)

    # what agents say

    def said(self, hop: Hop, what: str, link: int, rest: str) -> None:
        if what == "broken":
            for downstream in self._order:
                if downstream.link is not None and downstream.link.number == link:
                    self._failed(downstream, rest)
            return
        if hop.link is None or hop.link.number != link or hop not in self._order:
            return  # of a link that is no more
        hop.link.since = asyncio.get_running_loop().time()
        if what == "listening" and rest.isdigit():
            hop.link.port = int(rest)
            if hop.link.upstream is not None:
                hop.link.upstream.next(hop.link)
            elif self._head is not None:
                self._head.next(hop.link, hop.open_tcp)
        elif what == "linked":
            hop.link.linked = True
        elif what == "lost":
            self._failed(hop, rest)

    def whole(self, hop: Hop, program: str, checksum: str) -> None:
        if not hop.whole and hop in self._order and self._source is not None:
            hop.whole, hop.link, hop.have = True, None, self._source.size
            io_thread().task(self._verify(hop, program, checksum))

    async def _verify(self, hop: Hop, program: str, checksum: str) -> None:
        try:
            expected = await self._checksum(program)
        except (OSError, KeyError) as error:
            hop.fail(TransferFailed(hop.name, f"{', '.join(self.paths)}: no check sum: {error}"))
            return
        if checksum == expected:
            hop.verified = True
            hop.tell("commit")
        else:
            hop.fail(TransferFailed(hop.name, f"it has another {program} than the source: {checksum}"))

    def _checksum(self, program: str) -> asyncio.Task[str]:
        if program not in self._sums:
            self._sums[program] = asyncio.get_running_loop().create_task(self._sum(program))
            self._sums[program].add_done_callback(_retrieve)
        return self._sums[program]

    async def _sum(self, program: str) -> str:
        assert self._source is not None
        return await asyncio.get_running_loop().run_in_executor(None, self._source.sum, program)

    def placed(self, hop: Hop) -> None:
        hop.placed = True
        self._end_if_over()

    # what nobody says

    async def _watch(self) -> None:
        """Notice silence and standstill, and tell the agents that we are here."""
        loop = asyncio.get_running_loop()
        period = self.hop_timeout / 5
        pinged = now = loop.time()
        while True:
            before = now
            await asyncio.sleep(period)
            now = loop.time()
            # Where we stood still ourselves (a stopped process, a laptop asleep) nobody else can be blamed for it.
            late = now - before - period
            excused = late if late > period else 0.0
            ping = now - pinged > PATIENCE / 4
            for hop in self._order:
                hop.heard += excused
                if ping:
                    hop.tell(".")
                if now - hop.heard > self.hop_timeout:
                    hop.silent(self.hop_timeout)
                elif hop.link is not None:
                    hop.link.since += excused
                    self._look_at(hop, hop.link, now)
            if ping:
                pinged = now

    def _look_at(self, hop: Hop, link: Link, now: float) -> None:
        assert self._source is not None
        size = self._source.size
        there = size if link.upstream is None else link.upstream.have
        if hop.have > link.seen:
            link.seen, link.since = hop.have, now
            self._order.advanced(hop)
        elif link.linked and there <= hop.have < size:
            link.since = now  # there is nothing that could come
        allowed = self.hop_timeout + (size / _SLOWEST_DIGEST if hop.have >= size else 0)
        if now - link.since > allowed:
            self._failed(hop, f"no progress for {self.hop_timeout:g} s at {hop.have} of {size} bytes")


def _retrieve(task: asyncio.Task[object]) -> None:
    """Take note of how a task ended for which nobody may be waiting any more."""
    if not task.cancelled():
        task.exception()
