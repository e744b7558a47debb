"""All leases that a run holds: brought up, watched, mended, and given back, while nobody looks."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import LeaseLost, ReservationFailed, TestbedError
from ..testbeds import Lease, Plan, Request, Testbed
from ..units import format_duration, iso_date
from .budget import Budget
from .fitting import Doing, Fitting, Ready
from .holding import Holding
from .hours import Hours
from .reserving import Reserver
from .supplying import OthersHaveThem, Supplier
from .watch import Watch

if TYPE_CHECKING:
    from .files import LeaseFile

__all__ = ("LeasePool",)

#: Failures in a row of a group, and losses under one trial, before it is left pending.
DEFAULT_LIMIT = 3
# A node that was found well, or on which a trial has ended, is not asked again for so many seconds.
_PROBE_PERIOD = 15.0
# Seconds between two tries to get nodes that others have.
_WAITS = 1.0
# Seconds for others to give back what they hold, at the end.
_RELEASES = 60.0


class LeasePool:
    """The leases of a run. Whoever takes one is called a holder: "" is the process itself, else a worker's name.

    A holder has one lease for a request, which its tests share; another holder has another one. Thread-safe: two
    requests are reserved side by side.

    Ended by :meth:`give_all_back`.

    :param opened: makes the file that tells what is left behind when this process is killed.
    :param limit: see :class:`~.budget.Budget`.
    :param extends: ask for more time for leases that end, where the testbed has it.
    :param hours: when leases may be taken.
    :param keep: ``never``, ``on-failure`` or ``always``: whether the nodes stay when a lease would be given back.
    :param note: called as ``note(lease, entry)`` when a lease was taken and when it was given back, with JSON for the
        campaign's description.
    :param tell: called as ``tell(kind, text, data)`` of what people want to hear of, see :mod:`.events`; by any thread.
    """

    def __init__(
        self,
        testbed: Testbed,
        *,
        opened: Callable[[Request], LeaseFile] | None = None,
        limit: int = DEFAULT_LIMIT,
        extends: bool = False,
        hours: Hours = Hours.ANY,
        keep: str = "never",
        note: Callable[[Lease, Mapping[str, Any]], None] = lambda lease, entry: None,
        tell: Callable[[str, str, Mapping[str, Any]], None] = lambda kind, text, data: None,
    ) -> None:
        self.testbed: Testbed = testbed
        self.fitting: Fitting = Fitting()
        self.budget: Budget = Budget(limit)
        self._over = threading.Event()
        self._reserver = Reserver(testbed, opened, hours)
        self._supplier = Supplier(testbed, self._reserver, self.budget, self._over, tell)
        self._keep = keep
        #: The leases that were kept: how they are called, and the names of their nodes.
        self.kept: dict[str, list[str]] = {}
        self._extends = extends
        self._note = note
        self._tell = tell
        self._held: list[Holding] = []
        self._lost: dict[tuple[Request, str], str] = {}
        #: Holders that are dead.
        self._gone: set[str] = set()
        #: How many leases are being given back.
        self._going = 0
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._locks: dict[object, threading.RLock] = {}
        self._watch = Watch(self._watched, self._over)

    # before the run

    def plan(self, request: Request) -> Plan:
        """Return the testbed's plan, asked once for each request."""
        with self._of(request):
            return self._supplier.plan(request)

    def split(self, request: Request, parts: int) -> None:
        """Have so many holders share a lease for the request, each on nodes of its own. Said before it is planned."""
        self._reserver.split(request, parts)

    @property
    def broken(self) -> Mapping[Request, TestbedError]:
        """Why the leases for requests can't be had, of those that were asked for in vain."""
        return self._supplier.broken

    # taking

    def take(self, request: Request, holder: str = "") -> Lease:
        """Return the holder's lease for a request, reserving and deploying it if need be.

        What fails is tried again, with pauses, as long as the budget lasts.

        :raises TestbedError: when it can't be had, now or before.
        """
        with self._of((request, holder)):
            holding = self._mine_or_free(request, holder)
            while holding is None:
                self._discard_useless(request)
                try:
                    holding = self._bring_up(request, holder)
                except OthersHaveThem:
                    # They give theirs back when no test is left for them; or die, and leave them.
                    if self._over.wait(max(_WAITS, 10.0 / self.testbed.speed)):
                        raise
                    holding = self._mine_or_free(request, holder)
            return holding.lease

    def _mine(self, request: Request, holder: str) -> Holding | None:
        """Return what the holder has."""
        with self._lock:
            fitting = [each for each in self._held if each.request == request and each.holder == holder]
            return fitting[0] if fitting else None

    def _mine_or_free(self, request: Request, holder: str) -> Holding | None:
        """Return what the holder has; else what nobody uses, which it has from now on."""
        holding = self._mine(request, holder)
        if holding is None:
            with self._lock:
                for each in self._held:
                    if each.request == request and each.holder is None and not (each.spent or each.lost):
                        each.holder = holder
                        # What was lost before was another one.
                        self._lost.pop((request, holder), None)
                        return each
        return holding

    def _bring_up(self, request: Request, holder: str) -> Holding:
        holding = self._supplier.bring_up(request, holder, lambda: self._others(request, holder))
        with self._lock:
            self._lost.pop((request, holder), None)
            # Before anybody sees it: what has no holder is there for the taking.
            holding.holder = None if holder in self._gone else holder
            self._held.append(holding)
        self._watch.start()
        self._note(holding.lease, holding.describe())
        names = holding.lease.nodes.names
        self._tell("lease-taken", f"{len(names)} nodes at {self.testbed.site}", {"nodes": names})
        if self._over.is_set():  # whoever gives all back may not have seen it
            self._release(holding)
            raise ReservationFailed("the run has ended")
        return holding

    def _discard_useless(self, request: Request) -> None:
        """Give back what dead holders had and nobody can use: it holds nodes that somebody may wait for."""
        with self._lock:
            free = [each for each in self._held if each.request == request and each.holder is None]
        for each in free:
            if each.spent or each.lost is not None:
                with contextlib.suppress(TestbedError):  # tried once more at the end
                    self._release(each)

    def _others(self, request: Request, holder: str) -> bool:
        """Tell whether others have leases for the request: there is something to wait for."""
        with self._lock:
            return any(each.request == request and each.holder != holder for each in self._held)

    # while it is used

    def ready(self, request: Request, holder: str, doing: Doing) -> Ready:
        """Tell whether a trial can begin: the nodes are there, answer, and stay long enough."""
        with self._of((request, holder)):
            # With more time to be had a lease is as long as it takes.
            longest = None if self._extends else self._supplier.length(request)
            if (hopeless := self.fitting.hopeless(doing, longest)) is not None:
                return Ready(refused=hopeless)
            holding = self._mine_or_free(request, holder)
            if holding is None:
                broken = self.broken.get(request)
                return Ready() if broken is None else Ready(refused=str(broken).splitlines()[0])
            if self.lost(request, holder) is not None:
                return Ready(anew=True, lost=True)
            if not holding.seen_within(_PROBE_PERIOD) and self.examine(request, holder) is not None:
                return Ready(anew=True, lost=True)
            seconds = self.fitting.lacks(doing, holding)
            # A lease that is new and too short may be long enough for this one: nobody knows better.
            if seconds is None or holding.fresh:
                return Ready()
            wanted = max(seconds, self._supplier.length(request) or 0.0)
            if self._extends and holding.extend(wanted, self.testbed.speed):
                self._reserver.renew(holding)
                return Ready()
            left = format_duration(max(0.0, holding.left or 0.0))
            takes = format_duration(seconds)
            self.testbed.say(f"{left} of the lease are left, the next trial takes {takes}: takes new nodes")
            holding.spent = True
            return Ready(anew=True)

    def lost(self, request: Request, holder: str = "") -> LeaseLost | None:
        """Return an error when the holder's lease is no longer ours, or was not when it was given back."""
        holding = self._mine(request, holder)
        if holding is not None:
            self._look_at(holding)
            if holding.lost is not None:
                self._lost[request, holder] = holding.lost
        reason = self._lost.get((request, holder))
        return None if reason is None else LeaseLost(reason)

    def _look_at(self, holding: Holding) -> None:
        """Notice that a lease is lost: once, whoever sees it first."""
        if holding.lost is not None or holding.lease.alive():
            return
        over = holding.lease.end is not None and time.time() >= holding.lease.end - 1.0
        why = "its walltime is over" if over else "its nodes are gone"
        reason = f"the lease on {self.testbed.site} was lost: {why}"
        with self._lock:
            first = holding.is_lost(reason)
        if not first:
            return
        self._tell("lease-lost", reason, {"nodes": holding.lease.nodes.names})
        # What still waits for an answer from there waits in vain.
        with contextlib.suppress(Exception):
            holding.lease.nodes.disconnect()

    def examine(self, request: Request, holder: str = "") -> str | None:
        """Ask the nodes whether they are there. Return what is wrong, ``None``: nothing.

        Otherwise what stands on the nodes has to end, and the nodes to be taken again; dead ones are replaced then.
        """
        with self._of((request, holder)):
            lost = self.lost(request, holder)
            if lost is not None:
                return str(lost)
            holding = self._mine(request, holder)
            if holding is None:
                return None
            ill = holding.examine()
            if not ill:
                return None
            if (lost := self.lost(request, holder)) is not None:  # they are silent because they are gone
                return str(lost)
            reason = "; ".join(f"{name}: {why}" for name, why in ill.items())
            self._tell("node-lost", reason, {"nodes": ill})
            self._reserver.avoid(ill)
            if not holding.mend(ill):
                holding.lost = self._lost[request, holder] = reason
            self._reserver.avoid(holding.dead)  # spare nodes too that were dead already
            self._reserver.renew(holding)
            return reason

    def off_on_purpose(self, request: Request, holder: str = "") -> frozenset[str]:
        """Name the nodes that the tests themselves have switched off."""
        holding = self._mine(request, holder)
        return frozenset() if holding is None else holding.lease.off_on_purpose()

    def done(self, request: Request, holder: str, doing: Doing, seconds: float) -> None:
        """A trial came to its end after so many seconds on the nodes."""
        self.fitting.done(doing, seconds)
        self.budget.progressed(request)
        holding = self._mine(request, holder)
        if holding is not None:
            holding.fresh = False
            holding.was_seen()
            self._reserver.trust(holding.lease.nodes.names)

    def failed(self, request: Request, holder: str = "") -> None:
        """A trial has failed on the holder's nodes: they may be worth a look."""
        holding = self._mine(request, holder)
        if holding is not None:
            holding.failed = True

    def interrupted(self, request: Request, holder: str, doing: Doing, seconds: float) -> bool:
        """A trial lost its nodes after so many seconds; tell whether it may run again in this run."""
        holding = self._mine(request, holder)
        if holding is not None and (left := holding.left) is not None and left <= 0:
            self.fitting.cut(doing, seconds, self._supplier.length(request) if holding.fresh else None)
        again = self.budget.interrupted(doing.trial)
        if not self.budget.failed(request, holder):
            if self.budget.is_hopeless(request, holder):
                self._supplier.give_up(request, LeaseLost(f"nodes were lost again and again; {self._why(holding)}"))
            return False
        return again and request not in self.broken

    def _why(self, holding: Holding | None) -> str:
        return f"the last time: {holding.lost}" if holding is not None and holding.lost is not None else "no trial ends"

    def measured(
        self, request: Request, holder: str, metrics: Sequence[str], start: float, end: float
    ) -> Mapping[str, Mapping[str, Any]]:
        """Return what the testbed measured on the nodes held for a request.

        :raises TestbedError: when it can't be had.
        """
        holding = self._mine(request, holder)
        return {} if holding is None else holding.lease.measured(metrics, start, end)

    # giving back

    def let_go(self, request: Request, holder: str = "") -> None:
        """Nothing stands on the holder's nodes any more, for now. A lease that is of no more use is given back."""
        holding = self._mine(request, holder)
        if holding is not None and (self.lost(request, holder) is not None or holding.spent):
            self.give_back(request, holder)

    def condemn(self, request: Request, holder: str, reason: str) -> None:
        """The holder's lease is of no more use, for a reason that shows elsewhere: a deployment that failed."""
        holding = self._mine(request, holder)
        if holding is not None and holding.lost is None:
            holding.lost = self._lost[request, holder] = reason

    def hand_over(self, holder: str) -> None:
        """A holder is dead: who comes next may have its nodes, those too that are still being reserved for it."""
        with self._lock:
            self._gone.add(holder)
            for holding in self._held:
                if holding.holder == holder:
                    holding.holder = None

    def give_back(self, request: Request, holder: str = "") -> None:
        """Release the holder's lease for a request, if there is one.

        :raises TestbedError: when that can't be done.
        """
        with self._of((request, holder)):
            self.lost(request, holder)
            holding = self._mine(request, holder)
            if holding is not None:
                self._release(holding)

    def _release(self, holding: Holding) -> None:
        with self._changed:
            if holding not in self._held:  # somebody else does it
                return
            self._held.remove(holding)
            self._going += 1
        try:
            if self._was_kept(holding):
                return
            try:
                self._reserver.release(holding)
            finally:
                ended = {
                    "id": holding.lease.id,
                    "given_back_at": iso_date(),
                    "lost": holding.lost,
                    "dead": holding.dead,
                }
                self._note(holding.lease, ended)
        finally:
            with self._changed:
                self._going -= 1
                self._changed.notify_all()

    def _was_kept(self, holding: Holding) -> bool:
        """Keep the nodes of a lease that would go back now, where that is wanted and possible."""
        wanted = self._keep == "always" or (self._keep == "on-failure" and holding.failed)
        if not wanted or holding.lost is not None or holding.spent:
            return False
        try:
            name = self._reserver.keep(holding, f"--execo-keep={self._keep}")
        except TestbedError as error:
            self.testbed.say(f"the nodes can't be kept: {error}")
            return False
        self.kept[name] = holding.lease.nodes.names
        return True

    def give_all_back(self) -> None:
        """Release all leases; the first error is raised when all have been tried.

        Reservations that are under way, for workers that may be dead by now, are called off. What could not be given
        back before is tried once more.

        :raises TestbedError: something is left, for ``pytest-execo release`` where there are lease files.
        """
        self._over.set()
        self._watch.join()
        self._reserver.call_off()
        errors: list[Exception] = []
        while self._held:
            try:
                self._release(self._held[0])
            except Exception as error:  # a file that can't be removed must not keep the other leases
                errors.append(error)
        with self._changed:  # a thread that serves a worker may be at it
            done = self._changed.wait_for(lambda: not self._going, _RELEASES)
        if self._reserver.left_behind() or not done or (errors and not self._reserver.has_files):
            why = f"{str(errors[0]).splitlines()[0]}; " if errors else ""
            raise TestbedError(f"{why}nodes may be left; to give them back: pytest-execo release")

    def _watched(self) -> None:
        with self._lock:
            held = list(self._held)
        for holding in held:
            self._look_at(holding)

    def _of(self, key: object) -> threading.RLock:
        with self._lock:
            return self._locks.setdefault(key, threading.RLock())
