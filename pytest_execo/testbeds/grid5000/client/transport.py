"""One request, as far as it comes: TLS, credentials, redirects, time-outs, and bounds for what is read.

Credentials go to the API alone: not over ``http://`` (loopback apart), not to another host that it redirects to, and
not into errors, whose tracebacks have none of the frames that know them.
"""

from __future__ import annotations

import base64
import functools
import ipaddress
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import requests
import urllib3

from ....errors import CredentialsError, InvalidRequest
from .credentials import PASSWORD_VARIABLE, USER_VARIABLE, Credentials
from .failures import describe
from .retrying import Failure, Stage, retry_after
from .sentences import phrase, sentence

__all__ = ("Answer", "Transport")

# All of the reference data is 20 MB. Something that never ends must not fill the memory.
_LARGEST = 512 * 2**20
_REDIRECTS = 5
_CHUNK = 2**16
_MOVED = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Answer:
    """What a server has answered. Names of headers are in lower case; ``data`` is the body as JSON, once it is read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    data: Any = None


class Transport:
    """Requests to one API, each made once.

    :param uri: its address. :param connect_timeout: seconds for a connection. :param patience: seconds for a whole
        body. :param clock: seconds, for that.
    :raises InvalidRequest: when ``uri`` is no address. :raises CredentialsError: when it has credentials in it, or
        would carry ours in the clear.
    """

    def __init__(
        self,
        uri: str,
        credentials: Credentials,
        *,
        connect_timeout: float,
        patience: float,
        clock: Callable[[], float],
    ) -> None:
        self.uri: str = _checked(uri)
        self.credentials: Credentials = credentials
        self._origin = _origin(self.uri)
        self._loopback = _is_loopback(self._origin[1])
        if credentials.are_sent and self._origin[0] != "https" and not self._loopback:
            raise CredentialsError(f"{self.uri}: would send the password in the clear; write https://")
        self._connect_timeout = connect_timeout
        self._patience = patience
        self._clock = clock
        self._session = _session()

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def hide(self, text: str) -> str:
        """Return a text of a server's without the password, should it have said it."""
        if not self.credentials.password:
            return text
        return text.replace(self._token(), "***").replace(self.credentials.password, "***")

    def attempt(
        self, method: str, url: str, data: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Answer | Failure:
        """Make a request, follow where it is redirected to, and say what came of it.

        :param timeout: seconds without a byte of the answer.
        """
        target = url
        for _ in range(_REDIRECTS + 1):
            answer = self._once(method, target, data, headers, timeout)
            if isinstance(answer, Failure):
                return answer
            if 200 <= answer.status < 300 or (answer.status == 304 and _is_conditional(headers)):
                return answer
            location = answer.headers.get("location")
            if answer.status not in _MOVED or location is None:
                return self._refusal(answer)
            if method != "GET":
                return Failure(Stage.FINAL, "is redirected, which is followed for GET only", answer.status)
            try:
                target = _next(target, location)
            except ValueError as error:
                return Failure(Stage.FINAL, self.hide(f"is redirected {error}"), answer.status)
        return Failure(Stage.FINAL, f"is redirected more than {_REDIRECTS} times")

    def _once(
        self, method: str, url: str, data: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Answer | Failure:
        sent = {"Accept": "application/json", "User-Agent": _user_agent(), **headers}
        if data is not None:
            sent["Content-Type"] = "application/json"
        ours = _origin(url) == self._origin
        # A server may close a kept connection just when it is used again: not for what should not be made twice.
        session = self._session if method == "GET" else _session()
        describing = functools.partial(
            describe, connect_timeout=self._connect_timeout, read_timeout=timeout, repeatable=method != "POST"
        )
        try:
            response = session.request(
                method,
                url,
                data=data,
                headers=sent,
                auth=self._authenticate if ours else _anonymously,
                cert=self._certificate if ours else None,
                verify=self.credentials.ca_bundle if ours and self.credentials.ca_bundle else True,
                # What is on this machine is not looked for by way of a proxy.
                proxies={"no_proxy": self._origin[1]} if ours and self._loopback else None,
                timeout=(self._connect_timeout, timeout),
                allow_redirects=False,
                stream=True,
            )
            with response:
                body = self._body(response, describing)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return describing(error)
        finally:
            if session is not self._session:
                session.close()
        if isinstance(body, Failure):
            return body
        return Answer(response.status_code, {name.lower(): text for name, text in response.headers.items()}, body)

    def _body(self, response: requests.Response, describing: Callable[..., Failure]) -> bytes | Failure:
        """Read a body, which may neither come for ever nor be without bounds."""
        deadline = self._clock() + self._patience
        parts: list[bytes] = []
        size = 0
        try:
            for chunk in _chunks(response):
                parts.append(chunk)
                size += len(chunk)
                if size > _LARGEST:
                    return Failure(Stage.FINAL, f"the answer is larger than {_LARGEST} bytes", response.status_code)
                if self._clock() > deadline:
                    raise TimeoutError(f"the answer was not complete within {self._patience:g} s")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return describing(error, answered=True)
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and response.raw.tell() < int(length):  # of old, urllib3 does not look
            return describing(ValueError("cut short"), answered=True)
        return b"".join(parts)

    def _refusal(self, answer: Answer) -> Failure:
        said = self.hide(sentence(answer.status, answer.headers.get("content-type", ""), answer.body))
        if answer.status == 401 and said in ("Authorization Required", phrase(401)):
            what = (
                "user or password are wrong; look at" if self.credentials.are_sent else "write user and password into"
            )
            said = f"{said}: {what} ~/.python-grid5000.yaml, or {USER_VARIABLE} and {PASSWORD_VARIABLE}"
        after = retry_after(answer.headers.get("retry-after"), time.time())
        return Failure(Stage.ANSWERED, said, answer.status, after)

    def _authenticate(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        who = self.credentials
        if who.password is not None:
            request.headers["Authorization"] = f"Basic {self._token()}"
        elif who.sslcert is not None and who.user is not None:
            request.headers["X-Api-User-CN"] = request.headers["X-Remote-Ident"] = who.user
        return request

    def _token(self) -> str:
        return base64.b64encode(f"{self.credentials.user}:{self.credentials.password}".encode()).decode()

    @property
    def _certificate(self) -> str | tuple[str, str] | None:
        who = self.credentials
        if who.sslcert is None or who.sslkey is None:
            return who.sslcert
        return who.sslcert, who.sslkey


def _anonymously(request: requests.PreparedRequest) -> requests.PreparedRequest:
    # Something has to be here, or requests looks into ~/.netrc.
    return request


def _session() -> requests.Session:
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Yield what has come, as soon as it has: who reads whole blocks can wait for ever for a server that drips."""
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        yield chunk


@functools.cache
def _user_agent() -> str:
    try:
        return f"pytest-execo/{version('pytest-execo')}"
    except PackageNotFoundError:  # run from a source tree
        return "pytest-execo/0"


def _checked(uri: str) -> str:
    """Return the address without a slash at its end."""
    if "@" in uri:
        raise CredentialsError("the address of the API has a user in it; write it without, and the user in the file")
    try:
        parts = urllib.parse.urlsplit(uri.strip())
        right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        right = False
    if not right or parts.query or parts.fragment or not uri.isprintable():
        raise InvalidRequest(f"{uri!r} is not the address of an API; write https://api.grid5000.fr/stable")
    return uri.strip().rstrip("/")


def _origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port: what credentials are good for."""
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _next(url: str, location: str) -> str:
    """Return where ``url`` is redirected to. :raises ValueError: when it is not followed there."""
    try:
        target = urllib.parse.urljoin(url, location)
        scheme, host, _ = _origin(target)
    except ValueError:
        raise ValueError("to what is no address") from None
    if not host or scheme not in (("https",) if url.startswith("https://") else ("https", "http")):
        raise ValueError(f"to {host or 'nowhere'} by {scheme or 'nothing'}, which is not followed from {url}")
    return target


def _is_conditional(headers: Mapping[str, str]) -> bool:
    return "If-None-Match" in headers or "If-Modified-Since" in headers
