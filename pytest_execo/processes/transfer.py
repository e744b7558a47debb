"""One copy of files between this machine and a host, with the life cycle and the verdict of a process."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

from ..connectors.local_files import LocalFiles
from ..errors import ExecoError, InvalidInput, StartFailed
from ..hosts import Host
from .activity import Activity, State
from .checksums import host_checksums
from .copying import Copy, Progress, Verified
from .io_thread import io_thread
from .planning import Side

__all__ = ("Path", "Paths", "Transfer", "our_path")

_log = logging.getLogger("pytest_execo.processes")

Path = str | os.PathLike[str]
#: One path, or several.
Paths = Path | Sequence[Path]


class Transfer(Activity):
    """Copies files, directories and symbolic links to (``put``) or from (``get``) a host.

    Directories are copied with all that is in them, links as links, all with their modes and dates. A target that is a
    directory takes each source under its own name; so does one that ends in ``/``, which is made, with its parents, if
    it is not there. In sources ``*``, ``?``, ``[a-c]`` and ``**`` stand for what they do in a shell, on the side where
    the source is; a name that exists wins. Relative paths start at the working directory here and the login directory
    there; ``~/`` is the home directory. Nothing is removed from the target.

    Files are written under their final names: a copy that fails or is killed leaves what it has copied, the last files
    too short. ``resume=True`` goes on from there.

    :param host: ``None``: this machine.
    :param source: a path or pattern, or several.
    :param connector: how the host is reached, when not as the host says.
    :param resume: keep what the target has of a file, and copy the rest. What turns out to be something else at the
        end is copied again from its beginning.
    :param verify: compare checksums of source and copy at the end (SHA-256; POSIX ``cksum`` where the host has nothing
        better; sizes where it has neither), so that a file is not taken for copied that is not. It costs a reading of
        the files on the host. ``False`` is for sources that are written to elsewhere than at their end. ``resume``
        verifies in any case.
    :param on_progress: called with this, on the I/O thread, at most every 0.2 s and at the end; it must be quick. One
        that raises is logged, and not called again.
    :param options: those of :class:`Activity`.
    """

    def __init__(
        self,
        direction: Literal["put", "get"],
        host: Host | str | None,
        source: Paths,
        target: Path,
        *,
        connector: str | None = None,
        resume: bool = False,
        verify: bool = True,
        on_progress: Callable[[Transfer], object] | None = None,
        **options: Any,
    ) -> None:
        self.direction: Literal["put", "get"] = direction
        #: The sources and the target, as they were given.
        self.sources: tuple[str, ...] = _checked([source] if isinstance(source, str | os.PathLike) else source)
        self.target: str = _checked([target])[0]
        options.setdefault("name", f"{direction} {' '.join(self.sources)} {self.target}")
        super().__init__(host, **options)
        self.connector: str = connector or ("local" if self.host is None else self.host.connector)
        self.resume = resume
        self.verify = verify
        self.on_progress = on_progress
        self._progress = Progress(self._report)
        # Where relative paths start is where we are now, not where the I/O thread will find us.
        self._directory = os.getcwd()

    # how far it is

    @property
    def bytes_done(self) -> int:
        """Bytes of files that were handed over, or were there already."""
        return self._progress.bytes_done

    @property
    def bytes_total(self) -> int:
        """Bytes of all the files; 0 before they were counted."""
        return self._progress.bytes_total

    @property
    def bytes_kept(self) -> int:
        """Of :attr:`bytes_done`, those that were there already (``resume``)."""
        return self._progress.bytes_kept

    @property
    def files_done(self) -> int:
        """Files and symbolic links that are there."""
        return self._progress.files_done

    @property
    def files_total(self) -> int:
        """All the files and symbolic links; 0 before they were counted."""
        return self._progress.files_total

    @property
    def rate(self) -> float:
        """Bytes per second that were handed over, so far or in all."""
        return self._progress.rate

    @property
    def verified(self) -> Verified | None:
        """What the copy was compared by: ``"sha256"``, ``"cksum"``, ``"size"``; ``None``: by nothing, or not yet."""
        return self._progress.verified

    def kill(self, *, wait: bool = True) -> Self:
        """Give the copy up; what was copied so far stays where it is, and ``resume=True`` goes on from there."""
        if self.running:
            self._refuse_fork()
            self.killed = True
            io_thread().call(self._cancel)
            if wait and not self._waits_for_us():
                self.wait()
        return self

    # on the I/O thread

    async def _main(self) -> None:
        await self._copy()
        self._finish(None)

    async def _copy(self) -> None:
        """Do it; also as a part of another activity, which is started, judged and ended in its place."""
        connector = io_thread().connector(self.connector)
        put = self.direction == "put"
        async with await connector.files(self.host) as there, LocalFiles() as here:
            self.state = State.RUNNING
            host, ours = Side(there, "localhost" if self.host is None else self.host.name), Side(here, "localhost")
            source, target = (ours, host) if put else (host, ours)
            copy = Copy(
                source,
                target,
                functools.partial(host_checksums, connector, self.host),
                put=put,
                resume=self.resume,
                verify=self.verify,
                progress=self._progress,
            )
            await copy.run([self._path(path, put) for path in self.sources], self._path(self.target, not put))

    def _path(self, path: str, here: bool) -> str:
        """Return a path that every part of the connector understands alike."""
        if here or self.connector == "local":
            return our_path(path, self._directory)
        return (path[2:] or ".") if _is_home(path) else path

    def _report(self) -> None:
        if self.on_progress is None:
            return
        try:
            self.on_progress(self)
        except Exception:
            _log.exception("%s: error in on_progress(), which is not called again", self)
            self.on_progress = None

    def _cancel(self) -> None:
        if self._main_task is not None and not self._main_task.done():
            self._main_task.cancel()
        else:
            self._finish(None)

    async def _end_by_force(self) -> None:
        if self.state is State.STARTING:
            self._finish(StartFailed(str(self.host or "localhost"), f"not started within {self.timeout:g} s"))
        self._cancel()

    def _finish(self, error: ExecoError | None) -> None:
        if not self.ended:
            self._report()
        super()._finish(error)


def our_path(path: str, directory: str) -> str:
    """Return a path of this machine as an absolute one.

    :param directory: where relative ones start.
    """
    return os.path.join(directory, os.path.expanduser(path) if _is_home(path) else path)


def _is_home(path: str) -> bool:
    # Not ~user, which the other side of a copy does not know either.
    return path == "~" or path.startswith("~/")


def _checked(paths: Sequence[Path]) -> tuple[str, ...]:
    """Refuse what can't be a path: it is the user's error at once, not the I/O thread's later."""
    texts = tuple(os.fspath(path) for path in paths)
    if not texts:
        raise InvalidInput("source: an empty list; give a path, or several")
    for text in texts:
        if not isinstance(text, str) or not text or "\0" in text:
            raise InvalidInput(f"path: {text!r} is none; give text that is not empty and has no NUL character")
    return texts
