"""Lease files: what a run that was killed leaves behind can be found, entered, and given back.

One JSON file for each lease, written before the reservation is asked for and removed when the nodes are given back.
It says who holds the lease, by what the testbed finds again what it has made, and how the nodes are entered. There is
no secret in it. Dates are Unix seconds.

::

    $XDG_STATE_HOME/pytest-execo/leases/      0700; default ~/.local/state/…
      20261123T041614-9f3c.json               0600; a reader sees the old or the new one, never half of it
      20261123T041614-9f3c.keys/              host keys for ``pytest-execo shell``
      .20261123T041614-9f3c.1a2b.tmp          being written, and locked by its writer meanwhile
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..connectors.host_keys import ACCEPT_NEW, host_keys
from ..errors import CampaignError
from ..hosts import Host
from ..sweeps.stores.owners import Owner
from .entries import Entry, read_entry

__all__ = ("LeaseBook", "LeaseFile", "default_directory")

# How often a file is written anew that somebody has swept away before it had its name.
_TRIES = 3
# Parts of the name of an option whose value is not written down. It errs on the side of too much: an option that the
# testbed needs to give nodes back can be said again.
_SECRET = frozenset(("auth", "key", "pass", "passphrase", "password", "passwd", "secret", "token"))
# What everybody may know.
_PUBLIC = frozenset(("host-key", "public-key"))


def default_directory() -> Path:
    """Return where lease files are: ``$XDG_STATE_HOME/pytest-execo/leases``, else below ``~/.local/state``."""
    given = os.environ.get("XDG_STATE_HOME", "")
    # The specification says that a relative path is to be ignored.
    base = Path(given) if os.path.isabs(given) else Path.home() / ".local" / "state"
    return base / "pytest-execo" / "leases"


class LeaseBook:
    """All lease files of a user.

    :param directory: where they are; ``None``: :func:`default_directory`. It is made when the first file is written.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory: Path = default_directory() if directory is None else directory

    def open(
        self,
        *,
        testbed: str,
        site: str,
        options: Mapping[str, str],
        campaign: str | None,
        session: str,
        walltime: float | None,
    ) -> LeaseFile:
        """Write the file of a lease that is about to be asked for; it is on the disk when this returns.

        :param testbed: the name of its entry point. :param site: as it was asked for.
        :param options: of the testbed; those that look like secrets are left out, only their names are written.
        :param campaign: the campaign's directory or name, for people.
        :param session: the id of the session, of which this process is the owner.
        :param walltime: seconds; ``None``: no end.
        :raises CampaignError: when it can't be written: nothing should be reserved then.
        """
        owner = Owner.current(session)
        content: dict[str, Any] = {
            "schema": 1,
            "id": "",
            "testbed": testbed,
            "site": site,
            "options": {name: value for name, value in options.items() if not _is_secret(name)},
            "withheld": sorted(filter(_is_secret, options)),
            "owner": {
                "session": owner.session,
                "host": owner.host,
                "pid": owner.pid,
                "started": owner.started,
                "machine": owner.machine,
            },
            "created_at": time.time(),
            "walltime": walltime,
            "end": None,
            "campaign": campaign,
            "remains": None,
            "nodes": [],
            "kept": None,
        }
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            while True:
                content["id"] = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
                path = self.directory / f"{content['id']}.json"
                with contextlib.suppress(FileExistsError):
                    _write(path, content, new=True)
                    return LeaseFile(path, content)
        except OSError as error:
            raise _unwritable(self.directory, error) from error

    def entries(self) -> list[Entry]:
        """Return what the files say, oldest first. One that can't be read has an :attr:`Entry.fault`.

        :raises CampaignError: when the directory is there and can't be read.
        """
        try:
            paths = [path for path in self.directory.iterdir() if path.suffix == ".json" and path.name[0] != "."]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise CampaignError(f"lease files in {self.directory} can't be read: {error.strerror or error}") from error
        entries = [entry for path in paths if (entry := read_entry(path)) is not None]
        return sorted(entries, key=lambda entry: (entry.created_at, entry.id))

    @contextlib.contextmanager
    def claimed(self, entry: Entry) -> Iterator[Entry | None]:
        """Have an entry to oneself while it is given back; as it is now, which may be another than it was.

        ``None``: it has gone meanwhile. The claim ends with the process at the latest.

        :raises BlockingIOError: somebody else is giving it back.
        """
        try:
            descriptor = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            yield None
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield read_entry(entry.path) if _is_at(descriptor, entry.path) else None
        finally:
            os.close(descriptor)

    def remove(self, entry: Entry) -> None:
        """Remove the file of an entry: there is nothing left to give back. A second call does nothing.

        :raises CampaignError: when that can't be done.
        """
        _remove(entry.path)

    def sweep(self) -> None:
        """Remove what was being written when its writer was killed: nothing was asked for on its strength."""
        with contextlib.suppress(OSError):
            for path in self.directory.glob(".*.tmp"):
                with contextlib.suppress(OSError):
                    _sweep(path)


