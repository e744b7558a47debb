"""The default connector for remote hosts: asyncssh, connections shared by all processes of a host.

The first command on a host costs a handshake, every further one a channel (RFC 4254 §5). A connection carries at most
``Host.max_sessions`` commands at a time; past it a further connection is opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal as signals
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncssh

from ..errors import ConnectionFailed, ConnectionLost, ConnectorError, StartFailed, TransferFailed
from ..hosts import Host
from .contract import Channel, Command, Connector, End, FileChannel, Receiver

__all__ = ("SshConnector",)

# Seconds. A host that accepts and never answers must not hold a campaign; 20 s is what execo's users are used to.
_CONNECT_TIMEOUT = 20
# A cut network is noticed after 3 times 10 s without any answer; OpenSSH's own default is never.
_KEEPALIVE_INTERVAL = 10
# Handshakes in flight. One costs about 10 ms of CPU on this side; more at once only make each of them late, and
# stock servers start to refuse (MaxStartups 10:30:100 counts per server, a campaign's hosts are many servers).
_HANDSHAKES = 64

# Before the command, the remote shell says its own pid, which is that of the command too (exec) and of its process
# group (an ssh server makes each session a leader). What a login script prints before it is passed on as output.
_HELLO = b"\x01execo:"

T = TypeVar("T")


class SshConnector(Connector):
    """Starts commands on remote hosts through SSH 2.0, for Python alone and on one thread."""

    name = "ssh"

    def __init__(self) -> None:
        self._pools: dict[Host, _Pool] = {}
        self._handshakes = asyncio.Semaphore(_HANDSHAKES)

    def _pool(self, host: Host | None) -> _Pool:
        if host is None:
            raise ConnectionFailed("localhost", "the ssh connector needs a host; use connector='local' or give host=")
        pool = self._pools.get(host)
        if pool is None:
            pool = self._pools[host] = _Pool(host, self._handshakes)
        return pool

    async def start(self, host: Host | None, command: Command, receiver: Receiver) -> Channel:
        pool = self._pool(host)
        line = remote_line(command)
        terminal: dict[str, Any] = {"term_type": os.environ.get("TERM", "dumb")} if command.pty else {}

        async def open_channel(connection: asyncssh.SSHClientConnection) -> _Session:
            session = _Session(pool, command, receiver)
            await connection.create_session(lambda: session, line, encoding=None, **terminal)
            return session

        session = await pool.use(open_channel, release=False)
        await session.begun()
        return session

    async def files(self, host: Host | None) -> FileChannel:
        pool = self._pool(host)

        async def open_sftp(connection: asyncssh.SSHClientConnection) -> _Files:
            return _Files(pool, connection, await connection.start_sftp_client())

        return await pool.use(open_sftp, release=False)

    async def disconnect(self, host: Host) -> None:
        if pool := self._pools.pop(host, None):
            await pool.close()

    async def close(self) -> None:
        pools = list(self._pools.values())
        self._pools.clear()
        await asyncio.gather(*(pool.close() for pool in pools))


def remote_line(command: Command) -> str:
    """Return what is sent to the login shell: say the pid, go to the directory, set the variables, become the command.

    Only POSIX sh is needed on the host. The login shell sees one quoted word, so that it may be any shell.
    """
    steps = [f"printf '{_HELLO.decode()}%s\\n' $$"]
    if command.cwd is not None:
        # `CDPATH` would make cd print; `--` takes a directory whose name begins with a dash.
        steps = [f"CDPATH= cd -- {shlex.quote(command.cwd)} || {{ printf '{_HELLO.decode()}-\\n'; exit 1; }}", *steps]
    steps += [f"export {name}={shlex.quote(value)}" for name, value in command.env.items()]
    if command.line is not None:
        steps.append(f"exec /bin/sh -c {shlex.quote(command.line)}")
    else:
        steps.append(f"exec {shlex.join(command.argv or ())}")
    return f"exec /bin/sh -c {shlex.quote('; '.join(steps))}"


class _Link:
    """One connection and how many sessions run over it."""

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self.connection = connection
        self.sessions = 0
        # Lowered when the server refuses before our own limit: it knows its MaxSessions best.
        self.limit: int | None = None


class _Pool:
    """The connections to one host, all opened on demand."""

    def __init__(self, host: Host, handshakes: asyncio.Semaphore) -> None:
        self.host = host
        self._handshakes = handshakes
        self._links: list[_Link] = []
        self._opening: list[asyncio.Task[_Link]] = []

    async def use(self, act: Callable[[asyncssh.SSHClientConnection], Awaitable[T]], *, release: bool = True) -> T:
        """Do ``act`` with a connection that has room, opening one if need be.

        With ``release=False`` the room stays taken when ``act`` succeeds; :meth:`give_back` frees it.
        """
        while True:
            link = await self._room()
            try:
                result = await act(link.connection)
            except asyncssh.ChannelOpenError as error:
                self.give_back(link.connection)
                if link.connection in self._alive() and link.sessions > 0:
                    link.limit = link.sessions  # the server's own limit; look for room elsewhere
                    continue
                raise StartFailed(self.host.name, error.reason) from error
            except (asyncssh.Error, OSError) as error:
                self.give_back(link.connection)
                raise ConnectionLost(self.host.name, _reason(error)) from error
            except BaseException:
                self.give_back(link.connection)
                raise
            if release:
                self.give_back(link.connection)
            return result

    def give_back(self, connection: object) -> None:
        """Say that a session on ``connection`` is over."""
        for link in self._links:
            if link.connection is connection:
                link.sessions -= 1

    def _alive(self) -> list[asyncssh.SSHClientConnection]:
        self._links = [link for link in self._links if not link.connection.is_closed()]
        return [link.connection for link in self._links]

    async def _room(self) -> _Link:
        """Return a connection with one more session counted on it."""
        while True:
            self._alive()
            for link in self._links:
                if link.sessions < (link.limit or self.host.max_sessions):
                    link.sessions += 1
                    return link
            # Many commands may wait for a first connection; each `max_sessions` of them share one handshake.
            if not self._opening:
                self._opening.append(asyncio.ensure_future(self._open()))
            task = self._opening[0]
            try:
                await asyncio.shield(task)
            finally:
                if task.done() and task in self._opening:
                    self._opening.remove(task)

    async def _open(self) -> _Link:
        async with self._handshakes:
            try:
                connection = await asyncssh.connect(self.host.address, **_options(self.host))
            except (asyncssh.Error, OSError, TimeoutError) as error:
                raise ConnectionFailed(self.host.name, _reason(error)) from error
            except (ValueError, asyncssh.KeyImportError) as error:  # a bad key file or configuration
                raise ConnectionFailed(self.host.name, str(error)) from error
        link = _Link(connection)
        self._links.append(link)
        return link

    async def close(self) -> None:
        for task in self._opening:
            task.cancel()
        links, self._links = self._links, []
        for link in links:
            link.connection.abort()
        # `abort` closes the socket at the loop's next turn; `wait_closed` is that turn, not an answer of the host.
        for link in links:
            with contextlib.suppress(TimeoutError, asyncssh.Error, OSError):
                await asyncio.wait_for(link.connection.wait_closed(), 1)


def _options(host: Host) -> dict[str, Any]:
    """What asyncssh is told. What the host does not say is left to the user's ssh configuration and agent."""
    options: dict[str, Any] = {
        "connect_timeout": _CONNECT_TIMEOUT,
        "login_timeout": _CONNECT_TIMEOUT,
        "keepalive_interval": _KEEPALIVE_INTERVAL,
        "keepalive_count_max": 3,
        "client_version": "pytest-execo",
    }
    if host.port is not None:
        options["port"] = host.port
    if host.user is not None:
        options["username"] = host.user
    if host.keyfile is not None:
        # The key says who we are: neither the agent nor other keys are offered (servers count the attempts).
        options |= {"client_keys": [host.keyfile], "agent_path": None}
    if host.host_key is not None:
        options["known_hosts"] = ([asyncssh.import_public_key(host.host_key)], [], [])
    if host.keyfile is not None and host.host_key is not None:
        options["config"] = None  # all is said: nothing of ~/.ssh is read
    return options


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return f"host key not verified ({error.reason}); add it to ~/.ssh/known_hosts, or give host_key="
    if isinstance(error, asyncssh.PermissionDenied):
        return f"authentication refused ({error.reason})"
    if isinstance(error, asyncssh.Error):
        return error.reason
    if isinstance(error, TimeoutError):
        return f"no answer within {_CONNECT_TIMEOUT} s"
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        # asyncio puts its own words into strerror ("Connect call failed …").
        return os.strerror(error.errno) + (f": {error.filename}" if error.filename else "")
    return str(error) or type(error).__name__


