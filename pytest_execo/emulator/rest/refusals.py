"""Errors as the API tells them: plain text, never JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping

from werkzeug import Response

from ..oar.settings import OarRefused

__all__ = ("TEXTS", "Refusal", "relayed")

#: Status → what the API says when it has nothing to say.
TEXTS: dict[int, str] = {
    400: "Bad Request",
    401: "Authorization Required",
    403: "You are not authorized to access this resource",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    412: "Precondition Failed",
    413: "Request Entity Too Large",
    422: "Unprocessable Entity",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Server Unavailable",
}
# What OAR's own API calls its refusals.
_OAR_TITLES = {400: "Bad query", 401: "Permission denied", 403: "Forbidden", 404: "Not found"}
# The codes that the API passes on; any other becomes 500.
_RELAYED = (400, 401, 403, 404, 405, 406, 412, 415, 502, 503)


class Refusal(Exception):
    """The request can't be met: a status, and one text for whoever asked."""

    def __init__(self, status: int, text: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.text: str = TEXTS[status] if text is None else text
        self.headers: dict[str, str] = dict(headers or {})
        super().__init__(f"{status}: {self.text}")

    def response(self) -> Response:
        """Return it as an answer."""
        return Response(self.text, self.status, self.headers, content_type="text/plain; charset=utf-8")


def relayed(refused: OarRefused, site: str, path: str) -> Refusal:
    """Return what the API makes of a refusal of OAR: OAR's JSON inside of a sentence."""
    status = refused.http if refused.http in _RELAYED else 500
    body = {
        "code": refused.http,
        "message": refused.message,
        "title": _OAR_TITLES.get(refused.http, "Internal error"),
    }
    url = f"https://api-proxy.{site}.grid5000.fr/internal/oarapi/{path}"
    return Refusal(status, f"Request to {url} failed with status {refused.http}: {json.dumps(body)}")
