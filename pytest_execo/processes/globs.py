"""Patterns of file names, as a shell reads them, looked up over a file channel.

``*`` and ``?`` stand for any characters and for one, ``[a-c]`` and ``[!a-c]`` for one of a set; none for ``/``, nor for
a dot at the beginning of a name. ``**`` as a part of its own stands for any number of directories, none included; as
the last part it is ``*``. A part that is the name of something there is that name, not a pattern.
"""

from __future__ import annotations

import fnmatch
import re

from ..connectors.contract import Entry, FileChannel

__all__ = ("expand", "is_pattern", "join", "matches")

_MAGIC = re.compile(r"[*?[]")


def is_pattern(path: str) -> bool:
    """Tell whether ``path`` has anything that could stand for something else."""
    return _MAGIC.search(path) is not None


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name, without ``/``, fits one part of a pattern."""
    if name.startswith(".") and not pattern.startswith("."):
        return False
    return fnmatch.fnmatchcase(name, pattern)


def join(directory: str, name: str) -> str:
    """Return the path of what is called ``name`` in ``directory``."""
    return name if not directory else directory + name if directory.endswith("/") else f"{directory}/{name}"


async def expand(files: FileChannel, pattern: str) -> list[str]:
    """Return the paths that fit ``pattern``, sorted part by part; none is no error.

    A pattern that ends in ``/`` fits directories alone, and links to them.

    :raises ConnectorError: when a directory on the way can't be read.
    """
    found = ["/" if pattern.startswith("/") else ""]
    parts = [part for part in pattern.split("/") if part]
    for number, part in enumerate(parts, 1):
        last = number == len(parts)
        # Two parts ** in a row come to the same place by several ways.
        fitting = {path: entry for base in found for path, entry in (await _step(files, base, part, last)).items()}
        if not last or pattern.endswith("/"):
            fitting = {path: entry for path, entry in fitting.items() if await _is_directory(files, path, entry)}
        found = list(fitting)
    return [f"{path}/" for path in found] if pattern.endswith("/") else found


async def _step(files: FileChannel, base: str, part: str, last: bool) -> dict[str, Entry]:
    """Return what ``part`` stands for in the directory ``base``."""
    literal = join(base, part)
    if (entry := await files.stat(literal, follow=False)) is not None:
        return {literal: entry}
    if not is_pattern(part):
        return {}
    if part == "**" and not last:
        return await _tree(files, base)
    entries = await files.entries(base or ".")
    return {join(base, name): entry for name, entry in entries.items() if matches(part, name)}


async def _tree(files: FileChannel, base: str) -> dict[str, Entry]:
    """Return a directory and all below it that are not hidden. Links are not followed: they may lead back."""
    found: dict[str, Entry] = {}
    left = [base]
    while left:
        directory = left.pop()
        found[directory] = Entry("directory")
        entries = await files.entries(directory or ".")
        below = [name for name, entry in entries.items() if entry.kind == "directory" and not name.startswith(".")]
        left += [join(directory, name) for name in reversed(below)]
    return found


async def _is_directory(files: FileChannel, path: str, entry: Entry) -> bool:
    if entry.kind == "link":
        there = await files.stat(path)
        return there is not None and there.kind == "directory"
    return entry.kind == "directory"
