"""Kadeploy of one site: deployments that take minutes, and whose nodes succeed or fail one by one."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .environments import Environment, find_environment
from .faults import Faults
from .kavlan import DEFAULT, Kavlan

__all__ = ("Deployed", "Deployment", "Kadeploy", "KadeployRefused", "KadeploySettings", "NodeRun")

_STEPS = ("SetDeploymentMiniOS", "BroadcastEnv", "BootNewEnv")
# What kadeploy says of a node that failed in a step.
_WHY = {
    "SetDeploymentMiniOS": "The node could not be rebooted on the deployment environment",
    "BroadcastEnv": "Failed to broadcast the environment image to the node",
    "BootNewEnv": "The node did not come up after the reboot on the deployed environment (timeout)",
}


class _Clock(Protocol):
    def now(self) -> float: ...


class KadeployRefused(Exception):
    """Kadeploy did not take the order; the message is its own, with the number of its error."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"Kadeploy error #{number}: {message}")
        self.number = number


@dataclass(frozen=True)
class KadeploySettings:
    """How long the steps take, in emulated seconds (from, to), and how many nodes fail with no fault injected.

    The defaults give deployments of three to five minutes, as on the real machines.
    """

    minios: tuple[float, float] = (80.0, 130.0)
    broadcast: tuple[float, float] = (40.0, 60.0)
    boot: tuple[float, float] = (60.0, 110.0)
    ko_rate: float = 0.0


