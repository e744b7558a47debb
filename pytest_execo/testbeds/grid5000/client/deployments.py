"""Deployments, and the environments that can be deployed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..answers import Deployment, DeploymentOrder, Environment
from .calls import Calls, path_of
from .paging import LARGEST_PAGE

__all__ = ("DeploymentCalls",)


class DeploymentCalls(Calls):
    """Verbs about deployments."""

    def environments(
        self,
        site: str,
        *,
        name: str | None = None,
        arch: str | None = None,
        user: str | None = None,
        latest_only: bool = True,
    ) -> list[Environment]:
        """Return the environments of a site: those for all, and one's own.

        :param user: those of this user. :param latest_only: only the newest version of each.
        """
        path = path_of(site, "environments")
        params = {"latest_only": "yes" if latest_only else "no", "name": name, "arch": arch, "user": user}
        items = self._items(path, params)
        return self._read("GET", path, lambda items: [Environment.from_json(item) for item in items], items)

    def deploy(self, site: str, order: DeploymentOrder) -> Deployment:
        """Begin a deployment and return it.

        :raises ApiError: with kadeploy's sentence when it refuses.
        """
        path = path_of(site, "deployments")
        return self._deployment(site, "POST", path, self._http.json("POST", path, body=order.to_json()))

    def deployment(self, site: str, uid: str) -> Deployment:
        """Return a deployment as it is now, and not as it was a minute ago: caches in between may keep it that long."""
        path = path_of(site, "deployments", uid)
        return self._deployment(site, "GET", path, self._get(path, headers={"Cache-Control": "no-cache"}))

    def deployments(self, site: str, *, user: str | None = None, status: str | None = None) -> Iterator[Deployment]:
        """Return a site's deployments one by one, newest first."""
        path = path_of(site, "deployments")
        items = self._pages(path, {"user": user, "status": status}, LARGEST_PAGE)
        return (self._deployment(site, "GET", path, item) for item in items)

    def cancel_deployment(self, site: str, uid: str) -> None:
        """End a deployment. One that has ended already is no error."""
        self._http.text("DELETE", path_of(site, "deployments", uid))

    def _deployment(self, site: str, method: str, path: str, data: Any) -> Deployment:
        return self._read(method, path, lambda data: Deployment.from_json(site, data), data)
