"""Groups of processes and of copies: the same on several hosts at once, or several things here."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Self

from ..connectors import Stream
from ..errors import ExpectFailed, ProcessError
from ..hosts import Host
from ..units import parse_duration
from .activity import State
from .command import CommandLine
from .ending import ENDING, GRACE
from .folding import Folds, fold
from .group import Group
from .io_thread import io_thread
from .process import Process
from .substitutions import Substitutions, substitute, substitute_command
from .transfer import Path, Paths, Transfer

if TYPE_CHECKING:
    from .expect import Match, Patterns

__all__ = ("Get", "Local", "Put", "Remote")


class _Processes(Group[Process]):
    def run(self, *, check: bool = True) -> Self:
        """Start all with an empty standard input and wait for the last; see :meth:`Group.run`."""
        for process in self._activities:
            if process.state is State.NEW:
                process._give_no_input()
        self.start()
        self.close_stdin()
        return super().run(check=check)

    def kill(self, sig: int = signal.SIGTERM, *, grace: float = GRACE, tree: bool = False, wait: bool = True) -> Self:
        """Send a signal to the process groups of all that run; see :meth:`Process.kill`."""
        for process in self._activities:
            process.kill(sig, grace=grace, tree=tree, wait=False)
        return self._killed() if wait and sig in ENDING else self

    def write(self, data: str | bytes) -> Self:
        """Write to the standard input of all that run."""
        for process in self._activities:
            if process.running:
                with contextlib.suppress(ProcessError):  # it ended meanwhile
                    process.write(data)
        return self

    def close_stdin(self) -> Self:
        """End the standard input of all."""
        # In one call of the I/O thread: each costs it a wake-up, and fights with this one for the interpreter.
        io_thread().call(self._end_inputs)
        return self

    def _end_inputs(self) -> None:
        for process in self._activities:
            process._end_input()

    def expect(
        self,
        patterns: Patterns,
        *,
        timeout: float | str | None = None,
        stream: Stream = "stdout",
        backtrack: bool = True,
        check: bool = True,
    ) -> list[Match | None]:
        """Wait until one of ``patterns`` has come from each; return the matches, in the order of the processes.

        Parameters are those of :meth:`Process.expect`; ``timeout`` is for all together. In the place of one from which
        none came, and for which that was not to be an error, there is ``None``.

        :raises ExpectFailed: when none came from some: the error of the first, with a note on the others.
        """
        self._refuse_unstarted("expect()")
        from .expect import expect_all

        seconds = None if timeout is None else parse_duration(timeout)
        cursors = [process.expectation(stream) for process in self._activities]
        matches = expect_all(cursors, patterns, timeout=seconds, backtrack=backtrack)
        failures: list[ExpectFailed] = []
        for index, process in enumerate(self._activities):
            if matches[index] is None:
                # Its own search, which goes on where this one was, makes the failure its own too.
                try:
                    matches[index] = process.expect(patterns, timeout=0, stream=stream, check=check)
                except ExpectFailed as failure:
                    failures.append(failure)
        if failures:
            if others := ", ".join(str(failure.process) for failure in failures[1:4]):
                failures[0].add_note(f"nor, of {len(self)} processes, from {len(failures) - 1} others: {others}")
            raise failures[0]
        return matches

    def folded(self, stream: Stream = "stdout") -> Folds:
        """Return the outputs, equal ones once, with the names of their hosts; see :func:`~.folding.fold`."""
        return fold(self._activities, stream)


class Remote(_Processes):
    """The same command on several hosts at once.

    :param cmd: as for :class:`Process`; ``{{{host}}}`` and ``{{name}}`` are replaced for each host.
    :param hosts: hosts or addresses. A host that is there twice gets two processes.
    :param substitutions: what ``{{name}}`` stands for: a value, a list taken by the host's index, or a callable of
        the host. See :mod:`.substitutions`.
    :param options: those of :class:`Process`, for each. In the paths among ``stdout_handlers`` and
        ``stderr_handlers`` the same is replaced, so that one pattern gives a file for each host.
    """

    def __init__(
        self,
        cmd: CommandLine,
        hosts: Iterable[Host | str],
        *,
        substitutions: Substitutions | None = None,
        **options: Any,
    ) -> None:
        mapping = substitutions or {}
        super().__init__(
            (
                Process(substitute_command(cmd, host, index, mapping), host, **_for_host(options, host, index, mapping))
                for index, host in enumerate(_hosts(hosts))
            ),
            name=str(cmd),
        )


class Local(_Processes):
    """Several processes on this machine at once.

    :param cmds: their commands; a single string is one command.
    :param options: those of :class:`Process`, for each.
    """

    def __init__(self, cmds: str | Iterable[CommandLine], **options: Any) -> None:
        commands = [cmds] if isinstance(cmds, str) else list(cmds)
        super().__init__((Process(cmd, **options) for cmd in commands), name=", ".join(map(str, commands[:2])))


class _Copies(Group[Transfer]):
    _direction: Literal["put", "get"]
    _transfer: type[Transfer] = Transfer

    def __init__(
        self,
        hosts: Iterable[Host | str],
        source: Paths,
        target: Path = ".",
        *,
        substitutions: Substitutions | None = None,
        **options: Any,
    ) -> None:
        sources = [source] if isinstance(source, str | os.PathLike) else list(source)
        mapping = substitutions or {}
        super().__init__(
            (
                self._transfer(
                    self._direction,
                    host,
                    [_path(path, host, index, mapping) for path in sources],
                    _path(target, host, index, mapping),
                    **options,
                )
                for index, host in enumerate(_hosts(hosts))
            ),
            name=f"{self._direction} {' '.join(map(str, sources))}",
        )


class Put(_Copies):
    """Copies files and directories of this machine to several hosts at once.

    ``{{{host}}}`` and ``{{name}}`` are replaced in the paths; options are those of :class:`Transfer`.
    """

    _direction = "put"


class Get(_Copies):
    """Copies files and directories of several hosts to this machine at once.

    ``{{{host}}}`` in ``target`` keeps them apart; options are those of :class:`Transfer`.
    """

    _direction = "get"


def _hosts(hosts: Iterable[Host | str]) -> list[Host]:
    return [Host(host) if isinstance(host, str) else host for host in hosts]


def _path(path: Path, host: Host, index: int, mapping: Substitutions) -> str:
    return substitute(os.fspath(path), host, index, mapping)


def _for_host(options: dict[str, Any], host: Host, index: int, mapping: Substitutions) -> dict[str, Any]:
    """Return the options of the process on ``host``: its own files, where handlers are paths."""

    def target(given: Any) -> Any:
        return _path(given, host, index, mapping) if isinstance(given, str | os.PathLike) else given

    found = dict(options)
    for key in ("stdout_handlers", "stderr_handlers"):
        given = options.get(key)
        if given is not None:
            found[key] = [target(one) for one in given] if isinstance(given, list | tuple) else target(given)
    return found
