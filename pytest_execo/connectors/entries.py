"""Paths and attributes: what the file channels do alike, those over SFTP above all.

The protocol is version 3 (draft-ietf-secsh-filexfer-02), which is what OpenSSH speaks: dates in whole seconds of 32
bits, and one code, "failure", for most of what can go wrong.
"""

from __future__ import annotations

import os
import stat
from typing import Literal

from .contract import Entry

__all__ = ("PIECE", "UNEXPLAINED", "entry", "printable", "remote_path", "sftp_date")

#: Bytes of a file that are read or written at a time: enough to make the calls cheap, little enough to be given up.
PIECE = 1 << 20

#: What is said when a server says no more than "failure".
UNEXPLAINED = "the server gives no reason (disk full, over quota, or not allowed by its file system?)"

_KINDS: dict[int, Literal["file", "directory", "link"]] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "link",
}


def entry(mode: int | None, size: int | None, mtime: float | None, atime: float | None) -> Entry:
    """Describe a path by what ``stat`` said; what a server left out gets the default of a file."""
    mode = mode or stat.S_IFREG | 0o644
    return Entry(
        kind=_KINDS.get(stat.S_IFMT(mode), "other"),
        size=size or 0,
        mode=stat.S_IMODE(mode),
        mtime=mtime or 0.0,
        atime=atime or mtime or 0.0,
    )


def remote_path(path: str) -> bytes:
    """Return the bytes that are sent for a path. A leading ``~/`` is where relative paths start anyway."""
    if path == "~":
        return b"."
    return os.fsencode(path.removeprefix("~/") or ".")


def sftp_date(seconds: float) -> int:
    """Return a Unix date that can be sent."""
    return min(max(int(seconds), 0), 2**32 - 1)


def printable(path: str) -> str:
    """Return a path for a message: one line that any terminal takes, whatever its bytes are."""
    return path if path.isprintable() else repr(path)
