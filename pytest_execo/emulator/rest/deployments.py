"""Deployments, the environments that can be deployed, and the key files that orders leave behind."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from werkzeug import Response

from ..kadeploy import Deployment, KadeployRefused
from ..site import Site
from .question import ANONYMOUS, Question
from .refusals import Refusal
from .routes import BOOLEAN, COLLECTION, INTEGER, ITEM, PAGE, STRING, STRINGS, YES_NO, Route, fields

__all__ = ("ROUTES",)

_MINUTE = "max-age=60, private"
_NOT_VALID = "The deployment you are trying to submit is not valid: "
# Fields of an order that are kept and shown; all others are ignored, the two time-outs among them.
_SHOWN = ("version", "arch", "partition_label", "block_device", "reformat_tmp", "vlan")
_SWITCHES = ("disable_disk_partitioning", "disable_bootloader_install", "ignore_nodes_deploying")
_YES = (True, "true", "1", 1, "yes")


def list_deployments(question: Question, site: str) -> Response:
    """Answer with a page of deployments, newest first."""
    emulated = question.site(site)
    asked = question.request.args
    offset, limit = question.page()
    matching = [
        deployment
        for deployment in emulated.kadeploy.deployments.values()
        if asked.get("user", deployment.user) == deployment.user
        and asked.get("status", deployment.status) == deployment.status
    ]
    if asked.get("reverse") != "true":
        matching.reverse()
    own = f"/sites/{site}/deployments"
    items = [_item(question, emulated, deployment) for deployment in matching[offset : offset + limit]]
    return question.answer(question.collection(items, own, f"/sites/{site}", total=len(matching), offset=offset))


def show_deployment(question: Question, site: str, deployment: str) -> Response:
    """Answer with a deployment, as far as kadeploy has told."""
    emulated = question.site(site)
    found = _find(emulated, deployment)
    return question.answer(_item(question, emulated, found), cache=_MINUTE)


def _find(site: Site, uid: str) -> Deployment:
    try:
        return site.kadeploy.deployments[uid]
    except KeyError:
        raise Refusal(404, f"Couldn't find Grid5000::Deployment with ID={uid}") from None


def _item(question: Question, site: Site, deployment: Deployment) -> dict[str, Any]:
    own = f"/sites/{site.uid}/deployments"
    data = {
        "uid": deployment.uid,
        "site_uid": site.uid,
        "user_uid": deployment.user,
        "environment": deployment.order["environment"],
        "key": deployment.order.get("key"),
        **{name: deployment.order.get(name) for name in _SHOWN},
        **{name: bool(deployment.order.get(name)) for name in _SWITCHES},
        "status": deployment.status,
        "nodes": list(deployment.nodes),
        "result": deployment.shown,
        "output": deployment.output,
        "created_at": int(deployment.created_at),
        "updated_at": int(deployment.updated_at),
        "links": question.links(f"{own}/{deployment.uid}", own),
    }
    return {key: value for key, value in data.items() if value is not None}


def create_deployment(question: Question, site: str) -> Response:
    """Begin a deployment."""
    user = question.known_user()
    emulated = question.site(site)
    order = _order(question.fields())
    keys = _keys(question, emulated, user, order)
    try:
        made = emulated.kadeploy.submit(user, order, keys)
    except KadeployRefused as refused:
        raise Refusal(500, f"Cannot launch deployment: {refused}") from None
    path = f"/sites/{site}/deployments/{made.uid}"
    return question.answer(_item(question, emulated, made), 201, headers={"Location": question.location(path)})


def _order(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the order, cleaned. :raises Refusal: 400, with all reasons."""
    reasons = []
    environment, nodes = given.get("environment"), given.get("nodes")
    if not isinstance(environment, str) or not environment.strip():
        reasons.append("Environment can't be blank")
    if not isinstance(nodes, list) or not nodes or not all(isinstance(node, str) and "." in node for node in nodes):
        reasons.append("Nodes must be a non-empty list of node FQDN")
    version = given.get("version")
    if version is not None and (not str(version).isdecimal() or len(str(version)) > 18):
        reasons.append("Version must be an Integer")
    if not isinstance(given.get("key", ""), str | None):
        reasons.append("Key must be a String")
    if reasons:
        raise Refusal(400, _NOT_VALID + "; ".join(reasons))
    order: dict[str, Any] = {"environment": environment, "nodes": nodes, "key": given.get("key") or None}
    order |= {name: _plain(given[name]) for name in _SHOWN if given.get(name) not in (None, "")}
    order |= {name: given.get(name) in _YES for name in _SWITCHES}
    return order


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int) else str(value)


