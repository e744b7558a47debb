"""The directory of a campaign, and this session's entry in its campaign.json."""

from __future__ import annotations

import json
import os
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from pytest_execo.errors import CampaignError
from pytest_execo.hosts import Host
from pytest_execo.sweeps.identity import plain
from pytest_execo.units import iso_date

from . import provenance
from .directories import CAMPAIGN_FILE, SCHEMA, find_campaign, new_campaign_directory, read_campaign
from .files import locked, write_atomic

__all__ = ("Campaign", "find_campaign", "new_campaign_directory")

_LOCK_FILE = ".campaign.lock"


class Campaign:
    """A campaign on disk: all the sessions that work towards one set of trials.

    :meth:`open` makes or resumes it, with an entry for this session; :meth:`describe` completes the entry, at the
    latest when the session ends. A session without an end was killed. Several processes may work on one campaign at
    once, each as a session of its own. Nothing is ever removed from a campaign.
    """

    def __init__(self, directory: Path, data: Mapping[str, Any], session: str) -> None:
        self.directory = directory
        self.id: str = data["id"]
        self.testbed: str = data["testbed"]
        self.site: str = data["site"]
        self.created_at: str = data["created_at"]
        self.seed: int = data["seed"]
        """Drawn once, when the campaign is made: ``random.Random(campaign.seed)`` draws the same in each session."""
        self.session = session
        """The id of this session; ids sort by the date of their start."""

    @classmethod
    def open(
        cls,
        directory: str | PathLike[str],
        *,
        testbed: str,
        site: str,
        command: Sequence[str],
        seed: int | None = None,
        identity: str | None = None,
        source: str | PathLike[str] | None = None,
    ) -> Campaign:
        """Make the campaign, or resume it when it is there, and enter this session.

        :param testbed: the name of the testbed; a campaign stays on the one it began with, and on its ``site``.
        :param command: the command line; credentials in it are blanked (:func:`~pytest_execo.results.redact`).
        :param seed: the seed of a campaign that is made now; default: a random one. A resumed one keeps its own.
        :param identity: the id of a campaign that is made now, when other machines share it; default: a new one. A
            directory that holds another one is refused.
        :param source: a directory of the experiment's repository. Default: the current one.
        :raises CampaignError: in one line: the directory is of another testbed or site, holds other things, or can't
            be written.
        """
        path = Path(os.path.abspath(directory))
        try:
            path.mkdir(parents=True, exist_ok=True)
            _refuse_foreign(path)
            with locked(path / _LOCK_FILE):
                _refuse_foreign(path)
                resumed = (path / CAMPAIGN_FILE).exists()
                data = read_campaign(path) if resumed else _new(path, testbed, site, seed, identity)
                _refuse_other(path, data, testbed, site)
                if identity is not None and data["id"] != identity:
                    raise CampaignError(f"{path}: holds campaign {data['id']}, not {identity}; give another directory")
                campaign = cls(path, data, _session_id())
                data["sessions"].append(_entry(campaign, command, Path(source or ".")))
                _save(path, data)
                campaign.records_dir.mkdir(exist_ok=True)
                return campaign
        except OSError as error:
            raise CampaignError(
                f"{path}: no campaign can be kept here: {error.strerror}; give another directory"
            ) from error

    @property
    def records_dir(self) -> Path:
        """Where the record files of all the sessions are."""
        return self.directory / "records"

    @property
    def records_path(self) -> Path:
        """The record file of this session."""
        return self.records_dir / f"{self.session}.jsonl"

    def trial_directory(self, trial: str) -> Path:
        """The directory of a trial's files; it is made when the first file is."""
        return self.directory / "trials" / trial

    def describe(
        self,
        *,
        nodes: Iterable[Host | Mapping[str, Any]] | None = None,
        lease: Mapping[str, Any] | None = None,
        counts: Mapping[str, int] | None = None,
        exit_status: int | None = None,
        ended: bool = False,
        **extra: Any,
    ) -> None:
        """Complete this session's entry in campaign.json; what is not given stays.

        :param nodes: nodes that the session had, as hosts or as mappings with a ``name``; they add up over the
            session, as leases come and go.
        :param lease: a lease that the session has or had, with its ``id``; what is said of one later is added.
        :param counts: the number of trials by outcome.
        :param exit_status: of the session; it implies ``ended``.
        :param ended: note that the session ends now.
        :param extra: other JSON, kept under ``extra``.
        :raises CampaignError: campaign.json can't be read or written, or a value is not JSON.
        """
        try:
            described = [_node(node) for node in nodes or ()]
            numbers = None if counts is None else {str(name): int(count) for name, count in counts.items()}
            extra = plain(extra)
            held = None if lease is None else plain(lease)
        except ValueError as error:
            raise CampaignError(f"{self.directory}: the session's description holds {error}") from error

        def change(entry: dict[str, Any]) -> None:
            by_name = {node["name"]: node for node in [*entry["nodes"], *described]}
            entry["nodes"] = list(by_name.values())
            if held is not None:
                leases = {each["id"]: each for each in entry.get("leases", ())}
                leases[held["id"]] = {**leases.get(held["id"], {}), **held}
                entry["leases"] = list(leases.values())
            if numbers is not None:
                entry["counts"] = numbers
            if exit_status is not None:
                entry["exit_status"] = int(exit_status)
            if ended or exit_status is not None:
                entry["ended_at"] = iso_date()
            if extra:
                entry["extra"] = {**entry.get("extra", {}), **extra}

        self._update(change)

    def _update(self, change: Callable[[dict[str, Any]], None]) -> None:
        try:
            with locked(self.directory / _LOCK_FILE):
                data = read_campaign(self.directory)
                entries = [entry for entry in data["sessions"] if entry.get("id") == self.session]
                if data["id"] != self.id or not entries:
                    raise CampaignError(f"{self.directory / CAMPAIGN_FILE}: replaced while session {self.session} ran")
                change(entries[0])
                _save(self.directory, data)
        except OSError as error:
            raise CampaignError(f"{self.directory / CAMPAIGN_FILE}: can't be written: {error.strerror}") from error

    def __repr__(self) -> str:
        return f"<Campaign {self.directory} session {self.session}>"


def _refuse_foreign(path: Path) -> None:
    """Refuse a directory that holds something and is no campaign: most likely a slip in the path."""
    names = set(os.listdir(path))
    # A process killed while it made the campaign leaves the lock and perhaps a temporary file.
    if CAMPAIGN_FILE not in names and not all(name.startswith(".campaign.") for name in names):
        raise CampaignError(f"{path}: not empty and without {CAMPAIGN_FILE}; give a campaign's directory or a new one")


def _refuse_other(path: Path, data: Mapping[str, Any], testbed: str, site: str) -> None:
    for what, held, wanted in (("testbed", data["testbed"], testbed), ("site", data["site"], site)):
        if held != wanted:
            raise CampaignError(
                f"--execo-campaign={path} holds a campaign of {what} {held!r}, not {wanted!r}; "
                f"give --execo-{what}={held} or another directory"
            )


def _new(path: Path, testbed: str, site: str, seed: int | None, identity: str | None) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "id": identity or uuid.uuid4().hex,
        "name": path.name,
        "testbed": testbed,
        "site": site,
        "seed": secrets.randbits(32) if seed is None else seed,
        "created_at": iso_date(),
        "sessions": [],
    }


def _entry(campaign: Campaign, command: Sequence[str], source: Path) -> dict[str, Any]:
    return {
        "id": campaign.session,
        "started_at": iso_date(),
        "ended_at": None,
        "command": provenance.redact(command),
        "user": provenance.user(),
        "host": provenance.host_facts(),
        "versions": provenance.versions(),
        "git": provenance.git_state(source),
        "testbed": campaign.testbed,
        "site": campaign.site,
        "nodes": [],
        "seed": campaign.seed,
        "exit_status": None,
        "counts": {},
    }


def _session_id() -> str:
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}-{secrets.token_hex(2)}"


def _node(node: Host | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(node, Host):
        node = {"name": node.name, "description": node.description}
    described: dict[str, Any] = plain(node)
    if not isinstance(described.get("name"), str):
        raise ValueError("a node without a name")
    return described


def _save(directory: Path, data: Mapping[str, Any]) -> None:
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomic(directory / CAMPAIGN_FILE, f"{text}\n".encode("utf-8", "backslashreplace"))
