"""Short readable names of levels, for node ids.

A label is for people: it is unique within its space, and is no part of a trial's identity. It is ASCII, without
what is awkward in a node id or on a command line (``[ ] :: /``, quotes, spaces), and has only characters that
``pytest -k`` takes: ``-k memory:2GiB`` selects a level.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

__all__ = ("join_label", "level_labels", "long_label")

_LEVEL_LENGTH = 32
_LABEL_LENGTH = 200

# No ":" in a readable part: it ends the name of a factor, and it begins a hash. So two different points can't have
# the same label by one level imitating the text of two.
_AWKWARD = re.compile(r"[^A-Za-z0-9_.+-]+")


def level_labels(texts: Sequence[str], keys: Sequence[str]) -> list[str]:
    """Return one label for each text, all different.

    A text that is short and clean stands for itself; otherwise, or where two levels read the same (``1`` and
    ``"1"``), it is cleaned, cut, and told apart by a hash of its ``key`` (the canonical JSON of the level).
    """
    seen = Counter(texts)
    labels = [
        text if _is_clean(text) and seen[text] == 1 else _hashed(text, key, 6)
        for text, key in zip(texts, keys, strict=True)
    ]
    if len(set(labels)) == len(labels):
        return labels
    # Two hashes of 6 digits met, which takes thousands of long levels.
    taken = Counter(labels)
    return [
        label if taken[label] == 1 else _hashed(text, key, 32)
        for label, text, key in zip(labels, texts, keys, strict=True)
    ]


def long_label(text: str) -> str:
    """Return the label of one of more levels than can be compared: its beginning, and a hash that tells it apart."""
    return text if _is_clean(text) else _cut(_AWKWARD.sub("_", text), text, 12, _LEVEL_LENGTH)


def join_label(parts: Sequence[str]) -> str:
    """Return the label of a point from those of its levels: ``memory:2GiB-dirty:25-r3``."""
    label = "-".join(parts) or "only"
    return label if len(label) <= _LABEL_LENGTH else _cut(label, label, 16, _LABEL_LENGTH)


def _is_clean(text: str) -> bool:
    return 0 < len(text) <= _LEVEL_LENGTH and _AWKWARD.search(text) is None


def _hashed(text: str, key: str, digits: int) -> str:
    return _cut(_AWKWARD.sub("_", text), key, digits, max(_LEVEL_LENGTH, digits + 1))


def _cut(text: str, key: str, digits: int, length: int) -> str:
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
    return f"{text[: length - digits - 1].strip('_')}:{digest}"
