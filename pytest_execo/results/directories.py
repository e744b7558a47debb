"""Where campaigns are: the directories below ``execo-results/`` and the campaign.json in each of them."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import re
from os import PathLike
from pathlib import Path
from typing import Any

from pytest_execo.errors import CampaignError

__all__ = (
    "CAMPAIGN_FILE",
    "SCHEMA",
    "find_campaign",
    "new_campaign_directory",
    "read_campaign",
    "remove_unfinished",
)

CAMPAIGN_FILE = "campaign.json"
SCHEMA = "pytest-execo/campaign/1"

_log = logging.getLogger(__name__)
# What new_campaign_directory() puts after the site.
_NAME = re.compile(r"-\d{4}-\d\d-\d\dT\d{6}(-\d+)?$")


def find_campaign(results_root: str | PathLike[str], testbed: str, site: str) -> Path | None:
    """Return the directory of the campaign of that testbed and site whose last session started last, if any.

    A directory whose campaign.json can't be read is passed over with a warning.
    """
    found: list[tuple[str, str]] = []
    for path in sorted(Path(results_root).glob(f"*/{CAMPAIGN_FILE}")):
        try:
            campaign = read_campaign(path.parent)
        except CampaignError as error:
            _log.warning("%s", error)
            continue
        if (campaign["testbed"], campaign["site"]) == (testbed, site):
            started = [str(session.get("started_at", "")) for session in campaign["sessions"]]
            found.append((max([str(campaign["created_at"]), *started]), path.parent.name))
    return Path(results_root) / max(found)[1] if found else None


def new_campaign_directory(results_root: str | PathLike[str], site: str) -> Path:
    """Make and return a directory of its own for a new campaign: ``<site>-<date and time in UTC>``.

    It is made at once, so that two sessions that start in the same second get two: the second one ends in ``-2``.

    :raises CampaignError: it can't be made.
    """
    moment = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H%M%S")
    name = f"{re.sub(r'[^A-Za-z0-9_.-]+', '_', site).lstrip('.') or 'site'}-{moment}"
    root = Path(results_root)
    number = 1
    try:
        root.mkdir(parents=True, exist_ok=True)
        while True:
            path = root / (name if number == 1 else f"{name}-{number}")
            try:
                path.mkdir()
                return path
            except FileExistsError:
                number += 1
    except OSError as error:
        raise CampaignError(f"{root}: no campaign can be made here: {error.strerror}") from error


def remove_unfinished(results_root: str | PathLike[str]) -> None:
    """Remove the directories of new campaigns whose session was killed before it had written their campaign.json.

    There is nothing in them but a lock and half a file, and nobody would find them again. To be called by whoever holds
    the lock of ``results_root``, under which campaigns are made.
    """
    for path in Path(results_root).iterdir():
        if _NAME.search(path.name) is None or not path.is_dir():
            continue
        remains = list(path.iterdir())
        if all(each.name.startswith(".campaign.") for each in remains):
            with contextlib.suppress(OSError):
                for each in remains:
                    each.unlink()
                path.rmdir()


def read_campaign(directory: Path) -> dict[str, Any]:
    """Return the content of a campaign.json.

    :raises CampaignError: in one line: it can't be read, is not a campaign, or is of another version.
    """
    path = directory / CAMPAIGN_FILE
    try:
        campaign = json.loads(path.read_bytes())
    except OSError as error:
        raise CampaignError(f"{path}: can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CampaignError(f"{path}: not JSON; is it a campaign's? give another directory") from error
    schema = campaign.get("schema") if isinstance(campaign, dict) else None
    if schema != SCHEMA:
        of = f"of schema {schema!r}, not {SCHEMA!r}" if isinstance(schema, str) else "not a campaign's"
        raise CampaignError(f"{path}: {of}; give another directory")
    wanted = {"id": str, "testbed": str, "site": str, "created_at": str, "sessions": list}
    missing = [name for name, kind in wanted.items() if not isinstance(campaign.get(name), kind)]
    if missing or not all(isinstance(session, dict) for session in campaign["sessions"]):
        raise CampaignError(
            f"{path}: a damaged campaign, without {', '.join(missing) or 'sessions'}; give another directory"
        )
    return dict(campaign)
