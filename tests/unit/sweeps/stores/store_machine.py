"""Several owners that live, die and are forgotten, on two connections, against a model in a dictionary.

A test module of a store runs it with :func:`run`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pytest_execo.sweeps import Attempt, CheckpointStore, Claim, Known, Owner, Planned, State
from pytest_execo.sweeps.stores.store import STALE
from pytest_execo.units import iso_date

__all__ = ("run",)

#: Opens the store of a new campaign, with this clock and this knowledge of who is dead; called again, the same store.
Open = Callable[[Callable[[], float], Callable[[Owner], "bool | None"]], CheckpointStore]

OWNERS = [Owner(f"s{number}", "here" if number < 3 else "there", number, 1.0) for number in range(5)]
TRIALS = [f"t{number}" for number in range(6)]
OUTCOMES = {"passed": State.PASSED, "failed": State.FAILED, "skipped": State.SKIPPED, "pending": State.TODO}

owners = st.sampled_from(OWNERS)
trials = st.sampled_from(TRIALS)
outcomes = st.sampled_from(sorted(OUTCOMES))


@dataclass
class Trial:
    """What the model knows of a trial."""

    state: State = State.TODO
    last: tuple[int, str] = (0, "")
    source: str | None = None
    owner: Owner | None = None
    former: Owner | None = None


class StoreMachine(RuleBasedStateMachine):
    def __init__(self, make: Callable[[], Open]) -> None:
        super().__init__()
        self.open = make()

    @initialize()
    def start(self) -> None:
        self.now = 1_800_000_000.0
        self.killed: set[Owner] = set()
        self.beats: dict[Owner, float] = {}
        self.model: dict[str, Trial] = {}  # in the order of the plan
        self.history: dict[tuple[str, int, str], Attempt] = {}
        self.stores = [self.open(lambda: self.now, self.is_dead) for _ in range(2)]

    @property
    def store(self) -> CheckpointStore:
        """Now the one connection and then the other."""
        self.stores.reverse()
        return self.stores[0]

    # the model

    def is_dead(self, owner: Owner) -> bool | None:
        return owner in self.killed if owner.host == "here" else None

    def dead(self, owner: Owner) -> bool:
        gone = self.is_dead(owner)
        return abs(self.now - self.beats[owner]) > STALE if gone is None else gone

    def holder(self, trial: str) -> Owner | None:
        owner = self.model[trial].owner
        return None if owner is None or self.dead(owner) else owner

    def is_free(self, trial: str) -> bool:
        return self.model[trial].state is State.TODO and self.holder(trial) is None

    def note(self, attempt: Attempt) -> None:
        one = self.model.setdefault(attempt.trial, Trial())
        if (attempt.attempt, attempt.ended_at) > one.last:
            one.state, one.last = OUTCOMES[attempt.outcome], (attempt.attempt, attempt.ended_at)
            one.source = attempt.source
        self.history.setdefault((attempt.trial, attempt.attempt, attempt.ended_at), attempt)

    def expected(self, trial: str) -> Known:
        one = self.model.get(trial)
        if one is None:
            return Known()
        failures = sum(kept.trial == trial and kept.outcome == "failed" for kept in self.history.values())
        return Known(State.CLAIMED if self.holder(trial) else one.state, one.last[0], one.source, failures)

    def take(self, trial: str, owner: Owner) -> Claim:
        """Give a free trial to an owner; return what the store has to say of it."""
        one = self.model[trial]
        former = one.former if one.owner is None else one.owner
        one.owner, one.former = owner, former
        return Claim(trial, one.last[0] + 1, None if former == owner else former)

    # what may happen

    @rule(planned=st.lists(trials, max_size=4))
    def plan(self, planned: list[str]) -> None:
        self.store.plan(Planned(trial, "test", "{}") for trial in planned)
        for trial in planned:
            self.model.setdefault(trial, Trial())

    @rule(owner=owners)
    def claim_next(self, owner: Owner) -> None:
        if owner in self.killed:
            return
        self.beats[owner] = self.now
        for one in self.model.values():  # all that the dead hold is given back
            if one.owner is not None and self.dead(one.owner):
                one.owner, one.former = None, one.owner
        free = [trial for trial in self.model if self.is_free(trial)]
        assert self.store.claim(owner) == (self.take(free[0], owner) if free else None)

    @rule(owner=owners, trial=trials)
    def claim_one(self, owner: Owner, trial: str) -> None:
        if trial not in self.model or owner in self.killed:
            return
        self.beats[owner] = self.now
        assert self.store.claim(owner, trial) == (self.take(trial, owner) if self.is_free(trial) else None)

    @rule(owner=owners)
    def heartbeat(self, owner: Owner) -> None:
        if owner not in self.killed:
            self.store.heartbeat(owner)
            self.beats[owner] = self.now

    @rule(owner=owners, trial=trials, outcome=outcomes, again=st.booleans(), source=st.sampled_from(["d1", "d2"]))
    def finish(self, owner: Owner, trial: str, outcome: str, again: bool, source: str) -> None:
        if owner in self.killed:
            return
        one = self.model.setdefault(trial, Trial())
        mine = one.owner == owner
        attempt = Attempt(trial, outcome, max(1, one.last[0] + (not again)), iso_date(self.now), source=source)
        assert self.store.finish(owner, attempt) is mine
        self.note(attempt)
        if mine:
            one.owner = one.former = None

    @rule(owner=owners, only=st.none() | trials)
    def release(self, owner: Owner, only: str | None) -> None:
        held = [one for trial, one in self.model.items() if one.owner == owner and only in (None, trial)]
        assert self.store.release(owner, only) == len(held)
        for one in held:
            one.owner = None

    @rule(reopened=st.lists(trials, max_size=3))
    def reopen(self, reopened: list[str]) -> None:
        self.store.reopen(reopened)
        for trial in reopened:
            if trial in self.model:
                self.model[trial].state = State.TODO

    @rule(
        read=st.lists(st.tuples(trials, outcomes, st.integers(1, 4), st.integers(-50, 50)), min_size=1, max_size=3),
        position=st.integers(0, 9),
    )
    def ingest(self, read: list[tuple[str, str, int, int]], position: int) -> None:
        attempts = [Attempt(trial, outcome, attempt, iso_date(self.now - ago)) for trial, outcome, attempt, ago in read]
        self.store.ingest(attempts, source="f", position=position)
        for attempt in attempts:
            self.note(attempt)
        assert self.store.positions()["f"] == position

    @rule()
    def ingest_all_again(self) -> None:
        """As a store does that was lost, or a second reader of the same files."""
        self.store.ingest(list(self.history.values())[::-1], source="g", position=0)
        self.store.ingest([], source="f", position=0)

    @rule(owner=st.sampled_from(OWNERS[:3]))
    def kill(self, owner: Owner) -> None:
        self.killed.add(owner)

    @rule(seconds=st.sampled_from([1.0, STALE / 2, STALE + 1]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.sampled_from([-1e8, -STALE - 1, -1.0, 1e8]))
    def jump(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    @precondition(lambda self: self.killed)
    def revive(self) -> None:
        # A process is never revived; a new one with the same name is as good, once its claims are gone.
        owner = min(self.killed, key=lambda owner: owner.session)
        self.release(owner, None)
        self.killed.remove(owner)

    @rule()
    def open_anew(self) -> None:
        self.stores.pop().close()
        self.stores.append(self.open(lambda: self.now, self.is_dead))

    # what must be so

    @invariant()
    def as_the_model_says(self) -> None:
        store = self.store
        known = {trial: self.expected(trial) for trial in TRIALS}
        assert store.look(TRIALS) == known
        assert [(planned.trial, seen) for planned, seen in store.trials()] == [(t, known[t]) for t in self.model]
        counts = dict.fromkeys(State, 0)
        for trial in self.model:
            counts[known[trial].state] += 1
        assert store.stats() == counts

    @invariant()
    def nothing_of_the_history_is_lost(self) -> None:
        store = self.store
        kept = [attempt for trial in self.model for attempt in store.attempts(trial)]
        assert {(one.trial, one.attempt, one.ended_at): one for one in kept} == self.history
        assert len(kept) == len(self.history)
        retried = [one for one in kept if one.outcome == "failed" and one.attempt < self.model[one.trial].last[0]]
        assert store.retries() == len(retried)

    @invariant()
    def holders_are_known(self) -> None:
        claims = dict.fromkeys(self.beats, 0)
        for one in self.model.values():
            if one.owner is not None:
                claims[one.owner] += 1
        expected = {
            (owner, self.beats[owner], count, self.dead(owner))
            for owner, count in claims.items()
            if count or not self.dead(owner)
        }
        assert {(one.owner, one.heartbeat, one.claims, one.dead) for one in self.store.holders()} == expected

    def teardown(self) -> None:
        if not hasattr(self, "stores"):
            return
        try:
            self.finish_the_campaign()
        finally:
            for store in self.stores:
                store.close()

    def finish_the_campaign(self) -> None:
        """All the others die, and one who comes later does the rest: no trial is lost, and none is done twice."""
        self.killed.update(OWNERS[:3])
        self.now += 2e9
        last = Owner("last", "there", 9, 1.0)
        to_do = {trial for trial, one in self.model.items() if one.state is State.TODO}
        done = []
        while claim := self.store.claim(last):
            done.append(claim.trial)
            assert self.store.finish(last, Attempt(claim.trial, "passed", claim.attempt, iso_date(self.now)))
        assert sorted(done) == sorted(to_do)
        stats = self.store.stats()
        assert (stats[State.TODO], stats[State.CLAIMED]) == (0, 0)


def run(make: Callable[[], Open], *, examples: int) -> None:
    """Try to tell a store from the model. ``make`` is called for each example, and gives how to open its store."""
    run_state_machine_as_test(
        lambda: StoreMachine(make), settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )
