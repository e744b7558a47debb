"""What is sent to a login shell, run by the shells that there are."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from pytest_execo.connectors.contract import Command
from pytest_execo.connectors.supervision.lines import HELLO, launch

TOKEN = "0123456789ab"
SHELLS = [[name] for name in ("dash", "bash") if shutil.which(name)] + [["busybox", "sh"]] * bool(
    shutil.which("busybox")
)


def run(shell: list[str], command: Command, *, posix: bool, data: bytes = b"") -> tuple[int, bytes, bytes]:
    """Run a line as a server does; return the exit code, standard output behind hello, and standard error."""
    how = launch(command, TOKEN, report=False, posix=posix)
    done = subprocess.run(
        [*shell, "-c", how.line], input=how.script + data, capture_output=True, timeout=30, check=False
    )
    hello, _, output = done.stdout.partition(b"\n")
    pid, session = hello.removeprefix(HELLO).split()
    assert pid == session
    return done.returncode, output, done.stderr


@pytest.mark.parametrize("posix", [False, True], ids=["any shell", "posix"])
@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
class TestEveryShell:
    def test_a_program(self, shell: list[str], posix: bool) -> None:
        words = ("printf", "%s|", "a b", "$HOME", "'", "=x", "")
        assert run(shell, Command(argv=words), posix=posix) == (0, b"a b|$HOME|'|=x||", b"")

    @pytest.mark.parametrize("line", ["expr 1 + 2", "/usr/bin/expr 1 + 2", "expr 1 + 2 | cat", "x=1; expr $x + 2"])
    def test_a_line(self, shell: list[str], posix: bool, line: str) -> None:
        assert run(shell, Command(line=line), posix=posix) == (0, b"3\n", b"")

    def test_what_only_a_shell_knows(self, shell: list[str], posix: bool) -> None:
        assert run(shell, Command(line="exit 3"), posix=posix) == (3, b"", b"")
        assert run(shell, Command(line="A=1 env"), posix=posix)[1].count(b"A=1\n") == 1
        assert run(shell, Command(line="cd /usr\npwd"), posix=posix) == (0, b"/usr\n", b"")
        assert run(shell, Command(line="echo 'open"), posix=posix)[0] == 2

    def test_environment_and_directory(self, shell: list[str], posix: bool) -> None:
        command = Command(line="env", env={"GREETING": "a 'b' $c\n"}, cwd="/usr")
        code, output, _ = run(shell, command, posix=posix)
        assert code == 0
        assert b"GREETING=a 'b' $c\n\n" in output
        assert f"EXECO_PROCESS={TOKEN}.".encode() in output
        assert run(shell, Command(argv=("pwd",), cwd="/usr"), posix=posix)[1] == b"/usr\n"

    @pytest.mark.parametrize("line", ["no-such-program", "no-such-program x"])
    def test_no_such_program(self, shell: list[str], posix: bool, line: str) -> None:
        code, _, errors = run(shell, Command(line=line), posix=posix)
        assert code == 127
        assert b"no-such-program" in errors

    @pytest.mark.parametrize("line", ["cat", "cat -", "x=1; cat"])
    def test_input(self, shell: list[str], posix: bool, line: str) -> None:
        assert run(shell, Command(line=line), posix=posix, data=b"data")[1] == b"data"
        assert run(shell, Command(line=line, no_input=True), posix=posix, data=b"data")[1] == b""

    def test_what_is_too_long_goes_through_the_input(self, shell: list[str], posix: bool) -> None:
        words = ("printf", "%s", *["x" * 1000] * 200)
        assert run(shell, Command(argv=words), posix=posix)[1] == b"x" * 200_000
        assert run(shell, Command(line=f"printf %s {'x' * 200_000}; cat"), posix=posix, data=b"y")[1].endswith(b"xy")


def test_no_directory() -> None:
    how = launch(Command(argv=("true",), cwd="/no/such/place"), TOKEN, report=False, posix=True)
    done = subprocess.run(["/bin/sh", "-c", how.line], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, HELLO + b"-\n")
