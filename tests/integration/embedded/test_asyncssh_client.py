"""What an asyncssh client sees that the ssh program does not show: signals, many channels, window sizes, SFTP."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from pytest_execo.testbeds.embedded import EmbeddedLease, EmbeddedNode

pytestmark = pytest.mark.integration

Test = Callable[[asyncssh.SSHClientConnection], Coroutine[Any, Any, Any]]


@pytest.fixture
def connected(node: EmbeddedNode) -> Callable[[Test], Any]:
    """Run a coroutine function on a connection to the node."""

    def run(test: Test) -> Any:
        async def main() -> Any:
            known = asyncssh.import_known_hosts(f"[{node.address}]:{node.port} {node.host_key}\n")
            assert node.port is not None
            async with asyncssh.connect(
                node.address, node.port, username=node.user, client_keys=[node.keyfile], known_hosts=known, config=None
            ) as connection:
                return await asyncio.wait_for(test(connection), 30)

        return asyncio.run(main())

    return run


def test_signal_that_ended_the_command(connected: Callable[[Test], Any]) -> None:
    async def test(connection: asyncssh.SSHClientConnection) -> None:
        result = await connection.run("kill -USR1 $$")
        assert result.exit_signal is not None
        assert result.exit_signal[:2] == ("USR1", False)

    connected(test)


def test_signal_request_goes_to_the_whole_group(connected: Callable[[Test], Any]) -> None:
    async def test(connection: asyncssh.SSHClientConnection) -> None:
        # The shell waits for a child of its group; both have to go for the output to close.
        async with connection.create_process("echo ready; sleep 1000; echo survived") as process:
            assert await process.stdout.readline() == "ready\n"
            process.send_signal("TERM")
            result = await process.wait()
        assert result.exit_signal is not None
        assert result.exit_signal[0] == "TERM"
        assert result.stdout == ""

    connected(test)


def test_window_size_and_its_changes(connected: Callable[[Test], Any]) -> None:
    async def test(connection: asyncssh.SSHClientConnection) -> None:
        script = "stty size; trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done"
        async with connection.create_process(script, term_type="xterm", term_size=(100, 40)) as process:
            assert (await process.stdout.readline()).strip() == "40 100"
            assert (await process.stdout.readline()).strip() == "ready"
            process.change_terminal_size(90, 30)
            assert (await process.stdout.readline()).strip() == "30 90"

    connected(test)


def test_terminal_modes(connected: Callable[[Test], Any]) -> None:
    async def test(connection: asyncssh.SSHClientConnection) -> str:
        modes = {asyncssh.PTY_ECHO: 0, asyncssh.PTY_VINTR: 1}
        result = await connection.run("stty -a", term_type="xterm", term_modes=modes)
        return str(result.stdout)

    settings = connected(test)
    assert " -echo " in settings
    assert "intr = ^A" in settings


def test_many_sessions_on_one_connection(connected: Callable[[Test], Any]) -> None:
    async def test(connection: asyncssh.SSHClientConnection) -> None:
        results = await asyncio.gather(*(connection.run(f"echo {number}; exit {number}") for number in range(100)))
        assert [(result.stdout, result.exit_status) for result in results] == [(f"{n}\n", n) for n in range(100)]

    connected(test)


def test_sftp_is_in_the_nodes_home(connected: Callable[[Test], Any]) -> None:
    async def test(connection: asyncssh.SSHClientConnection) -> None:
        async with connection.start_sftp_client() as sftp:
            home = str((await connection.run("pwd")).stdout).strip()
            assert await sftp.realpath(".") == home
            async with sftp.open("written", "wb") as file:
                await file.write(bytes(range(256)))
            assert (await connection.run("wc -c < written")).stdout == "256\n"
            with pytest.raises(asyncssh.SFTPNoSuchFile):
                await sftp.stat("absent")
            await sftp.remove("written")

    connected(test)


def test_stderr_of_a_command_that_stops_reading(connected: Callable[[Test], Any]) -> None:
    async def test(connection: asyncssh.SSHClientConnection) -> None:
        # Input that nobody takes must not stop output, nor the other sessions of the connection.
        async with connection.create_process("echo one >&2; sleep 1000", encoding=None) as stuck:
            stuck.stdin.write(bytes(8 * 1024 * 1024))
            assert await stuck.stderr.readline() == b"one\n"
            assert (await connection.run("echo two")).stdout == "two\n"
            stuck.kill()

    connected(test)


def test_scp_where_the_machine_has_no_scp_program(
    reserve: Callable[..., EmbeddedLease], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "cat").symlink_to(shutil.which("cat") or "/bin/cat")
    monkeypatch.setenv("PATH", str(tools))
    lease = reserve()
    (tmp_path / "file").write_bytes(bytes(range(256)) * 1000)

    async def test() -> None:
        node = lease.nodes[0]
        assert node.port is not None
        async with asyncssh.connect(
            node.address, node.port, username=node.user, client_keys=[node.keyfile], known_hosts=None, config=None
        ) as connection:
            await asyncssh.scp(str(tmp_path / "file"), (connection, "copy"))
            await asyncssh.scp((connection, "copy"), str(tmp_path / "back"))
            assert (await connection.run("scp")).exit_status == 127

    asyncio.run(asyncio.wait_for(test(), 30))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    lease.release()
