"""Host keys pinned for the life of a lease: the first contact is recorded, a change is an error.

Who decides whether a host's first key is believed: ``Host.host_key`` when it is a key; the user's known hosts when it
is ``None``; nobody when it is ``"accept-new"`` (OpenSSH's word for it), for nodes that make a new key at each
deployment. Whoever it was, the host has to show the same key at each later contact, over every connector, until
:meth:`HostKeys.forget`, which the end of a lease calls.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

from ..errors import ConnectionFailed
from ..hosts import Host

__all__ = ("ACCEPT_NEW", "CHANGED", "HostKeys", "host_keys")

#: The value of ``Host.host_key`` that believes the first contact.
ACCEPT_NEW = "accept-new"


class HostKeys:
    """The key that each host has shown. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int | None], str] = {}

    def check(self, host: Host, key: str) -> None:
        """Record or compare the key that ``host`` has shown, in OpenSSH's format (``"ssh-ed25519 AAAA…"``).

        :raises ConnectionFailed: when it is another one than at the first contact.
        """
        shown = " ".join(key.split()[:2])
        with self._lock:
            known = self._known.setdefault((host.address, host.port), shown)
        if known != shown:
            raise ConnectionFailed(host.name, CHANGED)

    def known(self, host: Host) -> str | None:
        """Return the key that was shown at the first contact, or ``None``.

        A connector offers no other to choose from: servers have a key of each type.
        """
        with self._lock:
            return self._known.get((host.address, host.port))

    def forget(self, hosts: Iterable[Host]) -> None:
        """Forget the keys of ``hosts``: their lease has ended, or they were deployed anew."""
        with self._lock:
            for host in hosts:
                self._known.pop((host.address, host.port), None)


#: What is said of a host that shows another key.
CHANGED = "its host key has changed since the first contact"
#: The keys that this process has seen.
host_keys: HostKeys = HostKeys()
