"""The OpenAPI 3 document of the routes: what a fuzzer or a generator of clients reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .routes import INTEGER, STRING, Route

__all__ = ("openapi",)

_ARGUMENT = re.compile(r"<(\w+)>")
#: What every path may answer, besides what its route says.
_ALWAYS: Mapping[int, str] = {
    401: "unknown login or wrong password",
    404: "there is no such thing",
    406: "only JSON is served",
    500: "the platform failed",
    502: "the platform failed",
    503: "the platform failed",
}
_WITH_BODY: Mapping[int, str] = {
    400: "the body can't be read",
    413: "the body is too long",
    415: "the body is of another type",
}


def openapi(routes: Iterable[Route], prefix: str, title: str) -> dict[str, Any]:
    """Return the document of ``routes`` as served below ``prefix``."""
    paths: dict[str, Any] = {}
    for route in routes:
        path = _ARGUMENT.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.0.3",
        "info": {"title": title, "version": "3.0", "description": "An emulator: errors are plain text."},
        "servers": [{"url": prefix or "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {"securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}},
        "security": [{}, {"basic": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": STRING} for name in _ARGUMENT.findall(route.path)
    ]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": schema} for name, schema in route.query.items()
    ]
    answers: dict[int, Any] = {status: _text(words) for status, words in _ALWAYS.items()}
    if route.body is not None:
        answers |= {status: _text(words) for status, words in _WITH_BODY.items()}
    answers |= {status: _answer(schema) for status, schema in route.answers.items()}
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": parameters,
        "responses": {str(status): answers[status] for status in sorted(answers)},
    }
    if route.body is not None:
        media = ["application/json"] + (["application/x-www-form-urlencoded"] if route.forms else [])
        operation["requestBody"] = {
            "required": True,
            "content": {name: {"schema": route.body} for name in media},
        }
    return operation


def _operation_id(route: Route) -> str:
    words = re.sub(r"\W+", "_", route.path).strip("_")
    return f"{route.method.lower()}_{words or 'root'}"


def _answer(schema: Mapping[str, Any] | str) -> dict[str, Any]:
    if isinstance(schema, str):
        return _text(schema) if schema else {"description": "no body", "headers": _headers()}
    media = ("application/json", "application/vnd.grid5000.item+json", "application/vnd.grid5000.collection+json")
    if schema == STRING:  # of a change of walltime: said to be JSON, and it is none
        return {"description": "a sentence", "content": {"application/json": {"schema": {}}}, "headers": _headers()}
    content = {name: {"schema": schema} for name in media}
    return {"description": "done", "content": content, "headers": _headers()}


def _text(words: str) -> dict[str, Any]:
    return {"description": words, "content": {"text/plain": {"schema": STRING}}}


def _headers() -> dict[str, Any]:
    return {
        "Location": {"description": "where it is", "schema": STRING},
        "X-Oar-Info": {"description": "what OAR said", "schema": STRING},
        "Allow": {"description": "methods of this path", "schema": STRING},
        "Age": {"description": "always 0", "schema": INTEGER},
    }
