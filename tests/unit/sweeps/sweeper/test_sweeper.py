"""The sweeper: the verbs of execo, without what goes wrong in execo (the letters are those of the list below).

a a worker that dies takes its combination along; b a crash while files are written does work twice or never; d what
can't be read is truncated; e reset loses what it gives back; f a cancel is not seen by others; g a skip is the
process's own; h counts leave out what others hold; i two sweepers in one process are not kept apart; j what can't be
written leaves half a change; k a filter blocks everybody; l an empty sweep is an error; m the order is another one
each time, 1 and True are one, lists can't be levels; n each verb costs the more the larger the sweep; o done after
skip leaves it skipped.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.errors import CheckpointError, InvalidInput, InvalidSpace
from pytest_execo.sweeps import Level, Space, trial_id
from pytest_execo.sweeps.stores.store import CheckpointStore
from pytest_execo.sweeps.sweeper.combinations import Combination
from pytest_execo.sweeps.sweeper.stats import sweep_stats
from pytest_execo.sweeps.sweeper.sweeper import ParamSweeper

XS = {"x": [1, 2, 3, 4]}

Open = Callable[..., ParamSweeper]


@pytest.fixture
def sweeper(tmp_path: Path) -> Iterator[Open]:
    """Open sweepers of one directory, and close them at the end."""
    opened: list[ParamSweeper] = []

    def open_(sweeps: Any = XS, *args: Any, **options: Any) -> ParamSweeper:
        opened.append(ParamSweeper(tmp_path / "sweep", sweeps, *args, **options))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def xs(combinations: Any) -> list[Any]:
    return [comb["x"] for comb in combinations]


def beating() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "heartbeat" in thread.name]


# the verbs


def test_a_sweep_from_begin_to_end(sweeper: Open) -> None:
    one = sweeper()
    taken = one.get_next()
    assert taken == {"x": 1}
    assert [xs(part) for part in one.stats()] == [[1, 2, 3, 4], [2, 3, 4], [], [1], [], []]
    one.done(taken)
    one.skip(one.get_next())
    one.fail(one.get_next(), "no reason")
    one.cancel(one.get_next())
    assert [xs(part) for part in one.stats()] == [[1, 2, 3, 4], [4], [2], [], [1], [3]]
    assert xs(one.get_sweeps()) == [1, 2, 3, 4]
    assert (xs(one.get_remaining()), xs(one.get_skipped()), xs(one.get_inprogress())) == ([4], [2], [])
    assert (xs(one.get_done()), xs(one.get_failed())) == ([1], [3])
    assert str(one) == "sweep <4 total, 1 done, 1 skipped, 1 failed, 0 in progress, 1 remaining>"
    assert xs(one) == [4]
    assert one.get_next() is None
    assert one.get_next_batch(3) == []


def test_batches(sweeper: Open) -> None:
    one = sweeper()
    assert one.get_next_batch(0) == []
    batch = one.get_next_batch(2)
    assert xs(batch) == [1, 2]
    one.done_batch(batch)
    batch = one.get_next_batch(5)
    assert xs(batch) == [3, 4]
    one.cancel_batch(batch)
    batch = one.get_next_batch(1)
    one.skip_batch(batch)
    assert [xs(part) for part in one.stats()] == [[1, 2, 3, 4], [4], [3], [], [1, 2], []]


def test_the_arguments_of_execo_in_their_order(tmp_path: Path) -> None:
    with ParamSweeper(str(tmp_path), [{"x": 1}], True, "a name") as one:
        assert one.name == "a name"
        one.set_sweeps([{"x": 2}], True)
        one.update()
        one.full_update()
        assert one.get_next(lambda combs: combs) == {"x": 2}
        one.reset(True)
        assert one.get_next_batch(1, None) == [{"x": 2}]


def test_what_is_done_stays_done(sweeper: Open) -> None:
    with sweeper() as one:
        one.done({"x": 2})
        one.done({"x": 2})
        for verb in (lambda: one.skip({"x": 2}), lambda: one.fail({"x": 2}, "late"), lambda: one.cancel({"x": 2})):
            verb()
        assert xs(one.get_done()) == [2]
        one.reset(True)
    assert xs(sweeper()) == [1, 3, 4]


def test_done_after_skip_and_fail(sweeper: Open) -> None:  # o
    one = sweeper()
    one.skip({"x": 1})
    one.fail({"x": 2}, "no")
    one.done_batch([{"x": 1}, {"x": 2}])
    assert xs(one.get_done()) == [1, 2]
    assert not one.get_skipped()
    assert not one.get_failed()


def test_done_of_what_is_not_in_the_sweep_is_kept(sweeper: Open) -> None:
    one = sweeper()
    one.done({"x": 9})
    assert not one.get_done()
    one.set_sweeps({"x": [1, 9]})
    assert xs(one.get_done()) == [9]


def test_what_can_not_be_a_combination_changes_nothing(sweeper: Open) -> None:  # j
    one = sweeper()
    taken = one.get_next()
    for verb in (one.done, one.skip, one.cancel, lambda comb: one.fail(comb, "")):
        with pytest.raises(InvalidSpace):
            verb({"x": object()})
        with pytest.raises(InvalidSpace):
            verb(None)
    assert one.get_inprogress() == {taken}


def test_a_failed_one_comes_back_after_all_the_others(sweeper: Open) -> None:
    one = sweeper(retries=2)
    order = []
    for comb in one:
        order.append(comb["x"])
        if comb["x"] == 2:
            one.fail(comb, "again")
        else:
            one.done(comb)
    assert order == [1, 2, 3, 4, 2, 2]
    assert xs(one.get_failed()) == [2]
    # Another one may be patient: the failures are remembered.
    assert xs(sweeper(retries=3).get_remaining()) == [2]
    one.reset()
    assert xs(one) == [2]


def test_reset_gives_back_what_was_skipped_failed_and_held(sweeper: Open) -> None:  # e
    one, other = sweeper(), sweeper()
    one.skip(one.get_next())
    one.fail(one.get_next(), "no")
    one.get_next()
    kept = other.get_next()
    one.reset()
    assert xs(one.get_remaining()) == [1, 2]
    assert xs(one.get_inprogress()) == [3, 4]
    one.reset(reset_inprogress=True)
    assert xs(one.get_remaining()) == [1, 2, 3]
    assert other.get_inprogress() == {kept}
    assert xs(one) == [1, 2, 3]


# what is swept


def test_an_empty_sweep(sweeper: Open) -> None:  # l
    for empty in ([], iter(()), {}):
        one = sweeper(empty)
        assert len(one.get_sweeps()) == (1 if empty == {} else 0)
    one = sweeper([])
    assert one.get_next() is None
    assert [len(part) for part in one.stats()] == [0] * 6


def test_levels_that_are_no_keys_or_look_the_same(sweeper: Open) -> None:  # m
    combs: list[dict[str, Any]] = [{"x": 1}, {"x": True}, {"x": 1.0}, {"x": "1"}, {"x": [1]}, {"y": None}, {}]
    one = sweeper(combs)
    got = list(one)
    assert list(map(repr, got)) == list(map(repr, combs))
    one.done(got[1])
    assert xs(one.get_done()) == [True]


def test_values_are_as_they_were_given(sweeper: Open) -> None:
    def build() -> None: ...

    one = sweeper([{"x": (1, 2), "build": Level(build, "gcc")}])
    taken = one.get_next()
    assert taken is not None
    assert (taken["x"], taken["build"]) == ((1, 2), build)
    one.done(taken)
    assert len(one.get_done()) == 1


def test_a_space_with_repetitions(sweeper: Open) -> None:
    one = sweeper(Space(x=[1, 2], repeat=2))
    for number, comb in enumerate(one):
        assert (comb["x"], comb.repetition) == ((1, 2, 1, 2)[number], number // 2)
        one.done(comb)
    assert len(one.get_done()) == 4


def test_the_identity_is_that_of_a_trial(sweeper: Open) -> None:
    one = sweeper([{"x": "é", "y": [1.5]}])
    one.get_next()
    assert list(one._claims._held) == [trial_id("ParamSweeper", {"x": "é", "y": [1.5]}, 0)]


def test_without_sweeps_it_has_what_the_place_knows(sweeper: Open) -> None:
    with sweeper({"x": [1, [2]], "y": {"a": {}, "b": {"z": ["é"]}}}) as one:
        one.done(one.get_next())
        known = list(one.get_sweeps())
    other = sweeper(None)
    assert list(other.get_sweeps()) == known
    assert list(other) == known[1:]


def test_sweeps_may_differ_and_overlap(sweeper: Open) -> None:
    one, other = sweeper({"x": [1, 2, 3]}), sweeper({"x": [3, 4]})
    assert xs(other) == [3, 4]
    assert xs(one) == [1, 2]
    assert xs(one.get_inprogress()) == [1, 2, 3]
    assert xs(other.get_inprogress()) == [3, 4]


def test_the_order_is_that_of_the_sweep(sweeper: Open) -> None:  # m
    assert xs(sweeper({"x": [*range(300, 600), *range(300)]})) == [*range(300, 600), *range(300)]


def test_a_seed_makes_a_random_order_that_stays(sweeper: Open) -> None:
    first = xs(sweeper({"x": range(50)}, seed=7).get_sweeps())
    assert sorted(first) == list(range(50)) != first
    assert xs(sweeper({"x": range(50)}, seed=7)) == first
    assert xs(sweeper({"x": range(50)}, seed=8).get_sweeps()) != first


# several at once


def test_two_in_one_process_get_different_ones(sweeper: Open) -> None:  # i, h
    one, other = sweeper(), sweeper()
    got = [one.get_next(), other.get_next(), one.get_next(), other.get_next()]
    assert xs(got) == [1, 2, 3, 4]
    assert one.get_next() is None is other.get_next()
    assert len(one.get_inprogress()) == len(other.get_inprogress()) == 4


def test_a_cancel_is_seen_by_others(sweeper: Open) -> None:  # f
    one, other = sweeper(), sweeper()
    taken = one.get_next_batch(4)
    assert other.get_next() is None
    one.cancel(taken[1])
    assert other.get_next() == taken[1]


def test_a_skip_is_everybodys_and_stays(sweeper: Open) -> None:  # g
    one, other = sweeper(), sweeper()
    one.skip({"x": 1}, "no such node")
    assert xs(other) == [2, 3, 4]
    one.close()
    other.close()
    assert xs(sweeper().get_skipped()) == [1]


def test_closing_gives_back(sweeper: Open) -> None:
    one, other = sweeper(), sweeper()
    one.get_next_batch(2)
    one.close()
    one.close()
    assert xs(other) == [1, 2, 3, 4]
    with pytest.raises(CheckpointError, match="closed"):
        one.get_next()


def test_forgetting_gives_back_and_leaves_no_thread(tmp_path: Path, sweeper: Open) -> None:
    forgotten = ParamSweeper(tmp_path / "sweep", XS)
    forgotten.get_next_batch(2)
    assert len(beating()) == 1
    del forgotten
    assert beating() == []
    assert xs(sweeper()) == [1, 2, 3, 4]


def test_closing_leaves_no_thread(sweeper: Open) -> None:
    one = sweeper()
    assert beating() == []
    one.get_next()
    assert len(beating()) == 1
    one.close()
    assert beating() == []


def test_a_filter_chooses_and_orders_and_holds_no_lock(sweeper: Open) -> None:  # k
    one, other = sweeper(), sweeper()

    def filtr(combs: list[Combination]) -> Iterator[dict[str, Any]]:
        assert xs(combs) == [1, 2, 3, 4]
        # Another worker, and another thread with the same sweeper, take what they like meanwhile.
        assert xs(other.get_next_batch(1, lambda combs: [combs[3]])) == [4]
        thread = threading.Thread(target=one.get_next)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        return (dict(comb) for comb in reversed(combs) if comb["x"] != 3)

    assert one.get_next(filtr) == {"x": 2}
    assert one.get_next(lambda combs: []) is None
    with pytest.raises(InvalidInput, match="not in the sweep"):
        one.get_next(lambda combs: [{"x": 9}])
    with pytest.raises(ZeroDivisionError):
        one.get_next(lambda combs: 1 / 0)  # type: ignore[arg-type, return-value]
    assert one.get_next() == {"x": 3}


def test_threads_share_one_sweeper(sweeper: Open) -> None:
    one = sweeper({"x": range(60)})
    got: list[Any] = []

    def work() -> None:
        for comb in one:
            got.append(comb["x"])
            one.done(comb)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(got) == list(range(60))
    assert len(one.get_done()) == 60


WORKER = """
import os, sys, time
from pytest_execo.sweeps.sweeper.sweeper import ParamSweeper

