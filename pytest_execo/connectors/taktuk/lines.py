"""The lines that are exchanged: with ``taktuk``, and through it with the relays.

``taktuk`` reads options and commands from its standard input as words between separators. Ours is a character that no
word has, so that nothing in a word is special. What the lines of a relay mean is said in ``relay.pl``.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ..contract import Command

__all__ = (
    "PIECE",
    "SEPARATOR",
    "TEMPLATES",
    "Said",
    "bootstrap",
    "data_line",
    "host_set",
    "payload",
    "program",
    "relay_source",
    "shared_line",
    "start_line",
    "understand",
    "words",
)

#: Between words of what ``taktuk`` reads: the unit separator of ASCII.
SEPARATOR = "\x1f"
#: Bytes of one line of data: 32 KiB in base64, what TakTuk reads at once.
PIECE = 24576

# What taktuk prints, one line for each: a letter, the position of the host (its place on the command line, 0 is this
# machine), and the rest. `$eol` tells a whole line from a piece of one. Other events than these are not sent at all.
_OUTPUT = '$position".(length($eol)?"=":"+")."$line\\n"'
TEMPLATES: dict[str, str | None] = {
    "default": None,
    "output": f'"o{_OUTPUT}',
    "error": f'"r{_OUTPUT}',
    "status": '"s$position $line\\n"',
    "connector": '"c$position $peer_position $line\\n"',
    "state": '$line =~ /^[01345]$/ ? "t$position $line $rank,$peer_position,$peers_given\\n" : undef',
    "taktuk": '"k$position $line\\n"',
}
_SAID = re.compile(rb"([orsctk])(\d+)([=+ ])(.*)", re.DOTALL)


@dataclass(frozen=True)
class Said:
    """A line of ``taktuk``: the kind (the letter of its template), whose it is, and the rest."""

    kind: str
    position: int
    rest: bytes
    whole: bool = True


def understand(line: bytes) -> Said | None:
    """Take a line of ``taktuk`` apart; ``None`` when it is none of ours."""
    match = _SAID.fullmatch(line)
    if match is None:
        return None
    return Said(match[1].decode(), int(match[2]), match[4], match[3] != b"+")


def words(parts: Iterable[str]) -> bytes:
    """Return words as ``taktuk`` reads them."""
    return SEPARATOR.join(parts).encode("utf-8", "surrogateescape")


def host_set(ranks: Iterable[int]) -> str:
    """Return numbers of hosts as ``taktuk`` reads them: ``1-3/7``."""
    ranges: list[tuple[int, int]] = []
    for rank in sorted(ranks):
        if ranges and rank == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], rank)
        else:
            ranges.append((rank, rank))
    return "/".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


# the relay


@cache
def program(name: str) -> str:
    """Return a program that runs on hosts, without its comments."""
    text = files(__package__).joinpath(f"{name}.pl").read_text(encoding="utf-8")
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


@cache
def relay_source() -> str:
    """Return the relay in hexadecimal: it is sent to every host."""
    return program("relay").encode().hex()


def bootstrap(silence: int, grace: int, credit: int) -> str:
    """Return the command that reads the relay from its standard input and becomes it."""
    size = len(relay_source())
    # Not a byte more than that is read: what follows is for the relay.
    read = f"sysread(STDIN,$s,{size}-length$s,length$s)||exit while length$s<{size}"
    return f"exec perl -e '{read};eval pack(q(H*),$s);die$@if$@' {silence} {grace} {credit}"


def _word(text: str | None) -> str:
    if text is None:
        return "-"
    return "=" + binascii.b2a_base64(text.encode("utf-8", "surrogateescape"), newline=False).decode()


def start_line(number: int, command: Command, mark: str, term: str) -> str:
    """Return the line that starts ``command``.

    :param mark: what its environment is to have as ``EXECO_PROCESS``, and that of its descendants.
    :param term: the kind of terminal, for a command that has one.
    """
    argv: Sequence[str] = command.argv or () if command.line is None else (command.line,)
    flags = f"{'' if command.line is None else 'l'}{'p' * command.pty}{'d' * command.detached}" or "-"
    variables = [_word(text) for pair in command.env.items() for text in pair]
    head = ["s", str(number), flags, _word(mark), _word(term), _word(command.cwd), str(len(command.env))]
    return " ".join([*head, *variables, *map(_word, argv)])


def data_line(number: int, data: bytes) -> str:
    """Return the line that carries a piece of standard input."""
    return f"i {number} {binascii.b2a_base64(data, newline=False).decode()}"


def shared_line(key: str, data: bytes) -> str:
    """Return the line that carries a piece of standard input to all that have joined ``key``."""
    return f"b {key} {binascii.b2a_base64(data, newline=False).decode()}"


def payload(text: bytes) -> bytes:
    """Return what a word of a relay stands for."""
    return binascii.a2b_base64(text)
