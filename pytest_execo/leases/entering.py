"""Which node is meant, and how the ssh program enters it: from lease files alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..connectors.ssh_program import CONNECT_TIMEOUT, host_words, write_key
from ..errors import InvalidRequest, TestbedError
from ..hosts import Host
from ..nearest import nearest
from .entries import Entry

__all__ = ("find_node", "ssh_command")


def find_node(entries: Sequence[Entry], name: str, lease: str | None = None) -> tuple[Entry, Host]:
    """Return the node of this name: its full name, the part before the first dot, or its address.

    Nodes of leases that live come before those of others, which may be gone.

    :param lease: look into this lease only.
    :raises InvalidRequest: when there is none, or there are several.
    """
    if lease is not None:
        ids = [entry.id for entry in entries]
        entries = [entry for entry in entries if entry.id == lease]
        if not entries:
            raise InvalidRequest(f"{lease}: no such lease{nearest(lease, ids)}")
    known = [(entry, node) for entry in entries for node in entry.nodes]
    found = [pair for pair in known if name in (pair[1].name, pair[1].address)]
    found = found or [pair for pair in known if pair[1].name.partition(".")[0] == name]
    found = [pair for pair in found if pair[0].state in ("held", "kept")] or found
    if not found:
        if not known:
            raise InvalidRequest(f"{name}: no such node: no lease file tells of any")
        raise InvalidRequest(f"{name}: no such node{nearest(name, {node.name for _, node in known})}")
    if len(found) > 1:
        places = ", ".join(f"{node.name} of {entry.id}" for entry, node in found)
        if len({node.name for _, node in found}) == len(found):
            raise InvalidRequest(f"{name}: which one: {places}? write more of the name")
        raise InvalidRequest(f"{name}: which one: {places}? say which lease by --lease=ID")
    return found[0]


def ssh_command(entry: Entry, node: Host, command: Sequence[str] = ()) -> list[str]:
    """Return the command line that enters a node; with a command, as the ssh program takes it: joined by blanks.

    The host key that the testbed told is the only one accepted; it is beside the lease file, and the user's own known
    hosts are neither read nor written then.

    Where the first contact is believed, what it has shown stays there for the next ones.

    :raises TestbedError: when the place for the key can't be written.
    """
    keys = entry.path.with_suffix(".keys") / (node.name.replace("/", "_") or "node")
    if node.host_key is not None:
        try:
            keys.parent.mkdir(mode=0o700, exist_ok=True)
            write_key(node, keys)
        except OSError as error:
            raise TestbedError(f"{keys} can't be written: {error.strerror or error}") from error
    # The program splits the value at blanks, unless it is in quotes, and replaces what follows a percent sign.
    quoted = Path('"' + str(keys).replace("%", "%%") + '"')
    words = ["ssh", "-o", f"ConnectTimeout={CONNECT_TIMEOUT}", *host_words(node, quoted)]
    return [*words, "--", node.address, *command]
