"""Where the peers are: a virtual environment for those from PyPI, system packages for the programs, and versions."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from .peers import OURS, Peer

__all__ = ("PeersEnvironment", "install_programs", "machine", "missing_programs")

_REQUIREMENTS = Path(__file__).with_name("peers.txt")


class PeersEnvironment:
    """A virtual environment with what ``peers.txt`` names, made on first use and again when that file changes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.python = directory / "bin" / "python"
        self._stamp = directory / "peers.json"
        #: Requirement → why it could not be installed.
        self.failed: dict[str, str] = {}

    def make(self) -> None:
        """Make it, unless it is there; what can't be installed is left out and remembered in :attr:`failed`."""
        # A peer that can't be built today may be tomorrow: only a complete environment is not tried again.
        key = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
        if self._stamp.exists() and json.loads(self._stamp.read_text()) == key:
            return
        print(f"making {self.directory} with the peers, once …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", self.directory], check=True)
        lines = [line.partition("#")[0].strip() for line in _REQUIREMENTS.read_text().splitlines()]
        # One by one: a peer that can't be had must not take the others along.
        for requirement in filter(None, lines):
            print(f"  {requirement}", file=sys.stderr)
            pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
            done = subprocess.run(pip, capture_output=True, text=True)
            if done.returncode:
                said = [line for line in done.stderr.splitlines() if line.strip()]
                why = next((line for line in said if line.startswith("ERROR:")), "pip failed")
                self.failed[_distribution(requirement)] = why.removeprefix("ERROR: ")
        if not self.failed:
            self._stamp.write_text(json.dumps(key))

    def versions(self) -> dict[str, str]:
        """Return what is installed there."""
        if not self.python.exists():
            return {}
        pip = [self.python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
        listed = json.loads(subprocess.run(pip, capture_output=True, text=True, check=True).stdout)
        return {package["name"]: package["version"] for package in listed}


def _distribution(requirement: str) -> str:
    return re.split(r"[=<>!~\[; ]", requirement)[0]


def missing_programs(peers: Iterable[Peer]) -> dict[str, str]:
    """Return the programs that are not installed, and the Debian package of each."""
    needed = {program: package for peer in peers for program, package in peer.programs.items()}
    return {program: package for program, package in needed.items() if shutil.which(program) is None}


def install_programs(packages: Iterable[str]) -> None:
    """Install Debian packages, as root."""
    packages = sorted(set(packages))
    if not packages:
        return
    if os.geteuid() != 0:
        sys.exit(f"--install: only root can (sudo apt-get install {' '.join(packages)})")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-q"]
    print(f"installing {' '.join(packages)} …", file=sys.stderr)
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        # What fails here is seen as a missing program later.
        subprocess.run([*apt, *command], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def machine(peers: PeersEnvironment) -> dict[str, Any]:
    """Return what a reader of the figures has to know of the machine and of what was measured."""
    ours = {name: metadata.version(name) for name in (OURS, "asyncssh", "cryptography")}
    for name in ("paramiko",):
        try:
            ours[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "commit": _said(["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]),
        "versions": ours,
        "peers": peers.versions(),
        "ssh": _said(["ssh", "-V"]),
        "pdsh": _said(["pdsh", "-V"]),
        "taktuk": _said(["taktuk", "--version"]),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _said(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return next(iter((done.stdout + done.stderr).splitlines()), None)
