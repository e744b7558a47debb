"""Reference data: the grid, sites, clusters, nodes and their versions, as items, collections and whole trees."""

from __future__ import annotations

import datetime as dt
import email.utils
from collections.abc import Mapping, Sequence
from typing import Any

from werkzeug import Response

from ..site import full_name, tree_of
from .question import Question, link
from .refusals import Refusal
from .routes import COLLECTION, INTEGER, ITEM, STRING, Route

__all__ = ("ROUTES", "VERSION_DATE")

#: When the reference data were committed, as ``versions`` tell: the emulator has one commit.
VERSION_DATE = 1_774_224_000
_CACHE = "max-age={0}, public, must-revalidate, proxy-revalidate, s-maxage={0}"
_MINUTE, _MONTH = 60, 30 * 86400
# Collections below each kind of thing, in the order of the links.
_BELOW: Mapping[str, tuple[str, ...]] = {
    "": ("network_equipments", "sites"),
    "sites": ("clusters", "network_equipments", "pdus", "servers"),
    "clusters": ("nodes",),
}
# What a site's links lead to, besides reference data.
_OF_A_SITE = (
    ("jobs", "collection"),
    ("environments", "collection"),
    ("deployments", "collection"),
    ("vlans", "collection"),
    ("metrics", "collection"),
    ("storage", "collection"),
    ("status", "item"),
)
_QUEUES = ("admin", "default")
_ALL_QUEUES = (*_QUEUES, "production")


def show(question: Question, **uids: str) -> Response:
    """Answer with an item, a collection, or with ``deep`` all that is below."""
    parts = _parts(question)
    version = _version(question, parts)
    found = _walk(question, parts)
    cache = _CACHE.format(_MONTH if question.request.args.get("version") == version else _MINUTE)
    if question.says_yes("deep"):
        data: object = _deep(question, parts, found, version)
    elif isinstance(found, Mapping):
        if _kind(parts) == "clusters" and not _in_queues(question, found):
            raise _not_found(parts)
        data = _item(question, parts, found, version)
    else:
        listed = [entry for entry in found if _kind(parts) != "clusters" or _in_queues(question, entry)]
        items = [_item(question, [*parts, str(entry["uid"])], entry, version) for entry in listed]
        own = "/" + "/".join(parts)
        data = {**question.collection(items, own, _parent(parts)), "version": version}
    headers = {"Last-Modified": email.utils.formatdate(VERSION_DATE, usegmt=True)}
    return question.answer(data, cache=cache, headers=headers)


def versions(question: Question, **uids: str) -> Response:
    """Answer with the commits of something: one."""
    parts = _parts(question, drop=1)
    _walk(question, parts)
    offset, limit = question.page(default=100)
    own = "/" + "/".join([*parts, "versions"])
    items = [_commit(question, parts)][offset : offset + limit]
    data = question.collection(items, own, "/" + "/".join(parts), total=1, offset=offset)
    return question.answer(data, cache=_CACHE.format(_MINUTE))


def latest_version(question: Question, **uids: str) -> Response:
    """Lead to the latest commit."""
    parts = _parts(question, drop=2)
    _walk(question, parts)
    path = "/" + "/".join([*parts, "versions", question.platform.version])
    return question.nothing(307, {"Location": question.location(path)})


def version(question: Question, sha: str, **uids: str) -> Response:
    """Answer with one commit."""
    parts = _parts(question, drop=2)
    path = "/" + "/".join(parts)
    try:
        _walk(question, parts)
    except Refusal:
        raise Refusal(404, f"The resource '{path}' does not exist.") from None
    if sha != question.platform.version:
        raise Refusal(404, f"{path} does not exist.")
    return question.answer(_commit(question, parts), cache=_CACHE.format(_MONTH))


def _parts(question: Question, drop: int = 0) -> list[str]:
    """Return the path below the version of the API, word by word."""
    path = question.request.path.removeprefix(question.prefix).strip("/").removesuffix(".json")
    parts = [part for part in path.split("/") if part]
    return parts[: len(parts) - drop]