@dataclass
class NodeRun:
    """A node on its way: at which dates its steps end, and in which it fails (``None``: in none)."""

    ends: tuple[float, ...]
    fails_in: int | None
    state: str = "IN_PROGRESS"
    step: int = 0
    error: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether kadeploy is done with it."""
        return self.state != "IN_PROGRESS"

    @property
    def due(self) -> float:
        """When its step ends."""
        return self.ends[self.step]

    def to_json(self) -> dict[str, Any]:
        """Return its entry of ``result``."""
        return {"macro": _STEPS[self.step], "micro": None, "state": self.state, "error": self.error}


@dataclass
class Deployment:
    """One deployment. ``shown`` is what the API's database has of the nodes: ``None`` until kadeploy called back.

    :param order: the fields of the order that are shown as they came.
    :param stuck: kadeploy has given up, and the API never learns of it: it stays ``processing`` until it is canceled.
    """

    uid: str
    user: str
    environment: Environment
    order: dict[str, Any]
    nodes: tuple[str, ...]
    keys: tuple[str, ...]
    runs: dict[str, NodeRun]
    created_at: float
    updated_at: float
    status: str = "processing"
    shown: dict[str, dict[str, Any]] | None = None
    output: str | None = None
    cancel_at: float | None = None
    stuck: bool = False

    @property
    def vlan(self) -> str | None:
        """In which VLAN the nodes come up; ``None``: the default one."""
        vlan = self.order.get("vlan")
        return None if vlan in (None, DEFAULT) else str(vlan)

    @property
    def is_over(self) -> bool:
        """Whether it works on no node any more."""
        return self.status != "processing"

    def refresh(self) -> None:
        """Bring what the API shows of the nodes up to date."""
        self.shown = {node: run.to_json() for node, run in self.runs.items()}


@dataclass(frozen=True)
class Deployed:
    """What the machines have to do: ``started`` nodes go down, ``nodes`` come up with the environment."""

    deployment: Deployment
    nodes: tuple[str, ...]
    started: tuple[str, ...] = field(default=())


class Kadeploy:
    """All deployments of one site. Not thread-safe: the platform's lock is around it.

    :param owners: who has which node by a running job of type deploy: node → user.
    """

    def __init__(
        self,
        site: str,
        clock: _Clock,
        *,
        architectures: Mapping[str, str],
        environments: Iterable[Environment],
        owners: Callable[[], Mapping[str, str]],
        kavlan: Kavlan,
        faults: Faults,
        draw: random.Random,
        settings: KadeploySettings | None = None,
    ) -> None:
        self.site: str = site
        self.environments: list[Environment] = list(environments)
        #: Nodes without power: they fail.
        self.dead: set[str] = set()
        #: Newest first is the order of the API; this is the order of creation.
        self.deployments: dict[str, Deployment] = {}
        self._clock = clock
        self._architectures = architectures
        self._owners = owners
        self._kavlan = kavlan
        self._faults = faults
        self._draw = draw
        self._settings = settings or KadeploySettings()
        self._to_tell: list[Deployed] = []

    def submit(self, user: str, order: Mapping[str, Any], keys: Sequence[str] = ()) -> Deployment:
        """Begin a deployment.

        :param order: ``nodes``, ``environment`` and the options of the API.
        :raises KadeployRefused: unknown nodes or environment, or they are not the user's.
        """
        nodes = list(dict.fromkeys(order["nodes"]))
        environment = self._checked(user, nodes, order)
        busy = {node for d in self._working() if not d.stuck for node, run in d.runs.items() if not run.is_over}
        force = bool(order.get("ignore_nodes_deploying"))
        discarded = [] if force else [node for node in nodes if node in busy]
        if len(discarded) == len(nodes):
            raise KadeployRefused(14, "All the nodes have been discarded")
        self._abort([node for node in nodes if node in busy], discarded)
        now = self._clock.now()
        uid = f"D-{uuid.UUID(int=self._draw.getrandbits(128), version=4)}"
        befalls = self._faults.deployment([node for node in nodes if node not in discarded], now, uid)
        runs = {node: self._run(now, failing=node in befalls.ko) for node in nodes}
        for node in discarded:
            runs[node].state = "DISCARDED"
        deployment = Deployment(uid, user, environment, dict(order), tuple(nodes), tuple(keys), runs, now, now)
        deployment.stuck = befalls.stuck
        if befalls.canceled_after is not None:
            deployment.cancel_at = now + befalls.canceled_after
        self.deployments[uid] = deployment
        working = tuple(node for node in nodes if node not in discarded)
        self._kavlan.reset(working)
        self._to_tell.append(Deployed(deployment, (), started=working))
        return deployment

    def cancel(self, deployment: Deployment) -> None:
        """End a deployment that still works; one that is over stays as it is."""
        if not deployment.is_over:
            self._end(deployment, "canceled")

    def release(self, nodes: Iterable[str]) -> None:
        """Leave nodes alone whose job is over: what has not come up by now is not deployed."""
        gone = set(nodes)
        for deployment in self._working():
            for node, run in deployment.runs.items():
                if node in gone and not run.is_over:
                    run.state, run.error = "ABORTED", "The job of the node is over"

    def next_date(self) -> float | None:
        """Return when something is due: a step's end, a cancellation."""
        dates = [d.cancel_at for d in self._working() if d.cancel_at is not None]
        dates += [run.due for d in self._working() if not d.stuck for run in d.runs.values() if not run.is_over]
        return min(dates, default=None)

    def advance(self) -> list[Deployed]:
        """Bring all deployments to the clock's date, and return what the machines have to do, in order."""
        now = self._clock.now()
        for deployment in list(self._working()):
            for node, run in deployment.runs.items():
                while not deployment.stuck and not run.is_over and run.due <= now:
                    self._step(node, run)
            if not deployment.stuck and all(run.is_over for run in deployment.runs.values()):
                self._end(deployment, "terminated")
            elif deployment.cancel_at is not None and deployment.cancel_at <= now:
                deployment.output = "The deployment was canceled"
                self._end(deployment, "canceled")
        told, self._to_tell = self._to_tell, []
        return told

    def _working(self) -> Iterable[Deployment]:
        return (deployment for deployment in self.deployments.values() if not deployment.is_over)

    def _checked(self, user: str, nodes: Sequence[str], order: Mapping[str, Any]) -> Environment:
        """Return the environment, when all of the order can be done."""
        unknown = [node for node in nodes if node not in self._architectures]
        if unknown:
            raise KadeployRefused(2, f"The node {unknown[0]} does not exist")
        owners = self._owners()
        if any(owners.get(node) != user for node in nodes):
            raise KadeployRefused(6, "You do not have sufficient rights to perform the operation on all the nodes")
        wanted = str(order["environment"])
        archs = {self._architectures[node] for node in nodes}
        arch = order.get("arch") or (archs.pop() if len(archs) == 1 else None)
        version = order.get("version")
        found = find_environment(
            self.environments, wanted, user=user, arch=arch, version=None if version is None else int(version)
        )
        if found is None:
            raise KadeployRefused(
                7, f"The environment {wanted} cannot be loaded. Maybe the version number does not exist"
            )
        if any(self._architectures[node] != found.arch for node in nodes):
            raise KadeployRefused(7, f"The environment {wanted} is for {found.arch}, which not all of the nodes have")
        vlan = str(order.get("vlan") or DEFAULT)
        if vlan not in self._kavlan.vlans:
            raise KadeployRefused(9, f"The VLAN {vlan} does not exist")
        if vlan != DEFAULT and not self._kavlan.is_authorized(user, vlan):
            raise KadeployRefused(9, f"You do not have sufficient rights on the VLAN {vlan}")
        return found

    def _run(self, now: float, *, failing: bool) -> NodeRun:
        settings = self._settings
        ends, date = [], now
        for low, high in (settings.minios, settings.broadcast, settings.boot):
            date += self._draw.uniform(low, high)
            ends.append(date)
        # Drawn in any case, so that a fault changes nothing for the other nodes.
        unlucky, step = self._draw.random() < settings.ko_rate, self._draw.randrange(len(_STEPS))
        return NodeRun(tuple(ends), step if failing or unlucky else None)

    def _step(self, node: str, run: NodeRun) -> None:
        """End the step that a node is in."""
        if node in self.dead or run.step == run.fails_in:
            run.state, run.error = "KO", _WHY[_STEPS[run.step]]
        elif run.step == len(_STEPS) - 1:
            run.state = "OK"
        else:
            run.step += 1

    def _abort(self, busy: Iterable[str], spared: Sequence[str]) -> None:
        """Take nodes from the deployments that work on them."""
        taken = set(busy) - set(spared)
        for other in self._working():
            for node, run in other.runs.items():
                if node in taken and not run.is_over:
                    run.state, run.error = "ABORTED", "The node was taken by another deployment"

    def _end(self, deployment: Deployment, status: str) -> None:
        deployment.status = status
        deployment.updated_at = self._clock.now()
        owners = self._owners()
        ok = []
        for node, run in deployment.runs.items():
            if not run.is_over:
                run.state = "ABORTED"
            elif run.state == "OK" and owners.get(node) == deployment.user:
                ok.append(node)
        deployment.refresh()
        if status == "canceled":
            return
        if deployment.vlan is not None:
            self._kavlan.move(ok, deployment.vlan)
        self._to_tell.append(Deployed(deployment, tuple(ok)))
