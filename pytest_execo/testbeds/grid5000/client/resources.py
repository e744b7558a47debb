"""What there is, and what is free: the reference data and the status."""

from __future__ import annotations

from typing import Any

from ..answers import SiteStatus
from .cache import Cache
from .calls import Calls, path_of

__all__ = ("ResourceCalls",)

# Unless it is told otherwise, the server leaves out clusters that have neither the queue default nor admin.
_ALL_QUEUES = {"queues": "all"}


class ResourceCalls(Calls):
    """Verbs about resources."""

    _cache: Cache | None

    def reference(self) -> dict[str, Any]:
        """Return all of the reference data in one document, as ``GET /?deep=1`` gives it.

        From the cache if there is one: then the server is only asked whether they have changed, and not even that
        within the minute that it grants. When it does not answer, the copy is used, with a warning in the log.
        """
        params = {"deep": "1"}
        data = self._get("", params) if self._cache is None else self._cache.get(self._http, "", params)
        return self._read("GET", "?deep=1", _document, data)

    def sites(self) -> list[dict[str, Any]]:
        """Return the descriptions of the sites."""
        return self._items("sites")

    def site(self, site: str) -> dict[str, Any]:
        """Return the description of a site."""
        return self._read("GET", path_of(site), _object, self._get(path_of(site)))

    def clusters(self, site: str) -> list[dict[str, Any]]:
        """Return the descriptions of a site's clusters, of all queues."""
        return self._items(path_of(site, "clusters"), _ALL_QUEUES)

    def nodes(self, site: str, cluster: str) -> list[dict[str, Any]]:
        """Return the descriptions of a cluster's nodes."""
        return self._items(path_of(site, "clusters", cluster, "nodes"), _ALL_QUEUES)

    def status(
        self,
        site: str,
        *,
        cluster: str | None = None,
        nodes: bool = True,
        disks: bool = True,
        vlans: bool = True,
        subnets: bool = True,
        waiting: bool = True,
        job_details: bool = True,
        network_address: str | None = None,
    ) -> SiteStatus:
        """Return the state of a site's resources and the active jobs on them.

        The answer for a large site has megabytes: what is not needed is better left out.

        :param cluster: of this cluster only: its nodes and disks. :param network_address: of this node only.
        :param waiting: with the jobs that do not run yet. :param job_details: with jobs at all.
        """
        path = path_of(site, "status") if cluster is None else path_of(site, "clusters", cluster, "status")
        wanted = {
            "nodes": nodes,
            "disks": disks,
            "vlans": vlans,
            "subnets": subnets,
            "waiting": waiting,
            "job_details": job_details,
        }
        params: dict[str, str | None] = {key: "no" for key, value in wanted.items() if not value}
        data = self._get(path, {**params, "network_address": network_address})
        return self._read("GET", path, lambda data: SiteStatus.from_json(site, _object(data)), data)


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise ValueError("it is not an object")
    return data


def _document(data: Any) -> dict[str, Any]:
    """Check that it is the whole document: a site's description, say, would be taken for one without sites."""
    if not isinstance(_object(data).get("sites") or data.get("items"), dict | list):
        raise ValueError("it has no sites")
    return _object(data)
