"""Where a sweeper keeps what it knows, and under which name it is found there."""

from __future__ import annotations

import hashlib
from os import PathLike
from pathlib import Path

from pytest_execo.errors import InvalidInput

from ..stores.opening import is_url

__all__ = ("STORE_FILE", "TEST", "campaign_of")

STORE_FILE = "sweeper.sqlite"
"""The file of the store, in the directory of a sweep."""

TEST = "ParamSweeper"
"""What stands for the name of the test in the identity of a combination, and for the campaign of a directory."""


def campaign_of(place: str | PathLike[str], name: str | None) -> tuple[str, str]:
    """Return the store of a sweep, a path or a URL, and the campaign in it.

    :raises InvalidInput: a database holds many sweeps, and no name is given.
    """
    if not is_url(str(place)):
        return str(Path(place) / STORE_FILE), TEST
    if not name:
        raise InvalidInput("a sweep in a database needs a name, by which others find it; give it a name")
    return str(place), hashlib.sha256(f"pytest-execo/sweeper/{name}".encode()).hexdigest()[:32]
