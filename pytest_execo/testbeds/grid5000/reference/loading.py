"""Reference data from a path: a dump, the tree of the reference repository, or a crawl of the API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ....errors import InvalidRequest
from .model import Reference

__all__ = ("load_reference", "read_document")

# Of a site, beside its clusters.
_PARTS = ("servers", "pdus", "network_equipments")


def load_reference(source: Path | Mapping[str, Any]) -> Reference:
    """Return the reference data of a path, or of a document that is there already.

    :raises InvalidRequest: with the path and what is wrong with it.
    """
    return Reference(read_document(source) if isinstance(source, Path) else _deep(source, "the API's answer"))


def read_document(path: Path) -> dict[str, Any]:
    """Read reference data as one document, in the form of ``GET /?deep=1``. Three forms are understood:

    - a JSON file with such a document;
    - a directory ``data`` of the reference repository, or the one above it: ``grid5000/sites/S/S.json``,
      ``…/clusters/C/C.json``, ``…/nodes/N.json``;
    - a directory with the API's answers, named by their paths: ``sites.json``, ``sites/S/clusters.json``,
      ``sites/S/clusters/C/nodes.json``, ``sites/S/servers.json``…; or one JSON file with path → answer. The API hides
      some clusters from who does not ask for ``clusters?queues=all``.

    :raises InvalidRequest: when it is none of them, or can't be read.
    """
    if path.is_dir():
        return _directory(path)
    document = _json(path)
    if not isinstance(document, dict):
        raise InvalidRequest(f"{path}: not reference data: a JSON object is expected")
    answers = {key.partition("?")[0].strip("/"): value for key, value in document.items()}
    # A dump has "sites" as well, but no paths below.
    if isinstance(answers.get("sites"), Mapping) and any(key.startswith("sites/") for key in answers):
        return _crawl(answers, path)
    return _deep(document, str(path))


def _deep(document: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a dump without the envelopes that the API puts around it and around collections."""
    found = dict(document)
    if isinstance(found.get("items"), Mapping) and "sites" in found["items"]:
        found = {**found.pop("items"), "version": found.get("version")}
    found["sites"] = _by_uid(found.get("sites"))
    if not found["sites"]:
        raise InvalidRequest(f"{where}: not reference data: it has no sites")
    for site in found["sites"].values():
        site["clusters"] = _by_uid(site.get("clusters"))
        for cluster in site["clusters"].values():
            cluster["nodes"] = list(_by_uid(cluster.get("nodes")).values())
    return found


def _by_uid(collection: object) -> dict[str, dict[str, Any]]:
    """Return copies of what is in a collection: a list, uid → item, or either in the API's envelope."""
    if isinstance(collection, Mapping) and "items" in collection and "total" in collection:
        collection = collection["items"]
    items = collection.values() if isinstance(collection, Mapping) else collection
    if not isinstance(items, Iterable) or isinstance(items, str):
        return {}
    return {str(item["uid"]): dict(item) for item in items if isinstance(item, Mapping) and item.get("uid")}


def _directory(path: Path) -> dict[str, Any]:
    for root in (path, path / "grid5000", path / "data" / "grid5000"):
        if any((root / "sites").glob("*/*.json")) and not (root / "sites.json").exists():
            return _tree(root)
        if (root / "sites.json").exists():
            answers = {str(f.relative_to(root).with_suffix("")): _json(f) for f in sorted(root.rglob("*.json"))}
            return _crawl(answers, path)
    raise InvalidRequest(f"{path}: not reference data: neither sites/SITE/SITE.json nor sites.json in it")


def _tree(root: Path) -> dict[str, Any]:
    sites: dict[str, Any] = {}
    for file in sorted((root / "sites").glob("*/*.json")):
        if file.stem != file.parent.name:
            continue
        site = _object(file)
        uid = str(site.setdefault("uid", file.stem))
        site["clusters"] = {}
        for described in sorted((file.parent / "clusters").glob("*/*.json")):
            if described.stem != described.parent.name:
                continue
            cluster = _object(described)
            nodes = {node.stem: _object(node) for node in sorted((described.parent / "nodes").glob("*.json"))}
            cluster["nodes"] = [{"uid": name, **node} for name, node in nodes.items()]
            site["clusters"][str(cluster.setdefault("uid", described.stem))] = cluster
        for part in _PARTS:
            site[part] = [_object(each) for each in sorted((file.parent / part).glob("*.json"))]
        sites[uid] = site
    grid = root / f"{root.name}.json"
    return {**(_object(grid) if grid.exists() else {}), "sites": sites}


def _crawl(answers: Mapping[str, Any], path: Path) -> dict[str, Any]:
    def items(key: str) -> list[dict[str, Any]]:
        return list(_by_uid(answers.get(key)).values())

    sites = _by_uid(answers.get("sites"))
    for uid, site in sites.items():
        site["clusters"] = _by_uid(answers.get(f"sites/{uid}/clusters"))
        for name, cluster in site["clusters"].items():
            cluster["nodes"] = items(f"sites/{uid}/clusters/{name}/nodes")
        for part in _PARTS:
            site[part] = items(f"sites/{uid}/{part}")
    if not sites:
        raise InvalidRequest(f"{path}: not reference data: it has no sites")
    versions = [site["version"] for site in sites.values() if "version" in site]
    return {"uid": "grid5000", "type": "grid", "sites": sites, **({"version": versions[0]} if versions else {})}


def _object(path: Path) -> dict[str, Any]:
    found = _json(path)
    if not isinstance(found, dict):
        raise InvalidRequest(f"{path}: a JSON object is expected")
    return found


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidRequest(f"{path}: can't be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{path}: not JSON: {error}") from None