class _Session(asyncssh.SSHClientSession[bytes], Channel):
    """One command on a channel of a shared connection."""

    def __init__(self, pool: _Pool, command: Command, receiver: Receiver) -> None:
        self._pool = pool
        self._command = command
        self._receiver = receiver
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head: bytearray | None = bytearray()  # output up to the pid line
        self._early_errors = bytearray()
        self._pid: int | None = None
        self._end: End | None = None

    async def begun(self) -> None:
        """Wait until the host said that the command runs.

        :raises ConnectorError: when it does not.
        """
        await self._begun

    # what asyncssh calls

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype == asyncssh.EXTENDED_DATA_STDERR:
            if self._head is not None:
                self._early_errors += data
            else:
                self._receiver.received("stderr", data)
        elif self._head is not None:
            self._head += data
            self._look_for_pid()
        else:
            self._receiver.received("stdout", data)

    def _look_for_pid(self) -> None:
        assert self._head is not None
        before, hello, rest = bytes(self._head).partition(_HELLO)
        said, newline, after = rest.partition(b"\n")
        if not (hello and newline):
            return
        self._head = None
        said = said.strip()
        if not said.isdigit():
            reason = f"no directory {self._command.cwd}, or no permission to enter it"
            self._fail(StartFailed(self._pool.host.name, reason))
            return
        self._started(int(said))
        if before or after:
            self._receiver.received("stdout", before + after)
        if self._early_errors:
            self._receiver.received("stderr", bytes(self._early_errors))

    def _started(self, pid: int | None) -> None:
        self._pid = pid
        self._receiver.started(pid)
        if not self._begun.done():
            self._begun.set_result(None)

    def _fail(self, error: ConnectorError) -> None:
        if not self._begun.done():
            self._begun.set_exception(error)
        self.close()

    def exit_status_received(self, status: int) -> None:
        self._end = End(exit_code=status)

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        # RFC 4254 §6.10: the name without SIG; servers may send names of their own ("ERR@asyncssh.com").
        number = getattr(signals, f"SIG{signal}", None)
        self._end = End(signal=int(number)) if number else End(exit_code=255)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._channel is not None:
            self._pool.give_back(self._channel.get_connection())
        lost = ConnectionLost(self._pool.host.name, str(exc) if exc else "the channel closed without an exit status")
        if self._begun.done():
            if self._begun.exception() is None:
                self._receiver.ended(self._end or End(error=lost))
            return
        if self._end is None:
            self._begun.set_exception(lost)
            return
        # The login shell ended before our line ran, a forced command or `nologin` for instance: what it said counts.
        self._started(None)
        if self._head:
            self._receiver.received("stdout", bytes(self._head))
        if self._early_errors:
            self._receiver.received("stderr", bytes(self._early_errors))
        self._receiver.ended(self._end)

    # the channel

    def write(self, data: bytes) -> None:
        if self._channel is not None and not self._channel.is_closing():
            with contextlib.suppress(BrokenPipeError):
                self._channel.write(data)

    def close_stdin(self) -> None:
        if self._channel is not None and not self._channel.is_closing():
            with contextlib.suppress(BrokenPipeError):
                self._channel.write_eof()

    async def signal(self, number: int) -> None:
        if self._pid is None:
            return
        # Through a second channel: servers before OpenSSH 7.9 ignore the protocol's own signal request, all deliver
        # it to the shell alone. The plain pid is for servers that do not make a session a group leader.
        name = signals.Signals(number).name.removeprefix("SIG")
        line = f"exec /bin/sh -c 'kill -s {name} -- -{self._pid} || kill -s {name} {self._pid}' 2>/dev/null"

        async def run(connection: asyncssh.SSHClientConnection) -> None:
            await asyncio.wait_for(connection.run(line, encoding=None), _CONNECT_TIMEOUT)

        try:
            await self._pool.use(run)
        except TimeoutError:
            raise ConnectionLost(self._pool.host.name, f"no answer within {_CONNECT_TIMEOUT} s") from None

    def close(self) -> None:
        if self._channel is not None:
            self._channel.abort()


class _Files(FileChannel):
    """A file channel over SFTP."""

    def __init__(self, pool: _Pool, connection: asyncssh.SSHClientConnection, sftp: asyncssh.SFTPClient) -> None:
        self._pool = pool
        self._connection = connection
        self._sftp = sftp
        self._open = True

    async def put(self, source: str, target: str) -> None:
        await self._copy(self._sftp.put, source, target)

    async def get(self, source: str, target: str) -> None:
        await self._copy(self._sftp.get, source, target)

    async def _copy(self, copy: Callable[..., Awaitable[None]], source: str, target: str) -> None:
        try:
            await copy(source, target, preserve=True, recurse=True, follow_symlinks=False)
        except (asyncssh.Error, OSError) as error:
            raise TransferFailed(self._pool.host.name, f"{source} → {target}: {_reason(error)}") from error

    async def close(self) -> None:
        if self._open:
            self._open = False
            self._sftp.exit()
            with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
                await asyncio.wait_for(self._sftp.wait_closed(), 5)
            self._pool.give_back(self._connection)
