"""What a driver is asked to do, as both sides of its interpreter's border see it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

__all__ = ("Job",)


@dataclass(frozen=True)
class Job:
    """One measurement of one peer.

    ``row`` is the function of the module ``drivers.<driver>`` that is called, ``variant`` what tells apart the peers of
    one driver. ``directory`` is the farm's: ``user`` (private key), ``known_hosts``, ``ssh_config``.
    """

    row: str
    driver: str
    variant: str
    hosts: tuple[str, ...]
    user: str
    port: int
    host_key: str
    directory: str
    #: contact: the command, and what it writes. lines: a command line that writes them.
    command: str
    expected: str
    #: local: how many commands; lines: how many bytes.
    count: int
    #: put: the file; its copies go to ``<targets>/<host>``.
    source: str
    targets: str

    @property
    def keyfile(self) -> str:
        """The private key."""
        return f"{self.directory}/user"

    @property
    def ssh_config(self) -> str:
        """A configuration file for OpenSSH's programs that says all of it."""
        return f"{self.directory}/ssh_config"

    def write(self, path: Path) -> None:
        """Write it for :meth:`read`."""
        path.write_text(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Job:
        """Return the job that :meth:`write` wrote."""
        fields = json.loads(path.read_text())
        return cls(**{**fields, "hosts": tuple(fields["hosts"])})
