"""Our lines on pytest's terminal, and the command that goes on with a run."""

from __future__ import annotations

import collections
import contextlib
import os
import shlex
import sys
import threading

import pytest

from ..results.redaction import redact

__all__ = ("resume_command", "write_later_lines", "write_line")

_LATER: collections.deque[str] = collections.deque()
# Options that say how to begin, not what to run: they are not repeated when a run goes on.
_BEGINNINGS = ("--execo-fresh", "--execo-rerun", "--execo-plan")


def write_line(config: pytest.Config, line: str) -> None:
    """Write a line of our own to the terminal, on a fresh line; nothing when there is no terminal reporter.

    From another thread than the main one it is written later: pytest's terminal is not made for two at once.
    """
    if threading.current_thread() is not threading.main_thread():
        _LATER.append(line)
        return
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None:
        return
    # While a fixture waits for nodes, what is written is taken for output of its test.
    capturing = config.pluginmanager.getplugin("capturemanager")
    with capturing.global_and_fixture_disabled() if capturing is not None else contextlib.nullcontext():
        reporter.ensure_newline()
        if reporter._tw.width_of_current_line:  # a letter that came after a line of ours, which pytest forgets
            reporter._tw.line()
        reporter.write_line(line)


def write_later_lines(config: pytest.Config) -> None:
    """Write what other threads wanted to say."""
    while _LATER:
        write_line(config, _LATER.popleft())


def resume_command(config: pytest.Config) -> str:
    """Return the command line that goes on with this run. A password in it is ``***``: it has to be typed again."""
    args: list[str] = []
    given = iter(redact(list(map(str, config.invocation_params.args))))
    for arg in given:
        name, equals, _ = arg.partition("=")
        if name not in _BEGINNINGS:
            args.append(arg)
        elif name == "--execo-rerun" and not equals:
            next(given, None)
    program = sys.argv[0]
    if os.path.basename(program) in ("pytest", "py.test"):
        return shlex.join([_short(program), *args])
    return shlex.join([sys.executable, "-m", "pytest", *args])


def _short(program: str) -> str:
    """Return the name alone when a shell would find that very program by it."""
    import shutil

    name = os.path.basename(program)
    found = shutil.which(name)
    return name if found is not None and os.path.realpath(found) == os.path.realpath(program) else program
