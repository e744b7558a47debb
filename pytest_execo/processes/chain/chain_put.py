"""Copies to many hosts through a chain of them, with the verbs of every group of copies."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from typing import Any, Self

from ...errors import ConnectorError, ExecoError, InvalidInput, StartFailed, TransferFailed
from ...hosts import Host
from ...units import parse_duration, parse_size
from ..activity import Activity, State
from ..group import Group
from ..io_thread import io_thread
from ..substitutions import Substitutions, substitute
from ..transfer import Path, Paths, Transfer
from .chain import Chain
from .hop import Hop

__all__ = ("TOOLS", "ChainPut", "ChainTransfer")

_log = logging.getLogger("pytest_execo.processes")

#: What can make a hop of a host, best first.
TOOLS: tuple[str, ...] = ("python3", "perl", "nc")


class ChainTransfer(Activity):
    """The copy to one host of a chain. Made by :class:`ChainPut`.

    It ends when its file is in place and nobody needs the host any more; or with its own error, which does not keep
    the others from theirs: a host that is lost, killed, full or silent is skipped.
    """

    def __init__(
        self,
        chain: Chain,
        position: int,
        host: Host,
        target: str,
        *,
        connector: str | None,
        tools: Sequence[str],
        fallback: bool,
        **options: Any,
    ) -> None:
        self.sources: tuple[str, ...] = chain.paths
        self.target = target
        super().__init__(host, name=f"chain put {' '.join(chain.paths)} {target}", **options)
        self.connector: str = connector or host.connector
        self.tools: tuple[str, ...] = tuple(tools)
        self._chain = chain
        self._position = position
        self._hop: Hop | None = None
        self._given_up = False
        self._instead = Transfer("put", host, chain.paths, target, connector=connector) if fallback else None
        self._fell_back = False

    @property
    def tool(self) -> str | None:
        """What the host takes part with: ``python3``, ``perl`` or ``nc``; ``None``: not known yet.

        ``sftp``: it can't take part, and is copied to by SFTP (``fallback``).
        """
        if self._fell_back:
            return "sftp"
        return None if self._hop is None else self._hop.tool

    @property
    def bytes_done(self) -> int:
        """Bytes that are on the host's disk, as of its last word (five in each ``hop_timeout``)."""
        if self._fell_back and self._instead is not None:
            return self._instead.bytes_done
        return 0 if self._hop is None else self._hop.have

    @property
    def verified(self) -> bool:
        """Whether the check sum of what the host has is that of the source."""
        if self._fell_back and self._instead is not None:
            return self._instead.verified is not None
        return self._hop is not None and self._hop.verified

    def kill(self, *, wait: bool = True) -> Self:
        """Give this host up: what it has of the file is removed, the others go on without it.

        A file that is in place already stays.

        :param wait: wait for the end; it is certain within about 10 s. ``False``: return at once.
        """
        if self.running:
            self._refuse_fork()
            self.killed = True
            io_thread().call(self._cancel)
            if wait:
                self.wait()
        return self

    async def _main(self) -> None:
        assert self.host is not None
        hop = self._hop = Hop(
            self.host,
            self._position,
            self.target,
            self._chain,
            connector=self.connector,
            tools=self.tools,
            hop_timeout=self._chain.hop_timeout,
        )
        try:
            await self._take_part(hop)
        except ConnectorError as error:
            if not hop.unable or self._instead is None:
                raise
            _log.debug("%s: by SFTP, for no chain can use the host (%s)", self, error)
            self._fell_back = True
            await self._instead._copy()
        self._finish(None)

    async def _take_part(self, hop: Hop) -> None:
        self._chain.enter(hop)
        try:
            try:
                source = await self._chain.source()
            except OSError as error:
                what = error.filename or ", ".join(self.sources)
                raise TransferFailed(hop.name, f"{what}: {error.strerror or error}") from error
            await hop.start(source, self._chain.secret)
            self.state = State.RUNNING
            self._chain.join(hop)
            await hop.over
        except ExecoError:
            # Once the file has its name, what becomes of the host is no matter of the copy.
            if not hop.placed:
                raise
        finally:
            self._chain.leave(hop)
            await hop.stop()

    def _cancel(self) -> None:
        if self._main_task is None or self._main_task.done():
            self._finish(None)
        elif not self._given_up:
            # Once: the second would interrupt the tidying up after the first.
            self._given_up = True
            self._main_task.cancel()

    async def _end_by_force(self) -> None:
        self._cancel()

    def _finish(self, error: ExecoError | None) -> None:
        if self.timed_out and self.state is State.STARTING and error is None:
            error = StartFailed(str(self.host), f"not started within {self.timeout} s")
        super()._finish(error)


