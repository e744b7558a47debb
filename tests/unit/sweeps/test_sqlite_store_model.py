"""Several owners that live, die and are forgotten, against a model in a dictionary."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pytest_execo.sweeps import Attempt, Owner, SqliteStore, State
from pytest_execo.sweeps.store import STALE
from pytest_execo.units import iso_date

OWNERS = [Owner(f"s{number}", "here" if number < 3 else "there", number, 1.0) for number in range(5)]
TRIALS = [f"t{number}" for number in range(6)]
OUTCOMES = {"passed": State.PASSED, "failed": State.FAILED, "skipped": State.SKIPPED, "pending": State.TODO}

owners = st.sampled_from(OWNERS)
trials = st.sampled_from(TRIALS)
outcomes = st.sampled_from(sorted(OUTCOMES))


class StoreMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.now = 1_800_000_000.0
        self.killed: set[Owner] = set()
        self.beats: dict[Owner, float] = {}
        self.order: list[str] = []
        self.outcome: dict[str, State] = {}
        self.last: dict[str, tuple[int, str]] = {}
        self.claims: dict[str, Owner] = {}
        self.open()

    def open(self) -> None:
        path = Path(self.directory.name, "a.db")
        self.store = SqliteStore(path, campaign="c", clock=lambda: self.now, is_dead=self.is_dead)

    def is_dead(self, owner: Owner) -> bool | None:
        return owner in self.killed if owner.host == "here" else None

    def dead(self, owner: Owner) -> bool:
        return owner in self.killed if owner.host == "here" else self.now - self.beats[owner] > STALE

    def holder(self, trial: str) -> Owner | None:
        owner = self.claims.get(trial)
        return None if owner is None or self.dead(owner) else owner

    def know(self, trial: str) -> None:
        if trial not in self.outcome:
            self.order.append(trial)
            self.outcome[trial] = State.TODO
            self.last[trial] = (0, "")

    def note(self, trial: str, outcome: str, attempt: int, ended_at: str) -> None:
        self.know(trial)
        if (attempt, ended_at) > self.last[trial]:
            self.outcome[trial], self.last[trial] = OUTCOMES[outcome], (attempt, ended_at)

    def expected(self, trial: str) -> State:
        return State.CLAIMED if self.holder(trial) else self.outcome.get(trial, State.TODO)

    @rule(planned=st.lists(trials, max_size=4))
    def plan(self, planned: list[str]) -> None:
        self.store.plan(planned)
        for trial in planned:
            self.know(trial)

    @rule(owner=owners)
    def claim_next(self, owner: Owner) -> None:
        if owner in self.killed:
            return
        free = [t for t in self.order if self.outcome[t] is State.TODO and self.holder(t) is None]
        trial = self.store.claim(owner)
        assert trial == (free[0] if free else None)
        if trial is not None:
            self.take(trial, owner)
        for known in [t for t in self.claims if self.holder(t) is None]:
            del self.claims[known]

    @rule(owner=owners, trial=trials)
    def claim_one(self, owner: Owner, trial: str) -> None:
        if trial not in self.outcome or owner in self.killed:
            return
        free = self.outcome[trial] is State.TODO and self.holder(trial) is None
        assert self.store.claim(owner, trial) == (trial if free else None)
        if free:
            self.take(trial, owner)

    def take(self, trial: str, owner: Owner) -> None:
        self.claims[trial] = owner
        self.beats[owner] = self.now

    @rule(owner=owners)
    def heartbeat(self, owner: Owner) -> None:
        if owner in self.killed:
            return
        self.store.heartbeat(owner)
        self.beats[owner] = self.now

    @rule(owner=owners, trial=trials, outcome=outcomes, again=st.booleans())
    def finish(self, owner: Owner, trial: str, outcome: str, again: bool) -> None:
        if owner in self.killed:
            return
        attempt = max(1, self.store.attempts(trial) + (not again))
        mine = self.claims.get(trial) == owner
        assert self.store.finish(trial, owner, outcome, attempt) is mine
        self.note(trial, outcome, attempt, iso_date(self.now))
        if mine:
            del self.claims[trial]

    @rule(owner=owners)
    def release(self, owner: Owner) -> None:
        held = [trial for trial, holder in self.claims.items() if holder == owner]
        assert self.store.release(owner) == len(held)
        for trial in held:
            del self.claims[trial]

    @rule(reopened=st.lists(trials, max_size=3))
    def reopen(self, reopened: list[str]) -> None:
        self.store.reopen(reopened)
        for trial in reopened:
            if trial in self.outcome:
                self.outcome[trial] = State.TODO

    @rule(trial=trials, outcome=outcomes, attempt=st.integers(1, 4), ago=st.integers(-50, 50))
    def ingest(self, trial: str, outcome: str, attempt: int, ago: int) -> None:
        ended_at = iso_date(self.now - ago)
        self.store.ingest([Attempt(trial, outcome, attempt, ended_at)], source="f", position=1)
        self.note(trial, outcome, attempt, ended_at)

    @rule(owner=st.sampled_from(OWNERS[:3]))
    def kill(self, owner: Owner) -> None:
        self.killed.add(owner)

    @rule(seconds=st.sampled_from([1.0, STALE / 2, STALE + 1]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    @precondition(lambda self: self.killed)
    def revive(self) -> None:
        # A process is never revived; a new one with the same name is as good, once its claims are gone.
        owner = min(self.killed, key=lambda owner: owner.session)
        self.release(owner)
        self.killed.remove(owner)

    @rule()
    def reopen_file(self) -> None:
        self.store.close()
        self.open()

    @invariant()
    def as_the_model_says(self) -> None:
        states = self.store.states(TRIALS)
        assert states == {trial: self.expected(trial) for trial in TRIALS}
        counts = dict.fromkeys(State, 0)
        for trial in self.order:
            counts[states[trial]] += 1
        assert self.store.stats() == counts
        assert [self.store.attempts(trial) for trial in self.order] == [self.last[trial][0] for trial in self.order]

    def teardown(self) -> None:
        self.store.close()
        self.directory.cleanup()


TestStoreMachine = pytest.mark.slow(StoreMachine.TestCase)
StoreMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
