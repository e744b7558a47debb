"""Where the campaign of a run is: its directory, found, refused or made, and the checkpoint store over it."""

from __future__ import annotations

import contextlib
import os
import secrets
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import CampaignError, RecordError
from ..results import check_writable, find_campaign, new_campaign_directory
from ..results.directories import read_campaign, remove_unfinished
from ..results.files import locked
from ..sweeps import CheckpointStore
from ..sweeps.stores.opening import is_url, open_store
from ..units import iso_date
from .settings import Settings
from .start import Start

__all__ = ("Place",)

_RESULTS = "execo-results"


class Place:
    """The place of one run's campaign. Looking leaves nothing there; :meth:`made` makes what is missing.

    :raises CampaignError: no campaign can be kept there, where one is to be.
    """

    def __init__(self, start: Start, settings: Settings, testbed: str) -> None:
        self._start = start
        self._settings = settings
        self.testbed: str = testbed
        #: ``None`` while it is still to be made.
        self.directory: Path | None = self._existing()
        found = self.identity()
        #: The seed of the campaign; of one that is to be made, the seed it will get.
        self.seed: int = secrets.randbits(32) if found is None else int(found["seed"])

    def _existing(self) -> Path | None:
        """Find the campaign to go on with. Leaves nothing.

        :raises CampaignError: no campaign can be kept there, where one is to be.
        """
        writes = self._start.writes and not self._settings.plan
        if self._settings.campaign is not None:
            directory = self._start.directory / self._settings.campaign
            _check(directory, f"--execo-campaign={self._settings.campaign}", writes=writes)
            if self._settings.fresh and (directory / "campaign.json").exists():
                raise CampaignError(f"--execo-fresh: {directory} holds a campaign already; name another directory")
            return directory
        results = self._start.root / _RESULTS
        found = None if self._settings.fresh else find_campaign(results, self.testbed, self._settings.site)
        if found is not None:
            _check(found, str(found), writes=writes)
        elif writes:
            _check_root(results)
        return found

    def identity(self) -> Mapping[str, Any] | None:
        """Return id, seed and creation of the campaign on disk, or of the one that other machines work on, if any."""
        if self.directory is not None and (self.directory / "campaign.json").exists():
            return read_campaign(self.directory)
        if self._settings.fresh or not is_url(self._settings.checkpoint):
            return None
        from ..sweeps.stores.campaigns import find_shared

        assert self._settings.checkpoint is not None
        with _named():
            return find_shared(
                self._settings.checkpoint, testbed=self.testbed, site=self._settings.site, name=self._given_name()
            )

    def _given_name(self) -> str | None:
        # A directory that was named is a campaign that was named; others are known by testbed and site.
        return self.directory.name if self._settings.campaign is not None and self.directory is not None else None

    @contextlib.contextmanager
    def made(self) -> Iterator[Path]:
        """Make the directory when there is none yet, and yield it. The block fills it: nobody else makes one meanwhile.

        :raises CampaignError: it can't be made.
        """
        if self.directory is not None:
            yield self.directory
            return
        results = self._start.root / _RESULTS
        try:
            results.mkdir(exist_ok=True)
            # Two runs that begin at once must not begin two campaigns.
            with locked(results):
                remove_unfinished(results)
                self.directory = self._existing() or new_campaign_directory(results, self._settings.site)
                yield self.directory
        except OSError as error:
            message = (
                f"{results}: no campaign can be kept there: {error.strerror}; --execo-campaign=DIR names another place"
            )
            raise CampaignError(message) from error

    def open_store(self, campaign: str) -> CheckpointStore:
        """Open the checkpoint store of a campaign: the one that was named, else one in the cache."""
        if self._settings.checkpoint is not None:
            where = self._settings.checkpoint
            if not is_url(where):
                where = os.path.join(self._start.directory, where)
            with _named():
                return open_store(where, campaign=campaign)
        directory = self._start.cache()
        if directory is None:  # beside the records it serves as well
            assert self.directory is not None
            return open_store(self.directory / "checkpoint.sqlite", campaign=campaign)
        return open_store(directory / f"{campaign}.sqlite", campaign=campaign)

    def join(self, directory: Path) -> Mapping[str, Any] | None:
        """Agree with other machines on which campaign this is, where a database is shared."""
        if not is_url(self._settings.checkpoint):
            return None
        from ..sweeps.stores.campaigns import join_campaign

        assert self._settings.checkpoint is not None
        here = (directory / "campaign.json").exists()
        mine = read_campaign(directory) if here else {"id": uuid.uuid4().hex, "seed": self.seed}
        with _named():
            return join_campaign(
                self._settings.checkpoint,
                testbed=self.testbed,
                site=self._settings.site,
                name=self._given_name(),
                fresh=self._settings.fresh,
                proposal={
                    "id": mine["id"],
                    "name": directory.name,
                    "seed": mine["seed"],
                    "created_at": mine.get("created_at") or iso_date(),
                },
                known=here,
            )


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Have an error of the store say which option named it."""
    try:
        yield
    except CampaignError as error:
        raise CampaignError(f"--execo-checkpoint: {error}") from error


def _check(directory: Path, option: str, *, writes: bool) -> None:
    """Refuse, before anything is reserved, a directory that can't become or be a campaign's.

    :param writes: whether something is to be written there.
    :raises CampaignError: with one line that names the option.
    """
    held = (directory / "campaign.json").is_file()
    place = next(path for path in (directory, *directory.parents) if path.exists())
    if not place.is_dir():
        raise CampaignError(f"{option}: {place} is a file; name a directory")
    if not held and place == directory and any(not path.name.startswith(".campaign.") for path in directory.iterdir()):
        raise CampaignError(f"{option}: the directory holds other things and no campaign; name a new or an empty one")
    for path in (place, directory / "records") if writes else ():
        # Not permission bits alone: os.access() also knows a file system that is mounted read-only.
        if path.is_dir() and not os.access(path, os.W_OK | os.X_OK):
            raise CampaignError(f"{option}: {path} is not writable; name another directory with --execo-campaign=DIR")
        if path.is_dir():
            try:
                check_writable(path)  # permissions do not tell everything: NFS, quotas, a full disk
            except RecordError as error:
                raise CampaignError(f"{option}: {error}") from error


def _check_root(results: Path) -> None:
    place = results if results.exists() else results.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise CampaignError(f"{place} is not writable; --execo-campaign=DIR names another place for the results")
    check_writable(place)
