"""HTTP as the client speaks it: time-outs on every call, retries where they are safe, errors in the server's words."""

from __future__ import annotations

import dataclasses
import json
import logging
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from ....errors import ApiError
from .credentials import Credentials
from .retrying import Failure, Retrying, Stage
from .sentences import excerpt
from .transport import Answer, Transport

__all__ = ("Http",)

_CONNECT_TIMEOUT = 10.0
_READ_TIMEOUT = 60.0
_log = logging.getLogger("pytest_execo.testbeds.grid5000")


class Http:
    """Requests to one API, made again where that is safe and may help.

    May be used by several threads at once. Ends with :meth:`close`.

    :param uri: its address, ``https://api.grid5000.fr/stable``; paths of requests are relative to it.
    :param connect_timeout: seconds for a connection. :param read_timeout: seconds without a byte of the answer;
        the whole body may take five times as long.
    :param retrying: when a request is made again; ``None``: at most five times.
    :param sleep: how to pause between attempts. :param clock: seconds, for how long it took.
    :raises InvalidRequest: when ``uri`` is no address. :raises CredentialsError: when it has credentials in it, or
        would carry ours in the clear.
    """

    def __init__(
        self,
        uri: str,
        credentials: Credentials | None = None,
        *,
        connect_timeout: float = _CONNECT_TIMEOUT,
        read_timeout: float = _READ_TIMEOUT,
        retrying: Retrying | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = Transport(
            uri,
            credentials or Credentials(),
            connect_timeout=connect_timeout,
            patience=5 * read_timeout,
            clock=clock,
        )
        self._read_timeout = read_timeout
        self._retrying = retrying or Retrying()
        self._sleep = sleep
        self._clock = clock

    @property
    def uri(self) -> str:
        """The address of the API, without a slash at its end."""
        return self._transport.uri

    @property
    def user(self) -> str | None:
        """The login that requests are made as; ``None``: the server knows, or nobody."""
        return self._transport.credentials.user

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def json(self, method: str, path: str, **details: Any) -> Any:
        """Make a request and return the JSON that it is answered with; ``None`` when nothing comes.

        :param details: as for :meth:`ask`. :raises ApiError: also when the answer is not JSON.
        """
        return self.ask(method, path, as_json=True, **details).data

    def text(self, method: str, path: str, **details: Any) -> str:
        """Make a request and return its answer as text. :param details: as for :meth:`ask`."""
        return self.ask(method, path, **details).body.decode("utf-8", "replace").strip()

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        as_json: bool = False,
    ) -> Answer:
        """Make a request and return the answer.

        :param params: for the query. :param body: what is sent as JSON. :param headers: further ones; with
            ``If-None-Match`` or ``If-Modified-Since`` an answer of 304 is one.
        :param timeout: seconds without a byte of the answer, when they are not the usual ones.
        :param as_json: a good answer has to be JSON, or nothing at all.
        :raises ApiError: when the server refused, failed, or did not answer.
        """
        url = self._url(path, params)
        data = None if body is None else json.dumps(body).encode()
        began = self._clock()
        attempt = 0
        while True:
            attempt += 1
            outcome = self._transport.attempt(method, url, data, headers or {}, timeout or self._read_timeout)
            if isinstance(outcome, Answer) and as_json:
                outcome = self._parsed(outcome)
            if isinstance(outcome, Answer):
                return outcome
            pause = self._retrying.pause(method, outcome, attempt, self._clock() - began)
            error = ApiError(method, url, outcome.status, outcome.reason)
            if pause is None:
                raise error
            _log.info("%s; again in %.1f s", error, pause)
            self._sleep(pause)

    def error(self, method: str, path: str, status: int | None, reason: str) -> ApiError:
        """Return the error that a request has failed with, without the password, should a server have said it."""
        return ApiError(method, self._url(path), status, self._transport.hide(reason))

    def _url(self, path: str, params: Mapping[str, str] | None = None) -> str:
        query = f"?{urllib.parse.urlencode(params, safe=',')}" if params else ""
        return f"{self.uri}/{path}{query}"

    def _parsed(self, answer: Answer) -> Answer | Failure:
        """Return the answer with its data, read as JSON; the failure when it is not JSON."""
        if not answer.body.strip():
            return answer
        try:
            return dataclasses.replace(answer, data=json.loads(answer.body))
        except (ValueError, RecursionError):
            # A page comes from something that is not the API, and will come again.
            stage = Stage.FINAL if answer.body.lstrip().startswith(b"<") else Stage.GARBLED
            shown = self._transport.hide(excerpt(answer.body))
            return Failure(stage, f"the answer is not JSON: {shown!r}", answer.status)