with ParamSweeper(sys.argv[1], {"x": range(60)}) as sweeper:
    print("ready", flush=True)
    sys.stdin.readline()
    for comb in sweeper:
        sweeper.done(comb)
        print(comb["x"], flush=True)
"""


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_processes_share_one_directory(tmp_path: Path) -> None:
    workers = [python(WORKER, tmp_path) for _ in range(3)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    outputs = [worker.communicate("go\n", timeout=60)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert sorted(int(line) for output in outputs for line in output) == list(range(60))
    with ParamSweeper(tmp_path) as one:
        assert len(one.get_done()) == 60


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_what_a_dead_worker_held_comes_back(tmp_path: Path, number: signal.Signals) -> None:  # a, b
    with python(
        """
        import sys
        from pytest_execo.sweeps.sweeper.sweeper import ParamSweeper
        sweeper = ParamSweeper(sys.argv[1], {"x": range(4)})
        sweeper.done(sweeper.get_next())
        batch = sweeper.get_next_batch(2)
        print("ready", flush=True)
        sys.stdin.readline()
        """,
        tmp_path,
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        with ParamSweeper(tmp_path, {"x": range(4)}) as one:
            assert [xs(part) for part in one.stats()] == [[0, 1, 2, 3], [3], [], [1, 2], [0], []]
            assert xs(one) == [3]
            worker.send_signal(number)
            assert worker.wait(30) != 0
            assert xs(one) == [1, 2]
            assert xs(one.get_done()) == [0]


@pytest.mark.slow
def test_a_forked_child_is_a_worker_of_its_own(tmp_path: Path) -> None:
    with python(
        """
        import os, sys
        from pytest_execo.sweeps.sweeper.sweeper import ParamSweeper
        sweeper = ParamSweeper(sys.argv[1], {"x": range(5)})
        mine, given = sweeper.get_next_batch(2)
        child = os.fork()
        if not child:
            own = sweeper.get_next()
            assert own["x"] == 2, own
            sweeper.done(given)                    # taken by the parent, done by the child
            sweeper.get_next()                     # comes back at the end of the child
            sys.exit()
        assert os.waitpid(child, 0)[1] == 0
        names = [sorted(comb["x"] for comb in part) for part in sweeper.stats()]
        assert names == [[0, 1, 2, 3, 4], [2, 3, 4], [], [0], [1], []], names
        sweeper.done(mine)
        print(len(sweeper.get_done()))
        """,
        tmp_path,
    ) as worker:
        out, _ = worker.communicate(timeout=60)
        assert (out, worker.returncode) == ("2\n", 0)


# cost


def test_a_verb_asks_little_of_the_store(sweeper: Open, monkeypatch: pytest.MonkeyPatch) -> None:  # n
    asked: Counter[str] = Counter()
    one = sweeper({"x": range(2000)})
    kind: Any = type(one._store)

    def count(name: str, original: Any) -> Any:
        def counted(store: CheckpointStore, *args: Any) -> Any:
            if name == "look":
                args = (list(args[0]),)
                asked["looked at"] += len(args[0])
            asked[name] += 1
            return original(store, *args)

        return counted

    for name in ("look", "stats", "trials", "claim", "finish"):
        monkeypatch.setattr(kind, name, count(name, getattr(kind, name)))
    for _ in range(20):
        one.done(one.get_next())
    assert (asked["claim"], asked["finish"], asked["look"], asked["trials"], asked["stats"]) == (20, 20, 1, 0, 0)
    assert asked["looked at"] <= 500


# places and arguments


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"retries": -1}, "retries is -1"),
        ({"retries": True}, "retries is True"),
        ({"heartbeat": 0}, "heartbeat is 0"),
        ({"heartbeat": 60}, "up to 30"),
        ({"sweeps": 5}, "sweeps are 5"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_made(tmp_path: Path, options: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        ParamSweeper(tmp_path / "sweep", **{"sweeps": XS, **options})
    assert not (tmp_path / "sweep").exists()


def test_a_database_needs_a_name() -> None:
    with pytest.raises(InvalidInput, match="a sweep in a database needs a name"):
        ParamSweeper("postgresql://nowhere/x", XS)


def test_a_place_that_can_not_be_used_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError) as caught:
        ParamSweeper(tmp_path / "file", XS)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_damaged_file_is_refused_and_kept(tmp_path: Path) -> None:  # d
    path = tmp_path / "sweeper.sqlite"
    with ParamSweeper(tmp_path, XS) as one:
        one.done(one.get_next())
    data = path.read_bytes()
    damaged = data[:100] + os.urandom(len(data) - 100)
    path.write_bytes(damaged)
    with pytest.raises(CheckpointError) as caught:
        ParamSweeper(tmp_path, XS)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == damaged


def test_a_directory_of_execo_is_not_begun_anew_in_silence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "done").touch()
    with caplog.at_level(logging.WARNING), ParamSweeper(tmp_path, XS) as one:
        assert f"import-execo {tmp_path}" in caplog.text
        one.get_next()
    caplog.clear()
    with ParamSweeper(tmp_path, XS):
        assert not caplog.text


def test_it_says_what_it_is(sweeper: Open, tmp_path: Path) -> None:
    one = sweeper()
    assert repr(one) == f"<ParamSweeper sweep of 4 combinations in {tmp_path / 'sweep' / 'sweeper.sqlite'}>"


# sweep_stats


def test_counts_by_factor_and_level(sweeper: Open) -> None:
    one = sweeper({"x": [1, True, [2]], "y": {"p": {"k": [3]}, "q": {}}})
    for comb in one.get_next_batch(4):
        if comb["x"] == 1:
            one.done(comb)
    found = sweep_stats(one.stats())
    assert found["total"] == {"x": {1: 2, "true": 2, "[2]": 2}, "y": {"p": 3, "q": 3}, "k": {3: 3}}
    assert found["done"] == {"x": {1: 2, "true": 2, "[2]": 0}, "y": {"p": 2, "q": 2}, "k": {3: 2}}
    assert found["remaining_ratio"]["x"] == {1: 0, "true": 0, "[2]": 1}
    assert found["done_ratio"]["k"] == {3: pytest.approx(2 / 3)}
    assert set(found) == {"total"} | {
        f"{state}{ratio}"
        for state in ("remaining", "skipped", "inprogress", "done", "failed")
        for ratio in ("", "_ratio")
    }
    assert sweep_stats(sweeper([]).stats())["total"] == {}
