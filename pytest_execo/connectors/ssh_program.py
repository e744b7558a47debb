"""The user's ssh program: what it is told of a host, and what it says when a host is not reached.

Connectors that run the program tell it what the ``Host`` says and nothing else, so that the user's configuration
(``~/.ssh/config``, agent, ``ProxyJump``, GSSAPI, known hosts) decides about all the rest, as at a prompt.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from ..hosts import Host
from .host_keys import ACCEPT_NEW, CHANGED, host_keys

__all__ = (
    "CONNECT_TIMEOUT",
    "KEEPALIVE",
    "ShownKey",
    "accepted_key",
    "host_words",
    "reason",
    "record_key",
    "write_key",
)

#: Seconds. A host that accepts and never answers must not hold a campaign; 20 s is what execo's users are used to.
CONNECT_TIMEOUT = 20
#: A cut network is noticed after 3 times 10 s without any answer; OpenSSH's own default is never.
KEEPALIVE: tuple[str, ...] = ("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3")
# The name of any host in a file of keys that is for one connection: the key decides, under whatever name.
_ALIAS = "execo"


def accepted_key(host: Host) -> str | None:
    """Return the only host key that is accepted; ``None`` when the user's ssh decides, or the first one is believed."""
    return host_keys.known(host) if host.host_key in (None, ACCEPT_NEW) else host.host_key


def host_words(host: Host, keys: Path) -> list[str]:
    """Return the options that say what ``host`` says.

    :param keys: a file for the host's key, of this connection alone; :func:`write_key` prepares it.
    """
    words: list[str] = []
    if host.keyfile is not None and host.host_key is not None:
        words += ["-F", "none"]  # all is said: nothing of ~/.ssh is read
    if host.port is not None:
        words += ["-p", str(host.port)]
    if host.user is not None:
        words += ["-l", host.user]
    if host.keyfile is not None:
        # The key says who we are: neither the agent nor other keys are offered (servers count the attempts).
        words += ["-i", host.keyfile.replace("%", "%%"), "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
    accepted = accepted_key(host)
    if host.host_key is not None or accepted is not None:
        checking = ACCEPT_NEW if accepted is None else "yes"
        words += [
            *("-o", f"UserKnownHostsFile={keys}", "-o", "GlobalKnownHostsFile=/dev/null", "-o", "UpdateHostKeys=no"),
            *("-o", f"StrictHostKeyChecking={checking}", "-o", f"HostKeyAlias={_ALIAS}"),
            *("-o", "CheckHostIP=no", "-o", "VerifyHostKeyDNS=no", "-o", "NoHostAuthenticationForLocalhost=no"),
        ]
    return words


def write_key(host: Host, keys: Path) -> None:
    """Write the only host key that is accepted, if there is one, into the file that :func:`host_words` names."""
    key = accepted_key(host)
    if key is not None:
        keys.write_text(f"{_ALIAS} {key}\n", encoding="utf-8")


def record_key(host: Host, keys: Path) -> None:
    """Pin the key that the program has believed at a first contact and written down.

    :raises ConnectionFailed: when another one was seen meanwhile.
    """
    if host.host_key == ACCEPT_NEW:
        with contextlib.suppress(OSError):
            for line in keys.read_text(encoding="utf-8").splitlines():
                host_keys.check(host, line.partition(" ")[2])


_HOST_KEY = re.compile(r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed")
_REFUSED = re.compile(r"Permission denied \((.*?)\)")
_BAD_KEY = re.compile(r"^Load key .*", re.MULTILINE)
_REASONS = (
    (re.compile(r"connect to (?:host )?\S* ?port \d+: (?!.*timed out)(.*)"), "{}"),
    (re.compile(r"(Could not resolve hostname .*)"), "{}"),
    (re.compile(r"[Tt]imed ?out|^timeouted"), f"no answer within {CONNECT_TIMEOUT} s"),
)
# What is said of one session, or in passing, and is not why a connection ended.
_ASIDE = re.compile(r"debug\d: |mux_|channel \d+: |Warning: |\*\*")


def reason(said: Sequence[str], host: Host) -> str:
    """Return why a host could not be reached, or was lost, from the lines that the program wrote."""
    text = "\n".join(said)
    if _HOST_KEY.search(text):
        if host.host_key == ACCEPT_NEW or (host.host_key is None and host_keys.known(host) is not None):
            return CHANGED
        if host.host_key is not None:
            return "host key not verified (it is not the one given as host_key=)"
        return "host key not verified; add it to ~/.ssh/known_hosts, or give host_key="
    if refused := _REFUSED.search(text):
        bad_key = _BAD_KEY.search(text)
        return f"authentication refused ({refused[1]}){f'; {bad_key[0]}' if bad_key else ''}"
    for pattern, words in _REASONS:
        if match := pattern.search(text):
            return words.format(*match.groups())
    lines = [line for line in said if line.strip() and not _ASIDE.match(line)]
    return lines[-1].strip().removeprefix("ssh: ") if lines else "the ssh program said nothing"


_SHOWN = re.compile(r"debug1: Server host key: (\S+) SHA256:(\S+)")
_FOUND = re.compile(r"debug1: Found key in (.+):(\d+)$")


class ShownKey:
    """Finds the host key that was shown, and accepted by the user's known hosts, in what ``ssh -v`` says.

    It says a fingerprint, and where the key is written; hosts on the way (``ProxyJump``) speak first.
    """

    def __init__(self) -> None:
        self._shown: tuple[str, str] | None = None
        self._key: str | None = None

    def heard(self, line: str) -> None:
        """Take one line."""
        if shown := _SHOWN.match(line):
            self._shown, self._key = (shown[1], shown[2]), None
        elif self._shown is not None and (found := _FOUND.match(line)):
            self._key = self._key or _key_in(Path(found[1]), int(found[2]), *self._shown)

    @property
    def key(self) -> str | None:
        """The key in OpenSSH's format; ``None`` when it is not known (certificates, for instance)."""
        return self._key


def _key_in(path: Path, number: int, algorithm: str, fingerprint: str) -> str | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        line = path.read_text(encoding="utf-8", errors="replace").splitlines()[number - 1]
        for kind, text in itertools.pairwise(line.split()):
            if kind == algorithm:
                digest = hashlib.sha256(base64.b64decode(text)).digest()
                if base64.b64encode(digest).decode().rstrip("=") == fingerprint:
                    return f"{kind} {text}"
    return None
