"""What is done with jobs, deployments, VLANs, subnets and metrics, on top of the client.

Every wait takes a :class:`Waiting`: the clock, how to sleep, and until when.
"""

from __future__ import annotations

from .deployment import Deployed, deploy
from .environments import WantedEnvironment, read_environment, unknown_environment
from .jobs import delete, extend, find_job, reload, submit_together, wait_for_start
from .metrics import Series, energy, series
from .probing import environments_of, wait_for_ssh
from .subnets import Subnets, subnets_of
from .vlans import Vlan, attach, detach, in_vlan, vlans_of
from .waiting import Waiting

__all__ = (
    "Deployed",
    "Series",
    "Subnets",
    "Vlan",
    "Waiting",
    "WantedEnvironment",
    "attach",
    "delete",
    "deploy",
    "detach",
    "energy",
    "environments_of",
    "extend",
    "find_job",
    "in_vlan",
    "read_environment",
    "reload",
    "series",
    "submit_together",
    "subnets_of",
    "unknown_environment",
    "vlans_of",
    "wait_for_ssh",
    "wait_for_start",
)
