"""The contract of a process that needs no host: bad commands, scopes, threads, forks, asyncio."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading

import pytest

from pytest_execo import Host, InvalidInput, Local, Process, ProcessFailed, State, WaitTimeout
from pytest_execo.errors import ProcessError
from pytest_execo.processes.scopes import Scope, current_scope, entered, root_scope


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cmd": []}, "empty list"),
        ({"cmd": "a\0b"}, "NUL"),
        ({"cmd": "true", "env": {"A-B": "1"}}, "A-B"),
        ({"cmd": "true", "env": {"A": "\0"}}, "NUL"),
        ({"cmd": "true", "timeout": "soon"}, "duration"),
    ],
)
def test_bad_commands_are_refused_at_once(options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Process(**options)  # type: ignore[arg-type]


def test_unknown_connector() -> None:
    p = Process("true", Host("x", connector="pigeon")).run(check=False)
    assert isinstance(p.error, InvalidInput)
    assert "pigeon" in str(p.error)
    assert "ssh" in str(p.error)


def test_verbs_chain_and_start_is_idempotent() -> None:
    p = Process("echo once")
    assert p.start() is p.start().wait(10).kill() is p
    assert p.stdout == "once\n"


def test_wait_before_start_is_an_error() -> None:
    with pytest.raises(ProcessError, match="before start"):
        Process("true").wait()


def test_ignore_flags() -> None:
    assert Process("exit 3", ignore_exit_code=True).run().exit_code == 3
    assert Process("true", cwd="/no/such", ignore_error=True).run().error is not None
    assert not Process("exit 3", ignore_error=True, ignore_timeout=True).run(check=False).ok


def test_with_block_kills() -> None:
    with Process("sleep 1000") as p:
        assert p.running
    assert p.ended
    assert p.killed


def test_failures_are_logged_whole_and_successes_are_not(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pytest_execo"):
        Process("echo quiet").run()
        assert not caplog.records
        Process("echo loud; exit 3").run(check=False)
        Process("exit 4", ignore_exit_code=True).run()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "exit 3" in record.getMessage()
    assert "loud" in record.getMessage()


def test_long_output_is_cut_in_messages_alone() -> None:
    p = Process("seq 100000; exit 1").run(check=False)
    assert len(p.stdout) > 500_000
    assert len(p.describe()) < 10_000
    assert p.stdout in p.report()


def test_group_failure_names_few_and_holds_all() -> None:
    with pytest.raises(ProcessFailed) as caught:
        Local(["exit 1"] * 10).run()
    assert len(caught.value.processes) == 10
    assert "and 7 more" in str(caught.value)


def test_group_wait_has_one_deadline() -> None:
    group = Local(["sleep 1000"] * 3 + ["true"]).start()
    group[3].wait(10)
    with pytest.raises(WaitTimeout, match="3 of 4 still running"):
        group.wait(0.05)
    group.kill()
    assert group.ok
    assert group.ended


def test_group_dates_and_summary() -> None:
    group = Local(["exit 2", "true", "true"])
    assert (group.start_date, group.end_date, group.duration) == (None, None, None)
    group.run(check=False)
    assert group.duration is not None
    assert group.start_date == min(p.start_date for p in group if p.start_date)
    assert group.summary() == "2 ok, 1 exit 2"
    assert [p.exit_code for p in group[1:]] == [0, 0]


def test_scope_ends_what_started_in_it() -> None:
    scope = Scope("mine", keep=True)
    with entered(scope):
        assert current_scope() is scope
        inside = Process("sleep 1000").start()
        failed = Process("exit 3").run(check=False)
    outside = Process("sleep 1000").start()
    assert scope.close() == []
    assert (inside.ended, inside.ok, outside.running) == (True, True, True)
    assert scope.failed == [failed]
    outside.kill()


def test_scope_is_the_same_in_threads() -> None:
    scope = Scope("mine")
    with entered(scope):
        thread = threading.Thread(target=lambda: Process("sleep 1000").start())
        thread.start()
        thread.join()
        assert len(scope.running) == 1
    scope.close()


def test_the_root_scope_forgets_what_ended() -> None:
    before = len(root_scope.running)
    Local(["true"] * 20).run()
    assert len(root_scope.running) <= before


def test_threads_may_share_a_process() -> None:
    p = Process("cat").start()
    waiters = [threading.Thread(target=p.wait) for _ in range(5)]
    for waiter in waiters:
        waiter.start()
    p.write("x").close_stdin()
    for waiter in waiters:
        waiter.join(10)
    assert p.stdout == "x"
    assert not any(waiter.is_alive() for waiter in waiters)


def test_await_leaves_the_loop_free() -> None:
    async def main() -> list[str]:
        first, second = Process("read x; echo first").start(), Process("echo second").start()
        await second
        first.write("\n")
        await first
        return [first.stdout, second.stdout]

    assert asyncio.run(main()) == ["first\n", "second\n"]


def test_cancelling_an_await_ends_nothing() -> None:
    p = Process("sleep 1000").start()

    async def main() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(p, 0.05)

    asyncio.run(main())
    assert p.running
    assert p.kill().ended


def run_script(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout


@pytest.mark.slow
def test_leaving_the_interpreter_ends_processes() -> None:
    out = run_script("from pytest_execo import Process; p = Process('sleep 1000').start(); p.write('x'); import time\n"
                     "while p.pid is None: time.sleep(0.01)\nprint(p.pid)")  # fmt: skip
    with pytest.raises(ProcessLookupError):
        os.kill(int(out), 0)


@pytest.mark.slow
def test_a_forked_child_has_a_thread_of_its_own() -> None:
    out = run_script(
        "import os\nfrom pytest_execo import Process\n"
        "assert Process('echo parent').run().stdout == 'parent\\n'\n"
        "pid = os.fork()\n"
        "if pid == 0:\n    ok = Process('echo child').run().stdout == 'child\\n'\n    os._exit(0 if ok else 1)\n"
        "print(os.waitpid(pid, 0)[1])\nassert Process('echo again').run().ok"
    )
    assert out == "0\n"


@pytest.mark.slow
def test_a_forked_child_leaves_its_parents_processes_alone() -> None:
    out = run_script(
        "import os, sys\nfrom pytest_execo import Process\nfrom pytest_execo.errors import ProcessError\n"
        "p = Process('read x; echo $x').start()\npid = os.fork()\n"
        "if pid == 0:\n    Process('true').run()\n"
        "    for verb in (p.wait, p.kill):\n"
        "        try:\n            verb()\n        except ProcessError:\n            pass\n"
        "        else:\n            os._exit(1)\n    sys.exit(0)\n"
        "status = os.waitpid(pid, 0)[1]\np.write('alive\\n').wait(20)\nprint(status, p.stdout, end='')"
    )
    assert out == "0 alive\n"


@pytest.mark.slow
def test_importing_has_no_side_effect() -> None:
    out = run_script("import threading, logging; from pytest_execo import Process, Remote, Host\n"
                     "print(threading.active_count(), logging.getLogger('pytest_execo').handlers)")  # fmt: skip
    assert out == "1 []\n"


def test_states_are_entered_in_order() -> None:
    assert [state.name for state in State] == ["NEW", "STARTING", "RUNNING", "ENDED"]
