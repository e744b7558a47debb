"""How long until N nodes can be used: embedded nodes beside as many stock OpenSSH servers, in one run.

python benchmarks/node_bringup.py [--nodes 1 50 200] [--repeat 3] [--json FILE]

``up``: from the request until all listen. ``first``: one command on each, from the first start to the last end, by
the same client. ``second``: again, over the connections that are open. ``down``: until all have gone. Seconds, the
median of the repetitions.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import pwd
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_execo import Host, Hosts, Request
from pytest_execo.testbeds.embedded import EmbeddedTestbed

Farm = Callable[[int], contextlib.AbstractContextManager[Hosts]]


@contextlib.contextmanager
def embedded(count: int) -> Iterator[Hosts]:
    """Nodes of the embedded testbed."""
    lease = EmbeddedTestbed().reserve(Request(nodes=count))
    try:
        yield lease.nodes
    finally:
        lease.release()


@contextlib.contextmanager
def openssh(count: int) -> Iterator[Hosts]:
    """As many stock sshd, each on a loopback address of its own."""
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if sshd is None:
        sys.exit("sshd is not installed (apt-get install openssh-server)")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as servers:
        for name in ("host", "user"):
            key = Path(directory, name)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        config = Path(directory, "config")
        config.write_text(
            f"HostKey {directory}/host\nAuthorizedKeysFile {directory}/user.pub\nStrictModes no\nUsePAM no\n"
            "PidFile none\nUseDNS no\nPermitRootLogin prohibit-password\nLogLevel ERROR\n"
            # bash started by sshd reads ~/.bashrc, unless it is told that it is an inner shell: what is in
            # somebody's rc file is not to be measured.
            "SetEnv SHLVL=1\n"
        )
        host_key = " ".join(Path(directory, "host.pub").read_text().split()[:2])
        user = pwd.getpwuid(os.getuid()).pw_name
        hosts = []
        for index in range(count):
            address, port = f"127.2.{index // 250}.{index % 250 + 1}", 22022
            listen = f"ListenAddress={address}:{port}"
            server = subprocess.Popen(
                [sshd, "-D", "-f", config, "-o", listen], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            servers.callback(server.wait)
            servers.callback(server.terminate)
            hosts.append(Host(address, user=user, port=port, keyfile=f"{directory}/user", host_key=host_key))
        for host in hosts:
            _listens(host)
        yield Hosts(hosts)


def _listens(host: Host) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((host.address, host.port or 22), 1):
            return
        time.sleep(0.005)
    sys.exit(f"{host}: no answer within 60 s")


def measure(farm: Farm, count: int) -> dict[str, float]:
    """Return the four durations of one repetition."""
    clock = time.perf_counter
    start = clock()
    with farm(count) as hosts:
        up = clock()
        hosts.run("true")
        first = clock()
        hosts.run("true")
        second = clock()
        hosts.disconnect()
        closing = clock()
    return {"up": up - start, "first": first - up, "second": second - first, "down": clock() - closing}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 50, 200])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    rows = []
    print(f"{platform.platform()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}")
    print(f"{'nodes':>6} {'farm':10}" + "".join(f"{name:>9}" for name in ("up", "first", "second", "down")))
    for count in options.nodes:
        # One after the other in each repetition: the machine's speed drifts.
        runs: dict[str, list[dict[str, float]]] = {"embedded": [], "openssh": []}
        for _ in range(options.repeat):
            runs["embedded"].append(measure(embedded, count))
            runs["openssh"].append(measure(openssh, count))
        for name, figures in runs.items():
            row = {key: statistics.median(run[key] for run in figures) for key in figures[0]}
            rows.append({"nodes": count, "farm": name, **row})
            print(f"{count:6} {name:10}" + "".join(f"{value:9.3f}" for value in row.values()))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
