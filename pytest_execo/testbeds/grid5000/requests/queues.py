"""Which of OAR's queues a job goes to, and what is not done there.

A cluster says which queues it is in. Most are not in the default one, so a job that names such a cluster has to name a
queue as well; this finds it. Queues that nobody here has heard of are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...contract import Request
from ..reference import Cluster

__all__ = ("DEFAULT", "NO_RESERVATIONS", "has_limits", "is_besteffort", "queue_of")

#: Where OAR puts a job that says nothing.
DEFAULT: str = "default"
_BEST_EFFORT = "besteffort"
#: Queues that take no advance reservations: admission rules, Nancy.
NO_RESERVATIONS: tuple[str, ...] = ("production", _BEST_EFFORT)
# The same resources under an older and a newer name: the reference data list both.
_PRODUCTION = ("production", "abaca")
_PREFERRED = (DEFAULT, *_PRODUCTION, "testing")
# All clusters are in these: the one is not for users, the other has rules of its own.
_NOT_MEANT = ("admin", _BEST_EFFORT)


def is_besteffort(request: Request) -> bool:
    """Tell whether other jobs may take the nodes away."""
    return request.queue == _BEST_EFFORT or _BEST_EFFORT in request.types


def queue_of(request: Request, clusters: Iterable[Cluster]) -> str | None:
    """Return the queue of a job on these clusters; ``None``: there is none for users that all of them are in.

    The queue that is asked for is returned as it is, whatever the clusters say.
    """
    if is_besteffort(request):
        return _BEST_EFFORT
    if request.queue is not None:
        return request.queue
    queues = [set(cluster.queues) for cluster in clusters]
    if not queues:
        return DEFAULT
    shared = set.intersection(*queues).difference(_NOT_MEANT)
    return next((name for name in (*_PREFERRED, *sorted(shared)) if name in shared), None)


def has_limits(queue: str | None) -> bool:
    """Tell whether nodes limit the walltime of jobs of this queue (OAR's property ``max_walltime``)."""
    return queue in _PRODUCTION
