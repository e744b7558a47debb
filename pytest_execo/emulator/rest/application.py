"""The API as a WSGI application: routes, who asks, faults, errors."""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException

from ...errors import TestbedError
from ..fault import Fault
from ..platform import Platform
from .question import Question, has_key, limited, who_asks
from .refusals import TEXTS, Refusal
from .routes import Route
from .table import api_table, control_table

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ("PREFIXES", "Application")

_log = logging.getLogger(__name__)
#: Versions of the API: all are the same one here.
PREFIXES: tuple[str, ...] = ("/stable", "/sid", "/3.0")
_CONTROL = "/emulator"


class Application:
    """All routes on one platform.

    :param users: login → password of who may write.
    :param key: the emulator's own key; made up unless given.
    """

    def __init__(
        self,
        platform: Platform,
        users: Mapping[str, str],
        *,
        key: str | None = None,
    ) -> None:
        self.platform: Platform = platform
        self.key: str = key or secrets.token_urlsafe(24)
        #: Set when the server ends: requests that are held by a fault are let go.
        self.ending: threading.Event = threading.Event()
        self._users = dict(users)
        #: Called when somebody with the key asks for the end.
        self.on_shutdown: Callable[[], None] = lambda: None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, as WSGI has it."""
        request = limited(environ)
        return self._respond(request)(environ, start_response)

    def _respond(self, request: Request) -> Response:
        try:
            return self._misled(request)
        except Refusal as refusal:
            return refusal.response()
        except HTTPException as error:
            code = error.code or 500
            return Refusal(code, TEXTS.get(code, error.name)).response()
        except TestbedError as error:  # the platform is held by others
            return Refusal(503, str(error)).response()
        except ConnectionError:
            raise
        except Exception:
            _log.exception("%s %s failed", request.method, request.path)
            return Refusal(500).response()

    def _misled(self, request: Request) -> Response:
        """Answer, unless a fault is in the way."""
        path = request.path
        if path == _CONTROL or path.startswith(f"{_CONTROL}/"):
            return self._control(request)
        fault = self.platform.faults.answer(request.method, path, self.platform.clock.now())
        if fault is None:
            return self._answer(request)
        if fault.answer == "slow":
            self.ending.wait(fault.seconds)
            return self._answer(request)
        if fault.done:
            with contextlib.suppress(Refusal):  # nobody learns of that either
                self._answer(request)
        return self._bad_answer(request, fault)

    def _bad_answer(self, request: Request, fault: Fault) -> Response:
        if fault.answer == "timeout":
            self.ending.wait(fault.seconds)
        if fault.answer in ("timeout", "drop"):
            _hang_up(request)
        if fault.answer == "garbage":
            return Response(
                '{"total": 3, "items": [{"uid": 17\x00\ufffd', content_type="application/json; charset=utf-8"
            )
        return Refusal(int(fault.answer)).response()

    def _answer(self, request: Request) -> Response:
        prefix = next((p for p in PREFIXES if request.path == p or request.path.startswith(f"{p}/")), None)
        if prefix is None:
            raise Refusal(404)
        path = request.path.removeprefix(prefix)
        path = "/" + path.strip("/").removesuffix(".json")
        user = who_asks(request, self._users, self.key)
        route, arguments = api_table().match(path, request.method)
        question = Question(request, self.platform, user, prefix, api_table().allow(route), self.on_shutdown)
        question.check_accept()
        return self._ask(route, question, arguments)

    def _control(self, request: Request) -> Response:
        if not has_key(request, self.key):
            raise Refusal(403)
        route, arguments = control_table().match(request.path.rstrip("/"), request.method)
        question = Question(request, self.platform, None, "", control_table().allow(route), self.on_shutdown)
        return self._ask(route, question, arguments)

    def _ask(self, route: Route, question: Question, arguments: Mapping[str, str]) -> Response:
        if not route.still:
            return route(question, **arguments)
        with self.platform.at_now():
            site = arguments.get("site")
            if route.backend and site is not None and self.platform.faults.unreachable(site, self.platform.now()):
                raise Refusal(500, f"Unable to contact https://api-proxy.{site}.grid5000.fr/internal/oarapi")
            response = route(question, **arguments)
        if route.method != "GET":
            self.platform.changed()
        return response


def _hang_up(request: Request) -> None:
    """Close the connection without an answer."""
    connection = request.environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("a fault has closed the connection")
