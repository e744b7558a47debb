"""Which way files go to several hosts, when nobody says: the rule, its figures and its reasons.

By SFTP this machine encrypts and sends everything once for each host; through a chain it sends once, and the hosts do
the rest. But a chain has to be built first: a shell and two programs of a tool start on each host. Measured on two
cores that were the hosts' too, to embedded nodes, in seconds of wall time (and of this process's CPU):

======================  =============  =============
\\                       SFTP           chain
======================  =============  =============
1 MB to 8 hosts         0.35 (0.15)    1.3 (0.04)
8 MB to 2 hosts         0.66 (0.19)    0.72 (0.04)
8 MB to 4 hosts         0.69 (0.35)    0.48 (0.05)
8 MB to 8 hosts         2.2 (0.7)      1.6 (0.07)
64 MB to 16 hosts       21 (15)        8.0 (0.6)
300 small files to 8    17 (6.6)       1.3 (0.11)
======================  =============  =============

So a chain pays from about 32 MB in all, a file counting as 256 kB, for that is what its round trips cost. Where hosts
have processors of their own and this machine's link is the bottleneck, a chain gains more and loses no more.

It is chosen only where it does the same as SFTP would, and where it can be expected to work; hosts that it can't use
after all are copied to by SFTP. TakTuk is never chosen: it has to be installed on this machine, and its tree is for
thousands of hosts; who has it and wants it says so.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from ..connectors import load
from ..errors import InvalidInput
from ..hosts import Host
from .chain import ChainPut
from .globs import is_pattern
from .groups import Put
from .planning import own_name
from .substitutions import Substitutions, substitute
from .transfer import Path, Paths, our_path

if TYPE_CHECKING:
    from .taktuk import TaktukPut

__all__ = ("Method", "choose", "make_put")

Method = Literal["auto", "sftp", "chain", "taktuk"]

#: From how many bytes to all hosts together a chain pays, and how many bytes one more file costs as much as.
CHAIN_FROM = 32 << 20
FILE = 256 << 10
#: With two, the chain saves one of two copies at most.
CHAIN_HOSTS = 3

# What one of them alone can do.
_OF_CHAIN = {"tools", "hop_timeout", "rate", "fallback"}
_OF_SFTP = {"resume", "verify", "on_progress"}


def make_put(
    hosts: Iterable[Host | str], source: Paths, target: Path = ".", *, method: Method = "auto", **options: Any
) -> Put | ChainPut | TaktukPut:
    """Return a copy of files of this machine to ``hosts``, not started yet.

    :param method: ``auto`` chooses between ``sftp`` (:class:`Put`) and ``chain`` (:class:`ChainPut`).
    :param options: those of the class. One that only one of them has decides between them.
    """
    targets = [Host(host) if isinstance(host, str) else host for host in hosts]
    if method == "auto":
        method = choose(targets, source, target, **options)
        if method == "chain":
            options.setdefault("fallback", True)
    if method == "sftp":
        return Put(targets, source, target, **options)
    if method == "chain":
        return ChainPut(targets, source, target, **options)
    if method == "taktuk":
        from .taktuk import TaktukPut

        return TaktukPut(targets, source, target, **options)
    raise InvalidInput(f"method: {method!r}; it is one of auto, sftp, chain, taktuk")


def choose(hosts: list[Host], source: Paths, target: Path = ".", **options: Any) -> Literal["sftp", "chain"]:
    """Return the better way. It looks at the files as far as it takes to know, in the calling thread."""
    if options.keys() & _OF_CHAIN:
        return "chain"
    if options.keys() & _OF_SFTP:
        return "sftp"
    if any("files" in cannot for cannot in _cannot(hosts, options.get("connector"))):
        return "chain"
    if len(hosts) < CHAIN_HOSTS:
        return "sftp"
    sources = [os.fspath(path) for path in ([source] if isinstance(source, str | os.PathLike) else source)]
    alike = _can_chain(hosts, options.get("connector")) and _means_the_same(
        hosts, sources, os.fspath(target), options.get("substitutions") or {}
    )
    return "chain" if alike and _pays(sources, CHAIN_FROM / len(hosts)) else "sftp"


def _can_chain(hosts: list[Host], connector: str | None) -> bool:
    """Tell whether the agents could be started and talked to; on this machine there is nothing to pass on."""
    local = connector == "local" or (connector is None and any(host.connector == "local" for host in hosts))
    return not local and not any("stdin" in cannot for cannot in _cannot(hosts, connector))


def _cannot(hosts: list[Host], connector: str | None) -> list[Mapping[str, str]]:
    """Return what each of the connectors can't do."""
    return [load(name).cannot for name in {connector or host.connector for host in hosts}]


def _means_the_same(hosts: list[Host], sources: list[str], target: str, mapping: Substitutions) -> bool:
    """Tell whether the chain would copy to the same places: it knows no patterns, and sends all hosts the same."""
    names = [own_name(path) for path in sources]
    machines = {(host.address, host.port, host.user, host.connector) for host in hosts}
    return (
        all(names)
        and len(set(names)) == len(names)
        and len(machines) == len(hosts)
        and "\n" not in target
        and not any(is_pattern(path) for path in sources)
        and all(substitute(path, host, index, mapping) == path for path in sources for index, host in enumerate(hosts))
    )


def _pays(sources: list[str], enough: float) -> bool:
    """Tell whether there is enough to copy, and nothing that SFTP would refuse in better words."""
    weight = 0
    for mode, size in _files(sources):
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            return False
        weight += size + FILE if stat.S_ISREG(mode) else 0
        if weight >= enough:
            return True
    return False


def _files(sources: list[str]) -> Iterator[tuple[int, int]]:
    """Yield the mode and the size of what there is; what can't be read is left out, and found by who copies it."""
    left = [our_path(path, os.getcwd()) for path in sources]
    while left:
        path = left.pop()
        try:
            found = os.lstat(path)
            if stat.S_ISDIR(found.st_mode):
                with os.scandir(path) as inside:
                    left += [entry.path for entry in inside]
        except OSError:
            continue
        yield found.st_mode, found.st_size
