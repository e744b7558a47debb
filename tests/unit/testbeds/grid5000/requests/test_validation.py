"""What can be known of a request without asking anybody."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_execo.emulator.sample import sample_reference
from pytest_execo.testbeds import Request
from pytest_execo.testbeds.grid5000.reference import Reference, load_reference
from pytest_execo.testbeds.grid5000.requests import candidates, sites_of, unmet, wanted_of


@pytest.mark.parametrize(
    ("request_", "site", "line"),
    [
        (Request(nodes=1), "mars", "asks for site 'mars', which is not in the reference data"),
        (
            Request(nodes=1, cluster="tauru"),
            "lyon",
            "asks for cluster 'tauru', no such cluster; did you mean 'taurus'?",
        ),
        (Request(nodes=1, cluster="gros"), "lyon", "asks for cluster 'gros', which is at nancy, not at lyon"),
        (
            Request(nodes=2, shares=(("lyo", 2),)),
            "lyon",
            "asks for nodes of 'lyo', no such site or cluster; did you mean 'lyon'?",
        ),
        (Request(nodes=1, hosts=("taurus-9",)), "lyon", "asks for node 'taurus-9', no such node; did you mean"),
        (Request(nodes=11), "lyon", "asks for 11 nodes of lyon, 10 meet the request"),
        (Request(nodes=7, cluster="taurus"), "lyon", "asks for 7 nodes of taurus, 6 meet the request"),
        (
            Request(nodes=1, properties=(("cores", ">=999"),)),
            "lyon",
            "asks for cores >= 999: no node has it, the largest has 16",
        ),
        (
            Request(nodes=1, cluster="taurus", queue="abaca"),
            "lyon",
            "asks for queue 'abaca', taurus has admin, default",
        ),
        (Request(nodes=1, vlan="kavlan"), "lyon", "asks for a VLAN (kavlan) without an environment: only deployed"),
        (Request(nodes=1, walltime=169 * 3600), "lyon", "asks for 169 h, the longest walltime is 168 h"),
        (
            Request(nodes=1, disks=True),
            "lyon",
            "asks for 1 node of lyon, 0 meet the request; 10 are without reservable disks",
        ),
        (Request(nodes=5), "nancy", None),
        (
            Request(nodes=7),
            "nancy",
            "asks for 7 nodes of nancy, 6 meet the request; 4 are exotic (types=['exotic'] takes them)",
        ),
        (Request(nodes=7, types=("exotic",)), "nancy", None),
        (Request(nodes=1, cluster="grisou"), "nancy", None),  # exotic, and meant
        (Request(nodes=1, cluster="paradoxe"), "rennes", None),  # abaca, and meant
        (
            Request(nodes=4),
            "rennes",
            "asks for 4 nodes of rennes, 3 meet the request; 5 are in the queues abaca, admin, production only",
        ),
        (Request(nodes=8, types=("besteffort",)), "rennes", None),  # whatever the queues of the nodes
        (Request(nodes=1, queue="prodution"), "lyon", "asks for queue 'prodution', lyon has admin, default"),
        (Request(nodes=5, queue="abaca"), "rennes", None),
        (Request(nodes=1, project="o'neil"), "lyon", 'asks for "o\'neil": quotes mean something to OAR'),
        (Request(nodes=1, types=("timesharing=user,*",)), "lyon", None),
        (Request(nodes=1, subnets=(("slash_22=1+nodes", 1),)), "lyon", "asks for a subnet 'slash_22=1+nodes': write"),
        (Request(nodes=3, walltime=25 * 3600), "lyon", None),
        (
            Request(nodes=1, types=("besteffort",), environment="debian12-min"),
            "lyon",
            "asks for a deployment by best effort, which OAR does not allow",
        ),
        (
            Request(nodes=1, types=("besteffort",), queue="default"),
            "lyon",
            "asks for best effort in queue 'default'; best effort is a queue of its own",
        ),
        (
            Request(nodes=2, hosts=("taurus-1", "taurus-1.lyon")),
            "lyon",
            "asks for node 'taurus-1.lyon' twice, as 'taurus-1'",
        ),
        (Request(nodes=2, hosts=("taurus-1", "taurus-1")), "lyon", "asks for node 'taurus-1' twice"),
        (
            Request(nodes=2, shares=(("paradoxe", 1), ("parasilo", 1))),
            "rennes",
            "asks for paradoxe and parasilo in one job, and no queue for users has all of that: paradoxe has abaca",
        ),
        (
            Request(nodes=2, shares=(("paradoxe", 1), ("rennes", 1))),
            "rennes",
            "asks for paradoxe and rennes in one job, and no queue for users has all of that: paradoxe has abaca",
        ),
        (Request(nodes=2, shares=(("paradoxe", 1), ("parasilo", 1)), types=("besteffort",)), "rennes", None),
        (Request(nodes=2, shares=(("taurus", 1), ("nova", 1))), "lyon", None),
        (
            Request(nodes=2, shares=(("taurus", 1), ("nova", 1)), same_switch=True),
            "lyon",
            "asks for one switch for nodes of taurus and nova: name one site or cluster",
        ),
        (Request(nodes=7, same_switch=True), "lyon", None),
    ],
)
def test_what_is_not_met(request_: Request, site: str, line: str | None, reference: Reference) -> None:
    lines = unmet(request_, reference, site)
    assert (lines == []) if line is None else any(each.startswith(line) for each in lines), lines


@pytest.mark.parametrize(
    ("request_", "sites", "wanted"),
    [
        (Request(nodes=2), ["lyon"], {"lyon": 2}),
        (Request(nodes=2, cluster="taurus"), ["lyon"], {"taurus": 2}),
        (Request(nodes=3, shares=(("nancy", 2), ("parasilo", 1))), ["nancy", "rennes"], {"nancy": 2, "parasilo": 1}),
        (Request(nodes=2, hosts=("gros-1", "gros-2")), ["nancy"], {"gros": 2}),
    ],
)
def test_where_it_is_looked_for(
    request_: Request, sites: list[str], wanted: dict[str, int], reference: Reference
) -> None:
    assert sites_of(request_, reference, "lyon") == sites
    assert wanted_of(request_, reference, "lyon") == wanted


def test_nodes_to_be_left_out_are_no_candidates(reference: Reference) -> None:
    left_out = tuple(f"taurus-{number}.lyon.grid5000.fr" for number in (1, 3))
    found = candidates(Request(cluster="taurus", without=left_out), reference)["taurus"]
    everything = candidates(Request(cluster="taurus"), reference)["taurus"]
    assert set(found) == {*everything} - {*left_out}
    count = len(everything) - 1
    (line,) = unmet(Request(nodes=count, cluster="taurus", without=left_out), reference, "lyon")
    assert line == f"asks for {count} nodes of taurus, {count - 1} meet the request; 2 are to be left out"


def test_candidates_are_what_meets_it(reference: Reference) -> None:
    assert candidates(Request(hosts=("taurus-2",)), reference) == {"taurus": ("taurus-2.lyon.grid5000.fr",)}
    assert set(candidates(Request(), reference)) == {"taurus", "nova", "gros", "parasilo"}
    assert set(candidates(Request(), reference, ["lyon"])) == {"taurus", "nova"}
    assert set(candidates(Request(queue="abaca"), reference)) == {"paradoxe"}
    assert set(candidates(Request(disks=True), reference)) == {"parasilo"}
    assert set(candidates(Request(types=("besteffort",)), reference)) == {
        "taurus", "nova", "gros", "paradoxe", "parasilo"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "site", "line"),
    [
        (Request(start=2e9), "lyon", None),
        (Request(start=2e9, queue="production"), "rennes", "asks for an advance reservation in the queue production"),
        (Request(start=2e9, types=("besteffort",)), "lyon", "asks for an advance reservation in the queue besteffort"),
        # The queue that is found for the cluster.
        (Request(start=2e9, cluster="paradoxe"), "rennes", "asks for an advance reservation in the queue production"),
        (Request(start=2e9, cluster="paradoxe", queue="abaca"), "rennes", None),
        # Several sites are at one date by advance reservations.
        (
            Request(nodes=2, shares=(("taurus", 1), ("paradoxe", 1))),
            "lyon",
            "asks for several sites at one date, and the queue production of rennes takes no advance reservations",
        ),
        (Request(nodes=2, shares=(("taurus", 1), ("parasilo", 1))), "lyon", None),
    ],
)
def test_reservations_in_queues_that_take_none(
    request_: Request, site: str, line: str | None, reference: Reference
) -> None:
    lines = unmet(request_, reference, site)
    assert (lines == []) if line is None else (len(lines) == 1 and lines[0].startswith(line)), lines


def changed(cluster: str, number: int | None = None, **more: object) -> Reference:
    """Return the sample after a cluster, or one of its nodes, has been changed."""
    document = sample_reference()
    (found,) = [site["clusters"][cluster] for site in document["sites"].values() if cluster in site["clusters"]]
    (found if number is None else found["nodes"][number - 1]).update(more)
    return load_reference(document)


def test_a_walltime_that_some_nodes_do_not_give() -> None:
    limited = changed("paradoxe", 1, supported_job_types={"max_walltime": 7200, "queues": ["abaca", "production"]})
    request = Request(nodes=4, cluster="paradoxe", walltime=10800)
    assert unmet(request, limited, "rennes") == []
    assert "paradoxe-1.rennes.grid5000.fr" not in candidates(request, limited)["paradoxe"]
    assert unmet(dataclasses.replace(request, nodes=5), limited, "rennes") == [
        "asks for 5 nodes of paradoxe, 4 meet the request; 1 is limited to 2 h in their queue"
    ]
    assert unmet(dataclasses.replace(request, nodes=5, walltime=7200), limited, "rennes") == []


def test_the_limit_is_of_the_queue_production() -> None:
    limited = changed("taurus", 1, supported_job_types={"max_walltime": 7200, "queues": ["default", "production"]})
    assert unmet(Request(nodes=6, cluster="taurus", walltime=10800), limited, "lyon") == []


def test_nodes_that_are_not_for_it() -> None:
    request = Request(nodes=6, cluster="taurus", environment="debian12-min", vlan="kavlan")
    without_nics = changed("taurus", 2, network_adapters=[{"device": "eth0", "kavlan": False}])
    assert unmet(request, without_nics, "lyon") == [
        "asks for 6 nodes of taurus, 5 meet the request; 1 is without an interface for VLANs"
    ]
    assert "6 are without an interface for VLANs" in unmet(request, changed("taurus", kavlan=False), "lyon")[0]
    no_deploy = changed("taurus", 2, supported_job_types={"deploy": False, "besteffort": False})
    assert "1 is not for deployments" in unmet(request, no_deploy, "lyon")[0]
    besteffort = Request(nodes=6, cluster="taurus", types=("besteffort",))
    assert "1 is not for best effort" in unmet(besteffort, no_deploy, "lyon")[0]


def test_an_exotic_node_in_a_cluster_that_is_not() -> None:
    mixed = changed("taurus", 3, exotic=True)
    assert len(candidates(Request(), mixed)["taurus"]) == 5
    assert len(candidates(Request(cluster="taurus"), mixed)["taurus"]) == 6


def test_each_line_is_said_once(reference: Reference) -> None:
    request = Request(nodes=99, properties=(("cores", ">=999"),), vlan="kavlan", walltime=1e6)
    lines = unmet(request, reference, "lyon")
    assert len(lines) == len(set(lines)) == 3
