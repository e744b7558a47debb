"""Lines of a file that may hold anything: found without ever holding more than one of them, and that one bounded.

What a crash leaves is known here: ext4 and XFS may end a file in zero bytes, by the gigabyte; a last line may lack its
end; and what is no text at all may have no line end for as long as it lasts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ("LONGEST", "Line", "count_lines", "scan")

LONGEST = 64 << 20
"""Bytes that a line may have. Records are a few kilobytes; what is longer is garbage, and is not kept in memory."""

_BLOCK = 1 << 20
_ZEROS = bytes(_BLOCK)


class Line(NamedTuple):
    """A line, without its end."""

    offset: int
    """Where it begins in the file."""
    length: int
    """Its bytes, zero bytes included, the line end not."""
    content: bytes | None
    """The bytes between the zero bytes; ``None`` when they are more than :data:`LONGEST`."""
    zeros_before: int
    zeros_after: int
    ended: bool
    """Whether the line end is there: the last line of a file may lack it."""

    @property
    def end(self) -> int:
        """Where the next line begins."""
        return self.offset + self.length + self.ended


def scan(descriptor: int, start: int) -> Iterator[Line]:
    """Yield the lines of an open file from ``start`` on, which is the beginning of one.

    :raises OSError: it can't be read.
    """
    part = _Part(start)
    position = start
    while block := os.pread(descriptor, _BLOCK, position):
        position += len(block)
        *whole, rest = block.split(b"\n")
        for content in whole:
            part.add(content)
            line = part.line(ended=True)
            yield line
            part = _Part(line.end)
        part.add(rest)
    if part.length:
        yield part.line(ended=False)


def count_lines(descriptor: int, end: int) -> int:
    """Count the line ends before ``end``.

    :raises OSError: it can't be read.
    """
    lines = position = 0
    while position < end and (block := os.pread(descriptor, min(_BLOCK, end - position), position)):
        lines += block.count(b"\n")
        position += len(block)
    return lines


class _Part:
    """A line so far."""

    __slots__ = ("_after", "_before", "_offset", "_parts", "_size", "length")

    def __init__(self, offset: int) -> None:
        self._offset = offset
        self.length = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._before = self._after = 0

    def add(self, data: bytes) -> None:
        self.length += len(data)
        if data == _ZEROS:  # gigabytes of them are compared much faster than they are stripped
            if self._size:
                self._after += len(data)
            else:
                self._before += len(data)
            return
        if not self._size:
            stripped = data.lstrip(b"\0")
            self._before += len(data) - len(stripped)
            data = stripped
        kept = data.rstrip(b"\0")
        if kept:
            self._size += self._after + len(kept)
            if self._size > LONGEST:
                self._parts = []
            else:
                # Zero bytes inside of a line are a part of it, whatever it is.
                self._parts += [bytes(self._after), kept] if self._after else [kept]
            self._after = 0
        self._after += len(data) - len(kept)

    def line(self, *, ended: bool) -> Line:
        content = None if self._size > LONGEST else b"".join(self._parts)
        return Line(self._offset, self.length, content, self._before, self._after, ended)
