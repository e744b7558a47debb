"""Processes and copies over TakTuk's tree: the same verbs and results, for very many hosts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..connectors.local_files import LocalFiles
from ..connectors.taktuk.conversation import name_word
from ..connectors.taktuk.files import TaktukFiles
from ..errors import ExecoError, InvalidInput
from ..hosts import Host
from .activity import State
from .broadcast import Broadcast, Member
from .checksums import host_checksums
from .command import CommandLine
from .copying import Copy
from .groups import Get, Put, Remote
from .io_thread import io_thread
from .planning import Item, Side
from .substitutions import Substitutions
from .transfer import Path, Paths, Transfer

__all__ = ("TaktukGet", "TaktukPut", "TaktukRemote")

# A new file is its owner's alone until it has its own mode, which it gets when it is complete.
_NEW_FILE = "0600"


class _SharedCopy(Copy):
    """A copy of which the contents of files are sent with those of others.

    :param there: the host's files.
    :param join: has the host sent the files.
    """

    def __init__(self, *arguments: Any, there: TaktukFiles, join: Callable[[Member], None], **options: Any) -> None:
        super().__init__(*arguments, put=True, **options)
        self._there = there
        self._join = join

    async def _copy_files(self, items: Sequence[Item]) -> None:
        if not items:
            return
        async with self._there.conversation() as conversation:
            # Who answers has a place in the tree by which the files will find it.
            conversation.ask("s", name_word("."))
            await conversation.answer(".")
            conversation.ask("w", "0", _NEW_FILE, *(name_word(item.target) for item in items))
            member = Member(conversation, tuple(item.source for item in items), self._progress)
            self._join(member)
            for number, item in enumerate(items):
                await conversation.answer(item.target)
                item.size, item.digest = member.sent[number]
                self._progress.file_done(item)
        for item in items:
            await self._set_attributes(item)


class _SharedTransfer(Transfer):
    """The copy to one host of a :class:`TaktukPut`."""

    def __init__(self, *arguments: Any, broadcast: Broadcast, **options: Any) -> None:
        if options.get("resume"):
            raise InvalidInput(
                "resume: a tree sends all hosts the same, from the beginning; Put(…, resume=True) does it"
            )
        super().__init__(*arguments, connector="taktuk", **options)
        self._broadcast = broadcast
        self._is_awaited = True

    async def _copy(self) -> None:
        assert self.host is not None
        connector = io_thread().connector(self.connector)
        async with await connector.files(self.host) as there, LocalFiles() as here:
            assert isinstance(there, TaktukFiles)
            self.state = State.RUNNING
            copy = _SharedCopy(
                Side(here, "localhost"),
                Side(there, self.host.name),
                functools.partial(host_checksums, connector, self.host),
                verify=self.verify,
                progress=self._progress,
                there=there,
                join=self._join,
            )
            await copy.run([self._path(path, True) for path in self.sources], self._path(self.target, False))

    def _join(self, member: Member) -> None:
        self._is_awaited = False
        self._broadcast.join(member)

    def _finish(self, error: ExecoError | None) -> None:
        if self._is_awaited:
            self._is_awaited = False
            self._broadcast.over()
        super()._finish(error)


class TaktukRemote(Remote):
    """The same command on several hosts at once, through TakTuk: a :class:`Remote` with ``connector="taktuk"``.

    The hosts that start together are reached by one ``taktuk`` process, which has to be installed here, and nothing on
    them but perl. How they are reached can be set in the environment: ``EXECO_TAKTUK_SSH`` (the ssh program and options
    for it), ``EXECO_TAKTUK_WINDOW`` (connections that are opened at a time), ``EXECO_TAKTUK_ARITY`` (connections of one
    machine at most; 0: hosts help each other as they can, -1: all are reached from here). Hosts with a key, a port or a
    host key that only this machine knows are reached from here in any case.

    :param options: those of :class:`Remote`.
    """

    def __init__(
        self,
        cmd: CommandLine,
        hosts: Iterable[Host | str],
        *,
        substitutions: Substitutions | None = None,
        **options: Any,
    ) -> None:
        super().__init__(cmd, hosts, substitutions=substitutions, connector="taktuk", **options)


class TaktukPut(Put):
    """Copies files and directories of this machine to several hosts at once, through TakTuk's tree.

    A file leaves this machine once for each host that it reaches by itself, and these pass it on. TakTuk's own ``put``
    is not used: it holds all that is under way in memory, and tells little of what goes wrong. What is written is
    the same as with :class:`Put`: names, patterns, modes, links, the checksums at the end; dates are in whole seconds,
    owners are those who log in, and sparse files are filled. A new file is its owner's alone until it is complete.

    A host that fails, is killed or runs out of time is left out, and one that is slower than the others by far goes on
    alone: nobody waits for it longer than some seconds.

    :param options: those of :class:`Transfer`, except ``connector`` and ``resume``: a tree sends all the same.
    """

    _transfer = _SharedTransfer

    def __init__(
        self,
        hosts: Iterable[Host | str],
        source: Paths,
        target: Path = ".",
        *,
        substitutions: Substitutions | None = None,
        **options: Any,
    ) -> None:
        targets = list(hosts)
        broadcast = Broadcast(len(targets))
        super().__init__(targets, source, target, substitutions=substitutions, broadcast=broadcast, **options)


class TaktukGet(Get):
    """Copies files and directories of several hosts to this machine at once, through TakTuk's tree.

    ``{{{host}}}`` in ``target`` keeps them apart. Results are those of :class:`Get`; dates are in whole seconds.

    :param options: those of :class:`Transfer`, except ``connector``.
    """

    def __init__(
        self,
        hosts: Iterable[Host | str],
        source: Paths,
        target: Path = ".",
        *,
        substitutions: Substitutions | None = None,
        **options: Any,
    ) -> None:
        super().__init__(hosts, source, target, substitutions=substitutions, connector="taktuk", **options)
