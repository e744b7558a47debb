"""Who can be told what a process says.

A *target* of a stream is one of

- a callable ``handler(process, stream, line)``, called for each line: short for :class:`OnLines`;
- :class:`OnLines` or :class:`OnBytes`, with a callable or a queue;
- a path: the bytes are appended to the file, which is made if it is not there, in a directory that is. Several
  processes may share a file; whole pieces of their output come in turn then;
- a file object, anything with ``write``, for text or for bytes. It is flushed at the end of the stream, never closed;
- a queue, anything with ``put``: it gets ``(process, stream, line)``, and ``(process, stream, None)`` at the end of the
  stream. A queue of :mod:`multiprocessing` gets ``str(process)`` instead, for a process can't leave this one.

Several of them are a list or a tuple.
"""

from __future__ import annotations

import codecs
import inspect
import io
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..connectors import Stream
from ..errors import InvalidInput

if TYPE_CHECKING:
    from .process import Process

__all__ = (
    "BytesHandler",
    "LineHandler",
    "OnBytes",
    "OnLines",
    "Sink",
    "SupportsPut",
    "SupportsWrite",
    "Target",
    "Targets",
    "callables",
    "sinks",
)

# Characters after which a line that does not end is given as if it had: memory is bounded.
_LONGEST_LINE = 4 * 1024 * 1024


class SupportsWrite(Protocol):
    """A file object."""

    def write(self, data: Any, /) -> object:
        """Take text or bytes."""


class SupportsPut(Protocol):
    """A queue."""

    def put(self, item: Any, /) -> object:
        """Take an item; may wait until there is room."""


LineHandler = Callable[["Process", Stream, str], object]
BytesHandler = Callable[["Process", Stream, bytes], object]


@dataclass(frozen=True)
class OnLines:
    """Have each line told, without its terminator.

    A line ends with LF or CR LF; what is left at the end of the stream is a line too. The text is UTF-8, and what is
    not is replaced. A line of more than 4 Mi characters comes in parts.

    :param handler: a callable ``handler(process, stream, line)``, or a queue.
    :param inline: call it on the I/O thread, as soon as the output comes. For what takes microseconds and never waits:
        all processes are held up meanwhile.
    """

    handler: LineHandler | SupportsPut
    inline: bool = False


@dataclass(frozen=True)
class OnBytes:
    """Have the output told as it comes, in pieces of any size.

    :param handler: a callable ``handler(process, stream, data)``, or a queue.
    :param inline: see :class:`OnLines`.
    """

    handler: BytesHandler | SupportsPut
    inline: bool = False


#: Who is told of a stream; see the module.
Target = LineHandler | OnLines | OnBytes | str | os.PathLike[str] | SupportsWrite | SupportsPut
Targets = Target | Sequence[Target] | None


class Sink:
    """A target of one stream of one process, made ready to be fed. Its methods raise what the target raises."""

    def __init__(self, target: object, *, inline: bool = False) -> None:
        #: What the user gave: what messages name, and what is not called again after an error.
        self.target = target
        self.inline = inline

    def open(self) -> None:
        """Get ready, before the process starts.

        :raises OSError: when a file can't be opened.
        """

    def feed(self, data: bytes) -> None:
        """Tell a piece."""
        raise NotImplementedError

    def end(self) -> None:
        """Tell the end of the stream."""

    def close(self) -> None:
        """Give back what is held. To be called last, whether the target has failed or not."""


class _Bytes(Sink):
    """A callable or queue that gets pieces. ``tell`` is called with ``process``, the stream and the piece."""

    def __init__(
        self, target: object, tell: Callable[..., object], process: object, stream: Stream, *, inline: bool
    ) -> None:
        super().__init__(target, inline=inline)
        self._tell = tell
        self._process = process
        self._stream = stream

    def feed(self, data: bytes) -> None:
        self._tell(self._process, self._stream, data)

    def end(self) -> None:
        if self._tell is not self.target:  # a queue
            self._tell(self._process, self._stream, None)


class _Lines(_Bytes):
    """A callable or queue that gets lines."""

    def __init__(
        self, target: object, tell: Callable[..., object], process: object, stream: Stream, *, inline: bool
    ) -> None:
        super().__init__(target, tell, process, stream, inline=inline)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._return = ""  # a CR at the end of a piece: the LF that would belong to it may come
        self._begun: list[str] = []  # parts of the line that has not ended
        self._length = 0

    def feed(self, data: bytes) -> None:
        text = self._return + self._decoder.decode(data)
        self._return = ""
        if "\r" in text:
            if text.endswith("\r"):
                text, self._return = text[:-1], "\r"
            text = text.replace("\r\n", "\n")
        lines = text.split("\n")
        self._begun.append(lines[0])
        self._length += len(lines[0])
        if len(lines) > 1 or self._length > _LONGEST_LINE:
            lines[0] = "".join(self._begun)
            self._begun = [lines.pop()] if len(lines) > 1 else []
            self._length = sum(map(len, self._begun))
            # All the lines of a piece in one go: with 80 bytes a line, nothing else costs as much as this loop.
            tell, process, stream = self._tell, self._process, self._stream
            for line in lines:
                tell(process, stream, line)

    def end(self) -> None:
        last = "".join([*self._begun, self._return, self._decoder.decode(b"", True)])
        if last:
            self._tell(self._process, self._stream, last)
        super().end()


