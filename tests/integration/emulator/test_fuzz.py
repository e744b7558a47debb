"""A fuzzer reads the API's own document, and asks what nobody would ask: no answer may be a crash, or undocumented.

schemathesis is not among the test dependencies: as a pytest plugin it would cost each inner run of the other tests two
seconds. Where it is installed (``pip install schemathesis``, an environment of its own), this runs; else it is skipped.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import warnings
from collections.abc import Mapping
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from werkzeug.test import Client

from pytest_execo.emulator.clock import ManualClock
from pytest_execo.emulator.machines import NoMachines
from pytest_execo.emulator.platform import Platform
from pytest_execo.emulator.rest import Application
from pytest_execo.emulator.sample import sample_reference

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    schemathesis = pytest.importorskip("schemathesis", reason="it slows every start of pytest down: ./run tox -e fuzz")

pytestmark = [pytest.mark.slow, pytest.mark.integration]

# Not those that a faithful copy can't pass: what is not routed is 404 on the real API too, whatever the verb.
CHECKS = [
    getattr(importlib.import_module("schemathesis.specs.openapi.checks"), name)
    for name in (
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    )
]
KEY = "the emulator's key"


@dataclasses.dataclass
class World:
    """An emulator with a job, a deployment and a VLAN, so that what is asked for may be there."""

    application: Application
    known: Mapping[str, list[str]]


@pytest.fixture
def world() -> World:
    """Made fresh for each test: what a fuzzer deletes is gone."""
    platform = Platform(sample_reference(), ManualClock(), NoMachines(), users=("alice",))
    application = Application(platform, {"alice": "wonder"}, key=KEY)
    client = Client(application)
    auth = ("alice", "wonder")
    order = {"resources": "{type='kavlan'}/vlan=1+nodes=1,walltime=1:00:00", "types": ["deploy"], "command": "x"}
    job = client.post("/stable/sites/lyon/jobs", json=order, auth=auth).json
    assert job is not None
    platform.clock.advance(60)  # type: ignore[attr-defined]
    job = client.get(f"/stable/sites/lyon/jobs/{job['uid']}").json
    assert job is not None
    deploy = {"nodes": job["assigned_nodes"], "environment": "debian12-min", "key": "ssh-ed25519 AAAA"}
    deployment = client.post("/stable/sites/lyon/deployments", json=deploy, auth=auth).json
    assert deployment is not None
    node = job["assigned_nodes"][0]
    known = {
        "site": ["lyon", "nancy"],
        "cluster": [node.partition("-")[0]],
        "node": [node.partition(".")[0], node],
        "job": [str(job["uid"])],
        "deployment": [deployment["uid"]],
        "vlan": ["DEFAULT", "4", *job["resources_by_type"]["vlans"]],
        "user": ["alice"],
        "environment": ["debian12-min_x86_64_2026012214_deploy"],
        "sha": [platform.version],
        "name": [deployment["key"].rpartition("/")[2]],
    }
    return World(application, known)


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> int:
    """How many questions for each operation."""
    return max(5, int(15 * request.config.getoption("--torture-scale")))


def operations(prefix: str) -> list[tuple[str, str]]:
    from pytest_execo.emulator.rest.table import api_table, control_table

    table = control_table() if prefix == "/emulator" else api_table()
    return [(route.method, re.sub(r"<(\w+)>", r"{\1}", route.path)) for route in table.routes]


def fuzz(world: World, document: str, method: str, path: str, headers: Mapping[str, str], examples: int) -> None:
    """Ask one operation in many ways, and hold each answer against the document."""
    headers = {"X-Emulator-Key": KEY, **headers}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = schemathesis.openapi.from_wsgi(document, world.application, headers=headers)
        operation = schema[path][method]

    @hypothesis.given(case=operation.as_strategy(), data=st.data())
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def ask(case: Any, data: st.DataObject) -> None:
        for name in case.path_parameters or {}:
            if name in world.known and data.draw(st.integers(0, 4)):
                case.path_parameters[name] = data.draw(st.sampled_from(world.known[name]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            response = case.call(headers=headers)
        documented = set(operation.definition.raw["responses"])
        assert str(response.status_code) in documented | {"304", "308"}, response.text
        # Kadeploy's refusals are 500 on the real API too; a crash says nothing but this.
        assert response.text != "Internal Server Error"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case.validate_response(response, checks=CHECKS)

    ask()


@pytest.mark.parametrize(("method", "path"), operations("/stable"))
@pytest.mark.parametrize("user", ["alice", "anonymous"])
def test_the_api_stands_whatever_it_is_asked(world: World, method: str, path: str, user: str, examples: int) -> None:
    fuzz(world, "/stable/apidocs", method, path, {"X-Api-User-CN": user}, examples)


@pytest.mark.parametrize(("method", "path"), operations("/emulator"))
def test_the_emulator_stands_whatever_it_is_asked(world: World, method: str, path: str, examples: int) -> None:
    fuzz(world, "/emulator/apidocs", method, path, {}, 2 * examples)
