"""Deployments: what failed again, what is good never, and an end to everything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_execo.errors import ApiError, DeploymentFailed
from pytest_execo.testbeds.grid5000.answers import DeploymentOrder
from pytest_execo.testbeds.grid5000.operations import deploy

NODES = tuple(f"taurus-{n}.lyon.grid5000.fr" for n in range(1, 5))
ORDER = DeploymentOrder(NODES, "debian12-min")


def result(*good: int) -> dict[str, str]:
    """Return kadeploy's word on each node: OK for these."""
    return {name: "OK" if number in good else "KO" for number, name in enumerate(NODES, 1)}


def of(outcome: dict[str, str], nodes: Sequence[str]) -> dict[str, str]:
    """Return the part of an outcome."""
    return {name: outcome[name] for name in nodes}


def test_all_at_once(platform: Any) -> None:
    platform.outcomes = [result(1, 2, 3, 4)]
    told: list[str] = []
    done = deploy(platform, NODES, ORDER, waiting=platform.waiting, progress=told.append)
    assert (done.nodes, done.failed, done.attempts) == (NODES, {}, 1)
    assert told == ["deploying debian12-min on 4 nodes"]


def test_nodes_deployed_before_are_not_forgotten_at_a_retry(platform: Any) -> None:
    # EnOSlib returns only those of the last attempt: here the fourth.
    platform.outcomes = [result(1, 2, 3), of(result(4), NODES[3:])]
    done = deploy(platform, NODES, ORDER, waiting=platform.waiting)
    assert done.nodes == NODES
    assert platform.ordered == [NODES, NODES[3:]]


def test_nodes_that_have_it_are_left_alone(platform: Any) -> None:
    platform.outcomes = [of(result(2), NODES[1:2])]
    done = deploy(
        platform, NODES, ORDER, waiting=platform.waiting, probe=lambda names: {n: n != NODES[1] for n in names}
    )
    assert done.nodes == NODES
    assert platform.ordered == [NODES[1:2]]


def test_nothing_is_asked_when_all_have_it(platform: Any) -> None:
    done = deploy(platform, NODES, ORDER, waiting=platform.waiting, probe=lambda names: dict.fromkeys(names, True))
    assert (done.nodes, done.attempts, platform.ordered) == (NODES, 0, [])


@pytest.mark.parametrize("status", ["canceled", "error"])
def test_a_deployment_that_is_canceled_ends(platform: Any, status: str) -> None:
    # EnOSlib waits for ever.
    platform.outcomes = [status, status, status]
    began = platform.now
    with pytest.raises(DeploymentFailed, match=f"0 of 4 nodes have it, 4 are needed: .*was {status}") as caught:
        deploy(platform, NODES, ORDER, waiting=platform.waiting)
    assert caught.value.deployed == ()
    assert set(caught.value.failed) == set(NODES)
    assert platform.now - began < 60  # nobody waited for it


def test_one_that_stays_in_processing_is_canceled_and_tried_again(platform: Any) -> None:
    platform.outcomes = ["processing", result(1, 2, 3, 4)]
    began = platform.now
    done = deploy(platform, NODES, ORDER, waiting=platform.waiting, timeout=900)
    assert done.nodes == NODES
    assert platform.canceled == ["D-1"]
    assert platform.now - began == pytest.approx(900, abs=30)


def test_the_minimum_counts_after_the_deployment(platform: Any) -> None:
    platform.outcomes = [result(1, 2), of(result(3), NODES[2:]), of(result(), NODES[3:])]
    done = deploy(platform, NODES, ORDER, waiting=platform.waiting, min_nodes=3)
    assert done.nodes == NODES[:3]
    assert set(done.failed) == {NODES[3]}


def test_too_few(platform: Any) -> None:
    platform.outcomes = [result(1), of(result(), NODES[1:]), of(result(), NODES[1:])]
    with pytest.raises(DeploymentFailed, match="1 of 4 nodes have it, 2 are needed") as caught:
        deploy(platform, NODES, ORDER, waiting=platform.waiting, min_nodes=2)
    assert caught.value.deployed == (NODES[0],)


