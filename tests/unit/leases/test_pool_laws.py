"""Laws of the pool and its lease files: what was reserved is given back, or somebody can still do it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
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

from pytest_execo.errors import DeploymentFailed, RequestNotMet, ReservationFailed, TestbedError
from pytest_execo.leases.files import LeaseBook
from pytest_execo.leases.fitting import Doing
from pytest_execo.leases.pool import LeasePool
from pytest_execo.testbeds import Request

DOING = Doing("trial", "test", "{}")
REQUESTS = [Request(nodes=2), Request(nodes=1, spare=1), Request(nodes=2, min_nodes=1, environment="debian")]
HOLDERS = ["", "a", "b"]


class FiledPool(RuleBasedStateMachine):
    """A pool with lease files, holders that die, and a testbed that can't always give back.

    A lease is at any time held, gone, kept with its name told, or left with a file that tells of it.
    """

    renting: Callable[..., Any]

    @initialize(keep=st.sampled_from(["never", "on-failure", "always"]), limit=st.integers(0, 2))
    def begin(self, keep: str, limit: int) -> None:
        self.place = Path(tempfile.mkdtemp())
        self.book = LeaseBook(self.place)
        self.testbed = self.renting()
        self.told: Counter[str] = Counter()
        self.keep = keep
        self.number = 0
        self.names = list(HOLDERS)
        self.pool = LeasePool(
            self.testbed, limit=limit, keep=keep,
            opened=lambda request: self.book.open(
                testbed="renting", site="here", options={}, campaign=None, session="s", walltime=None
            ),
            tell=lambda kind, text, data: self.told.update([kind]),
        )  # fmt: skip
        #: Holder and request → what it was given.
        self.has: dict[tuple[Request, str], Any] = {}
        #: Why a request is not to be had: the first error, for ever.
        self.broken: dict[Request, BaseException] = {}

    # holders

    @rule(request=st.sampled_from(REQUESTS), data=st.data())
    def take(self, request: Request, data: st.DataObject) -> None:
        holder = data.draw(st.sampled_from(self.names))
        if (request, holder) not in self.has and self.pool.ready(request, holder, DOING).anew:
            with contextlib.suppress(TestbedError):
                self.pool.let_go(request, holder)  # what a dead one has left is of no use
        before = len(self.testbed.asked)
        broken = request in self.pool.broken
        try:
            lease: Any = self.pool.take(request, holder)
        except TestbedError as error:
            raised: TestbedError = error
            lease = None
        if lease is None:
            assert request in self.pool.broken
            assert self.broken.setdefault(request, raised) is raised
            assert not broken or len(self.testbed.asked) == before
            return
        assert not broken or len(self.testbed.asked) == before
        assert self.has.get((request, holder), lease) is lease
        self.has[request, holder] = lease

    def drawn(self, data: st.DataObject) -> tuple[Request, str]:
        """One of those who have something."""
        return data.draw(st.sampled_from(list(self.has)))

    @precondition(lambda self: self.has)
    @rule(data=st.data(), fails=st.booleans())
    def run_a_trial(self, data: st.DataObject, fails: bool) -> None:
        request, holder = self.drawn(data)
        ready = self.pool.ready(request, holder, DOING)
        if ready.anew:
            self.pool.interrupted(request, holder, DOING, 1.0)
            self.gone(request, holder, self.pool.let_go)
        else:
            if fails:
                self.pool.failed(request, holder)
            self.pool.done(request, holder, DOING, 0.001)

    @precondition(lambda self: self.has)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        self.gone(*self.drawn(data), self.pool.give_back)

    def gone(self, request: Request, holder: str, how: Callable[[Request, str], None]) -> None:
        """Have a lease given back."""
        lease = self.has.pop((request, holder))
        try:
            how(request, holder)
        except TestbedError:
            assert self.testbed.unreleasable
        assert lease.lives or lease.id not in self.pool.kept

    @precondition(lambda self: len(self.has) > 0)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        _, holder = self.drawn(data)
        self.pool.hand_over(holder)
        self.has = {key: lease for key, lease in self.has.items() if key[1] != holder}
        # The next one has a name of its own.
        self.number += 1
        self.names[self.names.index(holder)] = f"{holder}{self.number}"

    # the testbed

    @rule(error=st.sampled_from([ReservationFailed("no"), RequestNotMet(["full"])]))
    def refuse(self, error: Exception) -> None:
        self.testbed.refusing.append(error)

    @rule()
    def fail_to_deploy(self) -> None:
        self.testbed.failing.append(DeploymentFailed("no"))

    @rule(can=st.booleans())
    def release_or_not(self, can: bool) -> None:
        self.testbed.unreleasable = not can

    @rule(can=st.booleans())
    def reclaim_or_not(self, can: bool) -> None:
        self.testbed.irreclaimable = not can

    @precondition(lambda self: self.has)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        key = self.drawn(data)
        lease = self.has[key]
        before = self.told["lease-lost"]
        news = lease.lives and self.pool.lost(*key) is None
        lease.lives = False
        for _ in range(2):
            assert self.pool.lost(*key) is not None
        assert self.told["lease-lost"] == before + news

    @precondition(lambda self: self.has)
    @rule(data=st.data())
    def lose_a_node(self, data: st.DataObject) -> None:
        key = self.drawn(data)
        self.testbed.dead.add(self.has[key].nodes[0].name)
        self.pool.examine(*key)

    # laws

    @invariant()
    def no_lease_has_two_holders(self) -> None:
        if hasattr(self, "pool"):
            assert len({id(lease) for lease in self.has.values()}) == len(self.has)

    @invariant()
    def each_lease_that_is_there_has_a_file(self) -> None:
        if hasattr(self, "pool"):
            told = {entry.remains["job"]: entry for entry in self.book.entries() if entry.remains}
            # There may be a file of what is gone already, where it could not be asked whether it is.
            assert {lease.number for lease in self.testbed.leases if self.is_there(lease)} <= told.keys()
            assert {entry.id for entry in told.values() if entry.state == "kept"} == self.pool.kept.keys()

    def is_there(self, lease: Any) -> bool:
        """Whether a lease has neither been released, as far as it knows, nor been reclaimed."""
        released = any(done[0] == "release" for done in lease.done) and lease.number not in self.unreleased
        return not released and {"job": lease.number} not in self.testbed.reclaimed

    @property
    def unreleased(self) -> set[int]:
        """The leases whose release was refused."""
        return {lease.number for lease in self.testbed.leases if lease.refused}

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return
        try:
            if self.testbed.irreclaimable:
                left = True
                try:
                    self.pool.give_all_back()
                    left = False
                except TestbedError:
                    pass
                assert left is any(entry.state != "kept" for entry in self.book.entries())
                self.testbed.irreclaimable = False
            self.pool.give_all_back()
            self.each_lease_that_is_there_has_a_file()
            assert all(entry.state == "kept" for entry in self.book.entries())
            if self.keep == "never":
                assert self.book.entries() == []
            for lease in self.testbed.leases:
                ways = [done[0] for done in lease.done if done[0] in ("release", "keep")]
                assert len(ways) == 1, f"{lease.number}: {ways}"
        finally:
            shutil.rmtree(self.place)


@pytest.mark.slow
def test_each_lease_is_held_or_gone_or_kept_or_can_be_found(renting: Callable[..., Any]) -> None:
    made: list[Any] = []

    def rent() -> Any:
        testbed = renting()
        made.append(testbed)
        reserve = testbed.reserve

        def noting(request: Request, **options: Any) -> Any:
            lease = reserve(request, **options)
            release = lease.release
            lease.refused = False

            def released() -> None:
                lease.refused = testbed.unreleasable
                release()

            lease.release = released
            return lease

        testbed.reserve = noting
        return testbed

    machine = type("Machine", (FiledPool,), {"renting": staticmethod(rent)})
    run_state_machine_as_test(machine, settings=settings(max_examples=40, stateful_step_count=25, deadline=None))
    # Something has happened.
    assert any(testbed.leases for testbed in made)
