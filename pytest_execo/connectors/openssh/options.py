"""What the ssh program is called with: as the master of a connection, and as a client of that master."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from ...errors import ConnectionFailed
from ...hosts import Host
from .. import ssh_program

__all__ = ("LOGIN_TIMEOUT", "OPEN", "READY", "check_keyfile", "client_words", "marked", "master_words", "program")

#: Seconds from the start of a master to the end of the login, jump hosts and hardware keys included. The program's own
#: limit is for the TCP connection and the first bytes of each server.
LOGIN_TIMEOUT = 2 * ssh_program.CONNECT_TIMEOUT
#: What a master says when its socket answers: its ``LocalCommand``, which any login shell understands.
READY = "pytest-execo-ready"
_SAY_READY = f"/bin/sh -c 'echo {READY} >&2'"
#: What a line says first when the server has given it a session, and (``-``) when it got no terminal.
OPEN = b"\x01execo-open:"


def program() -> list[str]:
    """Return the ssh program and the options that the environment gives it."""
    return shlex.split(os.environ.get("EXECO_OPENSSH") or "ssh")


def master_words(host: Host, socket: Path, keys: Path, *, verbose: bool) -> list[str]:
    """Return the command line of a master.

    :param verbose: have it say what host key was shown, and much else.
    """
    options = {
        "ControlPersist": "no",  # in the foreground, whatever the user's configuration says
        "BatchMode": "yes",
        "ConnectTimeout": str(ssh_program.CONNECT_TIMEOUT),
        "LogLevel": "DEBUG1" if verbose else "INFO",  # a quiet one would give no reason
        "PermitLocalCommand": "yes",
        "LocalCommand": _SAY_READY,
        # Several masters, and runs, would get in each other's way.
        "ClearAllForwardings": "yes",
    }
    return [
        *program(),
        *("-M", "-N", "-T", "-S", str(socket)),
        *_options(options),
        *ssh_program.KEEPALIVE,
        *ssh_program.host_words(host, keys),
        "--",
        host.address,
    ]


def client_words(host: Host, socket: Path, *mode: str, verbose: bool = False) -> list[str]:
    """Return the command line of a client, up to the host.

    :param mode: options that say what it asks for.
    :param verbose: have it say when it got it.
    """
    options = {
        "ControlMaster": "no",
        # A client that the master gives nothing, or that finds no master, would open a connection of its own.
        "ProxyCommand": "false",
        "LogLevel": "DEBUG1" if verbose else "ERROR",
        "RemoteCommand": "none",
        "CanonicalizeHostname": "no",  # the master has done it
        "ClearAllForwardings": "yes",
    }
    # Of the configuration a client needs what is asked for each session: SendEnv, SetEnv, ForwardAgent.
    private = ["-F", "none"] if host.keyfile is not None and host.host_key is not None else []
    # No escape character: what is typed into a terminal is sent as it is.
    return [*program(), *private, "-S", str(socket), "-x", "-e", "none", *_options(options), *mode, "--", host.address]


def _options(options: dict[str, str]) -> list[str]:
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def marked(line: bytes, *, pty: bool) -> bytes:
    """Return ``line`` so that it says that it runs.

    A terminal gets the modes of a new one: the program would give it those of its own standard input, a pipe.
    """
    if not pty:
        return b"echo '" + OPEN + b"'; " + line
    mark = OPEN.decode()
    check = f"test -t 0 || {{ echo '{mark}-'; exit 1; }}; stty sane; echo '{mark}'; "
    return b"exec /bin/sh -c " + os.fsencode(shlex.quote(check + os.fsdecode(line)))


def check_keyfile(host: Host) -> None:
    """Look whether the key file is there: the program goes on without, and is refused.

    :raises ConnectionFailed: when it can't be read.
    """
    if host.keyfile is not None:
        path = os.path.expanduser(host.keyfile)
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise ConnectionFailed(host.name, f"{error.strerror}: {path}") from error
