"""Groups of processes and of copies: the same verbs for one and for many."""

from __future__ import annotations

import collections
import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, Literal, Self, TypeVar, overload

from ..errors import ProcessFailed, WaitTimeout
from ..hosts import Host
from ..units import parse_duration
from .activity import Activity
from .process import ENDING, GRACE, CommandLine, Process
from .substitutions import Substitutions, substitute, substitute_command
from .transfer import Transfer

__all__ = ("Get", "Group", "Local", "Put", "Remote")

A = TypeVar("A", bound=Activity)


class Group(Sequence[A], Generic[A]):
    """Activities that start together. A sequence of them, in the order of the hosts.

    It ends when the last of them has ended; each is killed, timed and judged by itself.
    """

    def __init__(self, activities: Iterable[A], *, name: str) -> None:
        self.name = name
        self._activities = list(activities)

    def start(self) -> Self:
        """Start all, and return at once."""
        for activity in self._activities:
            activity.start()
        return self

    def wait(self, timeout: float | str | None = None) -> Self:
        """Wait until all have ended.

        :raises WaitTimeout: when ``timeout`` (for all together) ran out, with those that go on.
        """
        deadline = None if timeout is None else time.monotonic() + parse_duration(timeout)
        for activity in self._activities:
            try:
                activity.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
            except WaitTimeout:
                left = [a for a in self._activities if not a.ended]
                message = f"{self.name!r}: {len(left)} of {len(self)} still running after {timeout} s"
                raise WaitTimeout(message, left) from None
        return self

    def run(self, *, check: bool = True) -> Self:
        """Start all and wait for the last; Ctrl-C while waiting kills all.

        :raises ProcessFailed: with every one that was not ok, unless ``check=False``.
        """
        self.start()
        try:
            self.wait()
        except BaseException:
            self.kill(wait=False)
            raise
        return self.check() if check else self

    def check(self) -> Self:
        """Return itself when all are ok.

        :raises ProcessFailed: otherwise.
        """
        if self.failed:
            raise ProcessFailed(self.failed)
        return self

    def kill(self, *, wait: bool = True) -> Self:
        """Kill all that run."""
        for activity in self._activities:
            activity.kill(wait=False)
        if wait:
            for activity in self._activities:
                if activity.running:
                    activity.wait()
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def ok(self) -> bool:
        """Whether each is ok."""
        return all(activity.ok for activity in self._activities)

    @property
    def ended(self) -> bool:
        """Whether each has ended."""
        return all(activity.ended for activity in self._activities)

    @property
    def failed(self) -> list[A]:
        """Those that are not ok."""
        return [activity for activity in self._activities if not activity.ok]

    @property
    def start_date(self) -> float | None:
        """Unix date of the first start."""
        return min((a.start_date for a in self._activities if a.start_date is not None), default=None)

    @property
    def end_date(self) -> float | None:
        """Unix date of the last end; ``None`` while any runs."""
        dates = [a.end_date for a in self._activities]
        return None if None in dates or not dates else max(d for d in dates if d is not None)

    @property
    def duration(self) -> float | None:
        """Seconds from the first start to the last end; ``None`` while any runs."""
        start, end = self.start_date, self.end_date
        return None if start is None or end is None else end - start

    def summary(self) -> str:
        """Return the outcomes counted: ``198 ok, 1 exit code 2, 1 timed out``."""
        counts = collections.Counter(activity.outcome() for activity in self._activities)
        return ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()) or "empty"

    def __len__(self) -> int:
        return len(self._activities)

    def __iter__(self) -> Iterator[A]:
        return iter(self._activities)

    @overload
    def __getitem__(self, index: int) -> A: ...
    @overload
    def __getitem__(self, index: slice) -> list[A]: ...
    def __getitem__(self, index: int | slice) -> A | list[A]:
        return self._activities[index]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: {self.summary()}>"


class _Processes(Group[Process]):
    @property
    def processes(self) -> list[Process]:
        """The processes, in order."""
        return self._activities

    def run(self, *, check: bool = True) -> Self:
        """Start all with an empty standard input and wait for the last; see :meth:`Group.run`."""
        self.start()
        self.close_stdin()
        return super().run(check=check)

    def kill(self, sig: int = signal.SIGTERM, *, grace: float = GRACE, wait: bool = True) -> Self:
        """Send a signal to the process groups of all that run; see :meth:`Process.kill`."""
        for process in self._activities:
            process.kill(sig, grace=grace, wait=False)
        if wait and sig in ENDING:
            for process in self._activities:
                if process.running:
                    process.wait()
        return self

    def write(self, data: str | bytes) -> Self:
        """Write to the standard input of all that run."""
        for process in self._activities:
            if process.running:
                process.write(data)
        return self

    def close_stdin(self) -> Self:
        """End the standard input of all."""
        for process in self._activities:
            process.close_stdin()
        return self


class Remote(_Processes):
    """The same command on several hosts at once.

    :param cmd: as for :class:`Process`; ``{{{host}}}`` and ``{{name}}`` are replaced for each host.
    :param hosts: hosts or addresses. A host that is there twice gets two processes.
    :param substitutions: what ``{{name}}`` stands for: a value, a list taken by the host's index, or a callable of
        the host. See :mod:`.substitutions`.
    :param options: those of :class:`Process`, for each.
    """

    def __init__(
        self,
        cmd: CommandLine,
        hosts: Iterable[Host | str],
        *,
        substitutions: Substitutions | None = None,
        **options: Any,
    ) -> None:
        targets = [Host(host) if isinstance(host, str) else host for host in hosts]
        super().__init__(
            (
                Process(substitute_command(cmd, host, index, substitutions or {}), host, **options)
                for index, host in enumerate(targets)
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

    def __init__(
        self,
        hosts: Iterable[Host | str],
        source: str | os.PathLike[str],
        target: str | os.PathLike[str] = ".",
        *,
        substitutions: Substitutions | None = None,
        **options: Any,
    ) -> None:
        targets = [Host(host) if isinstance(host, str) else host for host in hosts]
        mapping = substitutions or {}
        super().__init__(
            (
                Transfer(
                    self._direction,
                    host,
                    substitute(os.fspath(source), host, index, mapping),
                    substitute(os.fspath(target), host, index, mapping),
                    **options,
                )
                for index, host in enumerate(targets)
            ),
            name=f"{self._direction} {os.fspath(source)}",
        )


class Put(_Copies):
    """Copies a file or a directory of this machine to several hosts at once.

    ``{{{host}}}`` and ``{{name}}`` are replaced in both paths; options are those of :class:`Transfer`.
    """

    _direction = "put"


class Get(_Copies):
    """Copies a file or a directory of several hosts to this machine at once.

    ``{{{host}}}`` in ``target`` keeps them apart; options are those of :class:`Transfer`.
    """

    _direction = "get"
