"""Many as one: starting, waiting, results by host and outcome, what is different for each host."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_execo import Host, InvalidInput, Process, ProcessFailed, Remote, WaitTimeout
from pytest_execo.errors import ExpectFailed, ProcessError
from pytest_execo.processes import Group, Local, ParallelActions, Report, wait_all, wait_any
from pytest_execo.processes.activity import Activity
from pytest_execo.processes.io_thread import IOThread, io_thread
from pytest_execo.processes.scopes import Scope, entered

HOSTS = [Host(name, connector="local") for name in ("alpha", "beta", "gamma")]


class Leaf(Activity):
    """Ends a moment after it began, unless it is to stay."""

    def __init__(self, *, stays: bool = False) -> None:
        super().__init__(None, name="leaf")
        self._stays = stays

    async def _main(self) -> None:
        if not self._stays:
            self._finish(None)

    def kill(self, *, wait: bool = True) -> Leaf:  # type: ignore[override]
        if self.running:
            self.killed = True
            io_thread().call(self._finish, None)
            if wait:
                self.wait()
        return self

    async def _end_by_force(self) -> None:
        self._finish(None)


# one for many


def test_a_thousand_start_and_end_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    call = IOThread.call

    def counted(thread: IOThread, function: Any, *args: object) -> None:
        calls.append(function)
        call(thread, function, *args)

    monkeypatch.setattr(IOThread, "call", counted)
    scope = Scope("mine")
    with entered(scope):
        group = Group([Leaf() for _ in range(1000)], name="many").start()
        assert group.started
        group.wait(10)
    assert len(calls) <= 2  # wait() may come before the I/O thread has seen the start
    assert (group.ended, group.ok, scope.running, group.summary()) == (True, True, [], "1000 ok")


def test_a_group_of_which_some_were_started_already() -> None:
    group = Local(["read x"] * 3)
    group[1].start()
    with pytest.raises(ProcessError, match="before start"):
        group.wait()
    with group:
        group[0].close_stdin().wait(10)
        with pytest.raises(WaitTimeout, match="2 of 3 still running"):
            group.wait(0.01)
    assert group.wait(10).summary() == "2 killed, 1 exit 1"


def test_a_group_whose_members_were_started_one_by_one_has_an_end() -> None:
    group = Local(["true", "true"])
    told: list[Any] = []
    group.on_end(told.append)
    for process in group:
        process.start()
    assert group.wait(10).ok
    assert told == [group]


def test_no_hosts_at_all() -> None:
    group = Remote("true", []).run()
    assert (group.ok, group.ended, list(group), group.summary()) == (True, True, [], "empty")
    assert (group.start_date, group.end_date, group.duration) == (None, None, None)
    assert group.wait(1) is group.kill() is group
    assert group.by_host() == group.by_outcome() == {}
    assert wait_all([group]) == [group]


def test_a_slice_is_a_list_and_dates_span_the_members() -> None:
    group = Local(["true", "read x", "true"]).start()
    group[0].wait(10)
    group[2].wait(10)
    assert group.end_date is None
    assert group.duration is not None
    assert group.duration <= time.time() - (group.start_date or 0) + 1
    group.kill()
    assert group.end_date == max(p.end_date or 0 for p in group)
    assert group[1:] == [group[1], group[2]]
    assert group.processes == list(group)


def test_writing_reaches_those_that_run() -> None:
    group = Local(["true", "cat", "cat"]).start()
    group[0].wait(10)
    group.write("x").close_stdin().wait(10)
    assert [p.stdout for p in group] == ["", "x", "x"]


def test_signals_that_do_not_end_are_not_waited_for() -> None:
    import signal

    with Local(["trap 'echo usr1; exit 0' USR1; echo ready; while :; do read x; done"] * 2) as group:
        group.expect("ready\n", timeout=10)
        group.kill(signal.SIGUSR1)
        group.wait(10)
    assert [p.stdout for p in group] == ["ready\nusr1\n"] * 2


# results


def test_by_host_and_by_outcome() -> None:
    twice = [*HOSTS[:2], HOSTS[0]]
    group = Remote("exit {{code}}", twice, substitutions={"code": [0, 2, 2]}, log=False).run(check=False)
    assert group.by_host() == {HOSTS[0]: [group[0], group[2]], HOSTS[1]: [group[1]]}
    assert group.by_outcome() == {"ok": [group[0]], "exit 2": [group[1], group[2]]}
    assert group.summary() == "2 exit 2, 1 ok"
    assert group.failed == group[1:]
    assert Local(["true"]).by_host().keys() == {None}
    with pytest.raises(ProcessFailed):
        group.check()


def test_outputs_folded() -> None:
    group = Remote("echo {{word}}; echo {{{host}}} >&2", HOSTS, substitutions={"word": ["x", "y", "x"]}).run()
    same, other = group.folded()
    assert (same.output, same.names, same.processes) == ("x\n", ["alpha", "gamma"], (group[0], group[2]))
    assert (other.output, other.names) == ("y\n", ["beta"])
    assert len(group.folded("stderr")) == 3


# what is different for each host


def test_a_file_for_each_host(tmp_path: Path) -> None:
    lines: list[str] = []
    Remote(
        "echo out {{{host}}}; echo err >&2",
        HOSTS,
        stdout_handlers=[tmp_path / "{{{host}}}.{{kind}}", lambda process, stream, line: lines.append(line)],
        stderr_handlers=f"{tmp_path}/{{{{{{host}}}}}}.err",
        substitutions={"kind": ["a", "b", "c"]},
    ).run()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        **{f"{host}.{kind}": f"out {host}\n" for host, kind in zip(HOSTS, "abc", strict=True)},
        **{f"{host}.err": "err\n" for host in HOSTS},
    }
    assert sorted(lines) == ["out alpha", "out beta", "out gamma"]


def test_an_unknown_name_in_a_path_is_told_at_once() -> None:
    with pytest.raises(InvalidInput, match="no such substitution"):
        Remote("true", HOSTS, stdout_handlers="{{nothing}}")


# expect


def test_expect_of_all() -> None:
    with Remote("echo ready {{{host}}}; read x; echo over", HOSTS) as group:
        matches = group.expect(r"ready (\w+)\n", timeout=10)
        assert [match and match.match[1] for match in matches] == ["alpha", "beta", "gamma"]
        group.write("\n")
        assert [match and match.text for match in group.expect(["nothing", "over"], timeout=10)] == ["over"] * 3
    assert group.ok


def test_what_did_not_come_from_some() -> None:
    group = Remote("{{cmd}}", HOSTS, substitutions={"cmd": ["echo x", "echo y", "echo y"]}, log=False).start()
    with pytest.raises(ExpectFailed) as caught:
        group.expect("x\n", timeout=10)
    assert caught.value.process is group[1]
    assert caught.value.cause == "end of stream"
    assert "from 1 others: 'echo y' on gamma" in caught.value.__notes__[0]
    group.wait(10)
    assert group.failed == group[1:]
    assert Report(group).expect_failures == 2
    matches = group.expect("x|y", timeout=0, check=False)
    assert [match and match.text for match in matches] == [None, "y", "y"]


# the first, and the last, of several


def test_waiting_for_the_first() -> None:
    first, second, group = Process("read x").start(), Process("read x").start(), Local(["read x"] * 2).start()
    actions = [first, second, group]
    with pytest.raises(WaitTimeout, match="3 of 3 still running") as caught:
        wait_any(actions, timeout=0.01)
    assert list(caught.value.processes) == [first, second, *group]
    second.write("\n")
    assert wait_any(actions, timeout=10) == [second]
    group.kill()
    assert wait_any(actions, timeout="10s") == [second, group]
    with pytest.raises(WaitTimeout, match="1 of 3 still running"):
        wait_all(actions, timeout=0.01)
    first.write("\n")
    assert wait_all(actions, timeout=10) == actions
    assert wait_all(actions, timeout=0) == wait_any(actions, timeout=0) == actions


def test_a_wait_that_ran_out_leaves_nothing_behind() -> None:
    process = Process("read x").start()
    for wait in (wait_any, wait_all):
        with pytest.raises(WaitTimeout):
            wait([process, process], timeout=0)  # type: ignore[operator]
    with process:
        process.wait_idle = None  # type: ignore[attr-defined]
        io_thread().submit(_nothing()).result(10)
        assert process._watchers == []


async def _nothing() -> None:
    pass


def test_waiting_for_nothing_and_for_what_was_not_started() -> None:
    assert wait_all([]) == []
    with pytest.raises(InvalidInput, match="no actions"):
        wait_any([])
    for wait in (wait_any, wait_all):
        with pytest.raises(ProcessError, match="before start"):
            wait([ParallelActions([])])  # type: ignore[operator]


@pytest.mark.slow
def test_a_forked_child_waits_for_nothing_of_its_parent() -> None:
    group = Local(["read x"] * 2).start()
    tree = ParallelActions([Local(["read x"])]).start()
    child = os.fork()
    if child == 0:
        for verb in (group.wait, tree.wait, tree.kill, lambda: wait_any([group, tree]), lambda: group.on_end(print)):
            try:
                verb()
            except ProcessError:
                continue
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert group.running
    group.kill()
    tree.kill()
