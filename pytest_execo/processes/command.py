"""What the user gave as a command, checked: a bad command is his error at once, not the I/O thread's later."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from ..connectors import Command
from ..errors import InvalidInput

__all__ = ("CommandLine", "make_command")

#: A string is for a shell (``/bin/sh -c``); a sequence is a program and its arguments, without a shell.
CommandLine = str | Sequence[str | os.PathLike[str]]


def make_command(
    cmd: CommandLine, env: Mapping[str, str], cwd: str | os.PathLike[str] | None, *, pty: bool, detached: bool
) -> Command:
    """Return the command.

    :raises InvalidInput: for what no command can be.
    """
    for variable in env:
        if not variable.isidentifier() or not variable.isascii():
            raise InvalidInput(f"env: {variable!r} is not the name of a variable (letters, digits and _)")
    given: object = cmd
    if isinstance(given, bytes) or not isinstance(given, str | Sequence):
        raise InvalidInput(f"cmd: {cmd!r} is neither a string for a shell nor a list of a program and its arguments")
    directory = None if cwd is None else os.fspath(cwd)
    texts = [cmd] if isinstance(cmd, str) else [os.fspath(word) for word in cmd]
    if any("\0" in text for text in (*texts, *env.values(), directory or "")):
        raise InvalidInput(f"cmd: {cmd!r} has a NUL character, which no command can have")
    if not texts:
        raise InvalidInput("cmd: an empty list; give a program and its arguments")
    if pty and detached:
        raise InvalidInput("detached: a process that outlives its connection can have no terminal of it (pty)")
    if isinstance(cmd, str):
        return Command(line=cmd, env=dict(env), cwd=directory, pty=pty, detached=detached)
    return Command(argv=tuple(texts), env=dict(env), cwd=directory, pty=pty, detached=detached)
