"""What an engine is to do, as its class says it: checked before anything is reserved."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequest
from ..sweeps import Space, trial_id
from ..testbeds import Request
from ..testbeds.needs import request_of
from .source import source_digest
from .trial_of import TrialOf

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ("Work", "file_of", "work_of")

# What run_trial gets by name besides the factors.
_GIVEN = ("nodes", "trial")
# As many as pytest collects; they are listed here too.
_MOST = 2_000_000


@dataclass(frozen=True)
class Work:
    """What an engine is to do.

    :param test: its name in records: as pytest's, the file and what is in it.
    :param trials: by identity, in order, with the level of each factor.
    :param takes: what ``run_trial`` wants of ``nodes``, ``trial`` and the factors.
    :param source: the digest of its source.
    """

    test: str
    request: Request
    trials: Mapping[str, tuple[TrialOf, Mapping[str, Any]]]
    takes: frozenset[str]
    source: str | None


def file_of(kind: type[Engine]) -> Path | None:
    """Return the file that a class of engines is written in; ``None``: typed in."""
    try:
        file = Path(inspect.getfile(kind)).resolve()
    except (OSError, TypeError):
        return None
    return file if file.is_file() else None


def work_of(engine: Engine) -> Work:
    """Return what an engine is to do.

    :raises InvalidInput: with one line that names what is wrong.
    """
    kind = type(engine)
    space = getattr(engine, "space", None)
    if not isinstance(space, Space):
        raise InvalidRequest(
            f"{kind.__name__}.space is {space!r}: write space = Space(…), the parameters of the trials"
        )
    if space.size > _MOST:
        raise InvalidRequest(
            f"{kind.__name__}.space has {space.size} points, and {_MOST} can be run: write space.sample(1000), say"
        )
    takes = _takes(engine, space)
    request = _request(engine)
    file = file_of(kind)
    test = f"{file.name if file is not None else '<stdin>'}::{kind.__qualname__}"
    trials: dict[str, tuple[TrialOf, Mapping[str, Any]]] = {}
    for point in space:
        identity = trial_id(test, point.params, point.repetition)
        trial = TrialOf(identity, test, point.params_json, point.repetition, resumable=True)
        trials[identity] = trial, point.values
    return Work(test, request, trials, takes, source_digest(engine.run_trial))


def _request(engine: Engine) -> Request:
    name = type(engine).__name__
    wanted = engine.request
    if not isinstance(wanted, Mapping):
        raise InvalidRequest(f"{name}.request is {wanted!r}: write a mapping, {{'nodes': 2, 'walltime': '2h'}}")
    return request_of(wanted, lambda key, value: f"{name}.request[{key!r}] = {value!r}")


def _takes(engine: Engine, space: Space) -> frozenset[str]:
    name = type(engine).__name__
    if not callable(getattr(engine, "run_trial", None)):
        raise InvalidRequest(f"{name} has no run_trial: write def run_trial(self, nodes, trial, …)")
    if both := [factor for factor in space.names if factor in _GIVEN]:
        raise InvalidRequest(f"{name}.space: run_trial gets {both[0]!r} as something else; call the factor otherwise")
    known = (*_GIVEN, *space.names)
    parameters = inspect.signature(engine.run_trial).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return frozenset(known)
    for parameter in parameters:
        by_name = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if not by_name or (parameter.default is parameter.empty and parameter.name not in known):
            raise InvalidRequest(f"{name}.run_trial wants {str(parameter)!r}; there are, by name: {', '.join(known)}")
    return frozenset(parameter.name for parameter in parameters) & frozenset(known)