class ChainPut(Group[ChainTransfer]):
    """Copies a file, or anything, of this machine to many hosts: each passes it on to the next while it receives it.

    ::

        ChainPut(nodes, "image.tar", "/tmp/").run()

    This machine sends once, to the first host, whatever their number, and every host once: with many hosts and a big
    file it takes little longer than a copy to one. Data goes by plain TCP between the hosts, so they have to reach each
    other, and this machine the first of them; it is not encrypted. Both ends of a connection prove that they know a
    secret of this copy, and the check sum of what each host has is compared here before the file gets its name.

    A host that fails in the middle is skipped, and those after it get all of the file. Hosts need a POSIX shell, and
    Python 3.6, or Perl, or nc (openbsd, traditional, busybox); nothing is installed on them.

    :param hosts: hosts or addresses, in the order of the chain: neighbours in the network should be neighbours here.
        A host that is there twice is copied to once.
    :param source: a file or a directory, or several; what is not one regular file is packed with tar, here before the
        start, and unpacked by the hosts.
    :param target: where it goes, relative to the login directory; one that is a directory takes the source under its
        own name, and one that ends in ``/`` is one, made if need be. ``{{{host}}}`` and ``{{name}}`` are replaced.
    :param tools: what may be used on the hosts, best first.
    :param hop_timeout: seconds without progress where there could be some, or without a word from a host, after which
        it is skipped. Long enough for a host under load, for nobody comes back.
    :param rate: bytes per second that this machine sends at most (``"10MiB/s"``); default: no limit.
    :param fallback: copy by SFTP to hosts that no chain can use: that nobody reaches by TCP, or that have none of the
        tools. ``False``: these fail.
    :param options: those of :class:`Activity`, for each host.
    """

    def __init__(
        self,
        hosts: Iterable[Host | str],
        source: Paths,
        target: Path = ".",
        *,
        substitutions: Substitutions | None = None,
        connector: str | None = None,
        tools: Sequence[str] = TOOLS,
        hop_timeout: float | str = 5.0,
        rate: float | str | None = None,
        fallback: bool = False,
        **options: Any,
    ) -> None:
        several = [source] if isinstance(source, str | os.PathLike) else list(source)
        paths = [os.fspath(path) for path in several]
        if not paths:
            raise InvalidInput("source: an empty list; give a file or a directory, or several")
        unknown = [tool for tool in tools if tool not in TOOLS]
        if isinstance(tools, str) or unknown or not tools:
            raise InvalidInput(f"tools: {tools!r}; they are one or several of {', '.join(TOOLS)}, as a list")
        seconds = parse_duration(hop_timeout)
        if seconds <= 0:
            raise InvalidInput(f"hop_timeout: {hop_timeout!r}; it has to be more than nothing")
        bytes_per_second = None if rate is None else float(parse_size(rate))
        if bytes_per_second == 0:
            raise InvalidInput(f"rate: {rate!r} would let nothing through")
        chain = Chain(paths, seconds, bytes_per_second)
        targets: dict[tuple[object, ...], tuple[Host, str]] = {}
        for index, given in enumerate(hosts):
            host = Host(given) if isinstance(given, str) else given
            path = substitute(os.fspath(target), host, index, substitutions or {})
            if "\n" in path or "\0" in path or not path:
                raise InvalidInput(f"target: {path!r}; give a path without line breaks")
            # Each machine once, whatever it is called: two copies to one target would get into each other's way.
            targets.setdefault((host.address, host.port, host.user, host.connector, path), (host, path))
        super().__init__(
            (
                ChainTransfer(
                    chain,
                    position,
                    host,
                    path,
                    connector=connector,
                    tools=tools,
                    fallback=fallback,
                    **options,
                )
                for position, (host, path) in enumerate(targets.values())
            ),
            name=f"chain put {' '.join(paths)}",
        )