def _keys(question: Question, site: Site, user: str, order: dict[str, Any]) -> list[str]:
    """Return the public keys of an order. A text becomes a file that the site serves, and the order has its URL."""
    key = order["key"]
    if key is None:
        return []
    if not key.startswith(("http://", "https://")):
        name = f"{user}-key-{hashlib.sha1(key.encode(errors='replace'), usedforsecurity=False).hexdigest()}"
        site.files[name] = key
        order["key"] = question.location(f"/sites/{site.uid}/files/{name}")
    # Of URLs only our own are known: an emulator asks nobody.
    text = site.files.get(order["key"].rpartition("/")[2], "")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def cancel_deployment(question: Question, site: str, deployment: str) -> Response:
    """Cancel a deployment; one that is over stays as it is."""
    user = question.known_user()
    emulated = question.site(site)
    found = _find(emulated, deployment)
    if found.user != user:
        raise Refusal(403)
    emulated.kadeploy.cancel(found)
    path = f"/sites/{site}/deployments/{deployment}"
    return question.nothing(202, {"Location": question.location(path)})


def refresh_deployment(question: Question, site: str, deployment: str) -> Response:
    """Learn from kadeploy how far it is: what its hook calls."""
    _find(question.site(site), deployment).refresh()
    return question.nothing(204)


def show_file(question: Question, site: str, name: str) -> Response:
    """Answer with a key file of an order."""
    text = question.site(site).files.get(name)
    if text is None:
        raise Refusal(404)
    return Response(text, content_type="text/plain; charset=utf-8")


def list_environments(question: Question, site: str) -> Response:
    """Answer with the environments that the user may deploy; of all versions with ``latest_only=no``."""
    emulated = question.site(site)
    asked = question.request.args
    if "user" in asked and question.user == ANONYMOUS:
        raise Refusal(403, "Not allowed to list other users environments, because you are seen as an anonymous one")
    found = [
        environment
        for environment in emulated.kadeploy.environments
        if environment.visible_to(question.user)
        and asked.get("name", environment.name) == environment.name
        and asked.get("arch", environment.arch) == environment.arch
        and (asked["user"] == environment.user if "user" in asked else environment.visibility != "shared")
    ]
    if not question.says_no("latest_only"):
        newest: dict[tuple[str, str, str], int] = {}
        for environment in found:
            key = (environment.name, environment.arch, environment.user)
            newest[key] = max(newest.get(key, 0), environment.version)
        found = [e for e in found if newest[e.name, e.arch, e.user] == e.version]
    own = f"/sites/{site}/environments"
    items = [{**e.to_json(), "links": question.links(f"{own}/{e.uid}", own)} for e in found]
    return question.answer(question.collection(items, own, f"/sites/{site}"))


def show_environment(question: Question, site: str, environment: str) -> Response:
    """Answer with an environment."""
    for known in question.site(site).kadeploy.environments:
        if known.uid == environment and known.visible_to(question.user):
            own = f"/sites/{site}/environments"
            return question.answer(
                {**known.to_json(), "links": question.links(f"{own}/{environment}", own)}, cache=_MINUTE
            )
    raise Refusal(404, f"Cannot find environment {environment}")


_ALL = "/sites/<site>/deployments"
_ONE = f"{_ALL}/<deployment>"
_ORDER = fields(
    environment=STRING,
    nodes=STRINGS,
    key=STRING,
    version=INTEGER,
    **dict.fromkeys(("arch", "partition_label", "block_device", "vlan"), STRING),
    **dict.fromkeys(("reformat_tmp", *_SWITCHES), BOOLEAN),
    reboot_classical_timeout=INTEGER,
    reboot_kexec_timeout=INTEGER,
)
_FILTER = {**PAGE, "user": STRING, "status": STRING, "reverse": {"type": "string", "enum": ["true"]}}
_OWNER = "not the owner, or not logged in"

#: All routes of deployments, environments and files.
ROUTES: tuple[Route, ...] = (
    Route("GET", _ALL, list_deployments, "Deployments, newest first", {200: COLLECTION}, _FILTER),
    Route(
        "POST",
        _ALL,
        create_deployment,
        "Deploy an environment",
        {201: ITEM, 400: "not valid", 403: "not logged in", 500: "refused by kadeploy"},
        body=_ORDER,
        forms=True,
        backend=True,
    ),
    Route("GET", _ONE, show_deployment, "A deployment", {200: ITEM}),
    # The API's own document says 204.
    Route("DELETE", _ONE, cancel_deployment, "Cancel a deployment", {202: "", 403: _OWNER}, backend=True),
    Route("PUT", _ONE, refresh_deployment, "Learn how far kadeploy is", {204: ""}, backend=True),
    Route(
        "GET",
        "/sites/<site>/environments",
        list_environments,
        "Environments",
        {200: COLLECTION, 403: "another user's, and not logged in"},
        {"latest_only": YES_NO, "user": STRING, "name": STRING, "arch": STRING},
        backend=True,
    ),
    Route("GET", "/sites/<site>/environments/<environment>", show_environment, "An environment", {200: ITEM}),
    Route("GET", "/sites/<site>/files/<name>", show_file, "A key file", {200: "the file"}),
)