def test_kadeploys_own_sentence(platform: Any) -> None:
    refused = ApiError("POST", "http://api", 400, "Cannot launch deployment: no environment x")
    platform.outcomes = [refused, refused, refused]
    with pytest.raises(DeploymentFailed, match="Cannot launch deployment: no environment x"):
        deploy(platform, NODES, ORDER, waiting=platform.waiting)


def test_without_rights_it_is_not_tried_again(platform: Any) -> None:
    words = "Cannot launch deployment: Kadeploy error #6: You do not have sufficient rights to perform the operation"
    platform.outcomes = [ApiError("POST", "http://api", 500, words)]
    with pytest.raises(DeploymentFailed, match="sufficient rights"):
        deploy(platform, NODES, ORDER, waiting=platform.waiting)
    assert len(platform.ordered) == 1


def test_an_api_that_is_away_is_waited_for(platform: Any) -> None:
    away = ApiError("POST", "http://api", 503, "Service Unavailable")
    platform.outcomes = [away, away, result(1, 2, 3, 4)]
    done = deploy(platform, NODES, ORDER, waiting=platform.waiting)
    assert (done.nodes, done.attempts) == (NODES, 1)
    assert platform.ordered == [NODES] * 3


def test_a_deployment_whose_answer_was_lost_is_not_ordered_twice(platform: Any) -> None:
    platform.outcomes = [result(1, 2, 3, 4)]
    platform.lost_orders = 1
    done = deploy(platform, NODES, ORDER, waiting=platform.waiting)
    assert done.nodes == NODES
    assert platform.ordered == [NODES]


def test_what_is_missing_is_told(platform: Any) -> None:
    platform.outcomes = [result(1, 2, 3), *[of(result(), NODES[3:])] * 2]
    told: list[str] = []
    deploy(platform, NODES, ORDER, waiting=platform.waiting, progress=told.append, min_nodes=2)
    assert told[-1].startswith(f"goes on with 3 of 4 nodes; {NODES[3]}: ")


def test_each_site_has_a_deployment_of_its_own(platform: Any) -> None:
    nodes = ("taurus-1.lyon.grid5000.fr", "gros-1.nancy.grid5000.fr")
    platform.outcomes = [{nodes[0]: "OK"}, {nodes[1]: "OK"}]
    assert deploy(platform, nodes, ORDER, waiting=platform.waiting).nodes == nodes
    assert platform.ordered == [nodes[:1], nodes[1:]]


def test_an_api_that_is_away_is_asked_again(platform: Any) -> None:
    platform.outcomes = [result(1, 2, 3, 4)]
    platform.trouble = [ApiError("GET", "http://api", 503, "Server Unavailable"), None]
    assert deploy(platform, NODES, ORDER, waiting=platform.waiting).nodes == NODES


states = st.sampled_from(["OK", "KO", "", "ABORTED"])
outcomes = st.one_of(
    st.sampled_from(["processing", "canceled", "error"]),
    st.builds(lambda words: dict(zip(NODES, words, strict=True)), st.tuples(*[states] * 4)),
    st.just(ApiError("POST", "http://api", 500, "Cannot launch deployment: trouble")),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(outcomes, min_size=3, max_size=3), least=st.integers(0, 4))
def test_whatever_happens_every_node_is_deployed_or_failed(platform: Any, script: list[Any], least: int) -> None:
    fresh = type(platform)()
    fresh.outcomes = list(script)
    began = fresh.now
    try:
        done = deploy(fresh, NODES, ORDER, waiting=fresh.waiting, min_nodes=least, timeout=600)
        good, failed = set(done.nodes), set(done.failed)
        assert len(good) >= least
    except DeploymentFailed as error:
        good, failed = set(error.deployed), set(error.failed)
        assert len(good) < least
    assert good | failed == set(NODES)
    assert not good & failed
    assert fresh.now - began <= 3 * 600 + 60
    seen: set[str] = set()
    for attempt, nodes in enumerate(fresh.ordered):
        assert not seen & set(nodes)  # what was good is never deployed again
        outcome = script[attempt]
        seen |= {name for name in nodes if isinstance(outcome, dict) and outcome[name] == "OK"}
    assert seen == good
