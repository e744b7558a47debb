"""The environments that the emulator's kadeploy knows: a small set of its own, the same at all sites."""

from __future__ import annotations

import posixpath
import urllib.parse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ("ANONYMOUS_SUFFIXES", "Environment", "find_environment", "own_environments")

#: Ends of a URL that is taken for the description of an environment.
ANONYMOUS_SUFFIXES: tuple[str, ...] = (".yaml", ".yml", ".dsc", ".env")


@dataclass(frozen=True)
class Environment:
    """A system image with its description.

    :param version: ten digits, the date of the build and a serial number.
    :param visibility: ``public``, ``shared`` (listed with its owner's, usable by all) or ``private``.
    """

    name: str
    version: int
    arch: str
    user: str
    description: str
    visibility: str = "public"
    os: str = "linux"
    alias: str | None = None

    @property
    def uid(self) -> str:
        """Its id in the API: ``name_arch_version_user``."""
        return f"{self.name}_{self.arch}_{self.version}_{self.user}"

    def visible_to(self, user: str | None) -> bool:
        """Tell whether ``user`` may see and deploy it."""
        return self.visibility != "private" or self.user == user

    def to_json(self) -> dict[str, Any]:
        """Return its description as the API has it, without links."""
        image = f"server:///grid5000/images/{self.name}-{self.arch}-{self.version}.tar.zst"
        data = {
            "uid": self.uid,
            "name": self.name,
            "alias": self.alias,
            "arch": self.arch,
            "version": self.version,
            "description": self.description,
            "author": f"{self.user}@emulator.invalid",
            "visibility": self.visibility,
            "destructive": False,
            "os": self.os,
            "image": {"file": image, "kind": "tar", "compression": "zstd"},
            "postinstalls": [
                {
                    "archive": "server:///grid5000/postinstalls/g5k-postinstall.tgz",
                    "compression": "gzip",
                    "script": "g5k-postinstall --net debian",
                }
            ],
            "boot": {"kernel": "/vmlinuz", "initrd": "/initrd.img"},
            "filesystem": "ext4",
            "partition_type": 131,
            "multipart": False,
            "user": self.user,
        }
        return {key: value for key, value in data.items() if value is not None}


def own_environments(users: Sequence[str] = ()) -> list[Environment]:
    """Return the set: public ones for both architectures, an older version of one, and a private one of each user."""
    described = {
        "debian12-min": "Debian 12 (bookworm) minimal",
        "debian12-nfs": "Debian 12 (bookworm) with NFS homes",
        "debian12-std": "Debian 12 (bookworm), what nodes run that nobody has deployed",
        "debian13-min": "Debian 13 (trixie) minimal",
        "ubuntu2404-min": "Ubuntu 24.04 (noble) minimal",
    }
    found = []
    for name, description in described.items():
        for arch, short in (("x86_64", "x64"), ("aarch64", "arm64")):
            system, _, variant = name.partition("-")
            alias = f"{system}-{short}-{variant}"
            found.append(Environment(name, 2026012214, arch, "deploy", description, alias=alias))
            if name == "debian12-min":
                found.append(Environment(name, 2025061410, arch, "deploy", description, alias=alias))
    for user in users:
        found.append(
            Environment("debian12-mine", 2026020101, "x86_64", user, f"{user}'s own Debian 12", visibility="private")
        )
    return found


def find_environment(
    known: Iterable[Environment],
    wanted: str,
    *,
    user: str,
    arch: str | None = None,
    version: int | None = None,
) -> Environment | None:
    """Find what a deployment asks for: the latest visible version of a name, ``name@user`` or a URL.

    A name alone means the user's own environment before a public one. What is behind a URL is never fetched: an
    emulator asks nobody. It is deployed under the name of its file.
    """
    if wanted.startswith(("http://", "https://")):
        path = urllib.parse.urlsplit(wanted).path
        name, suffix = posixpath.splitext(posixpath.basename(path))
        if not name or suffix not in ANONYMOUS_SUFFIXES:
            return None
        return Environment(name, version or 1, arch or "x86_64", user, f"from {wanted}", visibility="private")
    name, _, owner = wanted.partition("@")
    matching = [
        environment
        for environment in known
        if name in (environment.name, environment.alias)
        and environment.visible_to(user)
        and (not owner or environment.user == owner)
        and (arch is None or environment.arch == arch)
        and (version is None or environment.version == version)
    ]
    return max(matching, key=lambda found: (found.user == user, found.version), default=None)
