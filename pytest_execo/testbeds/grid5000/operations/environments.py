"""Environments as people write them: ``debian12-min``, ``mine@jdoe``, ``debian12-min:2025071500:aarch64``, a URL."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ....errors import InvalidRequest
from ....nearest import nearest
from ..client import Grid5000Client

__all__ = ("WantedEnvironment", "read_environment", "unknown_environment")

_NAME = re.compile(r"(?P<name>[\w.+-]+)(?:@(?P<user>[\w.-]+))?(?P<rest>(?::[\w-]+)*)")


@dataclass(frozen=True)
class WantedEnvironment:
    """An environment that is registered at a site, or the URL of a description.

    :param name: what kadeploy is told: ``debian12-min``, ``mine@jdoe``, ``https://…``.
    :param version: ``None``: the latest. :param arch: ``None``: that of the nodes.
    """

    name: str
    version: int | None = None
    arch: str | None = None

    @property
    def is_url(self) -> bool:
        """Whether it is the address of a description."""
        return self.name.startswith(("http://", "https://"))

    @property
    def released_as(self) -> str:
        """What nodes that have it say of themselves: the name alone."""
        last = self.name.rpartition("/")[2] if self.is_url else self.name.partition("@")[0]
        return re.sub(r"\.(ya?ml|dsc|env)$", "", last)


def read_environment(text: str) -> WantedEnvironment:
    """Read what a marker says: a name, with ``@user`` for somebody's own, and ``:version`` and ``:arch``; or a URL.

    :raises InvalidRequest: for a file of this machine, which kadeploy can't read, and for what is no name.
    """
    if text.startswith(("http://", "https://")):
        return WantedEnvironment(text)
    if "/" in text or text.endswith((".yaml", ".yml", ".dsc", ".env")):
        raise InvalidRequest(
            f"environment {text!r}: kadeploy reads no file of this machine; give a name, or an http(s) address"
        )
    match = _NAME.fullmatch(text)
    if match is None:
        raise InvalidRequest(f"environment {text!r}: write a name, 'debian12-min', or 'name@user', 'name:version'")
    version, arch = None, None
    for part in match["rest"].split(":")[1:]:
        if part.isdecimal():
            version = int(part)
        else:
            arch = part
    name = match["name"] + (f"@{match['user']}" if match["user"] else "")
    return WantedEnvironment(name, version, arch)


def unknown_environment(client: Grid5000Client, site: str, wanted: WantedEnvironment) -> str | None:
    """Return a line when the site has no such environment, with the nearest name; ``None``: it has, or can't know.

    :raises ApiError: when it can't be asked.
    """
    if wanted.is_url:
        return None
    name, _, user = wanted.name.partition("@")
    found = client.environments(site, name=name, user=user or None, latest_only=False)
    fitting = [
        each
        for each in found
        if wanted.version in (None, each.version) and wanted.arch in (None, each.arch) and each.name == name
    ]
    if fitting:
        return None
    if any(each.name == name for each in found):
        have = ", ".join(sorted({f"{each.version} ({each.arch})" for each in found}))
        return f"asks for environment {wanted.name!r} in another version or for another architecture; {site} has {have}"
    others = {each.name for each in client.environments(site, user=user or None)}
    return f"asks for environment {wanted.name!r}, {site} has none of this name{nearest(name, others)}"
