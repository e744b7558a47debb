"""Mistakes of execo and EnOSlib that have no better place in the tests: each is shown not to be made here."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_execo.testbeds.grid5000.answers import Job, Submission
from pytest_execo.testbeds.grid5000.operations import find_job
from pytest_execo.testbeds.grid5000.reference import Reference
from pytest_execo.testbeds.grid5000.requests import candidates, submissions
from pytest_execo.testbeds.needs import request_of


class Jobs:
    """As much of the client as looking for a job needs."""

    user = "me"

    def __init__(self, *jobs: Job) -> None:
        self.of = {job.id: job for job in jobs}

    def jobs(self, site: str, **_: Any) -> list[Job]:
        return list(self.of.values())

    def job(self, site: str, number: int) -> Job:
        return self.of[number]


def test_jobs_without_a_name_are_passed_over() -> None:
    """execo: looking for a job by name ended in a KeyError when one of the user's jobs had none."""
    client: Any = Jobs(Job("lyon", 1, "running"), Job("lyon", 2, "running", name="mine"))
    found = find_job(client, "lyon", "mine", user="me")
    assert found is not None
    assert found.id == 2
    assert find_job(client, "lyon", "other", user="me") is None


@pytest.mark.parametrize("types", [("night", "allow_classic_ssh"), ["night", "allow_classic_ssh"]])
def test_types_are_a_list_or_a_tuple_and_stay_in_order(reference: Reference, types: Any) -> None:
    """execo: a tuple was a TypeError, and the types came in the order of a set."""
    request = request_of({"nodes": 1, "types": types, "walltime": "1:00:00"})
    (made,) = submissions(request, reference, {"taurus": 1}).values()
    assert isinstance(made, Submission)
    asked = [name for name in made.types if name in types]
    assert asked == list(types)


def test_exotic_clusters_are_told_from_others(reference: Reference) -> None:
    """execo: asking for the types of a cluster's jobs indexed a list by 'exotic'."""
    assert all(
        not node.exotic
        for name in candidates(request_of({"nodes": 1}), reference)
        for node in reference.clusters[name].nodes
    )


@pytest.mark.parametrize("name", ["taurus-1", "taurus-1.lyon", "taurus-1.lyon.grid5000.fr"])
def test_a_node_is_known_by_each_of_its_names(reference: Reference, name: str) -> None:
    """execo: 'node.site' without the domain was an AttributeError."""
    node = reference.node(name)
    assert node is not None
    assert node.name == "taurus-1.lyon.grid5000.fr"


def test_min_and_disks_are_not_dropped() -> None:
    """EnOSlib: `min` and `reservable_disks` were accepted, and forgotten on the way."""
    request = request_of({"nodes": 4, "min_nodes": 3, "disks": True})
    assert (request.nodes, request.min_nodes, request.disks) == (4, 3, True)
