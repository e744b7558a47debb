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
from ..host_keys import ACCEPT_NEW, CHANGED, host_keys

__all__ = ("CONNECT_TIMEOUT", "Settings", "accepted_key", "connector_words", "helps", "reason", "settings")

# Seconds. A host that accepts and never answers must not hold a campaign; 20 s is what execo's users are used to.
CONNECT_TIMEOUT = 20
# A cut network is noticed after 3 times 10 s without any answer; OpenSSH's own default is never.
_KEEPALIVE = ("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3")
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


def accepted_key(host: Host) -> str | None:
    """Return the only host key that is accepted; ``None`` when the user's ssh decides, or the first one is believed."""
    return host_keys.known(host) if host.host_key in (None, ACCEPT_NEW) else host.host_key


def connector_words(host: Host, ssh: str, timeout: int, keys: Path) -> list[str]:
    """Return the options of ``taktuk`` for one host that is reached from here.

    :param timeout: seconds for the connection.
    :param keys: where the host's key is, and the only ones that are accepted; used when the host has one.
    """
    options = [*_options(timeout), *_KEEPALIVE]
    if host.keyfile is not None and host.host_key is not None:
        options += ["-F", "none"]  # all is said: nothing of ~/.ssh is read
    if host.port is not None:
        options += ["-p", str(host.port)]
    if host.user is not None:
        options += ["-l", host.user]
    if host.keyfile is not None:
        # The key says who we are: neither the agent nor other keys are offered (servers count the attempts).
        options += ["-i", host.keyfile, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
    if host.host_key is not None or accepted_key(host) is not None:
        known = accepted_key(host) is not None
        options += [
            *("-o", f"UserKnownHostsFile={keys}", "-o", "GlobalKnownHostsFile=/dev/null", "-o", "UpdateHostKeys=no"),
            *("-o", f"StrictHostKeyChecking={'yes' if known else ACCEPT_NEW}", "-o", "HostKeyAlias=execo"),
            *("-o", "CheckHostIP=no", "-o", "VerifyHostKeyDNS=no"),
        ]
    # TakTuk adds the host's name for it and what to run there, and has a shell understand the whole.
    return ["-c", f'f() {{ shift; exec {ssh} {shlex.join(options)} -- {shlex.quote(host.address)} "$@"; }}; f']


def helper_words(ssh: str, timeout: int) -> list[str]:
    """Return the options of ``taktuk`` for hosts that reach each other."""
    return ["-c", f"{ssh} {shlex.join([*_options(timeout), *_KEEPALIVE])}"]


def _options(timeout: int) -> Sequence[str]:
    return ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={timeout}")


_REASONS = (
    (re.compile(r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed"), "host key"),
    (re.compile(r"Permission denied \((.*?)\)"), "authentication refused ({})"),
    (re.compile(r"connect to \S* ?port \d+: (?!.*timed out)(.*)"), "{}"),
    (re.compile(r"connect to host \S+ port \d+: (?!.*timed out)(.*)"), "{}"),
    (re.compile(r"[Tt]imed ?out|^timeouted"), "time"),
    (re.compile(r"(.*perl: .*not found.*|.*perl: No such file.*)"), "TakTuk needs perl there: {}"),
)


def reason(said: Sequence[str], host: Host) -> str:
    """Return why a host could not be reached, or was lost, from what the ssh program said."""
    text = "\n".join(said)
    for pattern, words in _REASONS:
        if match := pattern.search(text):
            if words == "time":
                return f"no answer within {CONNECT_TIMEOUT} s"
            if words != "host key":
                return words.format(*match.groups())
            if host.host_key == ACCEPT_NEW or (host.host_key is None and host_keys.known(host) is not None):
                return CHANGED
            if host.host_key is not None:
                return "host key not verified (it is not the one given as host_key=)"
            return "host key not verified; add it to ~/.ssh/known_hosts, or give host_key="
    lines = [line for line in said if line and not line.startswith(("Warning:", "**"))]
    return lines[-1] if lines else "the ssh program said nothing"