class _Path(Sink):
    """A file that is appended to."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        # The working directory is the user's, and another one by the time of the start, perhaps.
        self._path = os.path.abspath(target)
        self._fd: int | None = None

    def open(self) -> None:
        # O_NONBLOCK, because a named pipe that nobody reads would stop the I/O thread: this way it is an error.
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o666)
        os.set_blocking(self._fd, True)

    def feed(self, data: bytes) -> None:
        if self._fd is not None:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class _File(Sink):
    """A file object of the user's."""

    def __init__(self, target: SupportsWrite) -> None:
        super().__init__(target)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._takes_text: bool | None = None  # None: to be found out
        if isinstance(target, io.IOBase):
            self._takes_text = isinstance(target, io.TextIOBase)
        self._target = target

    def feed(self, data: bytes) -> None:
        if self._takes_text is False:
            self._write(data)
            return
        text = self._decoder.decode(data)
        if self._takes_text is None:
            try:
                self._target.write(text)
            except TypeError:
                self._takes_text = False
                self._write(data)
            else:
                self._takes_text = True
        elif text:
            self._target.write(text)

    def _write(self, data: bytes) -> None:
        # A raw file may take less than it is given, and says how much.
        view = memoryview(data)
        while isinstance(count := self._target.write(bytes(view)), int) and 0 < count < len(view):
            view = view[count:]

    def end(self) -> None:
        rest = self._decoder.decode(b"", True)
        if rest and self._takes_text:
            self._target.write(rest)
        flush = getattr(self._target, "flush", None)
        if callable(flush):
            flush()


def sinks(process: Process, stream: Stream, targets: Targets) -> list[Sink]:
    """Make the targets of a stream of ``process`` ready.

    :raises InvalidInput: for one that is none.
    """
    given = targets if isinstance(targets, list | tuple) else () if targets is None else (targets,)
    return [_sink(process, stream, target) for target in given]


def callables(where: str, given: Any, arguments: str) -> tuple[Callable[..., object], ...]:
    """Return one callable, or several, as a tuple.

    :param where: what they were given as, for messages.
    :param arguments: what they are called with, for messages.
    :raises InvalidInput: for one that is none, or that would only make a coroutine that nobody awaits.
    """
    one = callable(given) or isinstance(given, str) or not isinstance(given, Iterable)
    checked = () if given is None else (given,) if one else tuple(given)
    for handler in checked:
        if not callable(handler):
            raise InvalidInput(f"{where}: {handler!r} is not callable; give a function handler({arguments})")
        if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__):
            raise InvalidInput(
                f"{where}: {handler!r} is a coroutine function; give an ordinary one, for it is not awaited"
            )
    return checked


def _sink(process: Process, stream: Stream, target: Any) -> Sink:
    if isinstance(target, str | os.PathLike):
        path = os.fspath(target)
        if not isinstance(path, str) or not path or "\0" in path:
            raise InvalidInput(f"{stream}: {target!r} is not the path of a file to append to")
        return _Path(path)
    if isinstance(target, OnBytes):
        return _told(_Bytes, process, stream, target.handler, target.inline)
    if isinstance(target, OnLines):
        return _told(_Lines, process, stream, target.handler, target.inline)
    if not isinstance(target, type):  # like queue.Queue without its parentheses
        if callable(getattr(target, "write", None)):
            return _File(target)
        if callable(target) or callable(getattr(target, "put", None)):
            return _told(_Lines, process, stream, target, inline=False)
    raise InvalidInput(
        f"{stream}: {target!r} is not a target; give a callable, a path, a file object, a queue, OnLines or OnBytes"
    )


def _told(kind: type[_Bytes], process: Process, stream: Stream, handler: Any, inline: bool) -> Sink:
    put = getattr(handler, "put", None)
    if not callable(put):
        callables(stream, (handler,), f"process, stream, {'data' if kind is _Bytes else 'line'}")
        return kind(handler, handler, process, stream, inline=inline)
    if inspect.iscoroutinefunction(put):
        raise InvalidInput(f"{stream}: {handler!r} is a queue for one event loop alone; give a queue.Queue")
    elsewhere = type(handler).__module__.startswith("multiprocessing.")
    return kind(handler, lambda *item: put(item), str(process) if elsewhere else process, stream, inline=inline)
