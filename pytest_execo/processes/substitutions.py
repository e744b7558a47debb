"""One command text for many hosts: ``{{{host}}}`` and ``{{name}}``.

``{{{host}}}`` is the host's name. ``{{name}}`` comes from an explicit mapping: a value for all, a list taken by the
index of the host (modulo its length), or a callable of the host. Nothing is evaluated, no frame is looked into. Braces
around anything that is not a name are left alone (``docker ps --format '{{.Names}}'``); ``\\{{`` writes a literal
``{{``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import InvalidInput
from ..hosts import Host

__all__ = ("Substitutions", "substitute", "substitute_command")

Substitutions = Mapping[str, "object | Sequence[object] | Callable[[Host], object]"]

_PATTERN = re.compile(r"\\\{\{|\{\{\{host\}\}\}|\{\{\s*([A-Za-z_]\w*)\s*\}\}")


def substitute(text: str, host: Host, index: int, mapping: Substitutions) -> str:
    """Return ``text`` as it is for ``host``, the ``index``-th of its group.

    :raises InvalidInput: when a name is not in ``mapping``, or its list is empty.
    """

    def value(match: re.Match[str]) -> str:
        if match[0] == "\\{{":
            return "{{"
        name = match[1]
        if name is None:
            return host.name
        if name not in mapping:
            known = ", ".join(mapping) or "none given"
            raise InvalidInput(
                f"{{{{{name}}}}} in {text!r}: no such substitution ({known}); write \\{{{{ for a literal {{{{"
            )
        given: Any = mapping[name]
        if callable(given):
            return str(given(host))
        if isinstance(given, Sequence) and not isinstance(given, str | bytes):
            if not given:
                raise InvalidInput(f"{{{{{name}}}}} in {text!r}: its list is empty")
            return str(given[index % len(given)])
        return str(given)

    return _PATTERN.sub(value, text)


def substitute_command(cmd: Any, host: Host, index: int, mapping: Substitutions) -> Any:
    """Return a command line (text or list) as it is for ``host``."""
    if isinstance(cmd, str):
        return substitute(cmd, host, index, mapping)
    return [substitute(str(word), host, index, mapping) for word in cmd]
