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
# Seconds for which an API may be away when a deployment is ordered.
_INSISTENCE = 300.0
# What is answered when kadeploy has said nothing: no answer at all, or one of a server before it.
_AWAY = (None, 502, 503, 504)
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
        raise DeploymentFailed(
            f"{order.environment}: {len(good)} of {len(nodes)} nodes have it, {least} are needed: {_some(failed)}",
            [name for name in nodes if name in good],
            failed,
        )
    if progress is not None and failed:
        progress(f"goes on with {len(good)} of {len(nodes)} nodes; {_some(failed)}")
    return Deployed(tuple(name for name in nodes if name in good), failed, attempts)


def _some(failed: Mapping[str, str]) -> str:
    more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
    return "; ".join(f"{name}: {reason}" for name, reason in list(failed.items())[:3]) + more


def _attempt(client: Grid5000Client, nodes: Sequence[str], order: DeploymentOrder, waiting: Waiting) -> dict[str, str]:
    """Deploy once; return why each node that failed did."""
    by_site: dict[str, list[str]] = {}
    for name in nodes:
        by_site.setdefault(site_of(name), []).append(name)
    running = [_Running(site, tuple(names), None) for site, names in by_site.items()]
    try:
        for each in running:
            _begin(client, each, order, waiting.until(_INSISTENCE))
        _wait(client, running, waiting)
    finally:
        for each in running:
            if each.uid is not None and (each.answer is None or not each.answer.is_over):
                _cancel(client, each)
    failed: dict[str, str] = {}
    for each in running:
        failed.update(_outcome(each, waiting))
    return failed


def _begin(client: Grid5000Client, each: _Running, order: DeploymentOrder, waiting: Waiting) -> None:
    """Order a deployment; again while the API is away. What was ordered although no answer came is found."""
    polling = Polling()
    while True:
        try:
            each.answer = client.deploy(each.site, dataclasses.replace(order, nodes=each.nodes))
        except ApiError as error:
            each.error = error.reason
            if error.status not in _AWAY or not error.may_pass or not waiting.pause(polling.delay(waiting.clock())):
                return
            each.answer = _ordered_all_the_same(client, each)
        if each.answer is not None:
            each.uid, each.error = each.answer.id, ""
            return


def _ordered_all_the_same(client: Grid5000Client, each: _Running) -> Deployment | None:
    """Return the deployment on these nodes that runs: two on one node would spoil each other."""
    try:
        running = [one for one in client.deployments(each.site, user=client.user) if not one.is_over]
    except ApiError:
        return None
    return next((one for one in running if set(one.nodes) == set(each.nodes)), None)


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
