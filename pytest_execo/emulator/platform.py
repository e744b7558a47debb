"""All of the emulated Grid'5000 but its API: sites that go on with time, machines that follow, faults that strike."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidRequest, TestbedError
from ..nearest import nearest
from .clock import EmulatedClock, SteppedClock
from .environments import own_environments
from .fault import Fault
from .faults import Faults
from .kadeploy import Deployed, KadeploySettings
from .machineroom import MachineRoom
from .machines import Machines
from .oar.jobs import Change
from .oar.settings import OarSettings
from .site import Site, remote_vlans, sites_of

__all__ = ("Platform", "PlatformSettings")

_log = logging.getLogger(__name__)
# Steps at one and the same date before the platform takes it for a scheduler that turns in circles.
_MOST_STEPS = 10_000
_ENDED = ("Terminated", "Error")
_GLOBAL = "kavlan-global"


@dataclass(frozen=True)
class PlatformSettings:
    """How the servers behave.

    :param most_cores: OAR's resources per node: fewer make a full set of 939 nodes light. ``None``: all.
    :param lock_timeout: real seconds that a question may wait for another.
    """

    oar: OarSettings = dataclasses.field(default_factory=OarSettings)
    kadeploy: KadeploySettings = dataclasses.field(default_factory=KadeploySettings)
    most_cores: int | None = 4
    lock_timeout: float = 30.0


class Platform:
    """Sites, machines and faults on one clock.

    Life cycle: :meth:`advance` brings everything to the clock's date; whoever asks or changes something does it within
    :meth:`at_now`, which advances first; :meth:`close` ends the machines. Thread-safe.

    :param reference: the reference data as one deep=1 document.
    :param users: who has an account; each has an environment of their own.
    :param seed: the same one makes the same things happen at the same dates.
    :param threaded: the machines get a thread of their own, so that nobody waits for them.
    :raises InvalidRequest: when the reference data have no site, or not the nodes and sites that faults name.
    """

    def __init__(
        self,
        reference: Mapping[str, Any],
        clock: EmulatedClock,
        machines: Machines,
        *,
        seed: int = 0,
        users: Sequence[str] = (),
        faults: Faults | None = None,
        settings: PlatformSettings | None = None,
        threaded: bool = False,
    ) -> None:
        self.settings: PlatformSettings = settings or PlatformSettings()
        self.reference: Mapping[str, Any] = reference
        #: The commit of the reference data: what they say, or a hash of them.
        self.version: str = str(reference.get("version") or _hash(reference))
        self.clock: EmulatedClock = clock
        self.users: tuple[str, ...] = tuple(users)
        self.faults: Faults = faults or Faults()
        #: Called after something changed by a request: what is due next may be due earlier now.
        self.changed: Callable[[], None] = lambda: None
        self._lock = threading.RLock()
        self._stepped = SteppedClock(clock.now())
        self._draw = random.Random(f"platform {seed}")
        self._room = MachineRoom(machines, threaded=threaded)
        sites = sites_of(reference)
        if not sites:
            raise InvalidRequest("the reference data have no site; right would be the answer to GET /?deep=1")
        environments = own_environments(self.users)
        #: By name.
        self.sites: dict[str, Site] = {
            uid: Site(
                data,
                self._stepped,
                remote=remote_vlans(sites, uid),
                environments=environments,
                faults=self.faults,
                seed=seed,
                oar=self.settings.oar,
                kadeploy=self.settings.kadeploy,
                most_cores=self.settings.most_cores,
                # As on the real sites, whose numbers have nothing to do with each other.
                first_job=1 + 100_000 * (1 + number),
            )
            for number, (uid, data) in enumerate(sorted(sites.items()))
        }
        for site in self.sites.values():
            site.kavlan.remote_holders = functools.partial(self._holders_elsewhere, site)
        self.check_faults(self.faults.planned)
        self.faults.begin(self._stepped.now())

    def check_faults(self, faults: Iterable[Fault]) -> None:
        """Refuse faults of sites and nodes that are not there. :raises InvalidRequest: with one line."""
        for fault in faults:
            if fault.site is not None and fault.site not in self.sites:
                sites = ", ".join(self.sites)
                raise InvalidRequest(f"fault {fault.kind}: there is no site {fault.site!r}; there are {sites}")
            for node in fault.nodes:
                one = dataclasses.replace(fault, nodes=(node,), count=None)
                if not any(one.hit(site.nodes) for site in self.sites.values()):
                    names = (name.partition(".")[0] for site in self.sites.values() for name in site.nodes)
                    raise InvalidRequest(f"fault {fault.kind}: there is no node {node!r}{nearest(node, names)}")

    def _holders_elsewhere(self, own: Site) -> list[tuple[str, str]]:
        """Return who holds the global VLANs of the other sites: nodes of all sites can be put into these."""
        others = [site for site in self.sites.values() if site is not own]
        return [
            (user, uid) for site in others for user, uid in site.holders() if site.kavlan.vlans[uid].kind == _GLOBAL
        ]

    def now(self) -> float:
        """Return the date that everything has been brought to."""
        return self._stepped.now()

    @contextmanager
    def at_now(self) -> Iterator[None]:
        """Hold the platform still, at the date of its clock.

        :raises TestbedError: when others hold it for longer than the settings allow.
        """
        if not self._lock.acquire(timeout=self.settings.lock_timeout):
            raise TestbedError(f"the emulator was busy for {self.settings.lock_timeout:g} s")
        try:
            self.advance()
            yield
            self._settle()
        finally:
            self._lock.release()

    def advance(self) -> None:
        """Bring everything to the date of the clock, in the order of dates."""
        with self._lock:
            target = max(self.clock.now(), self._stepped.now())
            steps, last = 0, -1.0
            while (due := self.next_date()) is not None and due <= target:
                steps = 0 if due > last else steps + 1
                if steps > _MOST_STEPS:
                    raise RuntimeError(f"something is due at {due} again and again")
                last = max(last, due)
                self._stepped.step_to(due)
                self._settle()
            self._stepped.step_to(target)
            self._settle()

    def next_date(self) -> float | None:
        """Return when something is due next, in emulated time; ``None``: nothing is."""
        with self._lock:
            dates = [self.faults.next_date(self._stepped.now())]
            for site in self.sites.values():
                dates += [site.oar.next_date(), site.kadeploy.next_date()]
            return min((date for date in dates if date is not None), default=None)

    def reach(self, nodes: Sequence[str], *, timeout: float = 60.0) -> list[Mapping[str, Any]]:
        """Say how nodes are reached, once they are on. Doesn't hold the platform.

        :raises TestbedError: when they are not switched on in time.
        """
        return self._room.reach(nodes, timeout=timeout)

    def close(self) -> None:
        """End all machines. A second call does nothing."""
        self._room.close()

    # what is due now

    def _settle(self) -> None:
        """Do all that is due at the date of the stepped clock."""
        for site in self.sites.values():
            self._follow(site, site.oar.advance())
        for number, fault in self.faults.due(self._stepped.now()):
            whom = self._kill(fault) if fault.kind == "job-killed" else self._let_die(fault)
            if whom is not None:
                self.faults.done(number, self._stepped.now(), whom)
        for site in self.sites.values():
            self._follow(site, site.oar.advance())
            for told in site.kadeploy.advance():
                self._deployed(site, told)

    def _follow(self, site: Site, changes: Sequence[Change]) -> None:
        """Let nodes come and go with their jobs."""
        for change in changes:
            if change.new == "Running" and change.job_id not in site.nodes_of_job:  # else it resumes
                item = site.job_began(change.job_id, change.date)
                # Nodes to be deployed run the standard system until then, but their user has no business on it.
                if "deploy" not in item.get("types", ()) and "noop" not in item.get("types", ()):
                    self._provide(site, change.job_id, item)
            elif change.new in _ENDED and (left := site.job_ended(change.job_id, change.date)):
                self._room.withdraw(left)

    def _provide(self, site: Site, job: int, item: Mapping[str, Any]) -> None:
        nodes = [node for node in site.fresh[job] if node not in site.kadeploy.dead]
        self._room.provide(
            site.uid,
            nodes,
            user=item["user"],
            environment=None,
            keys=(),
            vlan=None,
            failed=lambda reason: self._lost(site, job, reason),
        )

    def _lost(self, site: Site, job: int, reason: str) -> None:
        """End a job whose nodes this machine can't make."""
        with self._lock:
            site.oar.kill(job, reason)
        self.changed()

    def _deployed(self, site: Site, told: Deployed) -> None:
        """Take the nodes of a deployment down at its beginning, and bring those up that have it at its end."""
        if told.started:
            self._room.withdraw(told.started)
        nodes = [node for node in told.nodes if node not in site.kadeploy.dead]
        if not nodes:
            return
        deployment = told.deployment
        self._room.provide(
            site.uid,
            nodes,
            user=deployment.user,
            environment=deployment.environment.name,
            keys=deployment.keys,
            vlan=deployment.vlan,
            failed=lambda reason: _log.error("deployment %s: %s", deployment.uid, reason),
        )

    # faults

    def _kill(self, fault: Fault) -> str | None:
        """End a job that runs; ``None``: there is none yet."""
        for site in self.sites.values():
            for number in site.running_jobs():
                if fault.job in (None, number) and (fault.site in (None, site.uid)):
                    site.oar.kill(number, "killed by an injected fault")
                    return str(number)
        return None

    def _let_die(self, fault: Fault) -> str | None:
        """Take the power from a node; ``None``: none fits yet."""
        for site in self.sites.values():
            if fault.site not in (None, site.uid):
                continue
            node = self._victim(site, fault)
            if node is not None:
                site.kadeploy.dead.add(node)
                # As OAR sees a node that does not answer.
                site.oar.set_node_state(node, "Suspected")
                self._room.power_off(node)
                return node
        return None

    def _victim(self, site: Site, fault: Fault) -> str | None:
        if fault.nodes:
            return next(iter(fault.hit(site.nodes)), None)
        used = [node for number in site.running_jobs() for node in site.nodes_of_job[number]]
        alive = [node for node in dict.fromkeys(used) if node not in site.kadeploy.dead]
        return self._draw.choice(alive) if alive else None


def _hash(data: object) -> str:
    return hashlib.sha1(json.dumps(data, sort_keys=True, default=str).encode(), usedforsecurity=False).hexdigest()
