"""The controller's end of the line to a manager: starts it, asks it, outlives it, cleans up after it."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any

from ...errors import FaultNotAvailable, LeaseLost, ReservationFailed, TestbedError
from ..contract import Remember, ignore
from .layout import Paths
from .remains import PREFIX, remains_of, wait_for_nodes

__all__ = ("Client",)

#: Seconds for a manager to be ready, for an answer, and for the end: enough for a loaded machine, and not for ever.
START_TIMEOUT = 30.0
ANSWER_TIMEOUT = 30.0
END_TIMEOUT = 30.0
#: Seconds that nodes are kept that have no walltime.
KEPT = 8 * 3600.0

#: What the manager, and so every node, sees of the controller's environment. Nothing else: it may hold secrets.
_PASSED_ON = ("PATH", "LANG", "TZ", "TMPDIR", "PYTHONHOME", "LD_LIBRARY_PATH")


#: What a node is like when nobody says otherwise.
_DEFAULTS: Mapping[str, Any] = {
    "isolation": True,
    "disk": 1 << 30,
    "lifetime": None,
    "user": None,
    "keys": (),
    "files": {},
}


class Client:
    """Owns one manager process. Thread-safe; the manager ends when this object or its process does.

    :param settings: ``names`` of the nodes, and what is not as in the defaults: ``isolation``, whether to try;
        ``disk``, bytes; ``lifetime``, seconds; ``user``, the login name; ``keys``, public keys that log in besides the
        lease's own; ``files``, of each node's ``/etc``.
    :param remember: told by what :func:`~.remains.reclaim` finds what is made, before it is.
    """

    def __init__(self, settings: Mapping[str, Any], remember: Remember = ignore) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._received = b""
        self._released = False
        self._kept = False
        #: Nodes that were made unreachable through this line.
        self.off: set[str] = set()
        name = f"{PREFIX}{secrets.token_hex(6)}"
        self.paths: Paths = Paths(os.path.join(os.path.realpath(tempfile.gettempdir()), name))
        remember(remains_of(self.paths.directory))
        os.mkdir(self.paths.directory, 0o700)
        try:
            with open(self.paths.log, "wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", f"{__package__}.manager", self.paths.directory],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    # No buffers, whose locks a fork could inherit locked.
                    bufsize=0,
                    cwd="/",
                    env=_environment(),
                    start_new_session=True,
                )
        except OSError as error:
            shutil.rmtree(self.paths.directory, ignore_errors=True)
            raise ReservationFailed(f"the node manager could not be started: {error}") from error
        # Also at the end of the interpreter, for leases that nobody released.
        self._finalizer = weakref.finalize(self, _end, self._process, self.paths, os.getpid())
        _forget_in_children(self._process)
        try:
            remember(remains_of(self.paths.directory, self.pid))
            self.ready: dict[str, Any] = self._start({**_DEFAULTS, **settings})
        except BaseException:
            self._finalizer()
            raise

    def _start(self, settings: dict[str, Any]) -> dict[str, Any]:
        try:
            self._send(settings)
            return self._receive(START_TIMEOUT)
        except (OSError, TimeoutError, EOFError) as error:
            with contextlib.suppress(OSError):
                # Its last words come after it has closed the line.
                self._process.wait(1)
            raise ReservationFailed(f"the node manager did not start: {_last_words(self.paths, error)}") from error
        except subprocess.TimeoutExpired as error:
            raise ReservationFailed("the node manager did not start") from error

    @property
    def pid(self) -> int:
        """The manager's process number."""
        return self._process.pid

    def alive(self) -> bool:
        """Tell whether the manager runs and nobody has released it."""
        return not self._released and self._process.poll() is None

    def ask(self, do: str, node: str, **arguments: Any) -> dict[str, Any]:
        """Have the manager do something to a node and return what it said.

        :raises LeaseLost: when the lease has been released, has ended, or lost its manager.
        :raises FaultNotAvailable: when this machine can't do it.
        :raises TestbedError: when it went wrong, or was not answered.
        """
        with self._lock:
            if not self.alive():
                raise LeaseLost(f"{node}: the lease has ended")
            self._number += 1
            try:
                self._send({"id": self._number, "do": do, "node": node, **arguments})
                deadline = time.monotonic() + ANSWER_TIMEOUT
                # An earlier answer that came too late is still in the line.
                while (answer := self._receive(deadline - time.monotonic())).get("id") != self._number:
                    pass
            except TimeoutError:
                raise TestbedError(f"{node}: {do} was not answered within {ANSWER_TIMEOUT:.0f} s") from None
            except (OSError, EOFError):
                raise LeaseLost(f"{node}: the node manager has gone") from None
        if answer["error"] is not None:
            kind = FaultNotAvailable if answer.get("refused") else TestbedError
            raise kind(f"{node}: {answer['error']}")
        if do == "power_off" or (do == "wire" and arguments["wire"].get("cut")):
            self.off.add(node)
        elif do == "power_on" or (do == "heal" and "cut" in arguments["what"]):
            self.off.discard(node)
        return answer

    def release(self) -> None:
        """End the manager and everything below it; return when all of it has gone. A second call does nothing."""
        with self._lock:
            self._released = True
            if self._kept:
                self._process.terminate()
                _end(self._process, self.paths, os.getpid())
            else:
                self._finalizer()

    def keep(self) -> float:
        """Have the manager and its nodes outlive this process; return after how many seconds they end by themselves.

        They can be used from here as before, and :meth:`release` ends them still.

        :raises TestbedError: as :meth:`ask`.
        """
        left: float = self.ask("keep", "the nodes", seconds=KEPT)["left"]
        with self._lock:
            if not self._kept and self._finalizer.detach() is not None:
                self._kept = True
                atexit.register(_part_from, self._process)
        return left

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        # Short lines to a process that does nothing but read them: this does not block for long.
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[self._process.stdin.write(data) :]

    def _receive(self, timeout: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        deadline = time.monotonic() + timeout
        poll = select.poll()  # select() knows no descriptor above 1023
        poll.register(fd, select.POLLIN)
        while b"\n" not in self._received:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError(f"no answer within {timeout:.0f} s")
            data = os.read(fd, 65536)
            if not data:
                raise EOFError("it ended")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name in _PASSED_ON or name.startswith("LC_")}
    # The package and asyncssh may be importable here only because somebody changed sys.path.
    paths = [os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))]
    paths += filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    if (spec := importlib.util.find_spec("asyncssh")) is not None and spec.origin is not None:
        paths.append(os.path.dirname(os.path.dirname(spec.origin)))
    return environment | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _last_words(paths: Paths, error: BaseException) -> str:
    """Return the last line that the manager wrote, else what is wrong seen from here."""
    with contextlib.suppress(OSError), open(paths.log, encoding="utf-8", errors="replace") as file:
        if lines := [line for line in file.read().splitlines() if line.strip()]:
            return lines[-1]
    return str(error)


def _end(process: subprocess.Popen[bytes], paths: Paths, owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of the controller owns nothing
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(END_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
    # A manager that was killed could not wait for its nodes, which die with it, nor clean up.
    wait_for_nodes(paths)
    shutil.rmtree(paths.directory, ignore_errors=True)


def _part_from(process: subprocess.Popen[bytes]) -> None:
    """Let a process go on that is not ours to wait for; ``Popen`` would complain that it was forgotten."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    if process.returncode is None:
        process.returncode = 0


_lines: weakref.WeakSet[subprocess.Popen[bytes]] = weakref.WeakSet()


def _forget_in_children(process: subprocess.Popen[bytes]) -> None:
    """Close the line in every fork of the controller: a copy there would keep the manager alive without us."""
    if not _lines:
        _register()
    _lines.add(process)


@functools.cache
def _register() -> None:
    os.register_at_fork(after_in_child=_close_lines)


def _close_lines() -> None:
    for process in list(_lines):
        assert process.stdin is not None
        process.stdin.close()
