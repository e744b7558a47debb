"""Grid'5000 as the contract sees it: plan, reserve, a lease."""

from __future__ import annotations

import copy
import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...connectors.host_keys import ACCEPT_NEW, host_keys
from ...errors import InvalidRequest, RequestNotMet
from ...hosts import Host, Hosts
from ...units import format_duration, iso_date, parse_duration
from ..contract import Plan, Remember, Request, Testbed, ignore
from ..undoing import undone
from .lease import Grid5000Lease
from .sites import SITES

if TYPE_CHECKING:
    from .answers import Job
    from .client import Credentials, Grid5000Client
    from .operations import Subnets, Vlan, Waiting
    from .planning import GridPlan, Occupation
    from .reference import Reference

__all__ = ("Grid5000Testbed",)

# What OAR gives to whoever does not say.
_DEFAULT_WALLTIME = "1:00:00"
# For the start of a job, seconds. A forecast later than that is not waited for.
_DEFAULT_WAIT = "12:00:00"
# A node that boots after a deployment has this long to let us in, seconds.
_SSH_TIMEOUT = 300.0
# How far the earliest slot is looked for: as far as execo looks.
_WINDOW = 28 * 86400.0
# A date so many seconds ago is now.
_PAST = 60.0


class Grid5000Testbed(Testbed):
    """The real one, by its API; nothing is asked before :meth:`plan` or :meth:`reserve`.

    :param site: where requests that name no site are met.
    """

    name = "grid5000"
    night_types: ClassVar[tuple[str, ...]] = ("night",)
    options_known: ClassVar[Mapping[str, str]] = {
        "walltime": f"for tests that do not say (default: {_DEFAULT_WALLTIME})",
        "wait": f"how long to wait for the nodes (default: {_DEFAULT_WAIT})",
        "queue": "the queue, for tests that do not say",
        "project": "the project, for tests that do not say",
        "job": "name of the job; one of this name that runs already is used, and kept",
        "key": "public key file for root on deployed nodes (default: those in ~/.ssh)",
        "uri": "the API (default: EXECO_G5K_URI, ~/.python-grid5000.yaml, else https://api.grid5000.fr/stable)",
        "reference": "reference data from this path instead of the API",
    }

    # What copies at other sites have in common, made by the first of them that needs it.
    _common: ClassVar[Sequence[str]] = ("client", "reference", "waiting")
    # What a reservation gives.
    _lease: ClassVar[type[Grid5000Lease]] = Grid5000Lease
    #: Seconds after which a job can be seen that was submitted by a process that is dead now.
    unseen: ClassVar[float] = 15.0
    # The one that holds it, for a copy.
    _origin: Grid5000Testbed | None = None

    def __init__(self, site: str, *, nodes: int | None = None, options: Mapping[str, str] | None = None) -> None:
        super().__init__(site, nodes=nodes, options=options)
        self._default_walltime = self._duration("walltime", _DEFAULT_WALLTIME)
        self._wait = self._duration("wait", _DEFAULT_WAIT)
        self._document = self._given_reference()
        #: Jobs that were deleted and may not be over: number → site. What they hold is free in a moment, whatever the
        #: status says.
        self.deleted: dict[int, str] = {}
        #: Who we are.
        self.credentials: Credentials = self._who()

    @classmethod
    def sites(cls) -> Sequence[str]:
        """Name the sites of Grid'5000."""
        return SITES

    def at(self, site: str) -> Grid5000Testbed:
        """Return the same at another site: one client, one clock, one set of reference data for all."""
        origin = self._origin or self
        other = copy.copy(origin)
        other.site, other._origin = site, origin
        # A class of its own, as these are properties, which subclasses may have replaced.
        kind: Any = type(origin)
        other.__class__ = type(kind.__name__, (kind,), {name: _of_origin(name) for name in self._common})
        return other

    def _duration(self, name: str, default: str) -> float:
        try:
            return parse_duration(self.options.get(name, default))
        except ValueError as error:
            raise InvalidRequest(f"--execo-option={name}={self.options[name]}: {error}") from None

    def _who(self) -> Credentials:
        """Read who we are. :raises CredentialsError: what says so can't be used."""
        from .client import read_credentials

        return read_credentials()

    def _given_reference(self) -> dict[str, Any] | None:
        """Read the reference data of the path that was given: what is wrong with it is said before anything runs."""
        from .reference import read_document

        given = self.options.get("reference")
        try:
            return None if given is None else read_document(Path(given).expanduser())
        except InvalidRequest as error:
            raise InvalidRequest(f"--execo-option=reference={given}: {error}") from None

    # what is asked, of whom, and when

    @functools.cached_property
    def client(self) -> Grid5000Client:
        """The API."""
        from .client import Grid5000Client, default_cache

        return Grid5000Client(self.options.get("uri"), self.credentials, cache=default_cache())

    @functools.cached_property
    def waiting(self) -> Waiting:
        """The clock that dates are on, and how waits sleep."""
        from .operations import Waiting

        return Waiting()

    @functools.cached_property
    def reference(self) -> Reference:
        """The reference data."""
        from .reference import load_reference

        return load_reference(self.client.reference() if self._document is None else self._document)

    @property
    def speed(self) -> float:
        """See :attr:`Testbed.speed`."""
        return self.waiting.speed

    def now(self) -> float:
        """See :meth:`Testbed.now`."""
        return self.waiting.clock()

    def real_date(self, date: float) -> float:
        """Turn a date of the testbed's clock into one of this machine's: the same, but for an emulator."""
        return time.time() + (date - self.waiting.clock()) / self.waiting.speed

    def emulated_date(self, date: float) -> float:
        """Turn a date of this machine's clock into one of the testbed's."""
        return self.waiting.clock() + (date - time.time()) * self.waiting.speed

    # the contract

    def plan(self, request: Request) -> Plan:
        """Say when and where ``request`` fits: from the reference data, the status and the jobs of its sites.

        :raises ApiError: when the API does not answer.
        """
        from .requests import over_quota

        request = self._completed(request)
        unmet, grid = self._grid_plan(request)
        nodes = request.nodes or 1
        if grid is None or unmet:
            return Plan(nodes, None, request.walltime, tuple(unmet))
        notes = [f"{part.site}: {', '.join(f'{n} of {c}' for c, n in part.clusters.items())}" for part in grid.sites]
        taken = {cluster: count for part in grid.sites for cluster, count in part.clusters.items()}
        if request.start is not None and request.start < self.waiting.clock() - _PAST:
            notes.append(f"the date {iso_date(request.start)} has passed: as soon as possible")
        elif request.start is None and grid.start > self.waiting.clock() + self._wait:
            notes.append(f"longer than is waited for, {format_duration(self._wait)}: --execo-wait says how long")
        notes += over_quota(request, self.reference, taken, grid.start, grid.end)
        start = self.real_date(max(grid.start, self.waiting.clock()))
        return Plan(nodes, start, request.walltime, (), tuple(notes))

    def gantt(self, request: Request, *, svg: bool = False) -> str | None:
        """Draw what is free and busy on the nodes that could meet ``request``, and where it would be."""
        from .planning import gantt_svg, gantt_text

        request = self._completed(request)
        unmet, grid = self._grid_plan(request)
        draw = gantt_svg if svg else gantt_text
        now = self.waiting.clock()
        # As far as what is asked for, and as long again, so that its surroundings can be seen; a day at least.
        end = now if grid is None or unmet else grid.end
        window = (now, now + min(_WINDOW, max(86400.0, 2 * (end - now))))
        return draw(self._occupations(request), None if unmet else grid, window=window)

    def reserve(self, request: Request, *, remember: Remember = ignore) -> Grid5000Lease:
        """Submit a job to each site of the plan, wait until all run, and return the lease.

        When anything goes wrong, an interruption included, the jobs are deleted.

        :raises RequestNotMet: when :meth:`plan` says that it does not fit.
        :raises ReservationFailed: when OAR refused, with its own sentence, or the jobs did not start in time.
        """
        from .operations import delete, wait_for_start
        from .reservation import found, submit

        request = self._completed(request)
        if (theirs := found(self, request)) is not None:
            jobs, keep = theirs, True  # somebody's, to whom they are left: nothing to remember
        else:
            jobs, keep = submit(self, request, self._slot(request), remember), False
        with undone(lambda: None if keep else delete(self.client, jobs, waiting=self.waiting)):
            ahead = 0.0 if request.start is None else max(0.0, request.start - self.waiting.clock())
            patience = self.waiting.until(ahead + self._wait)
            running = wait_for_start(self.client, jobs, waiting=patience, progress=self.say)
            return self._lease(self, request, running, keep=keep)

    def reclaim(self, remains: Mapping[str, Any]) -> Sequence[str]:
        """Delete the jobs of a reservation that are not over; they end a little later, and their VLANs with them.

        :raises TestbedError: when the API can't be asked, or a job not be deleted; the others have been.
        """
        from .reservation import reclaim

        return reclaim(self, remains)

    def close(self) -> None:
        """Close the connections to the API."""
        if self._origin is not None:
            self._origin.close()
        elif "client" in self.__dict__:
            self.client.close()

    # requests

    def _completed(self, request: Request) -> Request:
        """Fill in what the options say for tests that do not."""
        return dataclasses.replace(
            request,
            nodes=request.nodes or self.default_nodes or 1,
            walltime=request.walltime or self._default_walltime,
            queue=request.queue or self.options.get("queue"),
            project=request.project or self.options.get("project"),
        )

    def _slot(self, request: Request) -> GridPlan:
        """Return when and where a reservation is to be. :raises RequestNotMet: it does not fit, or too late."""
        unmet, grid = self._grid_plan(request)
        if unmet or grid is None:
            raise RequestNotMet(unmet)
        waits = grid.start - self.waiting.clock()
        if request.start is None and waits > self._wait:
            most = format_duration(self._wait)
            raise RequestNotMet([f"starts in {format_duration(waits)}, and {most} are waited for (--execo-wait)"])
        return grid

    def asked_sites(self, request: Request) -> list[str]:
        """Return the sites that a request is about."""
        from .requests import sites_of

        return sites_of(request, self.reference, self.site)

    def _grid_plan(self, request: Request) -> tuple[list[str], GridPlan | None]:
        """Return what can't be met, a line each, or when and where the request fits."""
        from .planning import plan
        from .requests import candidates, forbidden, unmet, wanted_of

        lines = unmet(request, self.reference, self.site)
        sites = self.asked_sites(request)
        if request.environment is not None:
            lines += self._not_deployable(request.environment, sites if not lines else ())
        if lines:
            return lines, None
        assert request.walltime is not None
        now = self.waiting.clock()
        begin = now if request.start is None else max(now, request.start)
        if begin - now > _WINDOW:
            days = f"{_WINDOW / 86400:g} days"
            return [f"asks for {iso_date(begin)}, and no more than {days} ahead are looked at"], None
        grid = plan(
            candidates(request, self.reference, sites),
            {name: cluster.site for name, cluster in self.reference.clusters.items() if cluster.site in sites},
            self._occupations(request),
            wanted_of(request, self.reference, self.site),
            request.walltime,
            not_before=begin,
            window=_WINDOW + request.walltime - (begin - now),
            vlan=request.vlan,
            subnets=request.subnets,
            allowed=functools.partial(forbidden, request),
            spread=False,
        )
        return list(grid.unmet), None if grid.unmet else grid

    def _occupations(self, request: Request) -> Mapping[str, Occupation]:
        """Return what is taken at the sites of the request, from now on."""
        from .planning import occupation

        now = self.waiting.clock()
        statuses = {site: self.client.status(site) for site in self.asked_sites(request)}
        window = (now, now + _WINDOW + (request.walltime or 0.0))
        besteffort = "besteffort" in request.types
        return occupation(statuses, window, ignore_besteffort=not besteffort, disks=request.disks, ended=self.deleted)

    # nodes

    def hosts(self, names: Sequence[str], *, deployed: bool, vlan: str | None = None) -> Hosts:
        """Return how nodes are reached: by their names, as the user's ssh configuration says."""
        from .operations import in_vlan

        user = "root" if deployed else self.client.user
        return Hosts(
            Host(
                address=name if vlan is None else in_vlan(name, vlan),
                name=name,
                user=user,
                host_key=ACCEPT_NEW if deployed else None,
                description=self.describe_node(name),
            )
            for name in names
        )

    def describe_node(self, name: str) -> Mapping[str, Any]:
        """Return what the reference data say of a node."""
        node = self.reference.node(name)
        return {} if node is None else node.description

    def have_environment(self, names: Sequence[str], environment: str, vlan: str | None) -> dict[str, bool]:
        """Tell which nodes answer, as deployed, with this environment. Nodes that do not answer have not.

        Of those that have not nothing is remembered: they are about to have another host key.
        """
        from .operations import environments_of, read_environment

        hosts = self.hosts(names, deployed=True, vlan=vlan)
        found = environments_of(hosts)
        wanted = read_environment(environment).released_as
        have = {name: found.get(name, "").partition("@")[0] == wanted for name in names}
        others = Hosts(host for host in hosts if not have[host.name])
        others.disconnect()
        host_keys.forget(others)
        return have

    def answering(self, nodes: Hosts) -> Hosts:
        """Wait until deployed nodes let us in; return those that did."""
        from .operations import wait_for_ssh

        return wait_for_ssh(nodes, timeout=_SSH_TIMEOUT, waiting=self.waiting)

    def _not_deployable(self, environment: str, sites: Sequence[str]) -> list[str]:
        """Return why an environment can't be deployed at these sites, a line each."""
        from .operations import read_environment, unknown_environment

        try:
            self.public_keys()
            wanted = read_environment(environment)
        except InvalidRequest as error:
            return [str(error)]
        lines = (unknown_environment(self.client, site, wanted) for site in sites)
        return [line for line in lines if line is not None]

    def public_keys(self) -> str:
        """Return the public keys for root, a line each. :raises InvalidRequest: when there are none."""
        from .keys import public_keys

        return public_keys(self.options.get("key"))

    def networks(self, jobs: Mapping[str, Job]) -> tuple[list[Vlan], list[Subnets]]:
        """Return the VLANs and subnets that jobs have."""
        from .operations import subnets_of, vlans_of

        vlans = [vlan for job in jobs.values() for vlan in vlans_of(self.client, job)]
        subnets = [pool for site, job in jobs.items() if (pool := subnets_of(self.client, site, job)) is not None]
        return vlans, subnets


def _of_origin(name: str) -> property:
    """Return a property that is the origin's, of a copy made by :meth:`Grid5000Testbed.at`."""
    return property(lambda copied: getattr(copied._origin, name))
