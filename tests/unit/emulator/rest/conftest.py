"""The API over werkzeug's test client, on a clock that only moves when told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from pytest_execo.emulator.clock import ManualClock
from pytest_execo.emulator.faults import Faults
from pytest_execo.emulator.machines import NoMachines
from pytest_execo.emulator.platform import Platform
from pytest_execo.emulator.rest import Application

KEY = "the emulator's key"
PASSWORDS = {"alice": "wonder", "bob": "builder"}


class Api:
    """Questions to the emulator, by alice unless said otherwise (``user=None``: nobody says who asks)."""

    def __init__(self, reference: Mapping[str, Any]) -> None:
        self.clock = ManualClock()
        self.machines = NoMachines()
        self.faults = Faults()
        self.platform = Platform(
            reference, self.clock, self.machines, users=("alice", "bob", "carol"), faults=self.faults
        )
        self.application = Application(self.platform, PASSWORDS, key=KEY)
        self._client = Client(self.application)

    def ask(self, method: str, path: str, *, user: str | None = "alice", **options: Any) -> TestResponse:
        """Ask; the path is below /stable, unless it begins with another version or /emulator."""
        if not path.startswith(("/stable", "/sid", "/3.0", "/emulator", "/nowhere")):
            path = f"/stable{path}"
        headers = {"Accept": "*/*", **options.pop("headers", {})}
        if user in PASSWORDS:
            options["auth"] = (user, PASSWORDS[user])
        elif user is not None:  # as the proxy in front of the real API says it
            headers |= {"X-Api-User-CN": user, "X-Emulator-Key": KEY}
        return self._client.open(path, method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.ask("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.ask("POST", path, **({} if json is None else {"json": json}), **options)

    def put(self, path: str, json: Any = None, **options: Any) -> TestResponse:
        return self.ask("PUT", path, **({} if json is None else {"json": json}), **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.ask("DELETE", path, **options)

    def control(self, method: str, path: str, **options: Any) -> TestResponse:
        """Ask what only the emulator answers."""
        return self.ask(
            method,
            f"/emulator/{path}",
            user=None,
            headers={"X-Emulator-Key": KEY, **options.pop("headers", {})},
            **options,
        )

    def json(self, path: str, **options: Any) -> Any:
        """Return what is there."""
        response = self.get(path, **options)
        assert response.status_code == 200, response.text
        return response.json

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.platform.advance()

    def submit(self, site: str = "lyon", *, wait: float = 30, user: str = "alice", **fields: Any) -> dict[str, Any]:
        """Submit a job of one node, and let so many seconds pass. Return it as it is then."""
        order = {"resources": "nodes=1,walltime=1:00:00", "command": "sleep 1d", **fields}
        response = self.post(f"/sites/{site}/jobs", order, user=user)
        assert response.status_code == 201, response.text
        assert response.json is not None
        self.pass_time(wait)
        job: dict[str, Any] = self.json(f"/sites/{site}/jobs/{response.json['uid']}")
        return job

    def deploy(self, job: Mapping[str, Any], *, site: str = "lyon", wait: float = 0, **fields: Any) -> dict[str, Any]:
        """Deploy the nodes of a job, and let so many seconds pass. Return the deployment as it is then."""
        order = {"nodes": job["assigned_nodes"], "environment": "debian12-min", **fields}
        response = self.post(f"/sites/{site}/deployments", order)
        assert response.status_code == 201, response.text
        assert response.json is not None
        self.pass_time(wait)
        deployment: dict[str, Any] = self.json(f"/sites/{site}/deployments/{response.json['uid']}")
        return deployment


@pytest.fixture
def api(small_reference: Mapping[str, Any]) -> Api:
    """A fresh emulator; alice and bob have accounts."""
    return Api(small_reference)


def links(data: Mapping[str, Any]) -> dict[str, str]:
    """Return links by rel."""
    return {link["rel"]: link["href"] for link in data["links"]}


@pytest.fixture(name="links")
def links_fixture() -> Any:
    """The links of an answer, by rel."""
    return links
