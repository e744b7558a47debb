"""All routes: which there are, which one a request means, and the documents of them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from werkzeug import Response
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from . import control, deployments, jobs, metrics, reference, status, vlans
from .openapi import openapi
from .question import Question
from .refusals import Refusal
from .routes import OBJECT, Route

__all__ = ("Table", "api_table", "control_table")


class Table:
    """Routes that are served below one prefix."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: tuple[Route, ...] = tuple(routes)
        rules = [Rule(route.path, endpoint=route, methods=[route.method]) for route in self.routes]
        self._map = Map(rules, strict_slashes=False, merge_slashes=False, redirect_defaults=False)
        self._allow: dict[str, str] = {}
        for route in self.routes:
            before = self._allow.get(route.path)
            self._allow[route.path] = f"{before},{route.method}" if before else route.method

    def match(self, path: str, method: str) -> tuple[Route, Mapping[str, str]]:
        """Find the route and its arguments.

        :raises Refusal: 404, whatever the method: what is not routed does not exist.
        """
        try:
            route, arguments = self._map.bind("").match(path, "GET" if method == "HEAD" else method)
        except (NotFound, MethodNotAllowed):
            raise Refusal(404) from None
        return route, arguments

    def allow(self, route: Route) -> str:
        """Return the methods of a route's path, as the ``Allow`` header has them."""
        return self._allow[route.path]


# Made once for all emulators of a process: compiling a hundred rules takes a while.


@functools.cache
def api_table() -> Table:
    """Return what Grid'5000 serves."""
    return Table(
        (
            *reference.ROUTES,
            *jobs.ROUTES,
            *status.ROUTES,
            *deployments.ROUTES,
            *vlans.ROUTES,
            *metrics.ROUTES,
            Route("GET", "/apidocs", _apidocs, "This document", {200: OBJECT}, still=False),
        )
    )


@functools.cache
def control_table() -> Table:
    """Return what only the emulator serves."""
    own = Route("GET", "/emulator/apidocs", _control_apidocs, "This document", {200: OBJECT}, still=False)
    return Table((*control.CONTROL_ROUTES, own))


def _apidocs(question: Question) -> Response:
    return question.answer(openapi(api_table().routes, question.prefix, "Grid'5000 (emulated)"))


def _control_apidocs(question: Question) -> Response:
    return question.answer(openapi(control_table().routes, "", "The emulator itself"))
