"""Which testbeds are installed, and which of them has a site."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from ..errors import InvalidRequest
from .contract import Testbed
from .several import SeveralSites

__all__ = ("check_options", "check_testbed", "find_testbed", "open_testbed", "testbed_names")

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


def check_options(testbed: type[Testbed], options: Mapping[str, str]) -> None:
    """Refuse options that a testbed does not have.

    :raises InvalidRequest: the message says which there are.
    """
    for name, value in options.items():
        if name not in testbed.options_known:
            known = "; ".join(f"{n}: {text}" for n, text in sorted(testbed.options_known.items()))
            of = f"the options of testbed {testbed.name} are: {known}" if known else f"testbed {testbed.name} has none"
            raise InvalidRequest(f"--execo-option={name}={value}: unknown; {of}")


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
        if (name is not None or testbed.found_by_site) and testbed.has(site):
            return testbed
        if name is not None or testbed.found_by_site:
            known += testbed.sites()
    where = f"testbed {name!r} has" if name else "there is"
    raise InvalidRequest(f"--execo-site={site}: unknown site; {where}: {', '.join(known)}")


def check_testbed(site: str, name: str | None, options: Mapping[str, str]) -> tuple[list[str], type[Testbed]]:
    """Return the sites that ``site`` names (``"lyon,nancy"``), and the one testbed that has them.

    :raises InvalidRequest: a site that is not there, or twice, or of another testbed; an option that is wrong; the
        message says what would be right.
    """
    sites = [each.strip() for each in site.split(",")]
    if "" in sites:
        raise InvalidRequest(f"--execo-site={site}: names no site beside a comma; write lyon,nancy")
    if twice := next((each for each in sites if sites.count(each) > 1), None):
        raise InvalidRequest(f"--execo-site={site}: {twice} is named twice")
    kinds = {each: find_testbed(each, name) for each in sites}
    first = kinds[sites[0]]
    if other := next((each for each, kind in kinds.items() if kind is not first), None):
        raise InvalidRequest(
            f"--execo-site={site}: {sites[0]} is of testbed {first.name}, {other} of testbed {kinds[other].name}; "
            "sites of one testbed can be used together"
        )
    check_options(first, options)
    return sites, first


def open_testbed(
    site: str, name: str | None = None, *, nodes: int | None = None, options: Mapping[str, str] | None = None
) -> Testbed:
    """Return the testbed of a site, or of several (``"lyon,nancy"``) that one testbed has. Nothing is started or asked.

    :param name: the name of the testbed; ``None``: the one that has the sites.
    :param nodes: see :class:`Testbed`. :param options: see :class:`Testbed`.
    :raises InvalidRequest: a site that is not there, or twice, or of another testbed; an option or a value that is
        wrong; the message says what would be right.
    """
    sites, kind = check_testbed(site, name, options or {})
    testbed = kind(sites[0], nodes=nodes, options=options)
    if len(sites) == 1:
        return testbed
    return SeveralSites([testbed, *(testbed.at(each) for each in sites[1:])])
