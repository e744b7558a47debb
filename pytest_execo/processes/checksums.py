"""Checksums of files: those of a host by one command there, whatever it has; ours as the bytes come by."""

from __future__ import annotations

import os
import re
import shlex
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Literal, NamedTuple

from ..connectors import Connector
from ..connectors.running import run_command
from ..errors import ConnectionFailed, ConnectionLost, ConnectorError
from ..hosts import Host

__all__ = ("Checksums", "Cksum", "cksum", "host_checksums")

Method = Literal["sha256", "cksum"]


class Checksums(NamedTuple):
    """The checksums of files by path; a file that could not be read is not among them.

    Of ``sha256`` the hexadecimal digits; of ``cksum`` its checksum, a space and the size.
    """

    method: Method
    of: dict[str, str]


# What a host may have, best first: GNU and busybox, BSD, Perl (macOS), POSIX.
_HELLO = b"execo-checksums "
_TOOLS = f"""\
PATH=$PATH:/usr/local/bin:/usr/sbin:/sbin LC_ALL=C
export PATH LC_ALL
if command -v sha256sum >/dev/null 2>&1; then m=sha256; s() {{ sha256sum "$@"; }}
elif command -v sha256 >/dev/null 2>&1; then m=sha256; s() {{ sha256 -r "$@"; }}
elif command -v shasum >/dev/null 2>&1; then m=sha256; s() {{ shasum -a 256 "$@"; }}
elif command -v cksum >/dev/null 2>&1; then m=cksum; s() {{ cksum "$@"; }}
else exit; fi
echo "{_HELLO.decode()}$m"
"""
_LINES = {
    "sha256": re.compile(rb"([0-9a-f]{64}) [ *]?([./].*)"),
    "cksum": re.compile(rb"([0-9]+ [0-9]+) ([./].*)"),
}
# Some programs write these otherwise than others; such files get a line of their own, without their name.
_ODD = re.compile(r"[\n\r\\]")
# Bytes of names on one command line: a fraction of what any system takes (POSIX promises 4 kB, Linux has 2 MB).
_BATCH = 100_000


async def host_checksums(connector: Connector, host: Host | None, files: Mapping[str, int | None]) -> Checksums | None:
    """Compute the checksums of files on a host by one command; ``None`` when it has no program for it, or runs none.

    :param files: path → number of bytes at its beginning that count; ``None``: all of it.
    :raises ConnectionLost: also when a new connection was needed and failed.
    """
    alone = [path for path, length in files.items() if length is not None or _ODD.search(path)]
    together = files.keys() - set(alone)
    script = [_TOOLS.encode(), *_batches(sorted(together))]
    for number, path in enumerate(alone):
        name, length = _quoted(path), files[path]
        script.append(
            b"echo '#%d'; s <%s\n" % (number, name)
            if length is None
            else b"echo '#%d'; head -c %d <%s | s\n" % (number, length, name)
        )
    try:
        # The script goes through standard input, which any bytes do, and as many as there are.
        done = await run_command(connector, host, ["/bin/sh"], stdin=b"".join(script))
    except (ConnectionLost, ConnectionFailed):
        raise
    except ConnectorError:
        return None
    _, hello, answer = done.stdout.partition(_HELLO)
    lines = answer.split(b"\n")
    method: Method = "cksum" if lines[0] == b"cksum" else "sha256"
    return Checksums(method, _parsed(lines[1:], _LINES[method], alone)) if hello else None


def _batches(paths: list[str]) -> Iterator[bytes]:
    """Yield commands that are not too long."""
    batch: list[bytes] = []
    size = 0
    for name in map(_quoted, paths):
        if batch and size + len(name) > _BATCH:
            yield _batch(batch)
            batch, size = [], 0
        batch.append(name)
        size += len(name) + 1
    if batch:
        yield _batch(batch)


def _batch(names: list[bytes]) -> bytes:
    return b"s %s </dev/null\n" % b" ".join(names)


def _quoted(path: str) -> bytes:
    # A name that begins with a dash would be an option.
    return os.fsencode(shlex.quote(path if path.startswith("/") else f"./{path}"))


def _parsed(lines: list[bytes], form: re.Pattern[bytes], alone: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    number: int | None = None
    for line in lines:
        if line.startswith(b"#"):
            number = int(line[1:])
        elif number is not None:
            words = line.split()
            found[alone[number]] = b" ".join(words[:2] if form is _LINES["cksum"] else words[:1]).decode()
            number = None
        elif match := form.fullmatch(line):
            path = os.fsdecode(match[2])
            found[path.removeprefix("./")] = match[1].decode()
    return found


async def cksum(pieces: AsyncIterator[bytes]) -> str:
    """Return what POSIX ``cksum`` says of ``pieces``: its checksum, a space and the size."""
    sum_ = Cksum()
    async for piece in pieces:
        sum_.update(piece)
    return f"{sum_.result()} {sum_.size}"


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Cksum:
    """The checksum of POSIX's ``cksum``, computed as the bytes come by, in C: it is zlib's CRC in disguise."""

    # The same polynomial taken from the other end of each byte and of the result; and cksum starts with zeros and ends
    # with the size, lowest byte first.

    def __init__(self) -> None:
        #: Bytes so far.
        self.size: int = 0
        self._crc = 0xFFFFFFFF

    def update(self, piece: bytes) -> None:
        """Take a piece."""
        self._crc = zlib.crc32(piece.translate(_MIRRORED), self._crc)
        self.size += len(piece)

    def result(self) -> int:
        """Return the checksum of what has come."""
        length = self.size.to_bytes((self.size.bit_length() + 7) // 8, "little")
        crc = zlib.crc32(length.translate(_MIRRORED), self._crc)
        return int(f"{crc:032b}"[::-1], 2)
