"""From a request to nodes that are ours, and back: nothing that is reserved is ever without a file that tells of it."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import CampaignError, DeploymentFailed, RequestNotMet, ReservationFailed, TestbedError
from ..testbeds import Lease, Plan, Request, Testbed
from ..testbeds.contract import Remember
from ..testbeds.undoing import undone
from .holding import Holding
from .hours import Hours
from .sharing import Sharing

if TYPE_CHECKING:
    from .files import LeaseFile

__all__ = ("Reserver",)

# Seconds for reservations to see that they were called off.
_CALLED_OFF = 30.0


class Reserver:
    """Reserves, deploys and releases on a testbed. Thread-safe.

    :param opened: makes the file of a lease, before anything is asked for; ``None``: no files.
    :param hours: when leases may be taken.
    """

    def __init__(self, testbed: Testbed, opened: Callable[[Request], LeaseFile] | None, hours: Hours) -> None:
        self._testbed = testbed
        self._opened = opened
        self._hours = hours
        self._sharing = Sharing(testbed)
        #: How many holders share a lease, where it is more than one.
        self._parts: dict[Request, int] = {}
        self._files: dict[Holding, tuple[LeaseFile, Mapping[str, Any]]] = {}
        #: Nodes in quarantine: they were found dead, or could not be deployed, and no trial has ended on them since.
        self._avoided: dict[str, str] = {}
        #: Files of leases that are being reserved, and what they tell of so far.
        self._under_way: dict[LeaseFile, Mapping[str, Any]] = {}
        self._changed = threading.Condition()
        self._over = False
        #: What could not be given back so far.
        self._left: list[tuple[LeaseFile, Mapping[str, Any]]] = []

    def asked(self, request: Request) -> Request:
        """Return the request as the testbed gets it, which knows neither spare nodes nor our hours."""
        if request.spare:
            request = dataclasses.replace(request, nodes=self._nodes(request) + request.spare, spare=0)
        if self._hours is Hours.NIGHTS and self._testbed.night_types:
            types = dict.fromkeys((*request.types, *self._testbed.night_types))
            request = dataclasses.replace(request, types=tuple(types))
        return request

    def split(self, request: Request, parts: int) -> None:
        """Have so many holders share a lease; see :class:`~.sharing.Sharing`."""
        self._parts[request] = parts

    def plan(self, request: Request) -> Plan:
        """Return the testbed's plan for all that share a lease: for as many of them as there can be nodes for.

        :raises TestbedError: it can't be asked for.
        """
        asked, wanted = self.asked(request), self._parts.get(request, 1)
        if wanted < 2:
            return self._testbed.plan(asked)
        size = asked.nodes or self._nodes(request)
        for parts in range(wanted, 0, -1):
            plan = self._testbed.plan(dataclasses.replace(asked, nodes=size * parts))
            if not plan.unmet:
                break
        if plan.unmet or parts == wanted:
            return plan
        self.split(request, parts)
        return dataclasses.replace(plan, notes=(*plan.notes, f"in {parts} parts: there are no nodes for {wanted}"))

    def opens_in(self, walltime: float | None) -> float:
        """Return the seconds, by the testbed's clock, until a lease may be taken.

        :raises RequestNotMet: a lease of this walltime lies in no night.
        """
        if self._testbed.night_types:  # the testbed sees to it
            return 0.0
        now = self._testbed.now()
        try:
            return self._hours.opens(now, walltime) - now
        except ValueError as error:
            raise RequestNotMet([str(error)]) from None

    def _nodes(self, request: Request) -> int:
        return request.nodes or self._testbed.default_nodes or 1

    def avoid(self, ill: Mapping[str, str]) -> None:
        """Have no more leases with these nodes, as long as there are others: they did not answer, or not deploy."""
        self._avoided.update(ill)

    def trust(self, names: Iterable[str]) -> None:
        """A trial has ended well on these nodes."""
        for name in names:
            self._avoided.pop(name, None)

    def _reserve(self, request: Request, remember: Remember) -> Lease:
        """Reserve without the nodes in quarantine; with them, when that is not to be had."""
        asked, parts = self.asked(request), self._parts.get(request, 1)
        least = request.min_nodes or self._nodes(request)
        if self._avoided:
            careful = dataclasses.replace(asked, without=tuple(sorted({*asked.without, *self._avoided})))
            try:
                return self._sharing.reserve(careful, parts, least, remember)
            except RequestNotMet:
                self._testbed.say(f"not enough nodes without {', '.join(sorted(self._avoided))}: tries those too")
        return self._sharing.reserve(asked, parts, least, remember)

    def reserve(self, request: Request) -> Holding:
        """Reserve, and deploy where the request names an environment.

        :raises TestbedError: when one or the other failed; nothing is held then.
        """
        file = self._file(request)
        remains: dict[str, Any] = {}

        def remember(told: Mapping[str, Any]) -> None:
            with self._changed:
                if told:
                    self._check_over()
                remains.clear()
                remains.update(told)
            if file is not None:
                try:
                    file.remember(told)
                except CampaignError as error:  # a full disk: nothing may be reserved that nobody finds again
                    raise ReservationFailed(str(error)) from error

        with self._noted(file, remains):
            return self._hold(request, file, remains, remember)

    @contextlib.contextmanager
    def _noted(self, file: LeaseFile | None, remains: Mapping[str, Any]) -> Iterator[None]:
        """Have a reservation called off that is under way when the run ends."""
        if file is None:
            yield
            return
        with self._changed:
            self._under_way[file] = remains
        try:
            yield
        finally:
            with self._changed:
                del self._under_way[file]
                self._changed.notify_all()

    def _check_over(self) -> None:
        if self._over:
            raise ReservationFailed("the run has ended")

    def call_off(self) -> None:
        """Reserve nothing more, and take away what reservations under way are waiting for: they fail then."""
        with self._changed:
            self._over = True
            under_way = [dict(remains) for remains in self._under_way.values() if remains]
        for remains in under_way:
            with contextlib.suppress(TestbedError):  # their files tell of them
                self._testbed.reclaim(remains)
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way, _CALLED_OFF)

    def _hold(
        self, request: Request, file: LeaseFile | None, remains: Mapping[str, Any], remember: Remember
    ) -> Holding:
        nodes = self._nodes(request)
        with undone(lambda: None if file is None else self._clean_up(file, remains)):
            lease = self._reserve(request, remember)
            with undone(lease.release):
                if request.environment is not None:
                    self._deploy(lease, request.environment, request.min_nodes or nodes)
                holding = Holding(request, lease, nodes, self._testbed.say, file.id if file is not None else _name())
                self._check_over()
            if file is not None:
                self._files[holding] = file, remains
                self.renew(holding)
        return holding

    def _deploy(self, lease: Lease, environment: str, least: int) -> None:
        try:
            lease.deploy(environment, min_nodes=least)
        except DeploymentFailed as error:
            self.avoid(error.failed)
            raise

    def renew(self, holding: Holding) -> None:
        """Have the file tell of the nodes and the end as they are now; what can't be written is old."""
        if (noted := self._files.get(holding)) is not None:
            with contextlib.suppress(CampaignError):
                noted[0].describe([*holding.lease.nodes, *holding.spares], holding.lease.end)

    def _file(self, request: Request) -> LeaseFile | None:
        """Make the file of a lease. Without one, nothing is reserved that could outlive this process."""
        if self._opened is None:
            return None
        try:
            return self._opened(request)
        except CampaignError as error:
            if self._testbed.outlives_us:
                raise RequestNotMet([str(error)]) from error
            return None

    def release(self, holding: Holding) -> None:
        """Give the nodes back.

        :raises TestbedError: when that can't be done; it is tried once more by :meth:`left_behind`.
        """
        noted = self._files.pop(holding, None)
        try:
            holding.release()
        except BaseException:
            if noted is not None:
                self._left.append(noted)
            raise
        if noted is not None:
            noted[0].remove()

    def keep(self, holding: Holding, reason: str) -> str:
        """Leave the nodes to the user, and return the name by which they are given back.

        :raises TestbedError: when they can't outlive this process; they are still held then.
        """
        noted = self._files.get(holding)
        if noted is None:
            raise TestbedError("no file tells of them")
        holding.lease.keep()
        try:
            noted[0].keep(reason, holding.lease.end)
        except CampaignError as error:  # without it they would be given back by whoever comes by
            raise TestbedError(str(error)) from error
        del self._files[holding]
        return holding.lease.id

    def left_behind(self) -> bool:
        """Try once more to give back what was not; tell whether something is left, for ``pytest-execo release``."""
        left, self._left = self._left, []
        for file, remains in left:
            with contextlib.suppress(Exception):  # of one: it is left, and the others are tried
                self._clean_up(file, remains)
        return bool(self._left)

    @property
    def has_files(self) -> bool:
        """Whether lease files tell of what is left."""
        return self._opened is not None

    def _clean_up(self, file: LeaseFile, remains: Mapping[str, Any]) -> None:
        """After what failed: the file goes when it is sure that nothing was left."""
        try:
            if remains:
                self._testbed.reclaim(remains)
        except BaseException as error:
            self._left.append((file, remains))
            if not isinstance(error, TestbedError):
                raise
        else:
            file.remove()


def _name() -> str:
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
