"""The emulated Grid'5000 as a testbed: the same client and the same calls, another server and other nodes."""

from __future__ import annotations

import functools
import importlib.util
import secrets
import socket
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import requests

from ..errors import ApiError, InvalidRequest, TestbedError
from ..hosts import Host, Hosts
from ..testbeds.grid5000.lease import Grid5000Lease
from ..testbeds.grid5000.testbed import Grid5000Testbed

if TYPE_CHECKING:
    from ..testbeds.grid5000.client import Credentials, Grid5000Client
    from ..testbeds.grid5000.operations import Waiting
    from .faults import Faults
    from .server import EmulatorServer

__all__ = ("EmulatorLease", "EmulatorTestbed")

#: How much faster its clock runs: a deployment of five minutes takes five seconds, a walltime of an hour a minute.
DEFAULT_SPEED = 60.0
# Seconds for a question of ours to the emulator.
_TIMEOUT = 30.0
#: Login and password of ``pytest-execo emulator``, which listens on loopback only.
DEFAULT_ACCOUNT = ("emulated", "emulated")


class EmulatorLease(Grid5000Lease):
    """Nodes of an emulated Grid'5000."""

    def keep(self) -> None:
        """See :meth:`Lease.keep`. :raises TestbedError: when the emulator is this run's own, and ends with it."""
        if "uri" not in self._testbed.options:
            raise TestbedError(
                "the nodes end with this run, whose own the emulator is; to keep nodes, start pytest-execo emulator "
                "and give --execo-option=uri= and key= as it says"
            )
        super().keep()


