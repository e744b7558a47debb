"""What a trial is called: the canonical text of its parameters, and the hash of it.

The identity of a trial is its test's qualified name, its parameters and its repetition. It has to be the same on
every machine, in every session and whatever the order of the factors, so that a checkpoint written today is
understood next year. Nothing here may change without a new record schema.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeAlias

__all__ = ("JSON", "canonical_json", "plain", "trial_id")

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

_DEPTH = 100
# Python refuses to print integers of more than 4300 digits; met here, the refusal has a name and a place.
_BITS = 14_000


def plain(value: object, *, nonfinite: Callable[[float], JSON] | None = None) -> Any:
    """Return ``value`` as plain JSON: a new object made of dict, list, str, int, float, bool and None.

    Tuples become lists. Enumerations of str, int or float become their value, and so do other subclasses; other
    enumerations become the name of the member. Paths become text with ``/``. A frozen dataclass becomes
    ``{"Disk": {"size": 3}}``. Quantities of pint and its kin (whatever has ``magnitude`` and
    ``units``) become text. Numbers and arrays of numpy and its kin (whatever has ``dtype`` and ``tolist()``) become
    numbers and lists.

    :param nonfinite: what NaN and infinities become. Default: they are refused, as JSON has no word for them.
    :raises ValueError: when there is no faithful JSON for it; the message is the offending part and the reason.
    """
    return _plain(value, nonfinite, _DEPTH)


def _plain(value: object, nonfinite: Callable[[float], JSON] | None, depth: int) -> Any:
    # Exact types first: they are nearly all there is in a space of 100 000 points.
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if isinstance(value, Enum) and isinstance(value, str | int | float):
        return _plain(value.value, nonfinite, depth - 1)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        number = int(value)
        if number.bit_length() > _BITS:
            raise ValueError(f"an integer of {number.bit_length()} bits, which is too large")
        return number
    if isinstance(value, float):
        number_ = float(value)
        if math.isfinite(number_):
            return number_
        if nonfinite is not None:
            return nonfinite(number_)
        raise ValueError(f"{number_!r}, which is not JSON")
    if depth <= 0:
        raise ValueError(f"nested more than {_DEPTH} deep")
    if isinstance(value, list | tuple):
        return [_plain(item, nonfinite, depth - 1) for item in value]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"a mapping with the key {_short(key)}, which is not a str")
        return {_plain(key, nonfinite, 1): _plain(item, nonfinite, depth - 1) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, PurePath):
        return value.as_posix()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if not value.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise ValueError(f"{_short(value)}, a dataclass that may change; make it frozen=True")
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {type(value).__qualname__: _plain(fields, nonfinite, depth - 1)}
    if hasattr(value, "magnitude") and hasattr(value, "units"):
        try:
            return f"{value:~D}"  # pint's short form, whatever its default is: 2 GiB
        except (TypeError, ValueError):
            return str(value)
    if hasattr(value, "dtype") and callable(getattr(value, "tolist", None)):
        return _plain(value.tolist(), nonfinite, depth - 1)  # type: ignore[attr-defined]
    raise ValueError(f"{_short(value)}, which is not JSON")


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "…"


def canonical_json(value: object) -> str:
    """Return the one JSON text of ``value``: keys sorted, no spaces, text as it is, floats by their repr.

    Equal texts mean equal levels: ``1``, ``1.0``, ``True`` and ``"1"`` are four; ``(1, 2)`` and ``[1, 2]`` are one.

    :raises ValueError: when ``value`` is not JSON; NaN and infinities are not.
    """
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def trial_id(test: str, params: Mapping[str, JSON], repetition: int) -> str:
    """Return the 16 hexadecimal digits that name a trial in records, in the store and on disk.

    :param test: the qualified name of the test, ``"path/test_file.py::Class::test_name"``, without parameters.
    :param params: the parameters, with named levels replaced by their ids (:attr:`Point.params`).
    :param repetition: from 0.
    """
    text = canonical_json([test, params, repetition])
    # Names that came from the file system may hold lone surrogates, which plain UTF-8 refuses.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
