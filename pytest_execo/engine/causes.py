"""Whose fault a failure is: the trial's, or that of nodes which are not there any more."""

from __future__ import annotations

from ..errors import DeploymentFailed, LeaseLost, TestbedError
from ..leases.health import lost_hosts
from ..leases.holder import Lender
from ..testbeds import Lease, Request

__all__ = ("environment_fault", "why_lost")


def environment_fault(error: BaseException) -> TestbedError | None:
    """Return the testbed's error that ``error`` is, or is made of entirely."""
    if isinstance(error, BaseExceptionGroup):
        _, rest = error.split(TestbedError)
        return environment_fault(error.exceptions[0]) if rest is None else None
    return error if isinstance(error, TestbedError) else None


def why_lost(leases: Lender, request: Request, lease: Lease | None, error: BaseException | None) -> str | None:
    """Return how nodes were lost in a line, when a failure comes from that; ``None``: the trial itself has failed.

    A lease that is found to be of no more use is condemned.

    :param lease: what the trial has; ``None``: it had not got it yet.
    :param error: what was raised, if it was an exception.
    """
    lost = leases.lost(request)
    if lost is not None:
        return str(lost)
    if lease is None or error is None:
        return None
    fault = environment_fault(error)
    if isinstance(fault, LeaseLost | DeploymentFailed):
        reason = str(fault).splitlines()[0]
        leases.condemn(request, reason)
        return reason
    # A node that is silent now explains the failure; so does a connection to one of ours that broke.
    return leases.examine(request) or _broken(leases, request, lease, error)


def _broken(leases: Lender, request: Request, lease: Lease, error: BaseException) -> str | None:
    broken = lost_hosts(error)
    ours = {*lease.nodes.names} - leases.off_on_purpose(request)
    return next((why for host, why in broken.items() if host in ours), None)
