"""One request: who asks for what, and how an answer is made."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from werkzeug import Request, Response

from ..platform import Platform
from ..site import Site
from .refusals import Refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ("ANONYMOUS", "KEY_HEADER", "Question", "has_key", "limited", "link", "who_asks")

#: Who has not said who they are: they may read.
ANONYMOUS = "anonymous"
#: The header with the emulator's own key, which Grid'5000 does not have.
KEY_HEADER = "X-Emulator-Key"
_JSON = "application/json"
_ITEM = "application/vnd.grid5000.item+json"
_COLLECTION = "application/vnd.grid5000.collection+json"
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_MOST_BYTES = 1 << 20
_NOBODY = ("", "unknown", "(unknown)")


def limited(environ: WSGIEnvironment) -> Request:
    """Return a request of bounded size: more than a megabyte is no request to this API."""
    request = Request(environ)
    request.max_content_length = request.max_form_memory_size = _MOST_BYTES
    return request


def who_asks(request: Request, users: Mapping[str, str], key: str) -> str | None:
    """Return the login of who asks; :data:`ANONYMOUS` of who does not say, ``None`` where a proxy did not know.

    The header of the proxy, ``X-Api-User-CN``, counts only with the emulator's key.

    :raises Refusal: 401, for a login that is not known or a wrong password.
    """
    if has_key(request, key) and "X-Api-User-CN" in request.headers:
        name = request.headers["X-Api-User-CN"].strip().lower()
        return None if name in _NOBODY else name
    given = request.headers.get("Authorization")
    if given is None:
        return ANONYMOUS
    kind, _, encoded = given.partition(" ")
    try:
        name, _, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        name = password = ""
    known = users.get(name)
    if kind.lower() != "basic" or known is None or not hmac.compare_digest(known.encode(), password.encode()):
        raise Refusal(401, headers={"WWW-Authenticate": 'Basic realm="Grid5000 emulator"'})
    return name.lower()


def has_key(request: Request, key: str) -> bool:
    """Tell whether the request has the emulator's key."""
    return hmac.compare_digest(request.headers.get(KEY_HEADER, "").encode(), key.encode())


