"""The document of the API: valid, complete, and true."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import validate

from pytest_execo.emulator.rest.table import api_table, control_table


@pytest.mark.slow
def test_the_documents_are_valid_openapi(api: Any) -> None:
    validate(api.json("/apidocs"))
    validate(api.control("GET", "apidocs").json)


def test_each_route_is_in_its_document(api: Any) -> None:
    for document, table in (
        (api.json("/sid/apidocs"), api_table()),
        (api.control("GET", "apidocs").json, control_table()),
    ):
        described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
        assert described == {(route.method, re.sub(r"<(\w+)>", r"{\1}", route.path)) for route in table.routes}
    assert api.json("/sid/apidocs")["servers"] == [{"url": "/sid"}]


@pytest.mark.parametrize(
    "route", [route for route in api_table().routes if route.method == "GET"], ids=lambda r: r.path
)
def test_each_get_answers_as_its_document_says(api: Any, route: Any) -> None:
    job = api.submit(types=["deploy"], resources="{cluster='taurus'}/nodes=1,walltime=1:00:00")
    deployment = api.deploy(job, key="ssh-ed25519 AAAA")
    known = {
        "site": "lyon", "cluster": "taurus", "node": "taurus-1", "server": "adm-1", "pdu": "x", "equipment": "sw-1",
        "job": str(job["uid"]), "deployment": deployment["uid"], "vlan": "4", "user": "alice", "sha": "x",
        "environment": "debian12-min_x86_64_2026012214_deploy", "name": deployment["key"].rpartition("/")[2],
    }  # fmt: skip
    path = re.sub(r"<(\w+)>", lambda match: known[match[1]], route.path)
    response = api.get(path)
    assert response.status_code in {*route.answers, 404}
    assert int(response.headers["Content-Length"]) == len(response.data)
    if response.status_code == 200 and response.mimetype == "application/json":
        jsonschema.validate(response.json, route.answers[200])
