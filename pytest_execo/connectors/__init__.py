"""How a process reaches a host.

Lives here: the contract (:mod:`.contract`) and one module per connector. A connector is asynchronous and runs on the
I/O thread that the process floor owns; it knows nothing of processes, groups or tests. Everything above is the same
for every connector.
"""

from __future__ import annotations

from importlib import import_module

from ..errors import InvalidInput
from .contract import Channel, Command, Connector, End, FileChannel, Receiver, Stream

__all__ = ("Channel", "Command", "Connector", "End", "FileChannel", "Receiver", "Stream", "available", "load")

# name → (module, class): a connector's module, and the library it stands on, load on first use.
_CONNECTORS = {
    "local": ("local", "LocalConnector"),
    "ssh": ("ssh", "SshConnector"),
    "paramiko": ("paramiko", "ParamikoConnector"),
    "openssh": ("openssh", "OpensshConnector"),
    "taktuk": ("taktuk", "TaktukConnector"),
}


def available() -> tuple[str, ...]:
    """Name the connectors that can be used here."""
    return tuple(_CONNECTORS)


def load(name: str) -> type[Connector]:
    """Return the class of the connector ``name``.

    :raises InvalidInput: when there is no such connector.
    """
    try:
        module, attribute = _CONNECTORS[name]
    except KeyError:
        raise InvalidInput(f"unknown connector {name!r}; known: {', '.join(_CONNECTORS)}") from None
    factory: type[Connector] = getattr(import_module(f".{module}", __name__), attribute)
    return factory
