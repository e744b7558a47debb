"""Several sites as one place: which site is chosen, what happens when one refuses, who is told what."""

from __future__ import annotations

import functools
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from pytest_execo.emulator.clock import ManualClock
from pytest_execo.emulator.machines import NoMachines
from pytest_execo.emulator.sample import sample_reference
from pytest_execo.emulator.server import EmulatorServer
from pytest_execo.emulator.testbed import EmulatorTestbed
from pytest_execo.errors import ApiError, InvalidRequest, RequestNotMet, ReservationFailed, TestbedError
from pytest_execo.hosts import Host, Hosts
from pytest_execo.testbeds import Lease, Plan, Request, Testbed
from pytest_execo.testbeds.contract import Remember, ignore
from pytest_execo.testbeds.embedded import EmbeddedTestbed
from pytest_execo.testbeds.grid5000.operations import Waiting
from pytest_execo.testbeds.grid5000.testbed import Grid5000Testbed
from pytest_execo.testbeds.registry import open_testbed
from pytest_execo.testbeds.several import SeveralSites


class Nodes(Lease):
    def __init__(self, site: Site, count: int) -> None:
        self.site = site
        self.nodes = Hosts(Host(f"node-{number}.{site.site}") for number in range(count))
        self.end = None

    def alive(self) -> bool:
        return self in self.site.leases

    def release(self) -> None:
        self.site.leases.discard(self)


class Site(Testbed):
    """A site with so many nodes, which come after so many seconds, or not."""

    name = "fake"
    night_types = ("at-night",)
    ROOM = 4

    def __init__(self, site: str, *, nodes: int | None = None, options: Mapping[str, str] | None = None) -> None:
        super().__init__(site, nodes=nodes, options=options)
        self.leases: set[Nodes] = set()
        self.after = 0.0
        self.refuses: TestbedError | None = None
        self.away: TestbedError | None = None
        self.left: set[int] = set()
        self.closed = 0
        self.before: Callable[[], object] = lambda: None

    @classmethod
    def sites(cls) -> Sequence[str]:
        return ("lyon", "nancy", "rennes")

    def plan(self, request: Request) -> Plan:
        if self.away is not None:
            raise self.away
        count = request.nodes or 1
        if count > self.ROOM:
            return Plan(count, None, None, (f"asks for {count} nodes, there are {self.ROOM}",))
        return Plan(count, time.time() + self.after, None)

    def gantt(self, request: Request, *, svg: bool = False) -> str | None:
        if self.away is not None:
            raise self.away
        return f'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="50"><text y="9">{self.site}</text></svg>'

    def reserve(self, request: Request, *, remember: Remember = ignore) -> Nodes:
        number = len(self.leases) + len(self.left)
        remember({"job": number})
        self.before()
        self.say(f"{self.site} {number}: waiting")
        if self.refuses is not None:
            self.left.add(number)
            raise self.refuses
        lease = Nodes(self, request.nodes or 1)
        self.leases.add(lease)
        return lease

    def reclaim(self, remains: Mapping[str, Any]) -> Sequence[str]:
        if self.away is not None:
            raise self.away
        if remains["job"] not in self.left:
            return ()
        self.left.discard(remains["job"])
        return (f"job {remains['job']} deleted",)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def sites() -> list[Site]:
    return [Site("lyon"), Site("nancy"), Site("rennes")]


@pytest.fixture
def several(sites: list[Site]) -> SeveralSites:
    return SeveralSites(sites)


def where(lease: Lease) -> str:
    return lease.nodes[0].name.rpartition(".")[2]


def away() -> ApiError:
    return ApiError("GET", "https://api/x", None, "no answer")


# plans


def test_a_plan_is_that_of_the_site_where_it_fits_soonest(several: SeveralSites, sites: list[Site]) -> None:
    sites[0].after, sites[1].after, sites[2].after = 7200, 3600, 7200
    plan = several.plan(Request(nodes=2))
    assert plan.start == pytest.approx(time.time() + 3600, abs=60)
    assert plan.notes == ("at nancy",)
    assert (plan.nodes, plan.unmet) == (2, ())


def test_where_it_fits_nowhere_each_site_says_what_it_lacks(several: SeveralSites) -> None:
    plan = several.plan(Request(nodes=5))
    assert plan.unmet == tuple(f"{site}: asks for 5 nodes, there are 4" for site in ("lyon", "nancy", "rennes"))
    assert plan.start is None
    with pytest.raises(RequestNotMet, match="nancy: asks for 5 nodes"):
        several.reserve(Request(nodes=5))


