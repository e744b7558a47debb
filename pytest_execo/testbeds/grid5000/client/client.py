"""The client of the Grid'5000 API: its verbs, typed."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from .cache import Cache
from .credentials import Credentials
from .deployments import DeploymentCalls
from .http import Http
from .jobs import JobCalls
from .metrics import MetricCalls
from .networks import NetworkCalls
from .resources import ResourceCalls

__all__ = ("DEFAULT_URI", "URI_VARIABLE", "Grid5000Client")

DEFAULT_URI: str = "https://api.grid5000.fr/stable"
URI_VARIABLE: str = "EXECO_G5K_URI"


class Grid5000Client(ResourceCalls, JobCalls, DeploymentCalls, NetworkCalls, MetricCalls):
    """The Grid'5000 API.

    Every verb raises :exc:`~pytest_execo.errors.ApiError` with the server's own sentence when the API refuses, fails,
    or does not answer, and :exc:`~pytest_execo.errors.InvalidRequest` for what can't be asked. Nothing is asked before
    the first verb. May be used by several threads at once; ends with :meth:`close`, or with its ``with``.

    :param uri: the API; default: ``EXECO_G5K_URI``, then what the credentials name, then
        https://api.grid5000.fr/stable.
    :param credentials: who we are; ``None``: nobody, as inside Grid'5000. No file is read here:
        :func:`.read_credentials` does that.
    :param cache: directory for reference data; ``None``: they are not kept.
    :param http: what to speak with, instead of ``uri`` and ``credentials``.
    """

    def __init__(
        self,
        uri: str | None = None,
        credentials: Credentials | None = None,
        *,
        cache: Path | None = None,
        http: Http | None = None,
    ) -> None:
        who = credentials or Credentials()
        where = uri or os.environ.get(URI_VARIABLE) or who.uri or DEFAULT_URI
        self._http = http or Http(where, who)
        self._cache = None if cache is None else Cache(cache)

    @property
    def uri(self) -> str:
        """The address of the API, without a slash at its end."""
        return self._http.uri

    @property
    def user(self) -> str | None:
        """The Grid'5000 login that requests are made as; ``None``: not known here."""
        return self._http.user

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
