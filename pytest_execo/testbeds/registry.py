"""Which testbeds are installed, and which of them has a site."""

from __future__ import annotations

from importlib.metadata import entry_points

from ..errors import InvalidRequest
from .contract import Testbed

__all__ = ("find_testbed", "testbed_names")

_GROUP = "pytest_execo.testbeds"


def testbed_names() -> list[str]:
    """Name the installed testbeds."""
    return sorted(entry_points(group=_GROUP).names)


def _load(name: str) -> type[Testbed]:
    (entry,) = entry_points(group=_GROUP, name=name)
    try:
        testbed: type[Testbed] = entry.load()
    except (ImportError, AttributeError) as error:
        raise InvalidRequest(f"--execo-testbed={name}: installed and can't be loaded: {error}") from error
    return testbed


def find_testbed(site: str, name: str | None = None) -> type[Testbed]:
    """Return the testbed ``name``, or the one that has ``site``.

    :raises InvalidRequest: when there is none; the message says what there is.
    """
    names = testbed_names()
    if name is not None and name not in names:
        raise InvalidRequest(f"--execo-testbed={name}: no such testbed; installed: {', '.join(names)}")
    known: list[str] = []
    for candidate in [name] if name else names:
        try:
            testbed = _load(candidate)
        except InvalidRequest as error:
            if name is not None:
                raise
            known.append(str(error))  # somebody else's trouble, unless it was the one that has the site
            continue
        if site in testbed.sites():
            return testbed
        known += testbed.sites()
    where = f"testbed {name!r} has" if name else "there is"
    raise InvalidRequest(f"--execo-site={site}: unknown site; {where}: {', '.join(known)}")
