"""Reference data from a path: a dump, the tree of the reference repository, or a crawl of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ....errors import InvalidRequest
from .model import Reference

__all__ = ("load_reference", "read_document")

_PARTS = ("clusters", "nodes", "servers", "pdus", "network_equipments")


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
      ``sites/S/clusters/C/nodes.json``; or one JSON file with path → answer.

    :raises InvalidRequest: when it is none of them, or can't be read.
    """
    if path.is_dir():
        return _directory(path)
    document = _json(path)
    if not isinstance(document, dict):
        raise InvalidRequest(f"{path}: not reference data: a JSON object is expected")
    if any(str(key).strip("/") == "sites" and "items" in (value or ()) for key, value in document.items()):
        return _crawl({str(key).strip("/"): value for key, value in document.items()}, path)
    return _deep(document, str(path))


def _deep(document: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a dump without the envelopes that the API puts around it and around collections."""
    found = dict(document)
    if isinstance(found.get("items"), Mapping) and "sites" in found["items"]:
        found = {**found.pop("items"), "version": found.get("version")}
    sites = found.get("sites")
    if isinstance(sites, Mapping) and isinstance(sites.get("items"), Mapping | list):
        sites = found["sites"] = sites["items"]
    if not isinstance(sites, Mapping | list) or not sites:
        raise InvalidRequest(f"{where}: not reference data: it has no sites")
    return found


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
            cluster["nodes"] = [_object(node) for node in sorted((described.parent / "nodes").glob("*.json"))]
            site["clusters"][str(cluster.setdefault("uid", described.stem))] = cluster
        for part in ("servers", "pdus", "network_equipments"):
            site[part] = [_object(each) for each in sorted((file.parent / part).glob("*.json"))]
        sites[uid] = site
    grid = root / f"{root.name}.json"
    return {**(_object(grid) if grid.exists() else {}), "sites": sites}


def _crawl(answers: Mapping[str, Any], path: Path) -> dict[str, Any]:
    def items(key: str) -> list[dict[str, Any]]:
        found = answers.get(key) or {}
        listed = found.get("items") if isinstance(found, Mapping) else None
        if listed is None:
            return []
        return [dict(item) for item in (listed.values() if isinstance(listed, Mapping) else listed)]

    sites: dict[str, Any] = {}
    for site in items("sites"):
        uid = str(site.get("uid"))
        site["clusters"] = {}
        for cluster in items(f"sites/{uid}/clusters"):
            name = str(cluster.get("uid"))
            site["clusters"][name] = {**cluster, "nodes": items(f"sites/{uid}/clusters/{name}/nodes")}
        sites[uid] = site
    if not sites:
        raise InvalidRequest(f"{path}: not reference data: it has no sites")
    return {"uid": "grid5000", "type": "grid", "sites": sites}


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
