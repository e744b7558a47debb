"""What is sent to the login shell to start a command, and what it answers.

A login shell of which nothing is known sees one quoted word, so that it may be any that takes a newline in it; one that
is known to be a POSIX shell sees the steps themselves. Before the command, the shell says its own pid, which is that of
the command too (``exec``) and of its process group (an ssh server makes each session a leader).
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ..contract import Command

__all__ = ("END", "HELLO", "Launch", "has_no_input", "launch", "script")

#: Before the pid and the session's number; ``-`` stands for both when the directory can't be entered.
HELLO = b"\x01execo:"
#: Before the token and the wait status, on standard error (see ``report.sh``).
END = b"\x01execo-end:"
# A word of a command line can have 128 KiB on Linux (MAX_ARG_STRLEN), and the whole line is one word of the login
# shell's. What is longer, or not UTF-8, goes through standard input.
_LONGEST = 100_000
# A command line in which a shell finds nothing but a program and its arguments; and the words that are none to it
# (POSIX, 2.4 Reserved Words, 2.14 Special Built-In Utilities, and what shells have built in beside these).
_PLAIN = re.compile(r"[A-Za-z0-9_./]+( [A-Za-z0-9_./=:,@%+-]+)*")
_BUILT_IN: frozenset[str] = frozenset(
    # A list of so many strings would fill a page.
    """
    . : alias bg bind break builtin caller case cd chdir command compgen complete compopt continue coproc declare dirs
    disown do done echo elif else enable end esac eval exec exit export false fc fg fi for foreach function getopts
    hash help history if in jobs kill let local logout mapfile popd printf pushd pwd read readarray readonly repeat
    return select set shift shopt source suspend test then time times trap true type typeset ulimit umask unalias
    unset until wait while
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Launch:
    """A line for the login shell, and what has to follow on its standard input before anything else."""

    line: bytes
    script: bytes = b""


def launch(command: Command, token: str, *, report: bool, posix: bool = False) -> Launch:
    """Return how ``command`` is started.

    :param token: that of the connection's guard.
    :param report: have the end reported on standard error, for a transport that doesn't tell signals.
    :param posix: the login shell is known to be a POSIX shell, which can say hello itself.
    """
    hello = _hello(command, token, report)
    exports = [f"export {name}={shlex.quote(value)}" for name, value in command.env.items()]
    streams = " </dev/null >/dev/null 2>&1" if command.detached else " </dev/null" if has_no_input(command) else ""
    prologue = "; ".join([hello, *exports])
    # Always by `exec`: /proc shows the environment that a program began with, by which the guard finds it.
    inline = f"{prologue}; exec {shlex.join(_program(command))}{streams}"
    line = _wrapped(inline, command, token, report)
    if posix and not report:
        # Without a shell of our own in between: 0.7 ms of the host's processor time for each command.
        line = f"{_entering(command)}{inline}".encode(errors="surrogateescape")
    if len(line) <= _LONGEST and _is_text(line):
        return Launch(line)
    body = command.line if command.line is not None else f"exec {shlex.join(command.argv or ())}"
    text = "\n".join([*exports, body]).encode(errors="surrogateescape")
    # What `head` reads ahead is lost, and nothing is ahead: standard input follows when the pid was said. The dot
    # keeps the newlines at the end, which a substitution would drop.
    read = f'script=$(head -c {len(text)}; echo .); {hello}; script=${{script%.}}; eval "$script"{streams}'
    return Launch(_wrapped(read, command, token, report), text)


def _program(command: Command) -> tuple[str, ...]:
    """Return the program and its arguments: those of the line where no shell is needed to tell them, else a shell."""
    if command.line is None:
        return command.argv or ()
    words = tuple(command.line.split(" "))
    is_plain = _PLAIN.fullmatch(command.line) and words[0] not in _BUILT_IN
    return words if is_plain else ("/bin/sh", "-c", command.line)


def _entering(command: Command) -> str:
    """Return the step that goes to the command's directory."""
    if command.cwd is None:
        return ""
    # `CDPATH` would make cd print; `--` takes a directory whose name begins with a dash.
    return f"CDPATH= cd -- {shlex.quote(command.cwd)} || {{ printf '{HELLO.decode()}-\\n'; exit 1; }}; "


def has_no_input(command: Command) -> bool:
    """Whether the line gives the command its empty standard input, so that its end needs not be sent."""
    return command.no_input and not command.pty


def _is_text(line: bytes) -> bool:
    """Whether any server takes it: asyncssh's, and those made with it, refuse what is not UTF-8."""
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _hello(command: Command, token: str, report: bool) -> str:
    session = "$execo_session" if report else "$$"
    steps = [f"printf '{HELLO.decode()}%s %s\\n' $$ {session}"]
    if not command.detached:
        # What the guard and a kill of the whole tree go by.
        steps.append(f"export EXECO_PROCESS={token}.{session}.")
    else:
        steps.append("trap '' HUP")
    if report:
        steps.append("unset execo_session")
    return "; ".join(steps)


def _wrapped(steps: str, command: Command, token: str, report: bool) -> bytes:
    if report:
        terminal = "1" if command.pty else ""
        steps = (
            f"export execo_session=$$; set -- {token} {shlex.quote(terminal)} {shlex.quote(steps)}; {script('report')}"
        )
    steps = f"{_entering(command)}{steps}"
    return f"exec /bin/sh -c {shlex.quote(steps)}".encode(errors="surrogateescape")


@cache
def script(name: str) -> str:
    """Return a script of this package without its comments: it is sent to every host."""
    lines = files(__package__).joinpath(f"{name}.sh").read_text(encoding="utf-8").splitlines()
    return "\n".join(line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))