@dataclass(frozen=True)
class Question:
    """A request on its way to an answer.

    :param user: the login of who asks, see :func:`who_asks`.
    :param prefix: the version of the API in the path, ``/stable``; links begin with it.
    :param allow: the methods that the path knows.
    :param shutdown: ends the emulator, soon.
    """

    request: Request
    platform: Platform
    user: str | None
    prefix: str
    allow: str = "GET"
    shutdown: Callable[[], None] = lambda: None

    # what is asked

    def site(self, uid: str) -> Site:
        """Return a site. :raises Refusal: 404."""
        if uid not in self.platform.sites:
            raise Refusal(404, f"Cannot find resource /sites/{uid}")
        return self.platform.sites[uid]

    def known_user(self) -> str:
        """Return who asks, where only users may. :raises Refusal: 403 for anybody else."""
        if self.user is None or self.user == ANONYMOUS:
            raise Refusal(403)
        return self.user

    def says_no(self, name: str) -> bool:
        """Tell whether the query leaves something out: ``disks=no``."""
        return self.request.args.get(name) == "no"

    def says_yes(self, name: str) -> bool:
        """Tell whether the query has the parameter, with something else than a no."""
        return self.request.args.get(name, "no").lower() not in ("", "0", "no", "false")

    def page(self, default: int = 50, most: int = 500) -> tuple[int, int]:
        """Return ``offset`` and ``limit`` of the query. What is no number counts as 0, as in Ruby."""
        offset = _to_i(self.request.args.get("offset", "0"))
        limit = _to_i(self.request.args.get("limit", str(default)))
        return max(0, offset), max(0, min(limit, most))

    def json(self) -> Any:
        """Return the body, which has to be JSON. :raises Refusal: 415, 400."""
        if self.request.mimetype != _JSON:
            raise self._unsupported()
        return self._json()

    def fields(self) -> dict[str, Any]:
        """Return the body as fields, JSON or a form. :raises Refusal: 415, 400."""
        if self.request.mimetype in _FORMS:
            found: dict[str, Any] = {}
            for name, values in self.request.form.lists():
                # As Rails reads forms: a[]=1&a[]=2 is a list.
                found[name.removesuffix("[]")] = values if name.endswith("[]") else values[-1]
            return found
        data = self.json()
        if not isinstance(data, dict):
            raise Refusal(400)
        return data

    def _json(self) -> Any:
        try:
            return json.loads(self.request.get_data() or b"null")
        except (ValueError, RecursionError):
            raise Refusal(400) from None

    def _unsupported(self) -> Refusal:
        return Refusal(415, f"Content-Type '{self.request.headers.get('Content-Type', '')}' is not supported")

    # what is answered

    def href(self, path: str) -> str:
        """Return a path with the version that was asked for."""
        return f"{self.prefix}{path}"

    def links(self, own: str, parent: str, *others: tuple[str, str, str]) -> list[dict[str, str]]:
        """Return the links of something: to itself, what it is part of, and ``others``: (rel, path, kind)."""
        entries = [*others, ("self", own, "item"), ("parent", parent, "item")]
        return [link(rel, self.href(path), kind) for rel, path, kind in entries]

    def collection(
        self, items: Iterable[Mapping[str, Any]], own: str, parent: str, *, total: int | None = None, offset: int = 0
    ) -> dict[str, Any]:
        """Return items in their envelope. ``total`` counts all that match, beyond this page."""
        listed = list(items)
        return {
            "total": len(listed) if total is None else total,
            "offset": offset,
            "items": listed,
            "links": [
                link("self", self.href(own), "collection"),
                link("parent", self.href(parent), "item"),
            ],
        }

    def answer(
        self, data: object, status: int = 200, *, cache: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return data as JSON, of the media type that was asked for; 304 where the asker has them already.

        :param cache: the ``Cache-Control`` header; ``None``: ask again each time.
        :raises Refusal: 412, for who asks for another state of them.
        """
        pretty = 2 if "pretty" in self.request.args else None
        text = json.dumps(data, ensure_ascii=False, indent=pretty, separators=None if pretty else (",", ":"))
        # A lone surrogate from an escape in somebody's JSON is no text.
        body = text.encode(errors="replace")
        response = Response(body, status, content_type=f"{self._media_type(data)}; charset=utf-8")
        response.headers["Vary"] = "accept"
        response.headers["Allow"] = self.allow
        response.headers["Cache-Control"] = cache or "max-age=0, private, must-revalidate"
        for name, value in (headers or {}).items():
            response.headers[name] = value
        if status == 200 and self.request.method in ("GET", "HEAD"):
            response.set_etag(hashlib.sha1(body, usedforsecurity=False).hexdigest())
            response.make_conditional(self.request)
            if response.status_code == 412:
                raise Refusal(412)
        return response

    def nothing(self, status: int, headers: Mapping[str, str] | None = None) -> Response:
        """Return an answer without a body."""
        response = Response(b"", status, {"Allow": self.allow, **(headers or {})})
        del response.headers["Content-Type"]
        return response

    def location(self, path: str) -> str:
        """Return an absolute URL, as ``Location`` headers have it."""
        return f"{self.request.host_url.rstrip('/')}{self.href(path)}"

    def check_accept(self) -> None:
        """Make sure that who asks takes JSON. :raises Refusal: 406."""
        accepted = self.request.accept_mimetypes
        if accepted and accepted.best_match((_JSON, _ITEM, _COLLECTION, "text/plain")) is None:
            raise Refusal(406)

    def _media_type(self, data: object) -> str:
        own = _COLLECTION if isinstance(data, Mapping) and "items" in data else _ITEM
        accepted = self.request.accept_mimetypes
        # Only who names it gets it: */* gets plain JSON.
        named = any(media == own for media, _ in accepted)
        return own if named and accepted.best_match((_JSON, own)) == own else _JSON


def link(rel: str, href: str, kind: str) -> dict[str, str]:
    """Return a link; ``kind`` is ``item``, ``collection``, or a media type."""
    media = {"item": _ITEM, "collection": _COLLECTION}.get(kind, kind)
    return {"rel": rel, "href": href, "type": media}


def _to_i(text: str) -> int:
    digits = ""
    for character in text.strip():
        if character.isascii() and (character.isdigit() or (character == "-" and not digits)):
            digits += character
        else:
            break
    return int(digits[:15]) if digits.strip("-") else 0