class LeaseFile:
    """The file of one lease, in the hands of the process that holds the lease. Thread-safe.

    Every change is on the disk when its method returns. Methods raise :exc:`~pytest_execo.errors.CampaignError` when
    it can't be written; the file is as it was then. After :meth:`remove` nothing is written any more.
    """

    def __init__(self, path: Path, content: Mapping[str, Any]) -> None:
        #: Short and readable: what ``pytest-execo release`` is given.
        self.id: str = content["id"]
        self.path: Path = path
        self._content = dict(content)
        self._removed = False
        self._lock = threading.Lock()

    def remember(self, remains: Mapping[str, Any]) -> None:
        """Note, as JSON, by what the testbed finds again what it has made; in place of what was noted before.

        Empty: nothing was made, or it is somebody else's.
        """
        self._change(remains=dict(remains))

    def describe(self, nodes: Sequence[Host], end: float | None) -> None:
        """Note how to enter each node, and when the lease ends. Keys are named by their files."""
        self._change(nodes=[_described(node) for node in nodes], end=end)

    def keep(self, reason: str, end: float | None = None) -> None:
        """Note that the nodes were left on purpose, for whoever wants to look at them.

        :param end: until when, if that is not the end noted before.
        """
        self._change(kept=reason, **({} if end is None else {"end": end}))

    def remove(self) -> None:
        """Remove it: nothing is left. A second call does nothing."""
        with self._lock:
            self._removed = True
            _remove(self.path)

    def _change(self, **changes: Any) -> None:
        with self._lock:
            if self._removed:
                return
            content = self._content | changes
            try:
                _write(self.path, content)
            except OSError as error:
                raise _unwritable(self.path.parent, error) from error
            self._content = content


def _is_secret(option: str) -> bool:
    return option not in _PUBLIC and not _SECRET.isdisjoint(re.split(r"[-_.]", option.lower()))


def _described(node: Host) -> dict[str, Any]:
    # The key that was shown at the first contact is the one to be shown at the next.
    key = host_keys.known(node) if node.host_key == ACCEPT_NEW else None
    return {
        "name": node.name,
        "address": node.address,
        "port": node.port,
        "user": node.user,
        "keyfile": node.keyfile,
        "host_key": key or node.host_key,
    }


def _unwritable(directory: Path, error: OSError) -> CampaignError:
    why = error.strerror or str(error)
    return CampaignError(f"lease files can't be written to {directory}: {why}; XDG_STATE_HOME says where they go")


def _write(path: Path, content: Mapping[str, Any], *, new: bool = False) -> None:
    """Write a file whole or not at all. :raises FileExistsError: it is not new. :raises OSError: nothing changed."""
    data = json.dumps(content, indent=1).encode() + b"\n"
    for left in reversed(range(_TRIES)):
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(2)}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # Who sweeps up after the dead sees that we live.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            rest = data
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
            _name(temporary, path, new=new)
            break
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            # Swept away in the moment between its making and its lock.
            if not isinstance(error, FileNotFoundError) or not left:
                raise
        finally:
            os.close(descriptor)
    _sync(path.parent)


def _name(temporary: Path, path: Path, *, new: bool) -> None:
    if new:
        # Unlike a rename, a link refuses to replace what is there.
        os.link(temporary, path)
        os.unlink(temporary)
    else:
        os.replace(temporary, path)


def _sync(directory: Path) -> None:
    """Make the names in a directory as durable as the files."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # some network file systems make names durable by themselves
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
            _sync(path.parent)
    except OSError as error:
        raise CampaignError(f"lease file {path} can't be removed: {error.strerror or error}") from error
    shutil.rmtree(path.with_suffix(".keys"), ignore_errors=True)


def _sweep(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_at(descriptor, path):
            os.unlink(path)
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether an open file is still the one of this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
