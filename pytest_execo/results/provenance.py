"""The facts that let somebody else judge, and repeat, a session: who, where, from which code, with which versions.

The environment's variables and the repository's remotes are left out: that is where credentials live.
"""

from __future__ import annotations

import getpass
import os
import platform
import socket
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from .redaction import redact

__all__ = ("git_state", "host_facts", "redact", "user", "versions")

_GIT_SECONDS = 5.0


def user() -> str | None:
    """Return the login name; ``None`` where the system knows none (a container with a bare uid)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None


def host_facts() -> dict[str, Any]:
    """Return the machine that runs the session: name, number of cpus, bytes of memory, kernel."""
    try:
        memory: int | None = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        memory = None
    return {
        "name": socket.gethostname(),
        "cpus": os.cpu_count(),
        "memory": memory,
        "kernel": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, Any]:
    """Return the versions of Python, of the platform, and of every installed distribution."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        facts = distribution.metadata  # parsed anew at each reading
        if facts and "Name" in facts:  # a broken installation has neither
            # What is first on sys.path is what was imported.
            found.setdefault(str(facts["Name"]), str(facts["Version"]) if "Version" in facts else "")
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "distributions": dict(sorted(found.items(), key=lambda item: item[0].lower())),
    }


def git_state(directory: Path) -> dict[str, Any] | None:
    """Return commit, branch, and whether tracked files differ; ``None`` outside a repository or without git."""
    command = ["git", "-c", "core.fsmonitor=false", "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        result = subprocess.run(
            command,
            cwd=directory,
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    lines = result.stdout.decode("utf-8", "replace").splitlines()
    facts = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    commit, branch = facts.get("branch.oid"), facts.get("branch.head")
    return {
        "commit": None if commit == "(initial)" else commit,
        "branch": None if branch == "(detached)" else branch,
        "dirty": any(not line.startswith("#") for line in lines),
    }
