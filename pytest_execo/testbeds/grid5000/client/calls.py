"""What all verbs of the client share: paths, collections, and answers that are not what they should be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from ....errors import InvalidRequest
from .http import Http
from .paging import pages
from .sentences import excerpt

__all__ = ("Calls", "path_of")

Made = TypeVar("Made")
# No dots: they would lead elsewhere.
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def path_of(site: str, *parts: str) -> str:
    """Return ``sites/SITE/…``. :raises InvalidRequest: when a part is not a name."""
    for what, name in (("site", site), *(("identifier", part) for part in parts)):
        if not _NAME.fullmatch(name):
            raise InvalidRequest(f"{name!r} is not the name of a {what}; write letters, digits and dashes")
    return "/".join(("sites", site, *parts))


class Calls:
    """Base of the verbs."""

    _http: Http

    def _get(self, path: str, params: Mapping[str, str | None] | None = None, **details: Any) -> Any:
        """Return the JSON at ``path``; parameters that are ``None`` are left out."""
        return self._http.json("GET", path, params=_given(params), **details)

    def _items(self, path: str, params: Mapping[str, str | None] | None = None) -> list[dict[str, Any]]:
        """Return the items of a collection that comes at once."""
        return self._read("GET", path, _items, self._get(path, params))

    def _pages(self, path: str, params: Mapping[str, str | None], size: int) -> Iterator[dict[str, Any]]:
        """Return the items of a collection that comes in pages."""

        def fetch(offset: int, limit: int) -> tuple[list[dict[str, Any]], int | None]:
            data = self._get(path, {**params, "offset": str(offset), "limit": str(limit)})
            return self._read("GET", path, _page, data)

        return pages(fetch, size=size)

    def _read(self, method: str, path: str, make: Callable[[Any], Made], data: Any) -> Made:
        """Make a value of an answer. :raises ApiError: when it has another shape than the API's."""
        try:
            return make(data)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
        reason = f"the answer is not what the API gives: {excerpt(problem.encode())}"
        raise self._http.error(method, path, 200, reason)


def _given(params: Mapping[str, str | None] | None) -> dict[str, str]:
    return {key: value for key, value in (params or {}).items() if value is not None}


def _items(data: Any) -> list[dict[str, Any]]:
    items = data["items"]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("items is not a list of objects")
    return items


def _page(data: Any) -> tuple[list[dict[str, Any]], int | None]:
    items, total = _items(data), data.get("total")
    for item in items:
        hash(item["uid"])  # by which pages know it again
    return items, None if total is None else int(total)
