"""Serial consoles, on pseudo-terminals: the test sits at one end, the console has the other for its device."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_execo import Host, InvalidInput, Lease, Process, ProcessFailed, Serial, StartFailed
from pytest_execo.errors import ExpectFailed, ProcessError
from pytest_execo.processes import ParallelActions

from ..conftest import require

pytestmark = pytest.mark.integration

Eventually = Callable[[Callable[[], object]], None]
NOBODY = 65534


class Line:
    """A serial line: ``device`` is its one end, the methods are at the other."""

    def __init__(self) -> None:
        self._ours, self._theirs = os.openpty()
        self.device: str = os.ttyname(self._theirs)

    def say(self, data: bytes) -> None:
        os.write(self._ours, data)

    def hear(self, size: int) -> bytes:
        """Return exactly so many bytes."""
        heard = b""
        while len(heard) < size:
            assert select.select([self._ours], [], [], 20)[0], f"nothing more than {heard!r}"
            heard += os.read(self._ours, size - len(heard))
        return heard

    def settings(self) -> list[object]:
        return termios.tcgetattr(self._theirs)

    def close(self) -> None:
        """Take the device away."""
        for fd in (self._ours, self._theirs):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._ours = self._theirs = -1


@pytest.fixture
def line() -> Iterator[Line]:
    """A serial line."""
    with contextlib.closing(Line()) as line:
        yield line


@pytest.fixture(params=["local", "embedded", "openssh"])
def host(request: pytest.FixtureRequest) -> Host | None:
    """Whose device it is. All are this machine, so that all have it."""
    if request.param == "local":
        return None
    if request.param == "embedded":
        lease: Lease = request.getfixturevalue("embedded")
        return lease.nodes[1]
    openssh: Host = request.getfixturevalue("openssh")
    return openssh


@pytest.fixture
def serial(host: Host | None, line: Line) -> Iterator[Serial]:
    """A console on the line, ready."""
    with Serial(line.device, 115200, host) as serial:
        yield serial


def users(device: str) -> set[int]:
    """Processes, other than ours, that have the device open or as their terminal."""
    number = os.stat(device).st_rdev
    found: set[int] = set()
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        with contextlib.suppress(OSError, IndexError):
            terminal = int((process / "stat").read_text().rpartition(")")[2].split()[4])
            opened = any(os.stat(fd).st_rdev == number for fd in (process / "fd").iterdir())
            if pid != os.getpid() and (terminal == number or opened):
                found.add(pid)
    return found


def test_both_directions(serial: Serial, line: Line) -> None:
    line.say(b"boot\r\n")
    assert serial.expect("boot\r\n", timeout=20)
    line.say(b"login: ")
    match = serial.expect(["password: ", "login: "], timeout=20)
    assert match is not None
    assert match.index == 1
    serial.write("root\n").write(b"secret\n")
    assert line.hear(12) == b"root\nsecret\n"
    assert serial.stdout == "boot\r\nlogin: "


def test_every_byte_passes_as_it_is(serial: Serial, line: Line) -> None:
    every = bytes(range(256))
    line.say(every)
    serial.expect(re.compile(b"\xff"), timeout=20)
    assert serial.stdout_bytes == every
    serial.write(every)
    assert line.hear(256) == every


def test_the_line_is_set(serial: Serial, line: Line) -> None:
    iflag, oflag, cflag, lflag, ispeed, ospeed, _ = line.settings()
    assert (ispeed, ospeed) == (termios.B115200, termios.B115200)
    assert isinstance(lflag, int)
    assert isinstance(oflag, int)
    assert isinstance(iflag, int)
    assert isinstance(cflag, int)
    assert not lflag & (termios.ECHO | termios.ICANON | termios.ISIG)
    assert not oflag & termios.OPOST
    assert not iflag & (termios.ICRNL | termios.IXON | termios.IXOFF | termios.ISTRIP)
    assert cflag & (termios.CSIZE | termios.CLOCAL) == termios.CS8 | termios.CLOCAL


def test_much_in_both_directions(serial: Serial, line: Line) -> None:
    said = b"0123456789abcdef" * 16384
    talking = threading.Thread(target=lambda: [line.say(said[at : at + 1024]) for at in range(0, len(said), 1024)])
    talking.start()
    serial.write(said)
    assert line.hear(len(said)) == said
    talking.join(20)
    assert serial.expect(re.compile(said[-16:] + b"$"), timeout=20)
    while serial.stdout_size < len(said):
        serial.expect(re.compile(b"f"), timeout=20)
    assert serial.stdout_bytes == said


def test_handlers_and_files_as_of_any_process(host: Host | None, line: Line, tmp_path: Path) -> None:
    lines: list[str] = []
    targets = (lambda process, stream, text: lines.append(text), tmp_path / "console.log")
    with Serial(line.device, 9600, host, stdout_handlers=targets, name="console") as serial:
        line.say(b"one\r\ntwo\r\n")
        serial.expect("two\r\n", timeout=20)
    assert lines == ["one", "two"]
    assert (tmp_path / "console.log").read_bytes() == b"one\r\ntwo\r\n"
    assert str(serial).startswith("'console'")


def test_the_end_of_the_input_is_not_that_of_the_console(serial: Serial, line: Line) -> None:
    serial.write("last words").close_stdin()
    assert line.hear(10) == b"last words"
    line.say(b"still here\n")
    assert serial.expect("still here\n", timeout=20)
    assert serial.running


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_kill_leaves_nothing_and_a_device_that_can_be_used(
    host: Host | None, line: Line, sig: int, eventually: Eventually
) -> None:
    serial = Serial(line.device, 115200, host).start().ready()
    assert len(users(line.device)) >= 2
    serial.kill(sig)
    assert (serial.ended, serial.ok, serial.outcome()) == (True, True, "killed")
    eventually(lambda: not users(line.device))
    with Serial(line.device, 9600, host) as again:
        line.say(b"back\n")
        assert again.expect("back\n", timeout=20)
        assert line.settings()[5] == termios.B9600


def test_it_is_nobodys_terminal(serial: Serial, line: Line) -> None:
    # Else its hang-up would be a signal for the session, and the session's end a hang-up for the device.
    number = os.stat(line.device).st_rdev
    terminals = [
        (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[4] for pid in users(line.device)
    ]
    assert terminals
    assert str(number) not in terminals


def test_a_device_that_is_taken_away_is_a_failure(serial: Serial, line: Line) -> None:
    line.say(b"last\n")
    serial.expect("last\n", timeout=20)
    serial.log = False
    line.close()
    serial.wait(20)
    assert (serial.exit_code, serial.ok, serial.stdout) == (1, False, "last\n")
    assert serial.error is None
    assert "closed or taken away" in serial.stderr


# devices that can't be opened


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("/dev/no-such-tty", "/dev/no-such-tty: no such device"),
        ("/etc/passwd", "/etc/passwd: not a terminal device"),
        ("/dev/null", "/dev/null: not a terminal device"),
        ("/dev/tty", "/dev/tty: .*|.*cannot.* /dev/tty.*"),  # there is none for who has no terminal
    ],
)
def test_what_is_no_device(host: Host | None, device: str, words: str) -> None:
    serial = Serial(device, 9600, host, log=False, keep=0).start().wait(20)
    assert isinstance(serial.error, StartFailed)
    assert re.fullmatch(words, serial.error.reason)
    assert (serial.ok, serial.outcome()) == (False, "could not start")
    with pytest.raises(ProcessFailed, match="could not start"):
        serial.ready()
    with pytest.raises(ProcessFailed), Serial(device, 9600, host, log=False):
        pytest.fail("there is nothing to do here")


def test_a_speed_that_the_device_cannot_do(host: Host | None, line: Line) -> None:
    serial = Serial(line.device, 12345, host, log=False).start().wait(20)
    assert isinstance(serial.error, StartFailed)
    assert "12345 bits per second" in str(serial.error)
    assert "stty" in serial.stderr


def test_a_device_that_is_not_for_everybody(line: Line) -> None:
    os.chmod(line.device, 0)
    command = Serial(line.device, 9600).command.argv
    assert command is not None
    # Root may open all: what it would run is run by somebody else then.
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, **user)  # type: ignore[call-overload]
    assert done.returncode == 1
    assert re.fullmatch(f"serial: {line.device}: user \\w+ may not read and write it: c--------- .*\n", done.stderr)


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_shells(shell: str, line: Line) -> None:
    require(shell, shell)
    _, _, script, *arguments = Serial(line.device, 38400).command.argv or ()
    words = [shell, "sh", "-c"] if shell == "busybox" else [shell, "-c"]
    with Process([*words, script, *arguments]) as console:
        console.expect("^serial: open: ", stream="stderr", timeout=20)
        line.say(b"hello\n")
        assert console.expect("hello\n", timeout=20)
        console.write("you\n")
        assert line.hear(4) == b"you\n"
        assert str(os.stat(line.device).st_rdev) not in {
            (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[4] for pid in users(line.device)
        }
    for device, words_ in (("/dev/no-such-tty", "no such device"), ("/dev/null", "not a terminal")):
        refused = Process([*words, script, "serial", device, "9600"], log=False).run(check=False)
        assert (refused.exit_code, words_ in refused.stderr) == (1, True)


# its life


def test_before_the_start_and_after_a_kill(line: Line) -> None:
    serial = Serial(line.device, 9600)
    with pytest.raises(ProcessError, match="before start"):
        serial.ready()
    serial.start().ready().kill()
    assert serial.ready() is serial  # it was open
    early = Serial(line.device, 9600).start().kill()
    with contextlib.suppress(ExpectFailed):
        early.ready()


def test_several_as_one(host: Host | None) -> None:
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(contextlib.closing(Line())) for _ in range(3)]
        consoles = [Serial(line.device, 9600, host) for line in lines]
        with ParallelActions(consoles):
            for console, line in zip(consoles, lines, strict=True):
                console.ready(20)
                line.say(line.device.encode() + b"\n")
            for console, line in zip(consoles, lines, strict=True):
                assert console.expect(f"{line.device}\n", timeout=20)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("", 9600), "device: ''"),
        ((3, 9600), "device: 3"),
        (("/dev/ttyS0", 0), "speed: 0 is not a number of bits"),
        (("/dev/ttyS0", "9600"), "speed: '9600'"),
    ],
)
def test_what_is_no_line_is_refused_at_once(arguments: tuple[object, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        Serial(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["pty", "detached", "cmd"])
def test_what_a_console_cannot_have(option: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{option}: a serial console has no such option"):
        Serial("/dev/ttyS0", 9600, **{option: True})
