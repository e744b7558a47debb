"""Keeping credentials out of what is written down for others to read.

It errs on the side of blanking too much: a lost argument can be asked for, a published password can't be called
back. It is a net, not a licence: credentials belong in files and environment variables, which are not recorded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ("redact",)

_BLANK = "***"

# Anywhere in a name, or as a whole part of it ("--db-pass", and not "--bypass").
_WORDS = r"password|passwd|passphrase|passcode|secret|token|credential|api[-_]?key|access[-_]?key|private[-_]?key"
_PARTS = r"pass|pwd|pw|auth|key|cookie|bearer"
_NAME = rf"(?:[\w.-]*(?:{_WORDS})[\w.-]*|(?:[\w.-]*[-_.])?(?:{_PARTS}))"

_OPTION = re.compile(rf"--?{_NAME}", re.IGNORECASE)
_ASSIGNMENT = re.compile(rf"(?<![\w.-])(-*{_NAME}[\"']?=).+", re.IGNORECASE | re.DOTALL)
_FIELD = re.compile(
    rf"([\"']{_NAME}[\"']\s*:\s*|\b(?:proxy-)?authorization\s*:\s*|\bx-[\w-]*(?:token|key)\s*:\s*).+",
    re.IGNORECASE | re.DOTALL,
)
_BEARER = re.compile(r"\b(bearer|basic)\s+\S.*", re.IGNORECASE | re.DOTALL)
_URL_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*):\S+@", re.IGNORECASE)
# A user alone is a token with https ("https://ghp_…@github.com") and a login with ssh, which is worth keeping.
_URL_TOKEN = re.compile(r"(\bhttps?://)[^\s/:@]+@", re.IGNORECASE)


def redact(command: Sequence[str]) -> list[str]:
    """Return a command line with the values of what looks like credentials replaced by ``***``.

    Options (``--token=x``, ``--token x``), assignments (``-o db_password=x``, ``?api_key=x``), headers, JSON fields,
    and the user information of URLs.
    """
    shown: list[str] = []
    blank_next = False
    for argument in command:
        if blank_next and not argument.startswith("-"):
            shown.append(_BLANK)
            blank_next = False
            continue
        blank_next = _OPTION.fullmatch(argument) is not None
        shown.append(_redact(argument))
    return shown


def _redact(text: str) -> str:
    text = _URL_PASSWORD.sub(rf"\1:{_BLANK}@", text)
    text = _URL_TOKEN.sub(rf"\1{_BLANK}@", text)
    text = _BEARER.sub(rf"\1 {_BLANK}", text)
    text = _FIELD.sub(rf"\1{_BLANK}", text)
    return _ASSIGNMENT.sub(rf"\1{_BLANK}", text)