def test_a_site_that_is_away_is_noted(several: SeveralSites, sites: list[Site]) -> None:
    sites[0].away = away()
    assert several.plan(Request()).notes == ("at nancy", f"lyon: not considered: {away()}")
    assert where(several.reserve(Request())) == "nancy"


def test_what_fits_nowhere_may_fit_where_one_can_not_ask(several: SeveralSites, sites: list[Site]) -> None:
    """It is not said to be impossible, for which a run would give up."""
    sites[1].away = away()
    with pytest.raises(ApiError) as raised:
        several.plan(Request(nodes=5))
    assert raised.value.__notes__ == [f"{site}: asks for 5 nodes, there are 4" for site in ("lyon", "rennes")]


def test_who_names_sites_is_left_to_the_first(several: SeveralSites, sites: list[Site]) -> None:
    sites[0].after = 7200
    request = Request(nodes=2, shares=(("lyon", 1), ("nancy", 1)))
    assert several.plan(request).start == pytest.approx(time.time() + 7200, abs=60)
    assert where(several.reserve(request)) == "lyon"
    sites[0].refuses = ReservationFailed("no")
    with pytest.raises(ReservationFailed):
        several.reserve(request)
    assert where(several.reserve(Request())) == "nancy"


# leases


def test_a_site_that_refuses_is_followed_by_the_next(several: SeveralSites, sites: list[Site]) -> None:
    said: list[str] = []
    several.say = said.append
    sites[0].refuses, sites[1].refuses = ReservationFailed("no more jobs"), away()
    sites[1].after, sites[2].after = 3600, 7200
    told: list[Mapping[str, Any]] = []
    lease = several.reserve(Request(), remember=told.append)
    assert where(lease) == "rennes"
    assert said == [
        "lyon 0: waiting",
        "lyon: no more jobs; goes on with nancy",
        "nancy 0: waiting",
        f"nancy: {away()}; goes on with rennes",
        "rennes 0: waiting",
    ]
    assert told[0] == {"site": "lyon", "remains": {"job": 0}}
    assert (told[-1]["site"], told[-1]["remains"]) == ("rennes", {"job": 0})
    # What the sites that refused may have left is found as well.
    assert several.reclaim(told[-1]) == ["lyon: job 0 deleted", "nancy: job 0 deleted"]
    assert several.reclaim(told[-1]) == []


def test_when_all_refuse_the_last_error_names_the_others(several: SeveralSites, sites: list[Site]) -> None:
    for site in sites:
        site.refuses = ReservationFailed(f"none in {site.site}")
    sites[2].refuses = RequestNotMet(["gone meanwhile"])
    with pytest.raises(ReservationFailed, match="none in nancy") as raised:
        several.reserve(Request())
    assert raised.value.__notes__ == ["lyon: none in lyon", "rennes: gone meanwhile"]
    # Nobody is counted as being there.
    sites[0].refuses = None
    assert where(several.reserve(Request())) == "lyon"


def test_an_interruption_is_passed_on_and_leaves_nothing_counted(several: SeveralSites, sites: list[Site]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    sites[0].before = interrupt
    with pytest.raises(KeyboardInterrupt):
        several.reserve(Request())
    sites[0].before = lambda: None
    assert where(several.reserve(Request())) == "lyon"


def test_leases_go_to_the_least_used_of_those_that_have_it_now(several: SeveralSites, sites: list[Site]) -> None:
    sites[2].after = 600
    leases = [several.reserve(Request()) for _ in range(4)]
    assert [where(lease) for lease in leases] == ["lyon", "nancy", "lyon", "nancy"]
    leases[1].release()
    assert [where(several.reserve(Request())) for _ in range(2)] == ["nancy", "lyon"]


def test_a_minute_later_is_as_good_and_two_are_not(several: SeveralSites, sites: list[Site]) -> None:
    sites[1].after, sites[2].after = 50, 120
    assert [where(several.reserve(Request())) for _ in range(4)] == ["lyon", "nancy", "lyon", "nancy"]


@pytest.mark.parametrize("count", [2, 3])
def test_asked_at_the_same_time_they_go_to_different_sites(
    several: SeveralSites, sites: list[Site], count: int
) -> None:
    together = threading.Barrier(count)
    for site in sites:
        site.before = lambda: together.wait(30)  # nobody has a lease before everybody has chosen
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(where(several.reserve(Request())))) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == ["lyon", "nancy", "rennes"][:count]


