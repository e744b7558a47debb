"""The process behind a lease: makes the nodes, obeys the controller, and leaves nothing behind.

Started as ``python -m pytest_execo.testbeds.embedded.manager DIRECTORY``. Standard input carries the settings, then the
commands, and is the lifeline: its end is the end of the lease, unless a command has said "keep". Standard output
carries the answers. Both are JSON lines. Never has a thread or an event loop, because nodes are forks of it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import selectors
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable

# Every event loop imports it late: here it is imported once, and not in each node.
from concurrent.futures import thread as _thread  # noqa: F401
from typing import Any

from . import layout, namespaces
from .construction import build
from .machine import FaultRefused, Machine

__all__ = ("main",)

_OPEN_FILES = 65536


class _Manager:
    def __init__(self, settings: dict[str, Any]) -> None:
        self._paths = layout.Paths(settings["directory"])
        self._ends_at = None if settings["lifetime"] is None else time.monotonic() + settings["lifetime"]
        self._selector = selectors.DefaultSelector()
        self._machines: dict[str, Machine] = {}
        #: What is to be done when the node's server has answered, or come up; and what number it will answer with.
        self._waiting: dict[str, list[tuple[int | None, Callable[[str | None], None]]]] = {}
        self._number = 0
        self._input = b""
        self._ended = False
        self._kept = False
        namespaces.adopt_orphans()
        machines, description = build(settings)
        for machine in machines:
            self._machines[machine.name] = machine
            self._listen(machine)
        # Forked nodes share these pages; the collector would write into all of them.
        gc.collect()
        gc.freeze()
        self._answer({"ready": True, **description})

    # The loop.

    def run(self) -> None:
        """Obey until the lease ends: standard input closed, "end", SIGTERM, or the walltime."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGHUP, self._stop)
        os.set_blocking(0, False)
        self._selector.register(0, selectors.EVENT_READ, self._commands)
        self._selector.register(wake_read, selectors.EVENT_READ, lambda: self._reap(wake_read))
        while not self._ended:
            timeout = None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())
            for key, _ in self._selector.select(timeout):
                # One event may have closed what the next one is about.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            if self._ends_at is not None and time.monotonic() >= self._ends_at:
                self._ended = True

    def _stop(self, *_: object) -> None:
        self._ended = True

    def end(self) -> None:
        """End every node and remove every trace."""
        for machine in self._machines.values():
            machine.kill()
        for machine in self._machines.values():
            with contextlib.suppress(Exception):
                machine.off()
        me = os.getpid()
        # Without PID namespaces, what a dead init left behind has become ours.
        namespaces.kill_all(lambda: namespaces.descendants(me))
        with contextlib.suppress(OSError):
            for name in os.listdir(self._paths.nodes):
                with contextlib.suppress(OSError):
                    namespaces.unmount(os.path.join(self._paths.nodes, name))
        shutil.rmtree(self._paths.directory, ignore_errors=True)

    def _reap(self, wake_read: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(wake_read, 4096)
        while True:
            try:
                pid = os.waitpid(-1, os.WNOHANG)[0]
            except ChildProcessError:
                return
            if pid == 0:
                return
            for machine in self._machines.values():
                if machine.init == pid:
                    self._gone(machine, "the node went down")

    # Nodes.

    def _listen(self, machine: Machine) -> None:
        machine.listen()
        assert machine.listening is not None
        self._selector.register(machine.listening, selectors.EVENT_READ, lambda: self._boot(machine))

    def _boot(self, machine: Machine) -> None:
        if machine.listening is None:
            return
        self._selector.unregister(machine.listening)
        try:
            machine.boot()
        except OSError as error:
            traceback.print_exc()
            self._gone(machine, f"could not boot: {error}")
            return
        assert machine.control is not None
        assert machine.init is not None
        self._selector.register(machine.control, selectors.EVENT_READ, lambda: self._heard(machine))
        # Whoever waits for the end of all this without us finds the processes here.
        with contextlib.suppress(OSError), open(self._paths.pids, "a", encoding="ascii") as file:
            file.write(f"{machine.init} {namespaces.started(machine.init)}\n")

    def _heard(self, machine: Machine) -> None:
        messages = machine.receive()
        if messages is None:
            # The server has ended, and init is about to.
            assert machine.control is not None
            self._selector.unregister(machine.control)
            return
        for message in messages:
            waiting = self._waiting.get(machine.name, [])
            done = [entry for entry in waiting if entry[0] == message.get("done")]
            self._waiting[machine.name] = [entry for entry in waiting if entry not in done]
            for _, then in done:
                then(None)

    def _gone(self, machine: Machine, why: str) -> None:
        self._forget(machine)
        machine.ended()
        for _, then in self._waiting.pop(machine.name, []):
            then(why)

    def _forget(self, machine: Machine) -> None:
        for sock in (machine.listening, machine.control):
            with contextlib.suppress(KeyError, ValueError):
                if sock is not None:
                    self._selector.unregister(sock)

    def _when_up(self, machine: Machine, then: Callable[[str | None], None]) -> None:
        if machine.up:
            then(None)
            return
        self._waiting.setdefault(machine.name, []).append((None, then))
        self._boot(machine)

    def _set_wire(self, machine: Machine, then: Callable[[str | None], None]) -> None:
        def up(error: str | None) -> None:
            if error is not None:
                then(error)
                return
            self._number += 1
            self._waiting.setdefault(machine.name, []).append((self._number, then))
            machine.send_wire(self._number)

        self._when_up(machine, up)

    # Commands.

    def _commands(self) -> None:
        try:
            data = os.read(0, 65536)
        except BlockingIOError:
            return
        if not data:
            self._selector.unregister(0)
            if not self._kept:
                self._ended = True
            return
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            self._command(json.loads(line))

    def _command(self, command: dict[str, Any]) -> None:
        def answer(error: str | None = None, **more: Any) -> None:
            self._answer({"id": command["id"], "error": error, **more})

        if command["do"] == "end":
            self._ended = True
            return
        if command["do"] == "keep":
            self._keep(command["seconds"])
            assert self._ends_at is not None
            answer(left=self._ends_at - time.monotonic())
            return
        machine = self._machines[command["node"]]
        try:
            getattr(self, "_do_" + command["do"])(machine, command, answer)
        except FaultRefused as error:
            answer(str(error), refused=True)
        except Exception as error:  # of one command on one node: the others go on
            traceback.print_exc()
            answer(f"{command['do']}: {error}")

    def _keep(self, seconds: float) -> None:
        """Go on without a controller: until the walltime, or for so long."""
        self._kept = True
        if self._ends_at is None:
            self._ends_at = time.monotonic() + seconds

    def _do_powered(self, machine: Machine, _: dict[str, Any], answer: Callable[..., None]) -> None:
        answer(powered=machine.on)

    def _do_power_off(self, machine: Machine, _: dict[str, Any], answer: Callable[..., None]) -> None:
        self._forget(machine)
        machine.off()
        self._gone(machine, "the node was switched off")
        answer()

    def _do_power_on(self, machine: Machine, _: dict[str, Any], answer: Callable[..., None]) -> None:
        if not machine.on:
            self._listen(machine)
        if any(machine.wire.values()):
            self._set_wire(machine, answer)  # a fault of the wire outlives the node behind it
        else:
            self._when_up(machine, answer)

    def _do_wire(self, machine: Machine, command: dict[str, Any], answer: Callable[..., None]) -> None:
        machine.wire.update(command["wire"])
        self._apply(machine, answer)

    def _do_heal(self, machine: Machine, command: dict[str, Any], answer: Callable[..., None]) -> None:
        if "disk" in command["what"]:
            machine.unfill()
        names = [name for name in machine.wire if name in command["what"]]
        if machine.heal_wire(*names):
            self._apply(machine, answer)
        else:
            answer()

    def _do_fill(self, machine: Machine, command: dict[str, Any], answer: Callable[..., None]) -> None:
        machine.fill(command["free"])
        answer()

    def _apply(self, machine: Machine, answer: Callable[..., None]) -> None:
        # A node that is off has no wire to change: it comes up with it.
        if machine.on:
            self._set_wire(machine, answer)
        else:
            answer()

    def _answer(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(1, data) :]


def main() -> None:
    """Serve one lease."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    directory = sys.argv[1]
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(0, 1)
        if not data:
            shutil.rmtree(directory, ignore_errors=True)
            return
        line += data
    settings = json.loads(line) | {"directory": directory}
    manager = None
    try:
        manager = _Manager(settings)
        manager.run()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        raise
    finally:
        if manager is not None:
            manager.end()


if __name__ == "__main__":
    main()
