"""Kadeploy: an environment on nodes, again for those that failed, and never for those that have it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ....errors import ApiError, DeploymentFailed
from ..answers import Deployment, DeploymentOrder
from ..client import Grid5000Client, Polling
from ..sites import site_of
from .waiting import Waiting

__all__ = ("Deployed", "deploy")

#: Kadeploy's own time-outs of its steps add up to less; a deployment can stay "processing" for ever all the same.
TIMEOUT = 1800.0
TRIES = 3
_RIGHTS = "sufficient rights"


@dataclass(frozen=True)
class Deployed:
    """What came of it: ``nodes`` have the environment, ``failed`` says why each other has not."""

    nodes: tuple[str, ...]
    failed: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 0


@dataclass
class _Running:
    """One deployment of one site."""

    site: str
    nodes: tuple[str, ...]
    uid: str | None
    error: str = ""
    answer: Deployment | None = None


def deploy(
    client: Grid5000Client,
    nodes: Sequence[str],
    order: DeploymentOrder,
    *,
    min_nodes: int | None = None,
    tries: int = TRIES,
    timeout: float = TIMEOUT,
    probe: Callable[[Sequence[str]], Mapping[str, bool]] | None = None,
    waiting: Waiting,
    progress: Callable[[str], None] | None = None,
) -> Deployed:
    """Deploy ``order`` on nodes of any sites, one deployment a site, side by side.

    Nodes that ``probe`` finds to have it are left alone. Those that failed are deployed again, up to ``tries`` times;
    those that succeeded never are. A deployment that is not over in time is canceled.

    :param min_nodes: go on with so many; ``None``: all.
    :param timeout: seconds for each attempt, of the testbed's clock.
    :raises DeploymentFailed: too few nodes have it after the last attempt, or kadeploy will never do it.
    """
    least = len(nodes) if min_nodes is None else min_nodes
    good = {name for name, has in probe(nodes).items() if has} if probe is not None else set()
    failed: dict[str, str] = {}
    attempts = 0
    for attempts in range(1, tries + 1):
        missing = [name for name in nodes if name not in good]
        if not missing:
            attempts -= 1
            break
        if progress is not None:
            again = f", attempt {attempts} of {tries}" if attempts > 1 else ""
            progress(f"deploying {order.environment} on {len(missing)} node{'s' * (len(missing) > 1)}{again}")
        failed = _attempt(client, missing, order, waiting.until(timeout))
        good.update(name for name in missing if name not in failed)
        if any(_RIGHTS in reason for reason in failed.values()):
            break
    if len(good) < least:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(failed.items())[:3])
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        raise DeploymentFailed(
            f"{order.environment}: {len(good)} of {len(nodes)} nodes have it, {least} are needed: {reasons}{more}",
            [name for name in nodes if name in good],
            failed,
        )
    return Deployed(tuple(name for name in nodes if name in good), failed, attempts)


def _attempt(client: Grid5000Client, nodes: Sequence[str], order: DeploymentOrder, waiting: Waiting) -> dict[str, str]:
    """Deploy once; return why each node that failed did."""
    by_site: dict[str, list[str]] = {}
    for name in nodes:
        by_site.setdefault(site_of(name), []).append(name)
    running = [_Running(site, tuple(names), None) for site, names in by_site.items()]
    try:
        for each in running:
            _begin(client, each, order)
        _wait(client, running, waiting)
    finally:
        for each in running:
            if each.uid is not None and (each.answer is None or not each.answer.is_over):
                _cancel(client, each)
    failed: dict[str, str] = {}
    for each in running:
        failed.update(_outcome(each, waiting))
    return failed


def _begin(client: Grid5000Client, each: _Running, order: DeploymentOrder) -> None:
    try:
        each.answer = client.deploy(each.site, dataclasses.replace(order, nodes=each.nodes))
        each.uid = each.answer.id
    except ApiError as error:
        each.error = error.reason


def _wait(client: Grid5000Client, running: Sequence[_Running], waiting: Waiting) -> None:
    polling = Polling(longest=10.0)
    while True:
        for each in running:
            if each.uid is None or (each.answer is not None and each.answer.is_over):
                continue
            try:
                each.answer = client.deployment(each.site, each.uid)
            except ApiError as error:
                if error.status == 404:
                    each.uid, each.error = None, error.reason
        if all(each.uid is None or (each.answer is not None and each.answer.is_over) for each in running):
            return
        if not waiting.pause(polling.delay(waiting.clock())):
            return


def _cancel(client: Grid5000Client, each: _Running) -> None:
    try:
        assert each.uid is not None
        client.cancel_deployment(each.site, each.uid)
    except ApiError as error:
        each.error = f"and could not be canceled: {error.reason}"


def _outcome(each: _Running, waiting: Waiting) -> dict[str, str]:
    answer = each.answer
    if each.uid is None or answer is None:
        return dict.fromkeys(each.nodes, each.error or "not deployed")
    if not answer.is_over:
        why = f"deployment {each.uid} was not over in time, and was canceled {each.error}".rstrip()
        return dict.fromkeys(each.nodes, why)
    if answer.status != "terminated":
        why = f"deployment {each.uid} was {answer.status}"
        return dict.fromkeys(each.nodes, f"{why}: {answer.output}" if answer.output else why)
    return {
        name: answer.reasons.get(name) or f"kadeploy says {answer.result.get(name, 'nothing of it')}"
        for name in each.nodes
        if answer.result.get(name) != "OK"
    }
