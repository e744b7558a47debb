"""Pseudo-terminals for sessions that ask for one: size and modes as the client says (RFC 4254, section 8)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Mapping

from asyncssh import constants

__all__ = ("open_terminal", "set_size")

#: The protocol's number of a mode -> the name that POSIX gives it.
_MODES = {number: name[4:] for name, number in vars(constants).items() if name.startswith("PTY_")}
#: Index in the list that tcgetattr returns -> the flags that live there.
_FLAGS = {
    0: ("IGNPAR", "PARMRK", "INPCK", "ISTRIP", "INLCR", "IGNCR", "ICRNL", "IUCLC", "IXON", "IXANY", "IXOFF", "IMAXBEL"),
    1: ("OPOST", "OLCUC", "ONLCR", "OCRNL", "ONOCR", "ONLRET"),
    3: ("ISIG", "ICANON", "ECHO", "ECHOE", "ECHOK", "ECHONL", "NOFLSH", "TOSTOP", "IEXTEN", "ECHOCTL", "ECHOKE"),
}
_CONTROL_CHARACTERS = 6


def open_terminal(size: tuple[int, int, int, int], modes: Mapping[int, int]) -> tuple[int, int, str]:
    """Return a new terminal: our end, the programs' end, and the path of the latter."""
    ours, theirs = os.openpty()
    set_size(ours, size)
    _set_modes(theirs, modes)
    return ours, theirs, os.ttyname(theirs)


def set_size(terminal: int, size: tuple[int, int, int, int]) -> None:
    """Set the window size (columns, rows, pixels across, pixels down) and tell the program in front (SIGWINCH)."""
    columns, rows, across, down = (min(max(number, 0), 0xFFFF) for number in size)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, across, down))


def _set_modes(terminal: int, modes: Mapping[int, int]) -> None:
    attributes = termios.tcgetattr(terminal)
    places = {name: index for index, names in _FLAGS.items() for name in names}
    for number, value in modes.items():
        name = _MODES.get(number, "")
        constant = getattr(termios, name, None)
        if constant is None:
            continue
        if name in places:
            flags = attributes[places[name]]
            attributes[places[name]] = flags | constant if value else flags & ~constant
        elif name.startswith("V") and constant < len(attributes[_CONTROL_CHARACTERS]):
            # 255 is the protocol's "no such character", 0 is the terminal's.
            attributes[_CONTROL_CHARACTERS][constant] = bytes([0 if value == 255 else value & 0xFF])
    with contextlib.suppress(termios.error):
        termios.tcsetattr(terminal, termios.TCSANOW, attributes)
