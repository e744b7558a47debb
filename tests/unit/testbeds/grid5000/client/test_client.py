"""The front door, and what all verbs share."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pytest_execo.errors import ApiError, InvalidRequest
from pytest_execo.testbeds.grid5000.answers import DeploymentOrder, Submission
from pytest_execo.testbeds.grid5000.client import Credentials, Grid5000Client

PAPER = ("lyon", "rennes")


@pytest.fixture(autouse=True)
def _no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXECO_G5K_URI", raising=False)


def test_which_api(monkeypatch: pytest.MonkeyPatch) -> None:
    def uri(*arguments: Any) -> str:
        with Grid5000Client(*arguments) as client:
            return client.uri

    who = Credentials("jdoe", "x", uri="https://file.example.org/stable")
    assert uri() == "https://api.grid5000.fr/stable"
    assert uri(None, who) == "https://file.example.org/stable"
    monkeypatch.setenv("EXECO_G5K_URI", "https://variable.example.org/")
    assert uri(None, who) == "https://variable.example.org"
    assert uri("https://given.example.org", who) == "https://given.example.org"


def test_who() -> None:
    with Grid5000Client(credentials=Credentials("jdoe", "x")) as client:
        assert client.user == "jdoe"
    with Grid5000Client() as client:
        assert client.user is None


# Each verb, by the request that it makes.
VERBS: dict[str, tuple[str, str, Callable[[Grid5000Client], Any]]] = {
    "reference": ("GET", "/", lambda c: c.reference()),
    "sites": ("GET", "/sites", lambda c: c.sites()),
    "site": ("GET", "/sites/lyon", lambda c: c.site("lyon")),
    "clusters": ("GET", "/sites/lyon/clusters", lambda c: c.clusters("lyon")),
    "nodes": ("GET", "/sites/lyon/clusters/taurus/nodes", lambda c: c.nodes("lyon", "taurus")),
    "status": ("GET", "/sites/lyon/status", lambda c: c.status("lyon")),
    "jobs": ("GET", "/sites/lyon/jobs", lambda c: list(c.jobs("lyon"))),
    "job": ("GET", "/sites/lyon/jobs/7", lambda c: c.job("lyon", 7)),
    "submit": ("POST", "/sites/lyon/jobs", lambda c: c.submit("lyon", Submission("nodes=1"))),
    "delete_job": ("DELETE", "/sites/lyon/jobs/7", lambda c: c.delete_job("lyon", 7)),
    "walltime": ("GET", "/sites/lyon/jobs/7/walltime", lambda c: c.walltime("lyon", 7)),
    "change_walltime": ("POST", "/sites/lyon/jobs/7/walltime", lambda c: c.change_walltime("lyon", 7, 60)),
    "environments": ("GET", "/sites/lyon/environments", lambda c: c.environments("lyon")),
    "deploy": ("POST", "/sites/lyon/deployments", lambda c: c.deploy("lyon", DeploymentOrder(("n",), "e"))),
    "deployment": ("GET", "/sites/lyon/deployments/D-1", lambda c: c.deployment("lyon", "D-1")),
    "deployments": ("GET", "/sites/lyon/deployments", lambda c: list(c.deployments("lyon"))),
    "cancel_deployment": ("DELETE", "/sites/lyon/deployments/D-1", lambda c: c.cancel_deployment("lyon", "D-1")),
    "vlans": ("GET", "/sites/lyon/vlans", lambda c: c.vlans("lyon")),
    "vlan_nodes": ("GET", "/sites/lyon/vlans/4/nodes", lambda c: c.vlan_nodes("lyon", "4")),
    "attach": ("POST", "/sites/lyon/vlans/4/nodes", lambda c: c.attach("lyon", "4", ["n"])),
    "dhcp": ("PUT", "/sites/lyon/vlans/4/dhcpd", lambda c: c.dhcp("lyon", "4", on=True)),
    "metrics": ("GET", "/sites/lyon/metrics", lambda c: c.metrics("lyon", nodes=["n"])),
}
READERS = {
    name: verb
    for name, verb in VERBS.items()
    if name not in ("delete_job", "change_walltime", "cancel_deployment", "dhcp")
}


def test_all_verbs_are_here() -> None:
    own = {name for name in dir(Grid5000Client) if not name.startswith("_")} - {"uri", "user", "close"}
    assert own == set(VERBS)


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_asks_once_and_tells_the_refusal(server: Any, client: Grid5000Client, reply: Any, name: str) -> None:
    method, path, call = VERBS[name]
    server.on(
        method, path, reply(403, "You are not authorized to access this resource", {"Content-Type": "text/plain"})
    )
    with pytest.raises(ApiError, match=r"^You are not authorized to access this resource \(") as caught:
        call(client)
    assert (caught.value.status, caught.value.method) == (403, method)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "body", [b"null", b"[]", b"[1]", b"3", b'"text"', b"{}", b'{"items": 3}', b'{"items": [3]}', b""]
)
@pytest.mark.parametrize("name", READERS)
def test_an_answer_of_another_shape_is_an_error_and_no_crash(
    server: Any, client: Grid5000Client, reply: Any, name: str, body: bytes
) -> None:
    method, path, call = READERS[name]
    server.on(method, path, reply(200, body))
    allowed = {
        "metrics": [b"[]"],
        "status": [b"{}", b'{"items": 3}', b'{"items": [3]}'],
        "site": [b"{}", b'{"items": 3}', b'{"items": [3]}'],
        "walltime": [b"{}", b'{"items": 3}', b'{"items": [3]}'],
        "attach": [b"{}"],
        "reference": [b'{"items": [3]}'],
    }
    if body in allowed.get(name, []):
        call(client)
        return
    with pytest.raises(ApiError, match=r"^the answer is not what the API gives: "):
        call(client)


@pytest.mark.parametrize("site", ["", "..", "ly/on", "lyon?x=1", "ly on", "lyon\n", "é"])
def test_a_name_that_would_lead_elsewhere_is_refused(server: Any, client: Grid5000Client, site: str) -> None:
    for call in (client.site, client.clusters, client.jobs, client.vlans):
        with pytest.raises(InvalidRequest, match="is not the name of a site"):
            call(site)
    with pytest.raises(InvalidRequest, match="is not the name of a"):
        client.deployment("lyon", site)
    assert not server.asked


def test_threads_may_share_a_client(server: Any, client: Grid5000Client, reply: Any) -> None:
    for site in PAPER:
        server.on("GET", f"/sites/{site}", lambda asked: reply(200, {"uid": asked.path.rsplit("/", 1)[1]}))
    wrong: list[str] = []

    def ask(site: str) -> None:
        wrong.extend(site for _ in range(10) if client.site(site)["uid"] != site)

    threads = [threading.Thread(target=ask, args=(site,)) for site in PAPER * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not wrong
    assert len(server.asked) == 60


def test_who_imports_the_package_does_not_pay_for_it() -> None:
    code = (
        "import sys, pytest_execo, pytest_execo.testbeds.grid5000\n"
        "print(sorted({'requests', 'yaml'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "[]"
