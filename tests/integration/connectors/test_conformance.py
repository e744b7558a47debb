"""The definition of “transparent”, in three parts: the same life of a process, whatever carries it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo import Host, Process, ProcessFailed, Remote, State, WaitTimeout
from pytest_execo.errors import ProcessError, StartFailed

pytestmark = pytest.mark.integration

Make = Callable[..., Process]


def gone(host: Host, pid: int | None, eventually: Callable[[Callable[[], object]], None]) -> None:
    """Assert that no process of the group is left on the host."""
    eventually(lambda: host.run(f"kill -0 -{pid}", check=False).exit_code != 0)


def test_output_dates_and_exit(process: Make) -> None:
    before = time.time()
    p = process("echo out; echo err >&2")
    assert p.state is State.NEW
    assert p.run() is p
    assert (p.stdout, p.stderr, p.exit_code, p.signal) == ("out\n", "err\n", 0, None)
    assert p.state is State.ENDED
    assert p.ok
    assert isinstance(p.pid, int)
    assert p.start_date is not None
    assert p.end_date is not None
    assert before <= p.start_date <= p.end_date <= time.time()


@pytest.mark.parametrize("code", [0, 1, 3, 126, 127, 200, 255])
def test_exit_codes_are_decoded(process: Make, code: int) -> None:
    p = process(f"exit {code}").run(check=False)
    assert (p.exit_code, p.signal, p.ok) == (code, None, code == 0)


@pytest.mark.parametrize("name", ["TERM", "KILL", "SEGV", "USR1"])
def test_signals_are_told_from_exit_codes(process: Make, name: str) -> None:
    p = process(f"kill -s {name} $$").run(check=False)
    if p.exit_code == 255 and name in ("USR1",):
        pytest.fail("the server did not say which signal")
    assert (p.exit_code, p.signal) == (None, getattr(signal, f"SIG{name}"))
    assert not p.ok


def test_failure_has_the_output_so_far(process: Make, host: Host) -> None:
    with pytest.raises(ProcessFailed) as caught:
        process("echo before; echo why >&2; exit 3").run()
    failed = caught.value.process
    assert (failed.exit_code, failed.stdout, failed.stderr) == (3, "before\n", "why\n")
    assert "exit 3" in str(caught.value)
    assert host.name in str(caught.value)


def test_lists_see_no_shell(process: Make) -> None:
    words = ["a b", "$HOME", "*", "'", '"', "", "\\", "!", "{{x}}", ";", "é", "\n"]
    p = process(["printf", "%s|", *words]).run()
    assert p.stdout == "".join(f"{word}|" for word in words)


def test_strings_are_for_a_shell(process: Make) -> None:
    assert process("x='a  b'; echo \"$x\" | tr a-z A-Z").run().stdout == "A  B\n"


def test_unbalanced_quotes_are_the_shells_business(process: Make) -> None:
    p = process("echo 'open").run(check=False)
    assert p.exit_code == 2
    assert p.stderr


@pytest.mark.parametrize("cmd", ["no-such-program", ["no-such-program", "x"]], ids=["string", "list"])
def test_no_such_program(process: Make, cmd: Any) -> None:
    p = process(cmd).run(check=False)
    assert (p.exit_code, p.error) == (127, None)
    assert "no-such-program" in p.stderr


def test_not_executable(process: Make) -> None:
    assert process(["/etc/passwd"]).run(check=False).exit_code == 126


def test_run_gives_an_empty_input(process: Make) -> None:
    assert process("cat; echo end").run().stdout == "end\n"


def test_dialogue(process: Make, eventually: Callable[[Callable[[], object]], None]) -> None:
    p = process('while read line; do echo "got $line"; done').start()
    p.write("one\n")
    eventually(lambda: p.stdout == "got one\n")
    assert p.state is State.RUNNING
    p.write("two\n").close_stdin().wait(20)
    assert p.stdout == "got one\ngot two\n"


def test_environment_and_directory(process: Make) -> None:
    p = process('echo "$GREETING"; pwd', env={"GREETING": "a 'b' \"c\" $d"}, cwd="/usr").run()
    assert p.stdout == "a 'b' \"c\" $d\n/usr\n"


def test_no_such_directory(process: Make) -> None:
    p = process("echo no", cwd="/no/such/place").run(check=False)
    assert isinstance(p.error, StartFailed)
    assert "/no/such/place" in str(p.error)
    assert (p.exit_code, p.stdout, p.ok) == (None, "", False)


def test_terminal(process: Make) -> None:
    p = process("tty && test -t 0 && test -t 1 && test -t 2 && echo err >&2", pty=True).run()
    assert p.stdout.startswith("/dev/")
    assert p.stdout.endswith("err\r\n")
    assert p.stderr == ""


def test_timeout(process: Make, host: Host, eventually: Callable[[Callable[[], object]], None]) -> None:
    p = process("echo before; sleep 1000", timeout=3)
    with pytest.raises(ProcessFailed, match="timed out"):
        p.run()
    assert p.timed_out
    assert not p.killed
    assert p.stdout == "before\n"
    gone(host, p.pid, eventually)
    assert process("sleep 1000", timeout=0.2, ignore_timeout=True).run().ok


def test_wait_with_a_deadline_ends_nothing(process: Make) -> None:
    p = process("sleep 1000").start()
    with pytest.raises(WaitTimeout) as caught:
        p.wait(0.05)
    assert caught.value.processes == (p,)
    assert p.running
    p.kill()


def test_kill_reaches_the_whole_group(
    process: Make, host: Host, eventually: Callable[[Callable[[], object]], None]
) -> None:
    p = process("sleep 1000 & sleep 1000 | sleep 1000; echo not reached").start()
    eventually(lambda: p.pid is not None)
    assert p.kill() is p
    assert (p.ended, p.killed, p.forced_kill, p.ok, p.stdout) == (True, True, False, True, "")
    assert p.signal == signal.SIGTERM
    gone(host, p.pid, eventually)


def test_a_process_that_ignores_sigterm(
    process: Make, host: Host, eventually: Callable[[Callable[[], object]], None]
) -> None:
    p = process("trap '' TERM; echo up; while :; do sleep 0.05; done").start()
    eventually(lambda: p.stdout == "up\n")
    p.kill(grace=0.2)
    assert (p.ended, p.forced_kill, p.signal, p.ok) == (True, True, signal.SIGKILL, True)
    gone(host, p.pid, eventually)


def test_a_member_of_the_group_that_ignores_sigterm(
    process: Make, host: Host, eventually: Callable[[Callable[[], object]], None]
) -> None:
    p = process("(trap '' TERM; echo up; while :; do sleep 0.05; done) & wait").start()
    eventually(lambda: p.stdout == "up\n")
    p.kill()
    gone(host, p.pid, eventually)


def test_a_kill_of_the_tree_reaches_daemons(
    process: Make, host: Host, eventually: Callable[[Callable[[], object]], None]
) -> None:
    p = process("setsid sleep 1000 >/dev/null 2>&1 & echo $!; wait").start()
    eventually(lambda: p.stdout.endswith("\n"))
    daemon = p.stdout.strip()
    assert host.run(f"kill -s 0 {daemon}", check=False).ok
    p.kill(tree=True)
    eventually(lambda: not host.run(f"kill -s 0 {daemon}", check=False, log=False).ok)


def test_a_detached_process_outlives_its_connection(
    process: Make, host: Host, eventually: Callable[[Callable[[], object]], None]
) -> None:
    p = process("sleep 1000; echo nobody hears that", detached=True).start()
    eventually(lambda: p.pid is not None)
    host.disconnect()
    assert host.run(f"kill -0 -{p.pid}", check=False).ok
    host.run(f"kill -KILL -{p.pid}")
    gone(host, p.pid, eventually)


def test_a_signal_that_is_not_the_end(process: Make, eventually: Callable[[Callable[[], object]], None]) -> None:
    p = process("trap 'echo caught' USR1; echo up; while :; do sleep 0.05; done").start()
    eventually(lambda: p.stdout == "up\n")
    p.kill(signal.SIGUSR1)
    eventually(lambda: "caught" in p.stdout)
    assert p.running
    assert not p.killed
    p.kill()


def test_killed_at_once(process: Make) -> None:
    p = process("sleep 1000").start().kill()
    assert p.ended
    assert p.killed
    assert p.ok


def test_closed_output_is_not_the_end(process: Make) -> None:
    p = process("exec >&- 2>&-; sleep 0.3; exit 4").run(check=False)
    assert p.exit_code == 4


def test_a_daemon_left_behind(process: Make, host: Host) -> None:
    p = process("setsid sleep 20 >/dev/null 2>&1 & echo $!", timeout=10).run()
    assert p.ok
    host.run(f"kill {p.stdout.strip()}", check=False)


def test_write_to_the_dead(process: Make) -> None:
    p = process("true")
    with pytest.raises(ProcessError, match="not started"):
        p.write("x")
    p.run()
    with pytest.raises(ProcessError, match="has ended"):
        p.write("x")


def test_many_on_one_host(process: Make, host: Host) -> None:
    # More than the 10 sessions that a stock server takes on one connection.
    group = Remote("read line; echo $line", [host] * 25, timeout=60).start()
    group.write("hello\n").wait(60)
    assert [p.stdout for p in group] == ["hello\n"] * 25
    assert group.ok
