"""The whole testbed for somebody who is not root. Root becomes somebody else here; for others it is the rule."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_execo

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0, reason="every other test runs as an ordinary user already"),
]

NOBODY = 65534
SCRIPT = """
import json, os, subprocess
from pytest_execo.errors import FaultNotAvailable
from pytest_execo.testbeds.contract import Request
from pytest_execo.testbeds.embedded import EmbeddedTestbed

lease = EmbeddedTestbed("local", isolation=ISOLATION).reserve(Request(nodes=2))
def ssh(*arguments):
    command = ["ssh", "-F", lease.ssh_config, *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
seen = {"isolation": lease.nodes[0].description["isolation"]}
seen["hostname"] = ssh("node-1", "hostname").stdout.strip()
seen["id"] = ssh("node-1", "id -u").stdout.strip()
seen["tty"] = ssh("-tt", "node-1", "tty").stdout.strip()
seen["inner"] = ssh("node-1", "ssh node-2 hostname").stdout.strip()
seen["pids"] = len(ssh("node-1", "ls -d /proc/[0-9]*").stdout.split())
seen["daemon"] = ssh("node-2", "setsid sleep MARK >/dev/null 2>&1 &").returncode
try:
    with lease.nodes[0].fill_disk():
        seen["full"] = ssh("node-1", "head -c 3000000 /dev/zero > file").stderr
except FaultNotAvailable as error:
    seen["full"] = str(error)
with lease.nodes[0].power_off():
    seen["off"] = ssh("node-1", "true").returncode
seen["on"] = ssh("node-1", "true").returncode
lease.release()
seen["left"] = os.path.exists(lease.directory)
seen["sleeping"] = subprocess.run(["pgrep", "-f", "sleep MARK"], capture_output=True, text=True).stdout
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def interpreter() -> Iterator[list[str]]:
    """A Python with the package that an ordinary user may read: the one that runs this may be in root's home."""
    with tempfile.TemporaryDirectory(prefix="nobody-") as name:
        place = Path(name)
        for module in ("pytest_execo", "asyncssh", "cryptography", "cffi", "_cffi_backend", "typing_extensions"):
            spec = importlib.util.find_spec(module)
            if spec is None or spec.origin is None:
                continue
            source = Path(spec.origin)
            if source.name == "__init__.py":
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source.parent, place / module, ignore=ignore)
            else:
                shutil.copy(source, place / source.name)
        (place / "tmp").mkdir()
        os.chown(place / "tmp", NOBODY, NOBODY)
        subprocess.run(["chmod", "-R", "a+rX", name], check=True)
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        clean = ["env", "-i", "PATH=/usr/bin:/bin", f"PYTHONPATH={name}", f"TMPDIR={name}/tmp", "HOME=/nonexistent"]
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        for python in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
            command = [*become, *clean, python]
            check = subprocess.run([*command, "-c", "import asyncssh"], capture_output=True, cwd="/", check=False)
            if check.returncode == 0:
                break
        else:
            pytest.skip(f"no {version} that an ordinary user may run")
        yield command


@pytest.mark.parametrize("isolation", [True, False], ids=["isolated", "shared"])
def test_everything_works(interpreter: list[str], isolation: bool) -> None:
    assert pytest_execo.__file__
    script = SCRIPT.replace("ISOLATION", str(isolation)).replace("MARK", f"8{os.getpid()}{int(isolation)}")
    result = subprocess.run([*interpreter, "-c", script], capture_output=True, text=True, timeout=100, cwd="/")
    assert result.returncode == 0, result.stderr
    seen = json.loads(result.stdout)
    own = set(seen["isolation"])
    assert seen["id"] == str(NOBODY)
    assert seen["tty"].startswith("/dev/pts/")
    assert (seen["hostname"] == "node-1.local") == ("uts" in own)
    assert (seen["inner"] == "node-2.local") == ({"uts", "mount"} <= own)
    assert (seen["pids"] <= 5) == ("pid" in own)
    assert ("No space left" if "mount" in own else "mount namespace") in seen["full"]
    assert (seen["off"], seen["on"]) == (255, 0)
    assert not seen["left"]
    # pgrep finds the script itself, which has the mark in its text.
    assert len(seen["sleeping"].split()) <= 1
