"""Builds what a lease consists of, before anything runs: isolation, keys, addresses, disks, files."""

from __future__ import annotations

import os
import socket
from typing import Any

import asyncssh

from . import layout, namespaces
from .machine import Machine
from .node import Blueprint

__all__ = ("build",)

_NODES_PER_NETWORK = 250


def build(settings: dict[str, Any]) -> tuple[list[Machine], dict[str, Any]]:
    """Return the nodes, which do not listen yet, and what the controller is told about them.

    Moves the calling process into mounts of its own, where that is allowed.
    """
    paths = layout.Paths(settings["directory"])
    os.mkdir(paths.nodes, 0o755)
    isolation = namespaces.probe(paths.nodes) if settings["isolation"] else frozenset()
    if "mount" in isolation:
        namespaces.enter_private_mounts()
    client_key = asyncssh.generate_private_key("ssh-ed25519", comment="embedded testbed")
    logins = {client_key.public_data, *(asyncssh.import_public_key(text).public_data for text in settings["keys"])}
    host_keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in settings["names"]]
    reserved = [_reserve(index) for index in range(len(settings["names"]))]
    everybody = tuple(
        _address(name, sock, key) for name, sock, key in zip(settings["names"], reserved, host_keys, strict=True)
    )
    machines = []
    for address, host_key, sock in zip(everybody, host_keys, reserved, strict=True):
        owner = layout.account(paths.home(address), address.name, settings["user"])
        blueprint = Blueprint(
            paths, address, everybody, owner, host_key, client_key, frozenset(logins), isolation, settings["files"]
        )
        machines.append(Machine(blueprint, settings["disk"], sock))
        machines[-1].make_disk()
    user = settings["user"] or layout.user_name()
    layout.write(paths.key, client_key.export_private_key().decode(), 0o600)
    layout.write(paths.known_hosts, layout.known_hosts(everybody), 0o600)
    layout.write(paths.ssh_config, layout.ssh_config(everybody, user, paths.key, paths.known_hosts), 0o600)
    layout.write(paths.pids, "", 0o600)
    nodes = [{"name": a.name, "address": a.ip, "port": a.port, "host_key": a.host_key} for a in everybody]
    return machines, {"user": user, "nodes": nodes, "isolation": sorted(isolation)}


def _address(name: str, sock: socket.socket, key: asyncssh.SSHKey) -> layout.Address:
    ip, port = sock.getsockname()
    return layout.Address(name, ip, port, key.export_public_key().decode().strip())


def _reserve(index: int) -> socket.socket:
    """Return a socket that holds an address and port for a node, and never listens."""
    sock = socket.socket()
    # With this on both sockets, a second one can listen on the port that the first keeps.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # A network for each manager, so that leases rarely share an address; the port is the kernel's choice, so that
    # it does no harm when they do.
    network = 1 + os.getpid() % 254
    sock.bind((f"127.{network}.{index // _NODES_PER_NETWORK}.{1 + index % _NODES_PER_NETWORK}", 0))
    return sock
