"""The one error tree.

::

    ExecoError
    ├── InvalidInput (ValueError)        a value given by the user is wrong: what, where, what would be right
    │   ├── InvalidRequest               nodes, walltime, site, marker or option
    │   ├── CredentialsError             the file or the variables that say who we are
    │   ├── InvalidSpace                 factors and levels of a sweep
    │   └── InvalidMeasurement           what trial.record() was given
    ├── ProcessError
    │   ├── ProcessFailed                one or several processes ended and were not ok
    │   ├── ExpectFailed                 what was expected did not come: in time, or at all
    │   └── WaitTimeout (TimeoutError)   wait(timeout=…) ran out; the process goes on
    ├── ConnectorError                   a host could not be reached, or was lost
    │   ├── ConnectionFailed             no session was established
    │   ├── ConnectionLost               an established session broke
    │   ├── StartFailed                  the host refused to start the command
    │   ├── NotSupported                 the connector has no way to do that
    │   └── TransferFailed               a file could not be copied
    ├── TestbedError
    │   ├── RequestNotMet                the testbed does not have what was asked for
    │   ├── ReservationFailed            it has, and did not give it
    │   ├── LeaseLost                    the nodes were taken away before their end
    │   ├── ApiError                     an API refused, failed, or did not answer
    │   ├── DeploymentFailed             too few nodes have the environment
    │   └── FaultNotAvailable            this machine cannot inject the fault
    └── CampaignError
        ├── CheckpointError              the checkpoint store cannot be used
        └── RecordError                  a record file cannot be read or written

Errors carry data (``host``, ``command``, …) beside the sentence, so that callers never parse text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .processes.activity import Activity

__all__ = (
    "ApiError",
    "CampaignError",
    "CheckpointError",
    "ConnectionFailed",
    "ConnectionLost",
    "ConnectorError",
    "CredentialsError",
    "DeploymentFailed",
    "ExecoError",
    "ExpectFailed",
    "FaultNotAvailable",
    "InvalidInput",
    "InvalidMeasurement",
    "InvalidRequest",
    "InvalidSpace",
    "LeaseLost",
    "NotSupported",
    "ProcessError",
    "ProcessFailed",
    "RecordError",
    "RequestNotMet",
    "ReservationFailed",
    "StartFailed",
    "TestbedError",
    "TransferFailed",
    "WaitTimeout",
)


class ExecoError(Exception):
    """Base of every error that this package raises on purpose."""


class InvalidInput(ExecoError, ValueError):
    """A value given by the user is wrong. The message is one line: what, where, what would be right."""


class InvalidRequest(InvalidInput):
    """A request for nodes that can't be understood: count, walltime, site, marker or option."""


class CredentialsError(InvalidInput):
    """What says who we are can't be used: the message names the file or the variable, and never what is in it."""


class InvalidSpace(InvalidInput):
    """Factors and levels that do not make a parameter space."""


class InvalidMeasurement(InvalidInput):
    """A value that can't be written into a record."""


class ProcessError(ExecoError):
    """Something about a process."""


class ProcessFailed(ProcessError):
    """Processes that ended and were not ok (see :attr:`Activity.ok`).

    ``processes`` holds all the failed ones, with their dates, exit codes and the output so far.
    """

    def __init__(self, processes: Sequence[Activity]) -> None:
        self.processes: tuple[Activity, ...] = tuple(processes)
        # Beyond a few, the same text from 200 hosts hides what happened.
        shown = [process.describe() for process in self.processes[:3]]
        if len(self.processes) > len(shown):
            shown.append(f"… and {len(self.processes) - len(shown)} more failed processes")
        super().__init__("\n".join(shown))

    @property
    def process(self) -> Activity:
        """The first failed process (or file copy: what has the same life cycle)."""
        return self.processes[0]


class WaitTimeout(ProcessError, TimeoutError):
    """``wait(timeout=…)`` ran out. Nothing was killed: the processes go on."""

    def __init__(self, message: str, processes: Sequence[Activity]) -> None:
        super().__init__(message)
        self.processes: tuple[Activity, ...] = tuple(processes)


