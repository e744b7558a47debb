"""Mistakes of EnOSlib's and execo's deployments, keys and VLANs that are not made here.

What each of the peers does is told by the docstring of the test. The platform is the emulator, by its API, on a clock
that goes on when somebody sleeps. Others of their mistakes are shown beside the code, in ``operations/``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.connectors.host_keys import ACCEPT_NEW
from pytest_execo.emulator.clock import ManualClock
from pytest_execo.emulator.faults import Faults
from pytest_execo.emulator.machines import NoMachines
from pytest_execo.emulator.sample import sample_reference
from pytest_execo.emulator.server import EmulatorServer
from pytest_execo.errors import DeploymentFailed, InvalidRequest
from pytest_execo.hosts import Host, Hosts
from pytest_execo.leases.hours import Hours
from pytest_execo.leases.reserving import Reserver
from pytest_execo.testbeds import Lease, Request, Testbed
from pytest_execo.testbeds.grid5000.answers import DeploymentOrder, Job, Submission
from pytest_execo.testbeds.grid5000.client import Credentials, Grid5000Client
from pytest_execo.testbeds.grid5000.client.http import Http
from pytest_execo.testbeds.grid5000.operations import Vlan, Waiting, deploy, vlans_of
from pytest_execo.testbeds.grid5000.sites import full_name
from pytest_execo.testbeds.grid5000.testbed import Grid5000Testbed
from pytest_execo.testbeds.needs import request_of

WALLTIME = "walltime=2:00:00"


class Emulated:
    """Grid'5000, and who has nodes there to deploy."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.faults = Faults()
        self.server = EmulatorServer.start(
            sample_reference(), machines=NoMachines(), clock=self.clock, users={"me": "pw"}, faults=self.faults
        )
        self.client = Grid5000Client(http=Http(self.server.uri, Credentials("me", "pw"), sleep=self.sleep))
        self.waiting = Waiting(clock=self.clock.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        """Go on."""
        self.clock.advance(seconds)
        self.server.platform.advance()

    def nodes(self, site: str, cluster: str, count: int) -> tuple[str, ...]:
        """Return nodes that are ours to deploy."""
        resources = f"{{cluster='{cluster}'}}/nodes={count},{WALLTIME}"
        job = self.client.submit(site, Submission(resources, command="sleep 1d", types=("deploy",)))
        self.sleep(30)
        return self.client.job(site, job.id).nodes


@pytest.fixture
def emulated() -> Iterator[Emulated]:
    """Grid'5000 on a clock of the test's own."""
    made = Emulated()
    yield made
    made.client.close()
    made.server.close()


def of_emulated(names: Sequence[str]) -> DeploymentOrder:
    return DeploymentOrder(tuple(names), "debian12-min")


# execo, W-30


@pytest.mark.slow
def test_what_two_sites_say_at_once_is_not_mixed_up(emulated: Emulated) -> None:
    """execo reads the output of all sites' kadeploys with one parser, which has one current section: nodes of a site
    are taken for deployed, or failed, because another site's output came in between. Here each deployment is asked for
    its own nodes: two sites, deployed side by side, with a node that fails at each, and another one at each."""
    lyon, nancy = emulated.nodes("lyon", "taurus", 4), emulated.nodes("nancy", "gros", 4)
    emulated.faults.deployment_ko([lyon[1]]).deployment_ko([nancy[2]])
    names = [name for pair in zip(lyon, nancy, strict=True) for name in pair]
    done = deploy(
        emulated.client, names, of_emulated(names), min_nodes=6, tries=1, waiting=emulated.waiting
    )  # fmt: skip
    assert set(done.failed) == {lyon[1], nancy[2]}
    assert done.nodes == tuple(name for name in names if name not in done.failed)
    begun = [emulated.client.deployments(site) for site in ("lyon", "nancy")]
    ((one,), (other,)) = map(list, begun)
    assert one.created_at == other.created_at  # side by side


# EnOSlib, rows 1 and 8; execo, W-27


@pytest.mark.slow
def test_three_attempts_by_the_api_forget_no_node_and_leave_none_out(emulated: Emulated) -> None:
    """EnOSlib returns the nodes of the last attempt only, and leaves those that were never deployed out without a
    word. Here nodes of all attempts come back, each once, and what failed is named."""
    nodes = emulated.nodes("lyon", "taurus", 5)
    for tries, node in enumerate(nodes[2:], 1):
        emulated.faults.deployment_ko([node], tries)
    done = deploy(
        emulated.client, nodes, of_emulated(nodes), min_nodes=4, waiting=emulated.waiting
    )  # fmt: skip
    assert (done.nodes, set(done.failed), done.attempts) == (nodes[:4], {nodes[4]}, 3)
    asked = [set(one.nodes) for one in reversed(list(emulated.client.deployments("lyon")))]
    assert asked == [set(nodes), set(nodes[2:]), set(nodes[3:])]


@pytest.mark.slow
@pytest.mark.parametrize(("how", "longest"), [("deployment_canceled", 4 * 90), ("deployment_stuck", 3 * 660)])
def test_deployments_that_end_otherwise_or_never_end_in_time(emulated: Emulated, how: str, longest: float) -> None:
    """EnOSlib polls a deployment that was canceled for ever, and one that stays in processing as well; the time-out
    that execo takes has no effect. Here what is canceled is seen at once, three attempts of ten minutes are half an
    hour, and none is left behind."""
    nodes = emulated.nodes("lyon", "taurus", 1)
    getattr(emulated.faults, how)(times=3)
    began = emulated.clock.now()
    with pytest.raises(DeploymentFailed, match="0 of 1 nodes have it, 1 are needed"):
        deploy(emulated.client, nodes, of_emulated(nodes), timeout=600, waiting=emulated.waiting)
    assert emulated.clock.now() - began <= longest  # a cancellation is not waited out
    emulated.sleep(60)
    assert {one.status for one in emulated.client.deployments("lyon")} == {"canceled"}


# EnOSlib, row 7


class FakeLease(Lease):
    """Nodes of which some come out of a deployment."""

    def __init__(self, count: int) -> None:
        self.nodes = Hosts(Host("127.0.0.1", name=f"n{number}") for number in range(count))
        self.end = None
        self.least: list[int | None] = []

    def alive(self) -> bool:
        return True

    def deploy(self, environment: str, *, min_nodes: int | None = None) -> Hosts:
        self.least.append(min_nodes)
        return self.nodes

    def release(self) -> None:
        pass


class FakeTestbed(Testbed):
    """Gives what it is asked for, and remembers what that was."""

    name = "fake"

    def __init__(self) -> None:
        super().__init__("here")
        self.asked: list[Request] = []

    @classmethod
    def sites(cls) -> Sequence[str]:
        return ("here",)

    def plan(self, request: Request) -> Any:
        raise NotImplementedError

    def reserve(self, request: Request, *, remember: Callable[[Any], None] = lambda told: None) -> FakeLease:
        self.asked.append(request)
        self.lease = FakeLease(request.nodes or 1)
        return self.lease


@pytest.mark.parametrize(("marker", "least"), [({"nodes": 4, "min_nodes": 3}, 3), ({"nodes": 4}, 4)])
def test_the_minimum_of_the_marker_reaches_the_deployment(marker: dict[str, Any], least: int) -> None:
    """EnOSlib takes ``min`` and ``reservable_disks`` in its configuration and drops them when it reads a dictionary.
    Here the minimum of the marker is what the deployment has to reach, and all nodes where there is none."""
    testbed = FakeTestbed()
    request = request_of({**marker, "environment": "debian12-min", "disks": True})
    Reserver(testbed, None, Hours.ANY).reserve(request)
    assert testbed.lease.least == [least]
    assert (testbed.asked[0].nodes, testbed.asked[0].disks) == (4, True)


# EnOSlib, row 14


class Site:
    """A site whose VLANs are of other kinds than their numbers would tell."""

    def vlans(self, site: str) -> dict[str, str]:
        return {"2": "kavlan-global", "5": "kavlan-local", "30": "kavlan"}


def test_the_kind_of_a_vlan_is_what_the_api_says() -> None:
    """EnOSlib tells the kind of a VLAN from its number: 1 to 3 are local, 4 to 9 routed, all others global. Here the
    API is asked, so that a site may number them as it likes."""
    job = Job("lyon", 1, "running", vlans=("2", "5", "30"))
    found = vlans_of(Site(), job)  # type: ignore[arg-type]  # a part of a client
    assert found == [
        Vlan("lyon", "2", "kavlan-global"),
        Vlan("lyon", "5", "kavlan-local"),
        Vlan("lyon", "30", "kavlan"),
    ]


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory with an empty ``.ssh``."""
    for name in ("EXECO_G5K_URI", "EXECO_G5K_USER", "EXECO_G5K_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def test_whoever_has_no_rsa_key_gets_in_as_well(home: Path) -> None:
    """EnOSlib reads ``~/.ssh/id_rsa.pub``, whether it is there or not. Here all public keys of the user are given to
    root, whatever their kinds, or the one that is named."""
    (home / ".ssh" / "id_ed25519.pub").write_text(f"{KEY} me@laptop\n")
    (home / ".ssh" / "id_ecdsa.pub").write_text("ecdsa-sha2-nistp256 AAAAE2Vj me@laptop\n")
    (home / ".ssh" / "id_ed25519").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert Grid5000Testbed("lyon").public_keys().splitlines() == [
        "ecdsa-sha2-nistp256 AAAAE2Vj me@laptop", f"{KEY} me@laptop"
    ]  # fmt: skip
    (home / "other.pub").write_text(f"{KEY} other\n")
    assert Grid5000Testbed("lyon", options={"key": str(home / "other.pub")}).public_keys() == f"{KEY} other"


def test_no_key_and_a_private_key_are_said_before_anything_is_deployed(home: Path) -> None:
    """EnOSlib fails at the first ssh of a node that was deployed without a key. Here it is one line at the plan; and a
    private key is not sent to anybody."""
    with pytest.raises(InvalidRequest, match="make one with ssh-keygen, or give --execo-option=key=FILE"):
        Grid5000Testbed("lyon").public_keys()
    (home / "id").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n")
    with pytest.raises(InvalidRequest, match="is a private key; give the public one") as raised:
        Grid5000Testbed("lyon", options={"key": str(home / "id")}).public_keys()
    assert "secret" not in str(raised.value)
    with pytest.raises(InvalidRequest, match="can't be read"):
        Grid5000Testbed("lyon", options={"key": str(home / "nothing.pub")}).public_keys()


def test_host_keys_are_checked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """EnOSlib and execo switch the check of host keys off, on all hosts. Here nodes as they are have to show the key
    that the user's own files know; a node that was just deployed has a new one, which is believed once, and has to be
    shown from then on."""
    monkeypatch.setattr(Grid5000Testbed, "describe_node", lambda self, name: {})
    testbed = Grid5000Testbed("lyon")
    name = "taurus-1.lyon.grid5000.fr"
    assert [host.host_key for host in testbed.hosts([name], deployed=False)] == [None]
    assert [host.host_key for host in testbed.hosts([name], deployed=True)] == [ACCEPT_NEW]
    (in_vlan,) = testbed.hosts([name], deployed=True, vlan="4")
    assert (in_vlan.address, in_vlan.name, in_vlan.user) == ("taurus-1-kavlan-4.lyon.grid5000.fr", name, "root")


# execo, W-29


@pytest.mark.parametrize("name", ["taurus-1", "taurus-1.lyon", "taurus-1.lyon.grid5000.fr"])
def test_a_node_may_be_named_with_its_site_and_without_the_domain(name: str, reference: Any) -> None:
    """execo ends with an AttributeError on a host ``name.site`` without domain. Here all three forms are one node, in
    the reference data as in what OAR is asked for."""
    assert full_name(name, "lyon") == "taurus-1.lyon.grid5000.fr"
    assert full_name(name, "nancy") == f"taurus-1.{'lyon' if '.' in name else 'nancy'}.grid5000.fr"
    assert reference.node(name).name == "taurus-1.lyon.grid5000.fr"


@pytest.mark.slow
def test_orders_are_values(emulated: Emulated) -> None:
    """execo changes the deployment that it is given, and what it found wanted. Here an order stays as it is, for the
    next nodes."""
    nodes = emulated.nodes("lyon", "taurus", 2)
    order = of_emulated(nodes)
    before = dataclasses.asdict(order)
    emulated.faults.deployment_ko(nodes[:1])
    assert deploy(emulated.client, nodes, order, waiting=emulated.waiting).nodes == nodes
    assert dataclasses.asdict(order) == before
