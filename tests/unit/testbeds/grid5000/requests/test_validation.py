"""What can be known of a request without asking anybody."""

from __future__ import annotations

import pytest

from pytest_execo.testbeds import Request
from pytest_execo.testbeds.grid5000.reference import Reference
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
        (Request(nodes=1, disks=True), "lyon", "asks for 1 nodes of lyon, 0 meet the request"),
        (Request(nodes=5), "nancy", None),
        (Request(nodes=7), "nancy", "asks for 7 nodes of nancy, 6 meet the request"),  # not the exotic ones
        (Request(nodes=7, types=("exotic",)), "nancy", None),
        (Request(nodes=1, cluster="grisou"), "nancy", None),  # exotic, and meant
        (Request(nodes=1, cluster="paradoxe"), "rennes", None),  # abaca, and meant
        (Request(nodes=4), "rennes", "asks for 4 nodes of rennes, 3 meet the request"),
        (Request(nodes=1, queue="o'neil"), "lyon", 'asks for "o\'neil": quotes, braces, + and , mean something to OAR'),
        (Request(nodes=3, walltime=25 * 3600), "lyon", None),
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


def test_candidates_are_what_meets_it(reference: Reference) -> None:
    assert candidates(Request(hosts=("taurus-2",)), reference) == {"taurus": ("taurus-2.lyon.grid5000.fr",)}
    assert set(candidates(Request(), reference)) == {"taurus", "nova", "gros", "parasilo"}
    assert set(candidates(Request(), reference, ["lyon"])) == {"taurus", "nova"}
    assert set(candidates(Request(queue="abaca"), reference)) == {"paradoxe"}
    assert set(candidates(Request(disks=True), reference)) == {"parasilo"}
