"""The command line of a script that is an engine: pytest's options without their prefix, and its own."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from ..errors import InvalidRequest
from ..results.redaction import redact
from .options import FLAGS, LISTS, RERUN, VALUES
from .settings import Settings, read
from .start import Start

__all__ = ("parse",)

# One process runs the trials, on one lease.
_NOT_HERE = ("leases", "parts")
# Options that say how to begin, not what to run: they are not repeated when a run goes on.
_BEGINNINGS = ("--fresh", "--plan", "--rerun")


def parse(
    arguments: Sequence[str] | None,
    description: str | None,
    more: Callable[[argparse.ArgumentParser], None],
    file: Path | None,
) -> tuple[argparse.Namespace, Settings, Start]:
    """Return what was given, as it is; what it says of the run; and how the run was started.

    :param arguments: ``None``: those of the process.
    :param more: declares the script's own options.
    :param file: the script, whose directory is the project; ``None``: there is none, and the working directory is.
    :raises InvalidRequest: with one line that names the option.
    :raises SystemExit: after ``--help``.
    """
    program = Path(sys.argv[0]).name or "python"
    parser = _Parser(prog=program, description=description, allow_abbrev=False)
    group = parser.add_argument_group("the run")
    for name, (metavar, default, text) in VALUES.items():
        if name not in _NOT_HERE:
            shown = "" if default is None else f" (default: {default})"
            group.add_argument(f"--{name}", metavar=metavar, help=_plain(text + shown))
    for name, text in FLAGS.items():
        group.add_argument(f"--{name}", action="store_true", help=_plain(text))
    for name, (metavar, text) in LISTS.items():
        group.add_argument(f"--{name}", metavar=metavar, action="append", default=[], help=_plain(text))
    group.add_argument("--rerun", metavar=RERUN[0], help=_plain(RERUN[1]))
    more(parser)
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(words)
    here = Path.cwd()
    shown_words = redact(words)
    start = Start(
        root=here if file is None else file.parent,
        directory=here,
        command=[sys.argv[0], *words],
        resume=lambda more: shlex.join([*_program(), *_going_on(shown_words), *more.replace("--execo-", "--").split()]),
    )
    return options, read(_Given(options)), start


def _plain(text: str) -> str:
    return text.replace("%", "%%").replace("--execo-", "--")


def _program() -> list[str]:
    program = sys.argv[0]
    executable = os.access(program, os.X_OK) and os.path.isfile(program)
    return [program if os.path.dirname(program) else f"./{program}"] if executable else [sys.executable, program]


def _going_on(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    given = iter(words)
    for word in given:
        name, equals, _ = word.partition("=")
        if name not in _BEGINNINGS:
            kept.append(word)
        elif name == "--rerun" and not equals:
            next(given, None)
    return kept


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidRequest(f"{message}; --help lists the options")


class _Given:
    """See :class:`~.settings.Given`: the command line wins over the environment."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options

    def value(self, name: str) -> tuple[str | None, str]:
        word = name.replace("-", "_")
        given = getattr(self._options, word, None)
        if given is not None or name in ("rerun", *_NOT_HERE):
            return given, f"--{name}="
        variable = f"EXECO_{word.upper()}"
        found = os.environ.get(variable) or None
        return (found, f"{variable}=") if found is not None else (VALUES[name][1], "")

    def flag(self, name: str) -> bool:
        return bool(getattr(self._options, name))

    def values(self, name: str) -> list[str]:
        return list(getattr(self._options, name))
