"""Reference data kept on disk: asked for once, then only whether they have changed.

One file for each address: a line of JSON about the answer, then the answer as it came. The file's date is when the
server last said that it is right. Files are replaced by renaming, so that runs side by side see the old or the new one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....errors import ApiError
from ....units import iso_date
from .http import Http
from .transport import Answer

__all__ = ("Cache", "default_cache")

_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=(\d+)", re.I)
_log = logging.getLogger("pytest_execo.testbeds.grid5000")


def default_cache() -> Path:
    """Return where reference data are kept: ``$XDG_CACHE_HOME/pytest-execo/grid5000``, by default in ``~/.cache``."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = given if os.path.isabs(given) else os.path.expanduser("~/.cache")  # what the XDG specification says
    return Path(base, "pytest-execo", "grid5000")


@dataclass(frozen=True)
class _Copy:
    """An answer of earlier."""

    data: Any
    etag: str | None
    last_modified: str | None
    max_age: float
    checked_at: float


class Cache:
    """Answers kept in a directory, which is made when there is something to keep.

    What goes wrong with the directory costs an answer of the server's, and is never an error.

    :param clock: dates; for how old a copy is.
    """

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock

    def get(self, http: Http, path: str, params: dict[str, str]) -> Any:
        """Return the JSON at ``path``: the copy while it is fresh, or when the server says it is still right.

        A server that does not answer, or is out of order, is made up for by the copy, with a warning in the log.

        :raises ApiError: when there is no copy, or the server refuses.
        """
        file = self._file(http, path, params)
        copy = self._load(file)
        if copy is None:
            return self._keep(file, http.ask("GET", path, params=params, as_json=True))
        if 0 <= self._clock() - copy.checked_at < copy.max_age:
            return copy.data
        asked = {"If-None-Match": copy.etag, "If-Modified-Since": copy.last_modified}
        try:
            answer = http.ask(
                "GET", path, params=params, as_json=True, headers={k: v for k, v in asked.items() if v is not None}
            )
        except ApiError as error:
            if error.status is not None and 300 <= error.status < 500 and error.status != 429:
                raise
            date = iso_date(copy.checked_at)[:19]
            _log.warning("%s; going on with the copy of the reference data of %sZ", error, date)
            return copy.data
        if answer.status != 304:
            return self._keep(file, answer)
        self._date(file)
        return copy.data

    def _file(self, http: Http, path: str, params: dict[str, str]) -> Path:
        asked = json.dumps([http.uri, path, sorted(params.items())])
        return self._directory / f"{hashlib.sha256(asked.encode()).hexdigest()[:32]}.json"

    def _load(self, file: Path) -> _Copy | None:
        """Return the copy; ``None``: there is none. One that is broken is thrown away."""
        try:
            with file.open("rb") as stream:
                checked_at = os.fstat(stream.fileno()).st_mtime
                head, body = json.loads(stream.readline()), stream.read()
            if head["sha256"] != hashlib.sha256(body).hexdigest():
                raise ValueError("the checksum is another")
            return _Copy(json.loads(body), head["etag"], head["last_modified"], float(head["max_age"]), checked_at)
        except OSError:
            return None
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            _log.warning("%s: thrown away, for it is broken: %s", file, error)
            file.unlink(missing_ok=True)
            return None

    def _keep(self, file: Path, answer: Answer) -> Any:
        """Write a copy of the answer, unless the server forbids or the disk refuses; return its data."""
        control = answer.headers.get("cache-control", "")
        if "no-store" in control.lower():
            return answer.data
        age = _MAX_AGE.search(control)
        head = {
            "etag": answer.headers.get("etag"),
            "last_modified": answer.headers.get("last-modified"),
            "max_age": 0 if age is None or "no-cache" in control.lower() else int(age[1]),
            "sha256": hashlib.sha256(answer.body).hexdigest(),
        }
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.chmod(0o700)  # whatever the umask, and whoever made it
            with tempfile.NamedTemporaryFile(dir=self._directory, suffix=".new", delete=False) as stream:
                try:
                    stream.write(json.dumps(head).encode() + b"\n" + answer.body)
                    stream.close()
                    os.replace(stream.name, file)
                except BaseException:
                    os.unlink(stream.name)
                    raise
        except OSError as error:
            _log.warning("%s: reference data are not kept: %s", self._directory, error.strerror)
        else:
            self._date(file)
        return answer.data

    def _date(self, file: Path) -> None:
        """Note that the copy is right as of now."""
        now = self._clock()
        try:
            os.utime(file, (now, now))
        except OSError as error:
            _log.warning("%s: can't be dated: %s", file, error.strerror)
