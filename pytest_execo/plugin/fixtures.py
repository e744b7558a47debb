"""The fixtures. They only hand out what the session of the run holds; importing them costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ..hosts import Hosts
    from ..results import Campaign, Trial
    from ..testbeds import Lease
    from .remote import RemoteProcesses
    from .session import ExperimentSession

__all__ = ("NAMES", "campaign", "deployed", "lease", "nodes", "remote", "trial")

NAMES = ("lease", "nodes", "deployed", "remote", "trial", "campaign")


UNSEEN = (
    "execo: fixtures of execo have to be asked for where collection can see it: as an argument, or with "
    "@pytest.mark.usefixtures; a test with the marker execo may use request.getfixturevalue()"
)


def _session(request: pytest.FixtureRequest) -> ExperimentSession:
    from . import SESSION

    session = request.config.stash.get(SESSION, None)
    if session is None:
        pytest.fail(UNSEEN, pytrace=False)
    return session


@pytest.fixture(scope="session")
def lease(request: pytest.FixtureRequest) -> Iterator[Lease]:
    """The nodes reserved for the tests with this test's needs (marker ``execo``), until the last of them has run.

    Taken when the first of these tests asks for it. Fixtures of any scope may stand on it: they end before it does,
    and are built again for tests with other needs.
    """
    session = _session(request)
    yield session.take_lease()
    session.lease.give_back()


@pytest.fixture(scope="session")
def nodes(lease: Lease) -> Hosts:
    """The nodes of the lease: a sequence of :class:`pytest_execo.Host` with the verbs of a group.

    With an ``environment`` in the marker they are the deployed ones.
    """
    return lease.nodes


@pytest.fixture(scope="session")
def deployed(lease: Lease, request: pytest.FixtureRequest) -> Hosts:
    """The nodes with the environment that the marker names, ``execo(environment="debian12-min")``, as ``root``.

    Those of them that could be deployed, where ``min_nodes=`` allows fewer. On a testbed without deployments they are
    what the plan says.
    """
    wanted = _session(request).lease.request
    if wanted is None or wanted.environment is None:
        pytest.fail(
            "execo: the fixture deployed needs an environment: execo(environment='debian12-min')", pytrace=False
        )
    return lease.nodes


@pytest.fixture
def remote(nodes: Hosts) -> RemoteProcesses:
    """Processes on the nodes: ``remote.run("uname -a")``, ``remote.start("iperf -s", nodes[:1])``.

    They end with the test. (So does everything else that a test starts; what a fixture starts ends with the fixture.)
    """
    from .remote import RemoteProcesses

    return RemoteProcesses(nodes)


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> Trial:
    """This trial: parameters in (``trial.params``), measurements out (``trial.record(duration=3.2)``)."""
    return _session(request).trial_of(request.node)


@pytest.fixture(scope="session")
def campaign(request: pytest.FixtureRequest) -> Campaign:
    """The campaign that the records go to; ``campaign.directory`` is where."""
    return _session(request).campaign
