"""What every checkpoint store does. A test module of a store makes a class of it, with a fixture ``open_store``."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from pytest_execo.errors import CheckpointError
from pytest_execo.sweeps import Attempt, CheckpointStore, Claim, Known, Owner, Planned, State

HERE = Owner.current("here", records="/records/here.jsonl")
AWAY = Owner("away", "another-host", 1, 1.0, "another-machine", records="/records/away.jsonl")
GONE = dataclasses.replace(HERE, session="gone", started=1.0, records="/records/gone.jsonl")

#: Opens the same store again.
Open = Callable[[], CheckpointStore]


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def planned(trials: str) -> list[Planned]:
    return [Planned(trial, "tests/test_x.py::test_x", f'{{"n":"{trial}"}}') for trial in trials]


def ended(trial: str, outcome: str = "passed", attempt: int = 1, day: int = 1, **more: object) -> Attempt:
    return Attempt(trial, outcome, attempt, f"2026-01-{day:02}T00:00:00.000000Z", **more)  # type: ignore[arg-type]


def states(store: CheckpointStore, trials: str) -> dict[str, State]:
    return {trial: known.state for trial, known in store.look(trials).items()}


def taken(claim: Claim | None) -> str | None:
    return None if claim is None else claim.trial


class StoreContract:
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def store(self, open_store: Open) -> Iterator[CheckpointStore]:
        with open_store() as store:
            yield store

    def test_trials_are_handed_out_once_in_the_order_of_the_plan(self, store: CheckpointStore) -> None:
        store.plan(planned("ba"))
        store.plan(iter(planned("acb")))
        assert [taken(store.claim(HERE)) for _ in range(4)] == ["b", "a", "c", None]
        assert store.claim(HERE, "a") is None
        assert store.stats() == {**dict.fromkeys(State, 0), State.CLAIMED: 3}

    def test_a_long_plan_keeps_its_order_and_takes_duplicates(self, store: CheckpointStore) -> None:
        names = [f"t{(number * 7919) % 600}" for number in range(700)]
        store.plan(Planned(name, "x", f"[{number}]") for number, name in enumerate(names))
        store.plan(Planned(name, "y") for name in reversed(names))
        listed = [one for one, _ in store.trials()]
        assert listed == [Planned(name, "x", f"[{number}]") for number, name in enumerate(names[:600])]
        assert len(store.look(names)) == 600

    def test_outcomes_become_states(self, store: CheckpointStore) -> None:
        store.plan(planned("pfsx"))
        for trial, outcome in zip("pfsx", ("passed", "failed", "skipped", "pending"), strict=True):
            assert store.claim(HERE, trial) == Claim(trial, 1)
            assert store.finish(HERE, ended(trial, outcome, source="digest"))
        assert store.look("pfsx?") == {
            "p": Known(State.PASSED, 1, "digest", 0),
            "f": Known(State.FAILED, 1, "digest", 1),
            "s": Known(State.SKIPPED, 1, "digest", 0),
            "x": Known(State.TODO, 1, "digest", 0),
            "?": Known(State.TODO, 0, None, 0),
        }
        assert [store.claim(HERE, trial) for trial in "pfsx"] == [None, None, None, Claim("x", 2)]

    def test_planning_again_keeps_what_is_known(self, store: CheckpointStore) -> None:
        store.plan(planned("ab"))
        store.claim(HERE, "a")
        store.finish(HERE, ended("a"))
        store.plan(planned("abc"))
        assert states(store, "abc") == {"a": State.PASSED, "b": State.TODO, "c": State.TODO}

    def test_what_was_known_from_records_gets_its_name_when_it_is_planned(self, store: CheckpointStore) -> None:
        store.ingest([ended("a")], source="s", position=1)
        assert [one for one, _ in store.trials()] == [Planned("a")]
        store.plan(planned("a"))
        assert list(store.trials()) == [(planned("a")[0], Known(State.PASSED, 1))]

    def test_the_claim_of_a_dead_process_goes_back_to_todo_by_itself(self, store: CheckpointStore) -> None:
        store.plan(planned("abc"))
        for trial in "abc":
            store.claim(GONE, trial)
        assert states(store, "abc") == dict.fromkeys("abc", State.TODO)
        assert store.stats()[State.TODO] == 3
        assert [taken(store.claim(HERE, "b")), taken(store.claim(HERE)), taken(store.claim(HERE))] == ["b", "a", "c"]

    def test_who_takes_over_is_told_whose_records_to_read(self, store: CheckpointStore) -> None:
        store.plan(planned("abc"))
        for trial in "abc":
            store.claim(GONE, trial)
        by_name, next_one = store.claim(HERE, "b"), store.claim(HERE)
        assert by_name is not None
        assert next_one is not None
        assert (by_name.inherited, next_one.inherited) == (GONE, GONE)
        assert by_name.inherited.records == "/records/gone.jsonl"  # type: ignore[union-attr]  # as asserted
        # One that is given back without having been run still has the dead one's record to be read.
        store.release(HERE, "b")
        assert store.claim(HERE, "b") == Claim("b", 1, GONE)
        # One that has ended has not.
        store.finish(HERE, ended("b", "pending"))
        assert store.claim(HERE, "b") == Claim("b", 2)

    def test_an_owner_on_another_host_is_dead_without_a_heartbeat(self, store: CheckpointStore, clock: Clock) -> None:
        store.plan(planned("a"))
        assert taken(store.claim(AWAY)) == "a"
        clock.now += 59
        assert store.claim(HERE, "a") is None
        store.heartbeat(AWAY)
        clock.now += 60
        assert store.claim(HERE) is None
        clock.now += 1
        assert store.claim(HERE) == Claim("a", 1, AWAY)

    def test_one_who_was_taken_for_dead_does_not_inherit_from_itself(
        self, store: CheckpointStore, clock: Clock
    ) -> None:
        store.plan(planned("ab"))
        store.claim(AWAY, "a")
        clock.now += 61
        assert store.claim(HERE) == Claim("a", 1, AWAY)
        store.release(HERE)
        assert store.claim(AWAY) == Claim("a", 1)

    @pytest.mark.parametrize("jump", [-1e9, -61.0, 61.0, 1e9])
    def test_a_jump_of_the_clock_takes_nothing_from_a_process_here(
        self, store: CheckpointStore, clock: Clock, jump: float
    ) -> None:
        store.plan(planned("ab"))
        store.claim(HERE, "a")
        clock.now += jump
        other = dataclasses.replace(HERE, session="other")
        assert store.claim(other, "a") is None
        assert taken(store.claim(other)) == "b"
        assert store.finish(HERE, ended("a"))

    def test_a_clock_that_was_ahead_loses_no_trial(self, store: CheckpointStore, clock: Clock) -> None:
        store.plan(planned("a"))
        clock.now += 1e9
        store.claim(AWAY)
        clock.now -= 1e9
        assert store.claim(HERE) == Claim("a", 1, AWAY)

    def test_a_late_result_counts_and_the_new_owner_keeps_its_claim(self, store: CheckpointStore, clock: Clock) -> None:
        store.plan(planned("a"))
        store.claim(AWAY)
        clock.now += 61
        store.claim(HERE)
        assert store.finish(AWAY, ended("a")) is False
        assert states(store, "a") == {"a": State.CLAIMED}
        assert store.release(HERE) == 1
        assert states(store, "a") == {"a": State.PASSED}

    def test_release_gives_back_only_ones_own_claims(self, store: CheckpointStore) -> None:
        other = dataclasses.replace(HERE, session="other")
        store.plan(planned("abcd"))
        for owner in (HERE, other, HERE, HERE):
            store.claim(owner)
        assert store.release(HERE, "b") == 0
        assert store.release(HERE, "d") == 1
        assert store.release(HERE) == 2
        assert states(store, "abcd") == {**dict.fromkeys("acd", State.TODO), "b": State.CLAIMED}
        assert store.release(HERE) == 0

    def test_reopened_trials_are_to_do_and_count_on(self, store: CheckpointStore) -> None:
        store.plan(planned("ab"))
        store.claim(HERE)
        store.finish(HERE, ended("a"))
        store.claim(HERE, "b")
        store.reopen("ab?")
        assert states(store, "ab") == {"a": State.TODO, "b": State.CLAIMED}
        store.ingest([ended("a")], source="s", position=1)
        assert states(store, "a") == {"a": State.TODO}
        assert store.claim(HERE, "a") == Claim("a", 2)
        store.finish(HERE, ended("a", "failed", 2))
        assert store.look("a") == {"a": Known(State.FAILED, 2, None, 1)}

    @pytest.mark.parametrize("copies", [1, 40], ids=["few", "many"])
    def test_the_last_attempt_decides_in_any_order(self, store: CheckpointStore, copies: int) -> None:
        attempts = [
            ended("a", "passed", 2, day=2),
            ended("a", "failed", 1, day=3),
            ended("b", "passed", 1, day=1),
            ended("b", "failed", 1, day=2),
        ] * copies
        for order in (attempts, attempts[::-1]):
            store.ingest(order, source="s.jsonl", position=7)
            assert states(store, "ab") == {"a": State.PASSED, "b": State.FAILED}
            assert store.attempts("a") == [ended("a", "failed", 1, day=3), ended("a", "passed", 2, day=2)]
            assert store.retries() == 1
        assert store.positions() == {"s.jsonl": 7}

    def test_errors_are_kept(self, store: CheckpointStore) -> None:
        first = ended("a", "failed", reason="no route to host", source="d1", session="s1", duration=1.5)
        second = ended("a", "passed", 2, day=2, source="d2", session="s2", duration=0.25)
        store.plan(planned("a"))
        for one in (first, second):
            store.finish(HERE, one)
        assert store.attempts("a") == [first, second]
        assert store.attempts("?") == []

    def test_retries_are_the_failures_that_were_followed_by_another_attempt(self, store: CheckpointStore) -> None:
        history = [
            *(ended("a", "failed", number, number) for number in (1, 2, 3)),  # two of them were retried
            *(ended("b", "failed", 1), ended("b", "passed", 2)),
            *(ended("c", "pending", 1), ended("c", "passed", 2)),  # not the test's failure
            *(ended("d", "passed", 1), ended("d", "passed", 2)),
        ]
        assert store.retries() == 0
        for _ in range(2):
            store.ingest(history, source="s", position=1)
            assert store.retries() == 3
        assert store.look("a")["a"].failures == 3

    def test_attempts_that_ended_are_counted_from_a_date(self, store: CheckpointStore) -> None:
        store.ingest([ended("a"), ended("b", "pending", day=2), ended("c", "failed", day=3)], source="s", position=1)
        assert store.ended() == 2
        assert store.ended("2026-01-01T00:00:00.000001Z") == 1
        assert store.ended("2026-01-03T00:00:00.000000Z") == 1
        assert store.ended("2026-01-04") == 0

    def test_holders_are_those_at_work_and_the_dead_that_left_something(
        self, store: CheckpointStore, clock: Clock
    ) -> None:
        store.plan(planned("abc"))
        store.claim(AWAY)
        clock.now += 61
        store.claim(GONE, "b")
        store.heartbeat(dataclasses.replace(GONE, session="gone, and held nothing"))
        store.claim(HERE, "c")
        found = {one.owner: (one.heartbeat, one.claims, one.dead) for one in store.holders()}
        assert found == {
            AWAY: (clock.now - 61, 1, True),
            GONE: (clock.now, 1, True),
            HERE: (clock.now, 1, False),
        }

    def test_trials_are_listed_with_what_is_known(self, store: CheckpointStore) -> None:
        store.plan(planned("ab"))
        store.claim(HERE, "b")
        store.finish(HERE, ended("b", "failed", source="d"))
        store.claim(HERE, "a")
        a, b = planned("ab")
        assert list(store.trials()) == [(a, Known(State.CLAIMED)), (b, Known(State.FAILED, 1, "d", 1))]

    def test_a_claim_of_what_was_not_planned_is_a_mistake(self, store: CheckpointStore) -> None:
        with pytest.raises(CheckpointError, match="trial x was not planned"):
            store.claim(HERE, "x")
        with pytest.raises(ValueError, match="outcome is 'ok'"):
            store.finish(HERE, ended("x", "ok"))
        store.finish(HERE, ended("x"))
        assert states(store, "x") == {"x": State.PASSED}

    def test_text_that_is_no_utf8_is_kept_readable(self, store: CheckpointStore) -> None:
        store.plan([Planned("a", "t", '{"file":"\udcff\0"}')])
        store.finish(HERE, ended("a", "failed", reason="can't open \udcff\0"))
        store.ingest([], source="\udcff.jsonl", position=3)
        assert store.attempts("a")[0].reason == "can't open \\udcff\\u0000"
        assert [one.params for one, _ in store.trials()] == ['{"file":"\\udcff\\u0000"}']
        assert store.positions() == {"\\udcff.jsonl": 3}

    def test_state_survives_closing(self, open_store: Open) -> None:
        with open_store() as store:
            store.plan(planned("ab"))
            store.claim(HERE)
            store.finish(HERE, ended("a"))
            store.close()
            with pytest.raises(CheckpointError, match="closed"):
                store.stats()
        with open_store() as store:
            assert states(store, "ab") == {"a": State.PASSED, "b": State.TODO}

    def test_stores_of_one_campaign_see_each_other(self, open_store: Open) -> None:
        other = dataclasses.replace(HERE, session="other")
        with open_store() as one, open_store() as two:
            one.plan(planned("ab"))
            assert taken(two.claim(HERE)) == "a"
            assert taken(one.claim(other)) == "b"
            two.finish(HERE, ended("a"))
            assert states(one, "ab") == {"a": State.PASSED, "b": State.CLAIMED}

    def test_a_child_of_a_fork_has_a_connection_of_its_own(self, store: CheckpointStore) -> None:
        store.plan(planned("ab"))
        assert taken(store.claim(HERE)) == "a"
        pid = os.fork()
        if pid == 0:
            try:
                os._exit(0 if taken(store.claim(Owner.current("child"))) == "b" else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        claim = store.claim(HERE)  # the child is dead
        assert claim is not None
        assert (claim.trial, claim.inherited and claim.inherited.session) == ("b", "child")

    def test_threads_share_a_store(self, store: CheckpointStore) -> None:
        claimed: list[str] = []
        names = [f"t{number}" for number in range(20)]
        store.plan(Planned(name, "t") for name in names)

        def work() -> None:
            while claim := store.claim(HERE):
                claimed.append(claim.trial)
                store.finish(HERE, ended(claim.trial))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert Counter(claimed) == dict.fromkeys(names, 1)
        assert store.stats()[State.PASSED] == 20
