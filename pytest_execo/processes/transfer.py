"""One file copy between this machine and a host, with the life cycle and the verdict of a process."""

from __future__ import annotations

import os
from typing import Literal, Self

from ..errors import StartFailed
from ..hosts import Host
from .activity import Activity, State
from .io_thread import io_thread

__all__ = ("Transfer",)


class Transfer(Activity):
    """Copies a file or a directory to (``put``) or from (``get``) a host, over its connector's file channel.

    A target that is a directory takes the source under its own name; modes and times are kept; symbolic links are
    copied as links. The other parameters are those of :class:`Activity`.
    """

    def __init__(
        self,
        direction: Literal["put", "get"],
        host: Host | str,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        connector: str | None = None,
        timeout: float | str | None = None,
        ignore_timeout: bool = False,
        ignore_error: bool = False,
    ) -> None:
        self.direction: Literal["put", "get"] = direction
        self.source: str = os.fspath(source)
        self.target: str = os.fspath(target)
        super().__init__(
            host,
            timeout=timeout,
            ignore_timeout=ignore_timeout,
            ignore_error=ignore_error,
            name=f"{direction} {self.source} {self.target}",
        )
        assert self.host is not None
        self.connector: str = connector or self.host.connector

    def kill(self, *, wait: bool = True) -> Self:
        """Give the copy up; what was copied so far stays where it is."""
        if self.running:
            self.killed = True
            io_thread().call(self._cancel)
            if wait:
                self.wait()
        return self

    async def _main(self) -> None:
        async with await io_thread().connector(self.connector).files(self.host) as channel:
            self.state = State.RUNNING
            copy = channel.put if self.direction == "put" else channel.get
            await copy(self.source, self.target)
        self._finish(None)

    def _cancel(self) -> None:
        if self._main_task is not None and not self._main_task.done():
            self._main_task.cancel()
        else:
            self._finish(None)

    async def _end_by_force(self) -> None:
        if self.state is State.STARTING:
            self._finish(StartFailed(str(self.host), f"not started within {self.timeout} s"))
        self._cancel()