class EmulatorTestbed(Grid5000Testbed):
    """A Grid'5000 on this machine, started with the first question and ended with :meth:`close`.

    With ``uri`` and ``key`` it is one that runs already, and goes on.

    :param port: the port of its API; 0: a free one.
    :param account: login and password of its one user.
    """

    name = "emulator"
    found_by_site: ClassVar[bool] = False
    options_known: ClassVar[Mapping[str, str]] = {
        **{name: text for name, text in Grid5000Testbed.options_known.items() if name not in ("uri", "key")},
        "speed": f"how much faster its clock runs (default: {DEFAULT_SPEED:g})",
        "seed": "what happens by chance happens again with the same one",
        "faults": "what goes wrong: see docs/grid5000.md",
        "uri": "an emulator that runs already (pytest-execo emulator)",
        "key": "the key of that one",
    }

    _common: ClassVar[Sequence[str]] = (*Grid5000Testbed._common, "server")
    _lease: ClassVar[type[Grid5000Lease]] = EmulatorLease
    unseen: ClassVar[float] = 1.0

    def __init__(
        self,
        site: str,
        *,
        nodes: int | None = None,
        options: Mapping[str, str] | None = None,
        port: int = 0,
        account: tuple[str, str] | None = None,
    ) -> None:
        # Of an emulator that is our own nobody else has to know the password.
        self._account = account or (DEFAULT_ACCOUNT if "uri" in (options or {}) else _own_account())
        super().__init__(site, nodes=nodes, options=options)
        if ("uri" in self.options) != ("key" in self.options):
            raise InvalidRequest("--execo-option: uri= and key= of an emulator that runs are given together")
        if "uri" not in self.options and importlib.util.find_spec("werkzeug") is None:
            raise InvalidRequest("--execo-testbed=emulator needs a package: pip install 'pytest-execo[emulator]'")
        self._speed = self._number("speed", DEFAULT_SPEED)
        self._seed = int(self._number("seed", 0))
        self._faults = self._given_faults()
        self._port = port

    def _who(self) -> Credentials:
        from ..testbeds.grid5000.client import Credentials

        return Credentials(*self._account)

    def _given_faults(self) -> Faults:
        from .faults import Faults

        text = self.options.get("faults", "")
        try:
            return Faults.parse(text)
        except InvalidRequest as error:
            raise InvalidRequest(f"--execo-option=faults={text}: {error}") from None

    def _number(self, name: str, default: float) -> float:
        text = self.options.get(name)
        try:
            number = default if text is None else float(text)
        except ValueError:
            number = -1
        if number < 0 or (name == "speed" and number == 0):
            raise InvalidRequest(
                f"--execo-option={name}={text}: write a number, {'above 0' if name == 'speed' else '0 or more'}"
            )
        return number

    @functools.cached_property
    def server(self) -> EmulatorServer:
        """The emulator of this run. :raises InvalidRequest: when its reference data or faults can't be read."""
        from .embedded import EmbeddedMachines
        from .sample import sample_reference
        from .server import EmulatorServer

        return EmulatorServer.start(
            sample_reference() if self._document is None else self._document,
            speed=self._speed,
            seed=self._seed,
            port=self._port,
            users=dict([self._account]),
            faults=self._faults,
            machines=EmbeddedMachines(),
        )

    @property
    def outlives_us(self) -> bool:
        """An emulator of our own ends with this process, and its jobs with it."""
        return "uri" in self.options

    @functools.cached_property
    def client(self) -> Grid5000Client:
        """The API of the emulator."""
        from ..testbeds.grid5000.client import Grid5000Client

        return Grid5000Client(self._uri, self.credentials)

    @property
    def _uri(self) -> str:
        return self.options.get("uri") or self.server.uri

    @property
    def _key(self) -> str:
        return self.options.get("key") or self.server.key

    @functools.cached_property
    def waiting(self) -> Waiting:
        """The emulator's clock, and sleeps that are shorter by its speed."""
        from ..testbeds.grid5000.operations import Waiting

        clock = self._ask("clock")
        began, emulated, speed = time.monotonic(), clock["now"], clock["speed"]
        return Waiting(clock=lambda: emulated + (time.monotonic() - began) * speed, speed=speed)

    def _ask(self, what: str, **parameters: Any) -> Any:
        """Ask the emulator itself, which Grid'5000 could not be asked."""
        url = f"{self._uri.removesuffix('/stable')}/emulator/{what}"
        try:
            answer = requests.get(url, params=parameters, headers={"X-Emulator-Key": self._key}, timeout=_TIMEOUT)
        except requests.RequestException as error:
            raise ApiError("GET", url, None, f"the emulator does not answer: {type(error).__name__}") from None
        if not answer.ok:
            raise ApiError("GET", url, answer.status_code, answer.text[:200])
        return answer.json()

    def hosts(self, names: Sequence[str], *, deployed: bool, vlan: str | None = None) -> Hosts:
        """Return how nodes are reached: the emulator says at which address and port. One that is off is at none."""
        known = {entry["name"]: entry for entry in self._ask("nodes", names=",".join(names))}
        nowhere = {"address": "127.0.0.1", "port": 1, "user": "nobody"}
        return Hosts(
            Host(
                name=name,
                description=self.describe_node(name),
                max_sessions=1000,
                **{key: value for key, value in known.get(name, nowhere).items() if key != "name"},
            )
            for name in names
        )

    def reclaim(self, remains: Mapping[str, Any]) -> Sequence[str]:
        """See :meth:`Grid5000Testbed.reclaim`. An emulator that has ended has taken all with it."""
        ours = "uri" not in self.options
        if (ours and "server" not in (self._origin or self).__dict__) or (not ours and self._has_ended()):
            return ()
        return super().reclaim(remains)

    def _has_ended(self) -> bool:
        address = urllib.parse.urlsplit(self._uri)
        try:
            with socket.create_connection((address.hostname or "", address.port or 80), _TIMEOUT):
                return False
        except ConnectionRefusedError:
            return True
        except OSError:
            return False

    def public_keys(self) -> str:
        """Return a key that nobody has: nodes let the emulator's own in."""
        return ""

    def close(self) -> None:
        """End the emulator with all its nodes, unless it was there before."""
        super().close()
        if "server" in self.__dict__:
            self.server.close()


def _own_account() -> tuple[str, str]:
    return DEFAULT_ACCOUNT[0], secrets.token_urlsafe(16)
