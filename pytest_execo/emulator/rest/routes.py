"""What a route is: one line of the API's tables, from which requests are routed and its OpenAPI document is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug import Response

from .question import Question

__all__ = (
    "ARRAY",
    "BOOLEAN",
    "COLLECTION",
    "INTEGER",
    "ITEM",
    "NUMBER",
    "OBJECT",
    "PAGE",
    "STRING",
    "STRINGS",
    "YES_NO",
    "Route",
    "fields",
)

Schema = Mapping[str, Any]

STRING: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
BOOLEAN: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
ARRAY: Schema = {"type": "array", "items": OBJECT}
STRINGS: Schema = {"type": "array", "items": STRING}
YES_NO: Schema = {"type": "string", "enum": ["yes", "no"]}
ITEM: Schema = {"type": "object", "required": ["uid", "links"], "properties": {"links": ARRAY}}
COLLECTION: Schema = {
    "type": "object",
    "required": ["total", "offset", "items", "links"],
    "properties": {"total": INTEGER, "offset": INTEGER, "items": {}, "links": ARRAY},
}
#: Query parameters of what comes in pages.
PAGE: Mapping[str, Schema] = {
    "offset": {"type": "integer", "minimum": 0},
    "limit": {"type": "integer", "minimum": 0, "maximum": 500},
}


def fields(**properties: Schema) -> Schema:
    """Return the schema of a body with these fields."""
    return {"type": "object", "properties": properties}


@dataclass(frozen=True, eq=False)
class Route:
    """A method of a path.

    :param path: as werkzeug writes it: ``/sites/<site>/jobs/<job>``.
    :param answers: status → schema of a JSON body, ``""`` for none, or words for a plain text.
    :param query: parameter → schema.
    :param body: schema of the body; ``None``: there is none.
    :param forms: the body may be a form as well as JSON.
    :param still: the platform stands still while it is answered. Reference data do not need that.
    :param backend: asks the site's OAR or kadeploy, which may be unreachable.
    """

    method: str
    path: str
    handler: Callable[..., Response]
    summary: str
    answers: Mapping[int, Schema | str]
    query: Mapping[str, Schema] = field(default_factory=dict)
    body: Schema | None = None
    forms: bool = False
    still: bool = True
    backend: bool = False

    def __call__(self, question: Question, **arguments: str) -> Response:
        """Answer a question."""
        return self.handler(question, **arguments)
