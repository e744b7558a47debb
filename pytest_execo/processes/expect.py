"""Wait for what a process is expected to say.

The search is made on what has come so far, as pexpect does: nobody knows what comes next. So ``$`` and ``.*`` match
at the end of what has come, in the middle of a line perhaps, and ``\\d+`` may find the first digits of a number. End a
pattern with what ends the text meant, ``\\n`` (``\\r?\\n`` with a pty). Nothing matches before anything has come.

The first match in the stream counts, whatever the order of the patterns; of several that begin at the same place, the
first of the list. The next search goes on behind it, as if the stream began there: ``^`` matches there, and no pattern
looks back beyond. Text is UTF-8, and what is not is replaced.

A pattern is not searched again in what has been searched: a match of more than 64 KiB, or one that begins more than
1 MiB back, may be missed. Nor is anything found in what the output does not keep.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..connectors import Stream
from ..errors import ExpectFailed, InvalidInput
from .output import Output

if TYPE_CHECKING:
    from .activity import Activity

__all__ = ("Expectation", "Match", "Pattern", "Patterns", "expect_all", "expect_any")

#: A regular expression: text is compiled with ``re.MULTILINE``; one that is compiled, for text or for bytes, is as is.
Pattern = str | re.Pattern[str] | re.Pattern[bytes]
Patterns = Pattern | Sequence[Pattern]

# Bytes searched at a time, and bytes of text before a match that are given with it: what a search holds in memory.
_WINDOW = 1024 * 1024
# Bytes before new output that are searched again, because a match may have begun there. Searching all of what did not
# match again for each piece would be quadratic; what people wait for, a prompt or a line, is much shorter than this.
_OVERLAP = 64 * 1024
# Bytes before those that can be looked at but not matched: what ^, \b and a lookbehind have to see. Also how near to
# the end of a window a match is searched again together with what follows.
_CONTEXT = 1024
# Bytes of output that an error carries.
_SEEN = 64 * 1024

# What the bytes that are not UTF-8 are decoded to, one by one, so that positions in text are those in bytes.
_ESCAPED = re.compile("[\udc80-\udcff]")

_Compiled = tuple[re.Pattern[Any], ...]


@dataclass(frozen=True)
class Match:
    """What was found.

    :param index: which of the patterns.
    :param match: for its groups. Its positions count from the beginning of what was searched.
    :param before: the text between the last position and the match; of more than 1 MiB, the end.
    :param text: the text that matched. That of a pattern for bytes is decoded, too; ``match[0]`` is not.
    :param end: position in the stream, in bytes, behind the match: where the next search begins.
    """

    index: int
    match: re.Match[str] | re.Match[bytes]
    before: str
    text: str
    end: int


class Expectation:
    """A place in a stream of a process: each search begins behind the last match.

    For one thread at a time; several threads have one each.

    :param process: whose stream it is, for messages.
    :param output: what is kept of the stream.
    :param stream: its name.
    :param position: in bytes, where the first search begins.
    """

    def __init__(self, process: Activity, output: Output, stream: Stream, *, position: int = 0) -> None:
        self.process: Activity = process
        self.output: Output = output
        self.stream: Stream = stream
        #: Bytes of the stream that were matched or skipped.
        self.position: int = position
        self._last: _Search | None = None

    def expect(self, patterns: Patterns, *, timeout: float | None = None, backtrack: bool = True) -> Match:
        """Wait until one of ``patterns`` comes, and go on behind it the next time.

        :param timeout: seconds; 0 searches what has come and does not wait; ``None``: until the stream ends.
        :param backtrack: ``False``: search only in what comes after this call.
        :raises ExpectFailed: when the time was over, or the stream ended. The place stays.
        :raises InvalidInput: for what is not a pattern, and for a stream of which nothing is kept.
        """
        return expect_any([self], patterns, timeout=timeout, backtrack=backtrack)[1]

    def _search(self, patterns: _Compiled, backtrack: bool) -> _Search:
        if not self.output.keep:
            raise InvalidInput(f"{self.process}: expect() on {self.stream}, of which nothing is kept; give it a keep")
        if not backtrack:
            self.position = self.output.size
        # The same search as the last time, which was in vain, goes on where it was.
        if self._last is None or (self._last.patterns, self._last.position) != (patterns, self.position):
            self._last = _Search(self, patterns)
        return self._last

    def _go_on_behind(self, match: Match) -> Match:
        self.position = match.end
        self._last = None
        return match

    def _failure(self, patterns: _Compiled, cause: str) -> ExpectFailed:
        seen = self.output.since(self.position, _SEEN)[1].decode("utf-8", "replace")
        texts = [p.pattern if isinstance(p.pattern, str) else p.pattern.decode("latin-1") for p in patterns]
        return ExpectFailed(self.process, self.stream, texts, seen, cause)


def expect_any(
    cursors: Sequence[Expectation], patterns: Patterns, *, timeout: float | None = None, backtrack: bool = True
) -> tuple[int, Match]:
    """Wait until one of ``patterns`` comes in one of several streams; return which of ``cursors``, and the match.

    The places of the others stay. Parameters and errors are those of :meth:`Expectation.expect`; the error is that of
    the first one, with a note on how many there are.
    """
    if not cursors:
        raise InvalidInput("expect_any(): nothing to expect anything of; give one cursor at least")
    compiled = _compile(patterns)
    searches = [cursor._search(compiled, backtrack) for cursor in cursors]
    _wait(searches, 1, timeout)
    for index, search in enumerate(searches):
        if search.match is not None:
            return index, cursors[index]._go_on_behind(search.match)
    cause = "end of stream" if all(search.over for search in searches) else "timeout"
    failure = cursors[0]._failure(compiled, cause)
    if len(cursors) > 1:
        failure.add_note(f"nor on any other of {len(cursors)} streams")
    raise failure


def expect_all(
    cursors: Sequence[Expectation], patterns: Patterns, *, timeout: float | None = None, backtrack: bool = True
) -> list[Match | None]:
    """Wait until one of ``patterns`` has come in each of several streams; return the matches, in order.

    :param timeout: seconds for all together.
    :return: ``None`` in the place of each in which none came in time, or before the end of the stream.
    :raises InvalidInput: see :meth:`Expectation.expect`.
    """
    compiled = _compile(patterns)
    searches = [cursor._search(compiled, backtrack) for cursor in cursors]
    _wait(searches, len(searches), timeout)
    return [
        None if search.match is None else cursor._go_on_behind(search.match)
        for cursor, search in zip(cursors, searches, strict=True)
    ]


def _wait(searches: Sequence[_Search], enough: int, timeout: float | None) -> None:
    """Search until ``enough`` have a match, nothing more can come, or the time is over. What has come is searched."""
    deadline = None if timeout is None else time.monotonic() + timeout
    event = threading.Event()
    with contextlib.ExitStack() as stack:
        for search in searches:
            stack.enter_context(search.output.waking(event))
        while True:
            event.clear()
            found = 0
            for search in searches:
                search.go_on()
                found += search.match is not None
                if found >= enough:
                    return
            if all(search.over or search.match is not None for search in searches):
                return
            seconds = None if deadline is None else min(deadline - time.monotonic(), threading.TIMEOUT_MAX)
            if seconds is not None and seconds <= 0:
                return
            event.wait(seconds)


class _Search:
    """The search for some patterns behind a position."""

    def __init__(self, cursor: Expectation, patterns: _Compiled) -> None:
        self.output = cursor.output
        self.patterns = patterns
        self.position = cursor.position
        self.match: Match | None = None
        #: The stream has ended, and all of it was searched.
        self.over = False
        self._known: tuple[int, bool] | None = None  # size and end of the stream, the last time
        self._floor = cursor.position  # what is before it is not looked at
        self._begin = cursor.position  # a match may begin here, not before
        self._searched = cursor.position

    def go_on(self) -> None:
        """Search what has come since the last time."""
        # The end first: what came before it is in the size then.
        closed = self.output.closed
        size = self.output.size
        if self.match is not None or self._known == (size, closed):
            return
        self._known = size, closed
        while self.match is None:
            self._search_window(size, closed)
            if self._searched >= size:
                break
        self.over = closed

    def _search_window(self, size: int, closed: bool) -> None:
        start, data = self.output.after(max(self._floor, self._begin - _CONTEXT), _WINDOW)
        if start + len(data) <= self._searched < size:
            # What follows was not kept; what comes after that begins anew.
            start, data = self.output.after(self._searched, _WINDOW)
            self._floor = self._begin = start
        end = start + len(data)
        view = _View(start, data, closed and end >= size)
        best: _Hit | None = None
        for index, pattern in enumerate(self.patterns):
            hit = view.search(index, pattern, max(start, self._begin))
            if hit is not None and (best is None or hit.start < best.start):
                best = hit
        if best is None:
            self._searched = max(self._searched, end)
            self._begin = max(self._begin, end - _OVERLAP)
        elif end < size and best.end > end - _CONTEXT and best.start > self._begin:
            # The window ends there, and not what has come: have more of it in view.
            self._begin = best.start
        else:
            text = best.match[0]
            if isinstance(text, bytes):
                text = text.decode("utf-8", "replace")
            self.match = Match(best.pattern, best.match, self._before(best.start), text, best.end)

    def _before(self, end: int) -> str:
        position = max(self.position, end - _WINDOW)
        pieces = []
        while position < end:
            position, data = self.output.after(position, end - position)
            data = data[: max(0, end - position)]
            if not data:
                break
            pieces.append(data)
            position += len(data)
        return b"".join(pieces).decode("utf-8", "replace")


class _Hit(NamedTuple):
    start: int  # positions in the stream
    end: int
    pattern: int
    match: re.Match[Any]


class _View:
    """A part of a stream, as bytes and as text.

    :param complete: nothing follows, so that what is left of a character at its end is part of the text.
    """

    def __init__(self, position: int, data: bytes, complete: bool) -> None:
        self._position = position
        self._data = data
        self._complete = complete
        self._escaped: str | None = None
        self._text = ""

    def search(self, index: int, pattern: re.Pattern[Any], begin: int) -> _Hit | None:
        """Search from the stream's position ``begin`` on. What precedes can be looked at."""
        at = begin - self._position
        if isinstance(pattern.pattern, bytes):
            match: re.Match[Any] | None = pattern.search(self._data, at) if self._data else None
            return match and _Hit(self._position + match.start(), self._position + match.end(), index, match)
        if self._escaped is None:
            self._escaped = codecs.utf_8_decode(self._data, "surrogateescape", self._complete)[0]
            self._text = self._escaped
            if not self._text.isascii():
                self._text = _ESCAPED.sub("\N{REPLACEMENT CHARACTER}", self._text)
        at = len(codecs.utf_8_decode(self._data[:at], "surrogateescape", False)[0])
        match = pattern.search(self._text, at) if self._text else None
        return match and _Hit(self._place(match.start()), self._place(match.end()), index, match)

    def _place(self, index: int) -> int:
        """Return the position in the stream of a character of the text."""
        assert self._escaped is not None
        return self._position + len(self._escaped[:index].encode("utf-8", "surrogateescape"))


def _compile(patterns: Patterns) -> _Compiled:
    given: Any = [patterns] if isinstance(patterns, str | re.Pattern) else patterns
    if not isinstance(given, list | tuple) or not given:
        raise InvalidInput(f"patterns: {patterns!r}; give a regular expression (text or compiled), or a list of them")
    compiled: list[re.Pattern[Any]] = []
    for pattern in given:
        if not isinstance(pattern, str | re.Pattern):
            raise InvalidInput(f"patterns: {pattern!r} is neither text nor a compiled regular expression")
        try:
            compiled.append(re.compile(pattern, re.MULTILINE) if isinstance(pattern, str) else pattern)
        except re.error as error:
            raise InvalidInput(f"patterns: {pattern!r} is not a regular expression: {error}") from None
    return tuple(compiled)