def _kind(parts: Sequence[str]) -> str:
    """Return of which collection the thing is, or which collection it is."""
    return parts[(len(parts) - 1) // 2 * 2] if parts else ""


def _parent(parts: Sequence[str]) -> str:
    return "/" + "/".join(parts[:-1] if len(parts) % 2 else parts[:-2])


def _not_found(parts: Sequence[str]) -> Refusal:
    return Refusal(404, f"Cannot find resource /{'/'.join(parts)}")


def _walk(question: Question, parts: Sequence[str]) -> Mapping[str, Any] | list[Mapping[str, Any]]:
    """Return the item or collection at a path. :raises Refusal: 404."""
    found: Any = tree_of(question.platform.reference)
    for depth, part in enumerate(parts):
        if depth % 2 == 0:
            entries = found.get(part)
            if entries is None:
                raise _not_found(parts)
            found = list(entries.values()) if isinstance(entries, Mapping) else list(entries)
        else:
            found = next((entry for entry in found if str(entry.get("uid")) == part), None)
            if found is None:
                raise _not_found(parts)
    return found  # type: ignore[no-any-return]  # JSON


def _in_queues(question: Question, cluster: Mapping[str, Any]) -> bool:
    given = question.request.args.get("queues", "")
    wanted: Sequence[str] = _ALL_QUEUES if given == "all" else given.split(",") if given else _QUEUES
    return not set(wanted).isdisjoint(cluster.get("queues") or _QUEUES)


def _version(question: Question, parts: Sequence[str]) -> str:
    """Return the version to show. :raises Refusal: 404 for one that is not there, a branch or a date before it."""
    asked = question.request.args
    current = question.platform.version
    early = False
    try:
        if "timestamp" in asked:
            early = float(asked["timestamp"]) < VERSION_DATE
        elif "date" in asked:
            date = dt.datetime.fromisoformat(asked["date"])
            early = date.replace(tzinfo=date.tzinfo or dt.UTC).timestamp() < VERSION_DATE
    except (ValueError, OverflowError):
        raise Refusal(400) from None
    if early or asked.get("branch", "master") != "master" or asked.get("version", current) != current:
        raise _not_found(parts)
    return current


def _item(question: Question, parts: Sequence[str], data: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return an item without what is below it, and with its links."""
    kind, own = _kind(parts), "/" + "/".join(parts)
    below = [name for name in _BELOW.get(kind, ()) if name in data]
    base = own.rstrip("/")
    links = [link(name, question.href(f"{base}/{name}"), "collection") for name in below]
    if kind == "":
        links = [link("accesses", question.href("/accesses"), "item"), *links]
        links.append(link("users", question.href("/users"), "collection"))
    links += [
        link("self", question.href(own), "item"),
        link("parent", question.href(_parent(parts)), "item"),
        link("version", question.href(f"{base}/versions/{version}"), "item"),
        link("versions", question.href(f"{base}/versions"), "collection"),
    ]
    if kind == "sites":
        links += [link(name, question.href(f"{own}/{name}"), media) for name, media in _OF_A_SITE]
    if kind == "clusters":
        links.append(link("status", question.href(f"{own}/status"), "item"))
    fields = {key: value for key, value in data.items() if key not in _BELOW.get(kind, ()) and key != "links"}
    if kind == "":
        fields = {"uid": "grid5000", "type": "grid", **fields, "timestamp": int(question.platform.clock.now())}
    return {**fields, "version": version, "links": links}


def _deep(question: Question, parts: Sequence[str], found: Any, version: str) -> dict[str, Any]:
    kind, own = _kind(parts), "/" + "/".join(parts)
    if kind == "sites" and isinstance(found, Mapping) and "job_id" in question.request.args:
        found = _of_job(question, found, question.request.args["job_id"])
    if isinstance(found, Mapping):
        items = _nested(kind, found)
    else:
        below = [_nested(kind, entry) for entry in found]
        items = {entry["uid"]: entry for entry in below} if kind in ("sites", "clusters") else below
    links = [link("self", question.href(own), "item"), link("parent", question.href(_parent(parts)), "item")]
    return {"total": len(items), "offset": 0, "items": items, "version": version, "links": links}


def _nested(kind: str, data: Mapping[str, Any]) -> Any:
    """Return a tree with sites and clusters by name, and all else in lists."""
    shown = dict(data)
    for name in _BELOW.get(kind, ()):
        if name in shown:
            entries = shown[name].values() if isinstance(shown[name], Mapping) else shown[name]
            below = [_nested(name, entry) for entry in entries]
            shown[name] = {entry["uid"]: entry for entry in below} if name in ("sites", "clusters") else below
    return shown


def _of_job(question: Question, site: Mapping[str, Any], job_id: str) -> dict[str, Any]:
    """Return a site with the clusters and nodes of one job only."""
    uid = str(site["uid"])
    with question.platform.at_now():
        emulated = question.site(uid)
        try:
            job = emulated.oar.job(int(job_id))
        except (KeyError, ValueError):
            raise Refusal(404, f"Couldn't find OAR::Job with 'job_id'={job_id}") from None
        names = set(emulated.item(job).get("assigned_nodes") or ())
    clusters = {}
    for name, cluster in _nested("sites", site)["clusters"].items():
        nodes = [node for node in cluster["nodes"] if full_name(uid, node) in names]
        if nodes:
            clusters[name] = {**cluster, "nodes": nodes}
    return {**site, "clusters": clusters}


def _commit(question: Question, parts: Sequence[str]) -> dict[str, Any]:
    sha = question.platform.version
    base = "/" + "/".join(parts) if parts else ""
    return {
        "uid": sha,
        "date": email.utils.formatdate(VERSION_DATE, usegmt=True),
        "message": "Reference data of the emulator",
        "author": "pytest-execo",
        "type": "version",
        "links": question.links(f"{base}/versions/{sha}", base or "/"),
    }


def accesses(question: Question) -> Response:
    """Answer with who may use which nodes with which priority, where the reference data have it."""
    found = tree_of(question.platform.reference).get("accesses")
    if not isinstance(found, Mapping):
        raise Refusal(404, "Cannot find resource /accesses")
    return question.answer(
        {"uid": "accesses", **found, "links": question.links("/accesses", "/")}, cache=_CACHE.format(_MINUTE)
    )


_SITE = "/sites/<site>"
_CLUSTER = f"{_SITE}/clusters/<cluster>"
_COLLECTIONS = (
    ("/sites", "site"),
    (f"{_SITE}/clusters", "cluster"),
    (f"{_CLUSTER}/nodes", "node"),
    (f"{_SITE}/servers", "server"),
    (f"{_SITE}/pdus", "pdu"),
    (f"{_SITE}/network_equipments", "equipment"),
    ("/network_equipments", "equipment"),
)
_QUERY = {
    "deep": {"type": "string", "enum": ["1"]},
    "version": STRING,
    "branch": STRING,
    "timestamp": INTEGER,
    "date": STRING,
}
_BAD = "an unreadable date"
# A tree has no uid of its own: it comes in the envelope of a collection.
_ITEM_OR_TREE = {"anyOf": [ITEM, COLLECTION]}


def _routes() -> list[Route]:
    found = []
    paths = [("/", True)]
    for path, name in _COLLECTIONS:
        paths += [(path, False), (f"{path}/<{name}>", True)]
    for path, is_item in paths:
        what = path.rpartition("/")[2].strip("<>") or "grid"
        query = dict(_QUERY)
        if what in ("clusters", "cluster"):
            query["queues"] = STRING
        if what == "site":
            query["job_id"] = INTEGER
        schema = _ITEM_OR_TREE if is_item else COLLECTION
        found.append(Route("GET", path, show, f"Reference data: {what}", {200: schema, 400: _BAD}, query, still=False))
        base = path.rstrip("/")
        of = f"of the reference data: {what}"
        page = {"offset": INTEGER, "limit": INTEGER}
        found += [
            Route("GET", f"{base}/versions", versions, f"Versions {of}", {200: COLLECTION}, page, still=False),
            Route("GET", f"{base}/versions/latest", latest_version, f"Latest version {of}", {307: ""}, still=False),
            Route("GET", f"{base}/versions/<sha>", version, f"A version {of}", {200: ITEM}, still=False),
        ]
    return found


#: All routes of reference data.
ROUTES: tuple[Route, ...] = (
    *_routes(),
    Route("GET", "/accesses", accesses, "Who may use which nodes", {200: ITEM}, still=False),
)
