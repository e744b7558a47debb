"""How a notification reaches its target: a webhook, or a command. No sentence here has the target in it."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import ClassVar
from urllib.parse import SplitResult, urljoin, urlsplit

__all__ = ("Command", "Undelivered", "Webhook", "check_target", "scheme")

_URL = re.compile(r"(?:(https?):|([a-z][a-z0-9+.-]*)://)", re.IGNORECASE)
_REDIRECTS = 3
# Seconds for a command to end by itself once it was told to, and between two looks whether it is to.
_GRACE = 1.0
_LOOK = 0.2
# What says at level DEBUG, and of odd answers at WARNING, which address was asked for.
_TALKATIVE = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry")


class Undelivered(Exception):
    """Why an event was not delivered.

    :param again: it was hardly taken, and may be in a moment.
    """

    def __init__(self, reason: str, *, again: bool = False) -> None:
        super().__init__(reason)
        self.again: bool = again


def check_target(text: str) -> None:
    """Refuse what can't be the target of notifications. Nothing is asked or run.

    :raises ValueError: with one line that says what would be right, without the target, which may be a secret.
    """
    right = "write https://…, http://… or a shell command"
    target = text.strip()
    if not target:
        raise ValueError(f"an empty target for notifications; {right}")
    if "\0" in target:
        raise ValueError(f"a target for notifications with a NUL character in it; {right}")
    kind = scheme(target)
    if kind is None:
        return
    if kind not in ("http", "https"):
        raise ValueError(f"a target for notifications that begins with {kind}://; {right}")
    try:
        url = urlsplit(target)
        usable = bool(url.netloc and url.hostname) and url.port != 0 and target.isprintable() and " " not in target
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"a target for notifications that is no URL, its host or port is wrong; {right}")


def scheme(target: str) -> str | None:
    """Return the scheme of a URL; ``None`` for a command."""
    match = _URL.match(target.strip())
    return (match[1] or match[2]).lower() if match else None


class Webhook:
    """A URL that takes events by POST.

    :param timeout: seconds for a connection, and for each part of an answer.
    """

    #: Seconds that it takes to end a delivery.
    ending: ClassVar[float] = 0.0

    def __init__(self, url: str, timeout: float, given_up: Callable[[], bool]) -> None:
        self._url = url
        self._timeout = timeout
        del given_up  # what hangs in a connection can't be ended
        parts = urlsplit(url)
        #: How it is called in messages.
        self.name: str = f"webhook at {parts.hostname}{'' if parts.port is None else f':{parts.port}'}"

    def deliver(self, kind: str, text: str, body: bytes) -> None:
        """Send it, and what a server on the same host sends on, there.

        :raises Undelivered: when that did not work.
        """
        del kind, text  # in the body
        url = self._url
        for _ in range(_REDIRECTS + 1):
            status, location = self._answer(url, body)
            if status < 300:
                return
            if status in (307, 308) and location is not None:
                url = self._followed(url, location)
            elif status < 400:
                raise self._failure(f"sends elsewhere (HTTP {status}); give it the final address")
            else:
                raise self._failure(f"answers HTTP {status}", again=status == 429 or status >= 500)
        raise self._failure("sends from one address to the next")

    def _failure(self, reason: str, *, again: bool = False) -> Undelivered:
        return Undelivered(f"{self.name} {reason}", again=again)

    def _answer(self, url: str, body: bytes) -> tuple[int, str | None]:
        """Return status and ``Location`` of the answer, which is not read any further."""
        import requests

        headers = {"Content-Type": "application/json", "User-Agent": "pytest-execo"}
        try:
            with (
                _unlogged(),
                requests.post(
                    url, data=body, headers=headers, timeout=self._timeout, allow_redirects=False, stream=True
                ) as answer,
            ):
                return answer.status_code, answer.headers.get("Location")
        # The sentences of these have the address in them.
        except requests.ConnectTimeout:
            raise self._failure(f"can't be reached within {self._timeout:g} s", again=True) from None
        except requests.Timeout:  # it may have been taken
            raise self._failure(f"does not answer within {self._timeout:g} s") from None
        except requests.exceptions.SSLError:
            raise self._failure("has a certificate that is not believed, or speaks no TLS") from None
        except requests.exceptions.ProxyError:
            raise self._failure("can't be reached through the proxy", again=True) from None
        except requests.ConnectionError:
            raise self._failure("can't be reached", again=True) from None
        except requests.RequestException as error:
            raise self._failure(f"can't be asked: {type(error).__name__}") from None
        except ValueError:  # requests has looked at where it sends to
            raise self._failure("sends to what is no address") from None

    def _followed(self, url: str, location: str) -> str:
        """Return where a server sends to: another address of the same host. What is sent is for nobody else."""
        old, new = urlsplit(url), urlsplit(urljoin(url, location))
        same = old.hostname == new.hostname
        kept = (old.scheme, _port(old)) == (new.scheme, _port(new))
        safer = (old.scheme, new.scheme, _port(new)) == ("http", "https", 443)
        if not (same and (kept or safer)):
            raise self._failure("sends to another place, which is not followed; give it the final address")
        return new.geturl()


def _port(url: SplitResult) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """Keep the address out of logs, of which pytest shows those of a test that fails."""
    here = threading.get_ident()

    def of_others(record: logging.LogRecord) -> bool:
        return record.thread != here

    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    for logger in loggers:
        logger.addFilter(of_others)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(of_others)


class Command:
    """A line for the shell, which gets an event on its standard input and in two variables.

    :param timeout: seconds that it has; then it is ended with all that it has started.
    :param given_up: whether it is to be ended at once.
    """

    name: ClassVar[str] = "command"
    #: Seconds that it takes to end a delivery.
    ending: ClassVar[float] = 2 * _GRACE + _LOOK + 1

    def __init__(self, line: str, timeout: float, given_up: Callable[[], bool]) -> None:
        self._line = line
        self._timeout = timeout
        self._given_up = given_up

    def deliver(self, kind: str, text: str, body: bytes) -> None:
        """Run it, and wait for its end; what it leaves in the background then goes on.

        :raises Undelivered: when it did not end well in time.
        """
        variables = {**os.environ, "EXECO_EVENT": kind, "EXECO_TEXT": text}
        # A file, not a pipe: commands that read late, or not at all, hold up nothing.
        with tempfile.TemporaryFile() as events:
            events.write(body)
            events.seek(0)
            try:
                process = subprocess.Popen(
                    self._line,
                    shell=True,
                    stdin=events,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=variables,
                    start_new_session=True,
                )
            except OSError as error:
                raise Undelivered(f"command can't be started: {error.strerror}") from None
            try:
                self._wait(process)
            finally:
                if process.poll() is None:
                    _end(process)
        if process.returncode == 127:
            raise Undelivered("command was not found, or what it runs was not (exit code 127)")
        if process.returncode:
            code = process.returncode
            raise Undelivered(f"command ended with {f'signal {-code}' if code < 0 else f'exit code {code}'}")

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + self._timeout
        while not self._given_up():
            left = end - time.monotonic()
            if left <= 0:
                raise Undelivered(f"command took more than {self._timeout:g} s and was ended")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(min(_LOOK, left))
                return


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and all that it has started, with a word first."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sent)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