def test_who_was_sent_on_is_counted_where_it_is(several: SeveralSites, sites: list[Site]) -> None:
    sites[0].refuses = ReservationFailed("no")
    meanwhile: list[str] = []

    def ask() -> None:
        sites[1].before = lambda: None
        sites[0].after = 3600
        meanwhile.append(where(several.reserve(Request())))

    sites[1].before = ask  # lyon has refused, nancy is being asked
    assert where(several.reserve(Request())) == "nancy"
    assert meanwhile == ["rennes"]
    assert [where(several.reserve(Request())) for _ in range(2)] == ["nancy", "rennes"]


def test_now_is_now_on_a_fast_clock(several: SeveralSites, sites: list[Site], monkeypatch: Any) -> None:
    """Where a minute passes while the next site is asked."""
    monkeypatch.setattr(Site, "speed", property(lambda site: 600.0))
    sites[0].after, sites[1].after, sites[2].after = -2, -1, 1
    assert [where(several.reserve(Request())) for _ in range(4)] == ["lyon", "nancy", "lyon", "nancy"]


def test_what_is_left_at_a_site_that_is_away_is_not_forgotten(several: SeveralSites, sites: list[Site]) -> None:
    sites[0].left, sites[1].left = {0}, {0}
    remains = {"site": "nancy", "remains": {"job": 0}, "earlier": [{"site": "lyon", "remains": {"job": 0}}]}
    sites[0].away = away()
    with pytest.raises(ApiError) as raised:
        several.reclaim(remains)
    assert raised.value.__notes__ == ["nancy: job 0 deleted"]
    sites[0].away = None
    assert several.reclaim(remains) == ["lyon: job 0 deleted"]


def test_remains_of_another_kind_are_refused(several: SeveralSites) -> None:
    with pytest.raises(TestbedError, match="lyon,nancy,rennes: this tells of no lease of several sites"):
        several.reclaim({"job": 7})


# what is passed on


def test_it_has_the_name_of_its_kind_and_all_sites(several: SeveralSites, sites: list[Site]) -> None:
    assert (several.name, several.site) == ("fake", "lyon,nancy,rennes")
    assert several.night_types == ("at-night",)
    assert several.at("nancy") is sites[1]


def test_pictures_are_put_below_each_other(several: SeveralSites, sites: list[Site]) -> None:
    picture = several.gantt(Request(), svg=True)
    assert picture is not None
    root = ET.fromstring(picture)
    assert (root.get("width"), root.get("height")) == ("300", "150")
    assert [(part.get("y"), "".join(part.itertext())) for part in root] == [
        ("0", "lyon"), ("50", "nancy"), ("100", "rennes")
    ]  # fmt: skip
    text = several.gantt(Request())
    assert text is not None
    assert [line for line in text.splitlines() if not line.startswith("<")] == ["lyon", "nancy", "rennes"]
    sites[0].away = away()
    assert "nancy" in (several.gantt(Request()) or "")


def test_all_are_closed_whatever_one_does(several: SeveralSites, sites: list[Site], monkeypatch: Any) -> None:
    def fails() -> None:
        raise TestbedError("can't")

    monkeypatch.setattr(sites[1], "close", fails)
    with pytest.raises(TestbedError, match="can't"):
        several.close()
    assert (sites[0].closed, sites[2].closed) == (1, 1)


@pytest.mark.parametrize(
    "wrong",
    [[], [Site("lyon"), Site("lyon")], [Site("lyon"), EmbeddedTestbed("local")]],
    ids=["none", "twice", "kinds"],
)
def test_what_makes_no_place(wrong: list[Testbed]) -> None:
    with pytest.raises(ValueError, match="different ones of one testbed"):
        SeveralSites(wrong)


# opening


def test_one_site_is_the_testbed_itself() -> None:
    testbed = open_testbed("local", None, nodes=3)
    assert type(testbed) is EmbeddedTestbed
    assert testbed.default_nodes == 3


def test_several_sites_of_the_emulator() -> None:
    testbed = open_testbed("lyon, nancy", "emulator", nodes=2, options={"speed": "600"})
    assert isinstance(testbed, SeveralSites)
    assert (testbed.name, testbed.site, testbed.default_nodes) == ("emulator", "lyon,nancy", 2)
    assert all(isinstance(each, EmulatorTestbed) for each in testbed.testbeds)
    testbed.close()


