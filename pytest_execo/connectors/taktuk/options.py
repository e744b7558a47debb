"""How the ssh program is called for TakTuk, what can be set, and why a host could not be reached, in words."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import InvalidInput
from ...hosts import Host
from .. import ssh_program
from ..ssh_program import CONNECT_TIMEOUT, KEEPALIVE, host_words

__all__ = ("CONNECT_TIMEOUT", "Settings", "connector_words", "helper_words", "helps", "reason", "settings")

# Names that mean the same on every host, to the shell and to TakTuk (which would expand brackets and commas).
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")


@dataclass(frozen=True)
class Settings:
    """How trees are built.

    :param window: connections that one machine opens at a time (``EXECO_TAKTUK_WINDOW``). Twice what TakTuk has: a
        login is mostly waiting.
    :param arity: connections that one machine has at most (``EXECO_TAKTUK_ARITY``). 0, the default: as many as it
        opens while the others are at it. -1: no host helps, all are reached from here.
    :param ssh: the ssh program and options for it (``EXECO_TAKTUK_SSH``): ``ssh -F FILE``, or ``oarsh`` on a cluster
        managed by OAR. Hosts that help others run it too.
    """

    window: int = 20
    arity: int = 0
    ssh: str = "ssh"


def settings() -> Settings:
    """Return what the environment says.

    :raises InvalidInput: when a number is none.
    """

    def number(name: str, default: int) -> int:
        text = os.environ.get(name, "")
        try:
            return int(text) if text else default
        except ValueError:
            raise InvalidInput(f"{name}={text}: not a whole number") from None

    return Settings(
        window=max(1, number("EXECO_TAKTUK_WINDOW", Settings.window)),
        arity=number("EXECO_TAKTUK_ARITY", Settings.arity),
        ssh=os.environ.get("EXECO_TAKTUK_SSH") or Settings.ssh,
    )


def helps(host: Host) -> bool:
    """Whether other hosts may reach ``host`` and it may reach others: all that is known of it is known to all."""
    private = host.keyfile or host.host_key or host.port
    return not private and all(_PLAIN.fullmatch(text) for text in (host.address, host.user or "_"))


def connector_words(host: Host, ssh: str, timeout: int, keys: Path) -> list[str]:
    """Return the options of ``taktuk`` for one host that is reached from here.

    :param timeout: seconds for the connection.
    :param keys: where the host's key is, and the only ones that are accepted; used when the host has one.
    """
    options = [*_options(timeout), *host_words(host, keys)]
    # TakTuk adds the host's name for it and what to run there, and has a shell understand the whole.
    return ["-c", f'f() {{ shift; exec {ssh} {shlex.join(options)} -- {shlex.quote(host.address)} "$@"; }}; f']


def helper_words(ssh: str, timeout: int) -> list[str]:
    """Return the options of ``taktuk`` for hosts that reach each other."""
    return ["-c", f"{ssh} {shlex.join(_options(timeout))}"]


def _options(timeout: int) -> Sequence[str]:
    return ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={timeout}", *KEEPALIVE)


_NO_PERL = re.compile(r".*perl: .*not found.*|.*perl: No such file.*")


def reason(said: Sequence[str], host: Host) -> str:
    """Return why a host could not be reached, or was lost, from what the ssh program and the shell there said."""
    for line in said:
        if _NO_PERL.search(line):
            return f"TakTuk needs perl there: {line}"
    return ssh_program.reason(said, host)