class ExpectFailed(ProcessError):
    """What was expected of a process did not come.

    ``process`` is the one that was watched, ``stream`` the name of its stream, ``patterns`` what was looked for,
    ``seen`` the output that was searched in vain (its last 64 KiB), ``cause`` is ``"timeout"`` or ``"end of stream"``.
    """

    def __init__(self, process: Activity, stream: str, patterns: Sequence[str], seen: str, cause: str) -> None:
        wanted = " or ".join(repr(pattern) for pattern in patterns)
        super().__init__(f"{process}: {cause} before {wanted} came on {stream}; last seen: {seen[-200:]!r}")
        self.process = process
        self.stream = stream
        self.patterns: tuple[str, ...] = tuple(patterns)
        self.seen = seen
        self.cause = cause


class ConnectorError(ExecoError):
    """A host could not be reached, refused, or was lost. ``host`` is its name, ``reason`` the cause in words."""

    _what = "error"

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(f"{host}: {self._what}: {reason}")
        self.host = host
        self.reason = reason

    def __reduce__(self) -> tuple[type[ConnectorError], tuple[str, str]]:
        # The message is made from the arguments; the default would hand it back as the only one.
        return type(self), (self.host, self.reason)


class ConnectionFailed(ConnectorError):
    """No session could be established: unreachable, refused, not authenticated, unknown host key."""

    _what = "connection failed"


class ConnectionLost(ConnectorError):
    """An established session broke: the host died, the network was cut, the server closed it."""

    _what = "connection lost"


class StartFailed(ConnectorError):
    """The host was reached and did not start the command: no such directory, no more sessions."""

    _what = "could not start"


class NotSupported(ConnectorError):
    """The connector has no way to do what was asked; the reason says what does it."""

    _what = "not supported"


class TransferFailed(ConnectorError):
    """A file could not be copied to or from the host."""

    _what = "transfer failed"


class TestbedError(ExecoError):
    """A failure of the environment. Never the failure of a test."""

    __test__ = False  # pytest would try to collect a class called Test…


class RequestNotMet(TestbedError):
    """The testbed does not have what was asked for. ``reasons`` has one line for each unmet requirement."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons: tuple[str, ...] = tuple(reasons)

    def __reduce__(self) -> tuple[type[RequestNotMet], tuple[tuple[str, ...]]]:
        return type(self), (self.reasons,)


class ReservationFailed(TestbedError):
    """The testbed has what was asked for and did not give it."""


class LeaseLost(TestbedError):
    """The nodes were taken away before the end of the lease."""


class ApiError(TestbedError):
    """A testbed's API refused, failed, or did not answer.

    ``status`` is the HTTP status, ``None`` when no answer came; ``reason`` is the server's own sentence, ``method`` and
    ``url`` what was asked (the URL has no credentials).
    """

    def __init__(self, method: str, url: str, status: int | None, reason: str) -> None:
        super().__init__(f"{reason} ({method} {url}: {'no answer' if status is None else status})")
        self.method = method
        self.url = url
        self.status = status
        self.reason = reason

    @property
    def may_pass(self) -> bool:
        """Whether it may be well again by itself: no answer, a server in trouble or busy, an answer cut short."""
        return self.status is None or self.status >= 500 or self.status in (200, 429)

    def __reduce__(self) -> tuple[type[ApiError], tuple[str, str, int | None, str]]:
        return type(self), (self.method, self.url, self.status, self.reason)


class DeploymentFailed(TestbedError):
    """Too few nodes have the environment. ``deployed`` are those that do, ``failed`` says why each other does not."""

    def __init__(self, message: str, deployed: Sequence[str] = (), failed: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.deployed: tuple[str, ...] = tuple(deployed)
        self.failed: dict[str, str] = dict(failed or {})

    def __reduce__(self) -> tuple[type[DeploymentFailed], tuple[str, tuple[str, ...], dict[str, str]]]:
        return type(self), (str(self), self.deployed, self.failed)


class FaultNotAvailable(TestbedError):
    """The fault can't be injected on this machine; the message says what it needs."""


class CampaignError(ExecoError):
    """Something about the campaign on disk."""


class CheckpointError(CampaignError):
    """The checkpoint store can't be used."""


class RecordError(CampaignError):
    """A record file can't be read or written; the message names the file and the line."""
