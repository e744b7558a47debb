"""Actions awaited under asyncio, trio, and anyio on both."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_execo import Process
from pytest_execo.errors import ProcessError
from pytest_execo.processes import Local, ParallelActions, SequentialActions
from pytest_execo.processes.io_thread import io_thread

anyio = pytest.importorskip("anyio")
trio = pytest.importorskip("trio")

RUNNERS: dict[str, Callable[[Any], Any]] = {
    "asyncio": lambda main: asyncio.run(main()),
    "trio": lambda main: trio.run(main),
    "anyio-asyncio": lambda main: anyio.run(main, backend="asyncio"),
    "anyio-trio": lambda main: anyio.run(main, backend="trio"),
}


@pytest.fixture(params=RUNNERS)
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Run an async function to its end."""
    return RUNNERS[request.param]


@pytest.fixture
def sleeper() -> Iterator[Process]:
    """A process that does not end by itself."""
    with Process("read x") as process:
        yield process


def on_io_thread_nothing_is_left(caplog: pytest.LogCaptureFixture) -> None:
    """The I/O thread still works, and nothing went wrong on it."""
    io_thread().submit(asyncio.sleep(0)).result(10)
    assert not caplog.records


def test_one_group_and_composition(run: Callable[[Any], Any]) -> None:
    actions = [
        Process("echo x"),
        Local(["true", "true"]),
        ParallelActions([Process("true"), Local(["true"])]),
        SequentialActions([Process("true"), Process("true")]),
        Local([]),
        ParallelActions([]),
    ]

    async def main() -> list[bool]:
        ended = []
        for action in actions:
            assert await action.start() is action
            ended.append(action.ended)
            assert await action is action  # again, at once
        return ended

    assert run(main) == [True] * len(actions)


def test_the_loop_is_free_meanwhile(run: Callable[[Any], Any], sleeper: Process) -> None:
    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiting)
            tasks.start_soon(waiting)
            sleeper.write("\n")

    async def waiting() -> None:
        await sleeper
        woken.append(sleeper.stdout)

    woken: list[str] = []
    run(main)
    assert woken == ["", ""]


def test_cancelling_stops_the_waiting_alone(
    run: Callable[[Any], Any], sleeper: Process, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> bool:
        with anyio.move_on_after(0.01) as scope:
            await sleeper
        return bool(scope.cancelled_caught)

    assert run(main)
    assert sleeper.running
    sleeper.kill()
    on_io_thread_nothing_is_left(caplog)


def test_before_the_start(run: Callable[[Any], Any]) -> None:
    async def main() -> None:
        await Process("true")

    with pytest.raises(ProcessError, match="await before start"):
        run(main)


def test_a_cancelled_wait_leaves_nothing_at_the_process(sleeper: Process) -> None:
    async def cancelled() -> weakref.ref[Any]:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sleeper, 0.01)
        return weakref.ref(asyncio.get_running_loop())

    async def cancelled_in_trio() -> weakref.ref[Any]:
        with trio.move_on_after(0.01):
            await sleeper
        return weakref.ref(trio.lowlevel.current_trio_token())

    left = [asyncio.run(cancelled()), trio.run(cancelled_in_trio)]
    io_thread().submit(asyncio.sleep(0)).result(10)
    gc.collect()
    assert [reference() for reference in left] == [None, None]
    assert sleeper.running


def test_a_loop_that_was_closed_meanwhile(sleeper: Process, caplog: pytest.LogCaptureFixture) -> None:
    async def waiting() -> None:
        await sleeper

    loop = asyncio.new_event_loop()
    task = loop.create_task(waiting())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # of asyncio: it would complain of this very test
    sleeper.kill()
    on_io_thread_nothing_is_left(caplog)


def test_a_trio_run_that_was_over_meanwhile(sleeper: Process, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> Iterator[Any]:
        waiting = sleeper.__await__()
        next(waiting)  # as far as the wait, of which trio is not told
        return waiting

    waiting = trio.run(main)
    sleeper.kill()
    on_io_thread_nothing_is_left(caplog)
    waiting.close()


def test_trio_as_a_guest_of_asyncio(sleeper: Process) -> None:
    async def guest() -> str:
        await sleeper
        return "trio"

    async def host() -> list[str]:
        loop = asyncio.get_running_loop()
        over = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=lambda outcome: over.set_result(outcome.unwrap()),
        )
        await asyncio.sleep(0.01)
        sleeper.write("\n")
        await sleeper
        return [await over, "asyncio"]

    assert asyncio.run(host()) == ["trio", "asyncio"]


def test_outside_of_any_loop() -> None:
    p = Process("true").run()
    with pytest.raises(ProcessError, match=r"wait\(\)"):
        next(p.__await__())


def test_neither_trio_nor_anyio_is_imported_for_it() -> None:
    code = (
        "import asyncio, sys\nfrom pytest_execo import Process\n"
        "async def main(): await Process('true').start()\n"
        "asyncio.run(main())\nprint({'trio', 'anyio'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.slow
def test_under_the_plugins_that_run_async_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_anyio="""
        import pytest
        from pytest_execo import Process

        @pytest.mark.anyio
        async def test_both_backends(anyio_backend):
            assert (await Process("echo x").start()).stdout == "x\\n"
        """,
        test_asyncio="""
        import pytest
        from pytest_execo import Process

        @pytest.mark.asyncio
        async def test_it():
            assert (await Process("echo x").start()).stdout == "x\\n"
        """,
    )
    names = ["test_anyio.py"]
    if importlib.util.find_spec("pytest_asyncio"):
        names.append("test_asyncio.py")
    result = pytester.runpytest_subprocess(*names)
    result.assert_outcomes(passed=2 + len(names) - 1)
