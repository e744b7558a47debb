"""Whether a collected test uses execo at all. Runs for every test of every project, so it imports nothing."""

from __future__ import annotations

import pytest

from . import fixtures

__all__ = ("asks_for_nodes", "needs_environment", "uses_execo", "uses_nodes")

_MARKERS = frozenset(("execo", "execo_sweep", "execo_trial"))
# Fixtures that can't be had without nodes.
_ON_NODES = ("lease", "nodes", "remote")


def uses_execo(item: pytest.Item) -> bool:
    """Tell whether the item has one of our markers or asks for one of our fixtures."""
    for mark in item.own_markers:  # those of its function, and quickly
        if mark.name in _MARKERS:
            return True
    marked = any(item.get_closest_marker(name) is not None for name in _MARKERS)
    return marked or any(_asks_for(item, name) for name in fixtures.NAMES)


def asks_for_nodes(item: pytest.Item) -> bool:
    """Tell whether the item is to run only where its nodes can be had: by its marker, or by a fixture."""
    return item.get_closest_marker("execo") is not None or uses_nodes(item)


def uses_nodes(item: pytest.Item) -> bool:
    """Tell whether the item needs nodes reserved, that is, a fixture that stands on them."""
    return any(_asks_for(item, name) for name in _ON_NODES)


def needs_environment(item: pytest.Item) -> bool:
    """Tell whether the item asks for deployed nodes, which its marker has to say of what."""
    return _asks_for(item, "deployed")


def _asks_for(item: pytest.Item, name: str) -> bool:
    # A project may have a fixture `nodes` of its own: ours is asked for only if no override hides it, that is, if
    # every override from the innermost on asks for the one it replaces.
    info = getattr(item, "_fixtureinfo", None)
    for definition in reversed(info.name2fixturedefs.get(name, ()) if info else ()):
        if definition.func.__module__ == fixtures.__name__:
            return True
        if name not in definition.argnames:
            return False
    return False
