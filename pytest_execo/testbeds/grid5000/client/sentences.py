"""The one sentence in what a server says of a failure.

The API answers in plain text. What it relays comes as ``Request to <internal URL> failed with status N: <body>``, the
body being OAR's JSON, whose message is the output of ``oarsub`` or ``oardel``, comments and admission rules included.
Proxies in front of it answer with pages of HTML.
"""

from __future__ import annotations

import http
import json
import re

__all__ = ("excerpt", "phrase", "sentence")

_RELAYED = re.compile(r"Request to \S+ failed with status (\d{3})\b:?\s*(.*)", re.S)
# Of JSON that was cut, or that Ruby has printed as its own.
_MESSAGE = re.compile(r"\"message\"\s*(?::|=>)\s*(\"(?:[^\"\\]|\\.)*)", re.S)
_MARKUP = re.compile(r"\s*<(?:!doctype|html|head|body|\?xml)", re.I)
_OAR = re.compile(r"Oar\w+ command exited with status \d+:\s*")
# The command line, with its environment, which OAR adds, and its number for no job.
_COMMAND = re.compile(r"^\s*Cmd:.*", re.M | re.S)
_NO_JOB = re.compile(r"^OAR_JOB_ID=.*", re.M)
_LEAD = re.compile(r"(?:\s|#|\[ADMISSION RULES?\]|\[ERROR\])+")
# Lines of oarsub's that say nothing about the refusal.
_NOISE = re.compile(
    r"Modify resource description|Set (?:default|walltime to default)\b|INFO\b"
    r"|(?:Reservation mode|Advance reservation request): waiting"
    r"|Oarsub failed: please verify|Error: please verify your job submission syntax|Deleting the job = "
)
_LONGEST = 1000


def sentence(status: int, content_type: str, body: bytes) -> str:
    """Return what the server says in one line: without page, envelope, comment signs and prompts.

    :param status: HTTP status; its phrase is the sentence when nothing better was said.
    """
    text = body.decode("utf-8", "replace").strip()
    if _is_page(content_type, text):
        return phrase(status)
    before = ""
    if match := _RELAYED.search(text):
        before, status, text = text[: match.start()].strip(" :\n"), int(match[1]), match[2].strip()
    said = phrase(status) if _is_page("", text) else _clean(_message(text)) or phrase(status)
    return _short(f"{_clean(before)}: {said}" if before else said)


def phrase(status: int) -> str:
    """Return the usual phrase of an HTTP status."""
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP status {status}"


def excerpt(body: bytes, length: int = 200) -> str:
    """Return the beginning of something that was not understood, on one line."""
    return " ".join(_printable(body[: 4 * length].decode("utf-8", "replace")).split())[:length]


def _is_page(content_type: str, text: str) -> bool:
    return not text or content_type.lower().startswith("text/html") or _MARKUP.match(text) is not None


def _message(text: str) -> str:
    """Return the message in a JSON answer; any other text as it is."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if isinstance(data, dict):
        for key in ("message", "error", "title"):
            if isinstance(data.get(key), str) and data[key].strip():
                return str(data[key])
    elif match := _MESSAGE.search(text):
        try:
            return str(json.loads(match[1] + '"', strict=False))
        except ValueError:
            return match[1][1:]
    return text


def _clean(text: str) -> str:
    """Make one sentence of the lines of a program."""
    text = _NO_JOB.sub("", _COMMAND.sub("", _OAR.sub("", text)))
    lines = [
        _printable(line[match.end() :] if (match := _LEAD.match(line)) else line).strip() for line in text.split("\n")
    ]
    said = [line for line in lines if line]
    useful = [line for line in said if not _NOISE.match(line)]
    joined = ""
    for line in dict.fromkeys(useful or said):
        joined += line if not joined else f" {line}" if joined[-1] in ".,;:!?" else f"; {line}"
    return joined


def _printable(text: str) -> str:
    # What a server says must not move the cursor of whoever reads it.
    return "".join(character if character.isprintable() else " " for character in text)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
