"""What a lease file says, for whoever reads it: another process, maybe after the death of the one that wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..hosts import Host
from ..sweeps.stores.owners import Owner

__all__ = ("Entry", "State", "read_entry")

#: Whether a lease is in use; see :attr:`Entry.state`.
State = Literal["held", "abandoned", "kept", "elsewhere"]


@dataclass(frozen=True)
class Entry:
    """A lease file, as it was when it was read.

    :param id: what ``pytest-execo release`` is given.
    :param testbed: the name of the testbed's entry point. :param site: as it was asked for.
    :param options: of the testbed. :param withheld: names of those that were given and are secrets.
    :param owner: the process that holds it, or did; ``None``: the file can't be read.
    :param created_at: Unix date of the request; of the file, when it can't be read.
    :param end: Unix date of its end; ``None``: it has none, or has not begun.
    :param campaign: the campaign that it was for, in words.
    :param remains: for :meth:`Testbed.reclaim`; ``None``: nothing was asked for yet.
    :param nodes: how they are entered.
    :param kept: why the nodes were left on purpose; ``None``: they were not.
    :param fault: why the file can't be read; nothing else is known then.
    """

    id: str
    path: Path
    testbed: str
    site: str
    options: Mapping[str, str]
    owner: Owner | None
    created_at: float
    end: float | None = None
    campaign: str | None = None
    remains: Mapping[str, Any] | None = None
    nodes: tuple[Host, ...] = ()
    kept: str | None = None
    fault: str | None = None
    withheld: tuple[str, ...] = field(default=(), compare=False)

    @property
    def state(self) -> State:
        """``held``: its process lives; ``abandoned``: it does not; ``kept``: the nodes were left on purpose.

        ``elsewhere``: it can't be known from here, as the process was on another machine, or on this one before it was
        started anew, or the file can't be read.
        """
        if self.owner is None:
            return "elsewhere"
        if self.kept is not None:
            return "kept"
        dead = self.owner.is_dead()
        return "elsewhere" if dead is None else "abandoned" if dead else "held"


def read_entry(path: Path) -> Entry | None:
    """Read a lease file; ``None``: there is none."""
    try:
        made = path.stat().st_mtime
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        return _unreadable(path, 0.0, error.strerror or str(error))
    try:
        return _entry(path, json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        return _unreadable(path, made, f"is not a lease file: {type(error).__name__}: {error}")


def _unreadable(path: Path, made: float, fault: str) -> Entry:
    return Entry(path.stem, path, "", "", {}, None, made, fault=" ".join(fault.split())[:200])


def _entry(path: Path, content: Mapping[str, Any]) -> Entry:
    if content["schema"] != 1:
        raise ValueError(f"schema {content['schema']!r}, of a later version")
    remains, end = content["remains"], content["end"]
    if remains is not None and not isinstance(remains, dict):
        raise TypeError("remains")
    return Entry(
        # The name of the file is what people see and give; an id inside could be another one's.
        id=path.stem,
        path=path,
        testbed=_text(content["testbed"]),
        site=_text(content["site"]),
        options={_text(name): _text(value) for name, value in content["options"].items()},
        owner=_owner(content["owner"]),
        created_at=float(content["created_at"]),
        end=None if end is None else float(end),
        campaign=_text_or_none(content["campaign"]),
        remains=remains,
        nodes=tuple(map(_host, content["nodes"])),
        kept=_text_or_none(content["kept"]),
        withheld=tuple(map(_text, content.get("withheld", ()))),
    )


def _owner(data: Mapping[str, Any]) -> Owner:
    pid = int(data["pid"])
    if not 0 < pid < 2**31:
        raise ValueError(f"pid {pid}")
    return Owner(
        _text(data["session"]),
        _text(data["host"]),
        pid,
        float(data["started"]),
        _text(data["machine"]),
    )


def _host(data: Mapping[str, Any]) -> Host:
    port = data["port"]
    return Host(
        address=_text(data["address"]),
        name=_text(data["name"]),
        port=None if port is None else int(port),
        user=_text_or_none(data["user"]),
        keyfile=_text_or_none(data["keyfile"]),
        host_key=_text_or_none(data["host_key"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)
