"""OAR as the contract sees it: a request is one job, whose nodes are the lease."""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ...connectors.host_keys import ACCEPT_NEW
from ...errors import InvalidRequest, RequestNotMet, ReservationFailed, TestbedError
from ...hosts import Host, Hosts
from ...units import parse_duration
from ..contract import Plan, Remember, Request, Testbed, ignore
from . import cli
from .fitting import Fitting
from .frontend import Clock, Frontend, Unreachable
from .lease import OarLease, end_job
from .parsing import FINAL_STATES, Job
from .waiting import wait_until_running

__all__ = ("OarTestbed",)

#: Seconds. Long enough for a first look, short enough not to be in anybody's way; Grid'5000's own default.
DEFAULT_WALLTIME = 3600.0
#: Seconds that a job may wait for its start, and an advance reservation for the nodes after its date.
_WAIT = 12 * 3600.0
_LATE = 900.0
# An address, or an alias of ~/.ssh/config. A dash in front would make it an option of somebody's program.
_SITE = re.compile(r"[\w.:\[\]][\w.:\[\]-]*")


class OarTestbed(Testbed):
    """Nodes of a cluster that OAR 2.5 manages, by its own programs on a frontend.

    The frontend and the nodes are reached by ssh as ``~/.ssh/config`` says; a site whose nodes can't be reached from
    outside has its ``ProxyJump`` there. A job's nodes are logged into by plain ssh, not through ``oarsh``.

    :param site: the frontend, an address or an alias of the ssh configuration; ``"local"``: this machine is it.
    :param reach: how a node is reached, given its name in OAR; default: by that name, as the options say.
    :param frontend: how the frontend is reached; default: by its name, as the options say.
    """

    name = "oar"
    # Any word may be the name of somebody's frontend.
    found_by_site: ClassVar[bool] = False
    options_known: ClassVar[Mapping[str, str]] = {
        "user": "login name on the frontend and on the nodes; default: as ~/.ssh/config says",
        "keyfile": "private key for both; default: as ~/.ssh/config says",
        "host-key": "known: the nodes' host keys are in known_hosts (default); accept-new: believe the first contact",
        "wait": "how long a job may wait for its start; default: 12h",
    }

    def __init__(
        self,
        site: str,
        *,
        nodes: int | None = None,
        options: Mapping[str, str] | None = None,
        reach: Callable[[str], Host] | None = None,
        frontend: Host | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(site, nodes=nodes, options=options)
        self._wait = _duration(self.options.get("wait"))
        host_key = self.options.get("host-key", "known")
        if host_key not in ("known", ACCEPT_NEW):
            raise InvalidRequest(f"--execo-option=host-key={host_key}: write known or {ACCEPT_NEW}")
        believed = ACCEPT_NEW if host_key == ACCEPT_NEW else None
        if frontend is None and site != "local":
            frontend = self._login(site, None)
        self._reach = reach or (lambda node: self._login(node, believed))
        #: The machine that has ``oarsub``.
        self.frontend: Frontend = Frontend(frontend, site, clock)

    def _login(self, address: str, host_key: str | None) -> Host:
        user, keyfile = self.options.get("user"), self.options.get("keyfile")
        return Host(address, user=user, keyfile=keyfile, host_key=host_key)

    @classmethod
    def sites(cls) -> Sequence[str]:
        """Name no site: any frontend is one, see :meth:`has`."""
        return ()

    @classmethod
    def has(cls, site: str) -> bool:
        """Tell whether this can be the name of a frontend."""
        return _SITE.fullmatch(site) is not None

    def plan(self, request: Request) -> Plan:
        """Ask OAR what it has, and say when the request fits by what OAR plans now.

        :raises ReservationFailed: when the frontend does not answer.
        """
        return self._plan(request)[0]

    def _plan(self, request: Request) -> tuple[Plan, Request]:
        """Return the plan, and the request with all that OAR is to be told."""
        request, walltime = self._completed(request)
        count = request.nodes or 0
        unmet = list(_not_for_oar(request))
        if count < 1:
            unmet.append(f"asks for {count} nodes, a lease has at least 1")
        if walltime < 1:
            unmet.append(f"asks for {walltime:g} s, a job of OAR's has at least 1 s")
        if unmet:
            return Plan(count, None, walltime, tuple(unmet)), request
        gantt, now = self.frontend.gantt(), self.frontend.clock.now()
        fitting = Fitting(request, gantt, where=self.site, now=now, walltime=walltime)
        unmet = fitting.unmet()
        start = None if unmet else request.start if request.start is not None else fitting.start()
        request = dataclasses.replace(request, hosts=fitting.full_names(request.hosts))
        return Plan(count, start, walltime, tuple(unmet), tuple(_notes(request))), request

    def reserve(self, request: Request, *, remember: Remember = ignore) -> OarLease:
        """Submit a job and wait until it runs; whatever goes wrong, no job stays behind.

        :raises RequestNotMet: when :meth:`plan` says so.
        :raises ReservationFailed: with OAR's own sentence, or when the frontend did not answer, or when the job did
            not run in time (option ``wait``).
        """
        plan, request = self._plan(request)
        if plan.unmet:
            raise RequestNotMet(plan.unmet)
        name, number = self._submit(request, remember)
        try:
            remember({"name": name, "job": number})
            begin = self.frontend.clock.now() if request.start is None else request.start
            deadline = begin + (self._wait if request.start is None else _LATE)
            job = wait_until_running(self.frontend, number, deadline=deadline, say=self.say)
            if job.id != number:  # OAR has submitted it anew
                number = job.id
                remember({"name": name, "job": number})
            return OarLease(self.frontend, job, self._hosts(job))
        except BaseException as error:
            _end_after(error, self.frontend, number)
            raise

    def reclaim(self, remains: Mapping[str, Any]) -> Sequence[str]:
        """Delete the job of a reservation, if it is not over, and wait for its end.

        :raises TestbedError: when the frontend can't be asked, or the job not be deleted.
        """
        try:
            name, number = str(remains["name"]), remains.get("job")
        except (KeyError, TypeError, AttributeError) as error:
            raise TestbedError(f"{self.site}: this tells of no job of OAR's: {error!r}") from None
        lines: list[str] = []
        # What OAR has submitted anew in its place ends with it, and is in the list as well.
        for job in self.frontend.own_jobs():
            ours = job.name == name or (job.name is None and job.id == number)
            if ours and self.frontend.state(job.id) not in (*FINAL_STATES, None):
                end_job(self.frontend, job.id)
                lines.append(f"job {job.id} at {self.site} deleted")
        return lines

    def _completed(self, request: Request) -> tuple[Request, float]:
        nodes = sum(count for _, count in request.shares) or request.nodes or len(request.hosts) or self.default_nodes
        walltime = DEFAULT_WALLTIME if request.walltime is None else request.walltime
        return dataclasses.replace(request, nodes=1 if nodes is None else nodes, walltime=walltime), walltime

    def _submit(self, request: Request, remember: Remember) -> tuple[str, int]:
        """Return name and number of the job, also when the connection broke before oarsub could tell it."""
        # Unique, for that case.
        name = f"pytest-execo-{secrets.token_hex(4)}"
        date = None if request.start is None else self.frontend.date_text(request.start)
        words = cli.submission(request, name=name, reservation=date)
        remember({"name": name})
        try:
            submitted = self.frontend.submit(words)
        except BaseException as error:
            job = self._find(name, error)
            if job is None or not isinstance(error, Unreachable):
                if job is not None:
                    _end_after(error, self.frontend, job.id)
                raise
            return name, job.id
        if submitted.job is None or submitted.reasons:
            raise ReservationFailed(f"{self.site}: {'; '.join(submitted.reasons)}")
        self.say(f"job {submitted.job} submitted on {self.site}")
        return name, submitted.job

    def _find(self, name: str, error: BaseException) -> Job | None:
        try:
            return next((job for job in self.frontend.own_jobs() if job.name == name), None)
        except ReservationFailed as other:
            error.add_note(f"whether there is a job {name} is not known: {other}")
            return None

    def _hosts(self, job: Job) -> Hosts:
        known: Mapping[str, Mapping[str, Any]] = self.frontend.properties(job.id)
        return Hosts(
            dataclasses.replace(host, name=node, description={"name": node, **known.get(node, {}), **host.description})
            for node, host in ((node, self._reach(node)) for node in job.nodes)
        )


def _end_after(error: BaseException, frontend: Frontend, number: int) -> None:
    """Delete the job of a reservation that failed; the failure stays what is reported."""
    try:
        end_job(frontend, number)
    except TestbedError as other:
        error.add_note(str(other))


def _not_for_oar(request: Request) -> list[str]:
    """What the request needs and OAR alone does not do."""
    what = {
        f"environment {request.environment!r}": request.environment is not None,
        "a VLAN": request.vlan is not None,
        "subnets": bool(request.subnets),
        "disks": request.disks,
    }
    return [f"asks for {name}, which OAR alone does not give" for name, asked in what.items() if asked]


def _notes(request: Request) -> list[str]:
    return [] if request.monitor is None else ["monitor= has no meaning here: OAR measures nothing"]


def _duration(text: str | None) -> float:
    if text is None:
        return _WAIT
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidRequest(f"--execo-option=wait={text}: {error}") from None
