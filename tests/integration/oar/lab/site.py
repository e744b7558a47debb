"""A whole OAR site on this machine, for tests: frontend, server, database and nodes, in namespaces of their own.

Needs root and Debian's packages of OAR 2.5. It uses no control groups, and changes nothing of the machine: all that it
writes is in memory, and goes when its first process goes. The shell scripts beside this file build it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import pwd
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from pytest_execo import Host

__all__ = ("OarLab", "Template", "missing")

_SCRIPTS = Path(__file__).parent
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
#: Seconds, each a multiple of what it takes on a busy machine.
_TEMPLATE_TIMEOUT = 90
_START_TIMEOUT = 60
_PROGRAMS = {
    "oar-server": "oar-server",
    "oarsub": "oar-user",
    "oarnodechecklist": "oar-node",
    "sshd": "openssh-server",
    "psql": "postgresql",
    "ip": "iproute2",
    "nsenter": "util-linux",
}
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of setns(2)


def missing() -> str | None:
    """Say what this machine lacks to run the lab; ``None``: nothing."""
    if os.geteuid() != 0:
        return "the OAR lab makes namespaces and needs root"
    packages = [package for program, package in _PROGRAMS.items() if shutil.which(program, path=_PATH) is None]
    if not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        packages.append("postgresql")
    try:
        pwd.getpwnam("oar")
    except KeyError:
        packages.append("oar-node")
    if packages:
        return f"the OAR lab is not installed (apt-get install {' '.join(sorted(set(packages)))})"
    return None


class Template:
    """What all labs start from, built once. It has no name in the file system.

    :param built: the :attr:`path` of one that was built, which is opened then.
    """

    def __init__(self, built: Path | None = None) -> None:
        if built is not None:
            self._tar: IO[bytes] = built.open("rb")
            return
        self._tar = tempfile.TemporaryFile()  # noqa: SIM115
        with tempfile.TemporaryFile() as log:
            with _unshared("template.sh", stdin=subprocess.DEVNULL, stdout=self._tar, stderr=log) as process:
                try:
                    code = process.wait(_TEMPLATE_TIMEOUT)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise AssertionError(f"no template within {_TEMPLATE_TIMEOUT} s: {_tail(log)}") from None
            if code:
                raise AssertionError(f"the template could not be built ({code}): {_tail(log)}")

    @property
    def path(self) -> Path:
        """Where other processes find it, as long as this one has it open."""
        return Path(f"/proc/{os.getpid()}/fd/{self._tar.fileno()}")

    def close(self) -> None:
        """Give its disk space back."""
        self._tar.close()


class OarLab:
    """One running site. Several may run at once."""

    def __init__(self, template: Template, *, nodes: int = 4) -> None:
        self.domain: str = "lab.example.org"
        self.node_names: list[str] = [f"node-{number}.{self.domain}" for number in range(1, nodes + 1)]
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._forwarder: _Forwarder | None = None
        self._first: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start(template, nodes)
        except BaseException:
            self.close()
            raise

    def _start(self, template: Template, nodes: int) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        with template.path.open("rb") as tar:
            self._process = _unshared("site.sh", str(nodes), stdin=tar, stdout=subprocess.PIPE, stderr=self._log)
        self._until_ready(self._process, deadline)
        self._first = _first_process(self._process.pid)
        root = Path(f"/proc/{self.first}/root")
        self.host_key: str = " ".join((root / "etc/ssh/lab_host_key.pub").read_text().split()[:2])
        hosts = {"frontend": "10.77.0.1"}
        hosts |= {name: f"10.77.1.{number}" for number, name in enumerate(self.node_names, 1)}
        self._forwarder = _Forwarder(self.first, {name: (address, 22) for name, address in hosts.items()})
        for name in hosts:
            self._until_answers(name, deadline)

    def _until_ready(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector, process.stdout as stdout:
            selector.register(stdout, selectors.EVENT_READ)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise AssertionError(f"not ready within {_START_TIMEOUT} s: {_tail(self._log)}")
            if os.read(stdout.fileno(), 64) != b"ready\n":
                raise AssertionError(f"the site did not start: {_tail(self._log)}")

    def _until_answers(self, name: str, deadline: float) -> None:
        assert self._forwarder is not None
        while True:
            port = self._forwarder.ports[name]
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                if connection.recv(4) == b"SSH-":
                    return
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} does not answer: {_tail(self._log)}")
            time.sleep(0.02)

    def _key(self, user: str) -> Path:
        # In the lab's own file system, which root can look into: nothing of it is copied out.
        return Path(f"/proc/{self.first}/root/home/{user}/.ssh/id_ed25519")

    def host(self, name: str = "frontend", user: str = "alice") -> Host:
        """Return how a user reaches the frontend, or a node by its full name, from outside of the lab.

        :param user: ``alice`` or ``bob``, or ``root`` on nodes.
        """
        assert self._forwarder is not None
        return Host(
            "127.0.0.1",
            name=name,
            user=user,
            port=self._forwarder.ports[name],
            keyfile=str(self._key("alice" if user == "root" else user)),
            host_key=self.host_key,
            max_sessions=100,
        )

    def run(self, *command: str, user: str = "root", timeout: float = 60) -> str:
        """Run a command on the frontend without ssh; return what it printed.

        :raises AssertionError: when it failed.
        """
        home = "/root" if user == "root" else f"/home/{user}"
        environment = [f"HOME={home}", f"USER={user}", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        inside = ["nsenter", "-t", str(self._first), "-m", "-n", "-u", "-i", "-p", "--wdns=/"]
        done = subprocess.run(
            [*inside, *who, "env", "-i", *environment, *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, f"{command}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    @property
    def first(self) -> int:
        """The process that all others of the lab end with, as this machine knows it."""
        assert self._first is not None
        return self._first

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """Its parent, which ends when all have ended."""
        assert self._process is not None
        return self._process

    def log(self) -> str:
        """Return the end of what the site's start-up and OAR's server said."""
        text = _tail(self._log)
        with contextlib.suppress(OSError):
            server = Path(f"/proc/{self._first}/root/var/lib/oar/oar.log").read_text(errors="replace")
            text += "\n".join(["", *server.splitlines()[-40:]])
        return text

    def close(self) -> None:
        """End everything. Returns when no process of it is left; a second call does nothing."""
        if self._forwarder is not None:
            self._forwarder.close()
        process, self._process = self._process, None
        if process is not None:
            # The kernel ends all of a process namespace before the end of its first process can be waited for.
            first = self._first or _first_process(process.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(first if first is not None else process.pid, signal.SIGKILL)
            process.wait(30)
            if process.stdout is not None:
                process.stdout.close()
        self._log.close()

    def __enter__(self) -> OarLab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Forwarder:
    """Ports of 127.0.0.1 that lead into a network namespace: one thread that lives in that namespace."""

    def __init__(self, process: int, targets: dict[str, tuple[str, int]]) -> None:
        # A socket belongs to the namespace in which it was made: these here, those that the thread makes there.
        self._listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in targets}
        self.ports: dict[str, int] = {name: listener.getsockname()[1] for name, listener in self._listeners.items()}
        self._targets = targets
        self._namespace = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="into the OAR lab", daemon=True)
        self._thread.start()
        assert self._started.wait(10)
        if self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            if libc.setns(self._namespace, _NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "setns: " + os.strerror(ctypes.get_errno()))
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self._problem = error
        finally:
            self._started.set()
            self._loop.close()
            os.close(self._namespace)

    async def _serve(self) -> None:
        connections: set[asyncio.Task[None]] = set()

        def into(target: tuple[str, int]) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
            def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = asyncio.ensure_future(_connect(reader, writer, target))
                connections.add(task)
                task.add_done_callback(connections.discard)

            return accepted

        servers = [
            await asyncio.start_server(into(self._targets[name]), sock=listener)
            for name, listener in self._listeners.items()
        ]
        self._started.set()
        await self._stop.wait()
        for server in servers:
            server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        for listener in self._listeners.values():
            listener.close()


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: tuple[str, int]) -> None:
    ends = [writer]
    try:
        far_reader, far_writer = await asyncio.wait_for(asyncio.open_connection(*target), 10)
        ends.append(far_writer)
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    except (OSError, TimeoutError):
        pass
    finally:
        for end in ends:
            end.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def _unshared(script: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    namespaces = ["--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]
    return subprocess.Popen(
        ["unshare", *namespaces, "bash", str(_SCRIPTS / script), *arguments],
        cwd="/",
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        start_new_session=True,
        preexec_fn=_die_with_parent,
        **options,
    )


def _die_with_parent() -> None:
    # A killed test run leaves no lab behind: unshare dies with us, and the lab with unshare.
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _first_process(unshare: int) -> int | None:
    try:
        children = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def _tail(log: IO[bytes], lines: int = 15) -> str:
    text = os.pread(log.fileno(), os.fstat(log.fileno()).st_size, 0).decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])
