"""What a copy consists of: which files go where, found out before anything is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..connectors.contract import Entry, FileChannel
from ..connectors.entries import printable
from ..connectors.local_files import LocalFiles
from ..errors import TransferFailed
from .globs import expand, is_pattern, join

__all__ = ("Item", "Plan", "Side", "make_plan", "own_name")


@dataclass(frozen=True)
class Side:
    """One end of a copy: the files, and whose they are in messages."""

    files: FileChannel
    host: str

    def failed(self, path: str, why: str) -> TransferFailed:
        """Return the error about ``path``."""
        return TransferFailed(self.host, f"{printable(path)}: {why}")


@dataclass
class Item:
    """A file, a directory or a link to copy: from where, to where, and what is there already (links followed)."""

    source: str
    target: str
    entry: Entry
    there: Entry | None = None
    #: Mode and dates of what is there are left as they are.
    keeps_attributes: bool = False
    # Of a file, once it was copied.
    #: Bytes that were there already and were kept.
    kept: int = 0
    #: Bytes that the source had when it was read, and their SHA-256.
    size: int = 0
    digest: str = ""


@dataclass
class Plan:
    """All items, in the order in which they have to be made."""

    #: Directories to make first, from the target upwards, which have no counterpart in the source.
    parents: list[str] = field(default_factory=list)
    #: Those above come before those below.
    directories: list[Item] = field(default_factory=list)
    links: list[Item] = field(default_factory=list)
    files: list[Item] = field(default_factory=list)


def own_name(path: str) -> str:
    """Return the last part of a path; ``""`` when that is no name of its own: ``.``, ``..``, ``/``."""
    name = path.rstrip("/").rpartition("/")[2]
    return "" if name in (".", "..") else name


async def make_plan(source: Side, target: Side, sources: Sequence[str], to: str) -> Plan:
    """Find out what is to be copied.

    Nothing is changed. The rules are those of ``cp -R``: a target that is a directory, or ends in ``/``, takes each
    source under its own name; without, a single source is copied as the target. A source without a name of its own
    (``dir/.``) stands for what is in it.

    :raises ConnectorError: when something is missing, can't be read, or can't be copied.
    """
    plan = _Planner(source, target)
    found = await plan.look_up(sources)
    # Without the slash: with it, a file of that name looks like nothing.
    there = await target.files.stat(to.rstrip("/") or to)
    if there is not None and there.kind != "directory" and (to.endswith("/") or len(found) > 1):
        raise target.failed(to, f"not a directory; {_what(found)} would go into it")
    if there is None and len(found) > 1 and not to.endswith("/"):
        raise target.failed(to, f"no such directory; {_what(found)} would go into it (one that ends in / is made)")
    into = to.endswith("/") or (there is not None and there.kind == "directory")
    if there is None and to.endswith("/"):
        await plan.add_parents(to.rstrip("/"))
    for path, entry in found.items():
        place = join(to, own_name(path)) if into and own_name(path) else to
        now = await target.files.stat(place, follow=False)
        # A directory that was there and takes the contents of another is not its copy.
        await plan.add(Item(path, place, entry, now, keeps_attributes=into and place == to and now is not None))
    return plan.plan


def _what(found: dict[str, Entry]) -> str:
    return f"{len(found)} sources" if len(found) > 1 else "the source"


class _Planner:
    def __init__(self, source: Side, target: Side) -> None:
        self._source = source
        self._target = target
        self._from: dict[str, str] = {}  # target → source, of all but directories
        self.plan: Plan = Plan()

    async def look_up(self, sources: Sequence[str]) -> dict[str, Entry]:
        """Return what the paths and patterns stand for, each once."""
        files = self._source.files
        found: dict[str, Entry] = {}
        for path in sources:
            paths = await expand(files, path) if is_pattern(path) else [path]
            if not paths:
                raise self._source.failed(path, "no file matches this pattern")
            for each in paths:
                entry = await files.stat(each, follow=False)
                if entry is None:
                    raise self._source.failed(each, "no such file or directory")
                found[each] = entry
        return found

    async def add_parents(self, path: str) -> None:
        """Have a directory made, and those above it that are missing."""
        missing: list[str] = []
        while path and await self._target.files.stat(path) is None:
            missing.append(path)
            path = path.rpartition("/")[0].rstrip("/")
        self.plan.parents += reversed(missing)

    async def add(self, first: Item) -> None:
        """Have something copied, with all that is in it."""
        left = [first]
        while left:
            item = left.pop()
            if item.there is not None and item.there.kind == "link" and item.entry.kind != "link":
                item.there = await self._target.files.stat(item.target)
            self._refuse(item)
            if item.entry.kind == "link":
                self.plan.links.append(item)
            elif item.entry.kind == "file":
                self.plan.files.append(item)
            else:
                self.plan.directories.append(item)
                there = await self._target.files.entries(item.target) if item.there is not None else {}
                inside = await self._source.files.entries(item.source)
                left += [
                    Item(join(item.source, name), join(item.target, name), inside[name], there.get(name))
                    for name in reversed(inside)
                ]

    def _refuse(self, item: Item) -> None:
        """Refuse what can't be copied, or would destroy what is not to be replaced."""
        there = item.there.kind if item.there is not None else None
        kind = item.entry.kind
        if kind == "other":
            raise self._source.failed(item.source, "neither file nor directory nor link, but a pipe, socket or device")
        if there == "other":
            raise self._target.failed(item.target, "not a file, but a pipe, socket or device; it would be written to")
        if kind == "directory" and there not in ("directory", None):
            raise self._target.failed(item.target, f"not a directory; {printable(item.source)} is one")
        if kind != "directory" and there == "directory":
            raise self._target.failed(item.target, f"a directory; {printable(item.source)} is none")
        if kind == "directory":
            return
        other = self._from.setdefault(os.path.normpath(item.target), item.source)
        if other != item.source:
            raise self._target.failed(
                item.target, f"{printable(other)} and {printable(item.source)} would both be copied to this"
            )
        here = isinstance(self._source.files, LocalFiles) and isinstance(self._target.files, LocalFiles)
        if here and kind == there == "file" and os.path.samefile(item.source, item.target):
            raise self._target.failed(item.target, "the source and the target are the same file")