@pytest.mark.parametrize(
    ("site", "name", "line"),
    [
        ("lyon,lyon", None, "--execo-site=lyon,lyon: lyon is named twice"),
        ("lyon,", None, "--execo-site=lyon,: names no site beside a comma; write lyon,nancy"),
        ("lyon,local", None, "--execo-site=lyon,local: lyon is of testbed grid5000, local of testbed embedded; "),
        ("lyon,lion", None, "--execo-site=lion: unknown site"),
        ("lyon,nancy", "embedded", "--execo-site=lyon: unknown site; testbed 'embedded' has: local"),
        ("lyon,nancy", "nothing", "--execo-testbed=nothing: no such testbed"),
    ],
)
def test_sites_that_can_not_be_used_together(site: str, name: str | None, line: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        open_testbed(site, name)
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)


def test_an_option_that_the_testbed_does_not_have() -> None:
    with pytest.raises(InvalidRequest, match="--execo-option=color=red: unknown"):
        open_testbed("local", None, options={"color": "red"})


# copies of one Grid'5000


class Rehearsed(EmulatorTestbed):
    """The emulator with nodes that are only remembered, and a clock that goes on when somebody sleeps."""

    started = 0

    @functools.cached_property
    def clock(self) -> ManualClock:
        return ManualClock()

    @functools.cached_property
    def server(self) -> EmulatorServer:
        type(self).started += 1
        return EmulatorServer.start(
            sample_reference(), machines=NoMachines(), clock=self.clock, users=dict([self._account])
        )

    @functools.cached_property
    def waiting(self) -> Waiting:
        return Waiting(clock=self.clock.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.server.platform.advance()


@pytest.mark.slow
def test_two_sites_of_one_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rehearsed, "started", 0)
    first = Rehearsed("lyon", options={"walltime": "1:00:00"})
    several = SeveralSites([first, first.at("nancy")])
    said: list[str] = []
    several.say = said.append
    try:
        plan = several.plan(Request(nodes=2))
        assert any(note.startswith("lyon: 2 of") for note in plan.notes)
        told: list[Mapping[str, Any]] = []
        leases = [several.reserve(Request(nodes=2), remember=told.append) for _ in range(2)]
        assert [name.split(".")[1] for lease in leases for name in lease.nodes.names] == ["lyon"] * 2 + ["nancy"] * 2
        assert {line.split()[0] for line in said} == {"lyon", "nancy"}
        assert Rehearsed.started == 1
        assert several.now() == first.clock.now()
        assert several.plan(Request(nodes=20)).unmet
        for lease in leases:
            lease.release()
        assert not any(lease.alive() for lease in leases)
    finally:
        several.close()
    assert first.server.ended.is_set()


def test_copies_share_what_is_made_later() -> None:
    origin = Rehearsed("lyon", nodes=2, options={"seed": "3"})
    copies = [origin.at("nancy"), origin.at("nancy").at("rennes")]
    assert [copied.site for copied in copies] == ["nancy", "rennes"]
    assert all(isinstance(copied, Rehearsed) and copied.default_nodes == 2 for copied in copies)
    assert "server" not in vars(origin)
    uri = copies[1]._uri
    try:
        assert copies[0].client is origin.client is copies[1].client
        assert copies[0].waiting is origin.waiting
        assert copies[0]._uri == uri == origin._uri
    finally:
        copies[0].close()
    assert origin.server.ended.is_set()
    copies[1].close()
    origin.close()


def test_to_close_a_copy_of_what_was_never_used_starts_nothing() -> None:
    origin = Rehearsed("lyon")
    origin.at("nancy").close()
    assert not {"server", "client"} & set(vars(origin))


def test_the_real_one_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    origin = Grid5000Testbed("lyon", options={"walltime": "2h"})
    other = origin.at("nancy")
    assert (other.site, other.name, other.options) == ("nancy", "grid5000", origin.options)
    assert other.waiting is origin.waiting


def test_any_testbed_has_another_site(sites: list[Site]) -> None:
    other = Site("lyon", nodes=3, options={"a": "b"}).at("nancy")
    assert (other.site, other.default_nodes, other.options) == ("nancy", 3, {"a": "b"})
