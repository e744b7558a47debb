"""What an exception of requests means: how far the request came, in words without addresses of proxies or secrets."""

from __future__ import annotations

import requests
import urllib3

from .retrying import Failure, Stage

__all__ = ("describe",)


def describe(
    error: Exception, *, connect_timeout: float, read_timeout: float, repeatable: bool, answered: bool = False
) -> Failure:
    """Say what happened to a request.

    :param answered: whether an answer had begun.
    :param repeatable: whether making it twice does the same as once; what came of one that does not is not known when
        the connection was made.
    """
    stage, reason = _of_answer(error) if answered else _classify(error, connect_timeout, read_timeout)
    if not repeatable and stage in (Stage.BROKEN, Stage.LATE, Stage.GARBLED):
        reason += "; whether it was done is not known"
    return Failure(stage, reason)


def _of_answer(error: Exception) -> tuple[Stage, str]:
    if isinstance(error, TimeoutError):
        return Stage.LATE, str(error)
    if any(isinstance(link, urllib3.exceptions.ReadTimeoutError) for link in _chain(error)):
        return Stage.LATE, "the answer stopped in its middle"
    return Stage.GARBLED, "the answer was cut short or garbled"


def _classify(error: Exception, connect_timeout: float, read_timeout: float) -> tuple[Stage, str]:
    chain = _chain(error)
    if isinstance(error, requests.exceptions.ProxyError):
        return Stage.UNREACHED, "the proxy does not let us through"
    if any(isinstance(link, requests.exceptions.SSLError | urllib3.exceptions.SSLError) for link in chain):
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or "doesn't match" in str(error):
            return Stage.FINAL, "the server's TLS certificate can't be verified"
        return Stage.BROKEN, "TLS with the server failed"
    if any(isinstance(link, urllib3.exceptions.NewConnectionError) for link in chain):
        said = next((link.strerror for link in reversed(chain) if isinstance(link, OSError) and link.strerror), None)
        return Stage.UNREACHED, f"can't connect: {said or 'no address'}"
    if any(isinstance(link, urllib3.exceptions.ConnectTimeoutError) for link in chain):
        return Stage.UNREACHED, f"no connection within {connect_timeout:g} s"
    if any(isinstance(link, requests.exceptions.ReadTimeout | urllib3.exceptions.ReadTimeoutError) for link in chain):
        return Stage.LATE, f"no answer within {read_timeout:g} s"
    if isinstance(error, requests.exceptions.ConnectionError | urllib3.exceptions.ProtocolError):
        return Stage.BROKEN, "the connection broke before an answer came"
    # Files of certificates that are not there come as plain OSErrors, which name them.
    return Stage.FINAL, f"the request can't be made: {error if type(error) is OSError else type(error).__name__}"


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception and all that it was made from: libraries wrap in arguments, attributes and causes."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        link = todo.pop(0)
        if isinstance(link, BaseException) and link not in found:
            found.append(link)
            todo += [*link.args, getattr(link, "reason", None), link.__cause__, link.__context__]
    return found
