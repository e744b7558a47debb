"""The command; see the package's docstring."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pytest_execo import connectors
from pytest_execo.errors import ExecoError

from . import __doc__ as description
from . import table, targets, trees
from .environment import PeersEnvironment, install_programs, machine, missing_programs
from .farm import Farm, farm
from .measure import Sample, measure
from .peers import OURS, PEERS, Peer
from .rows import ROWS, Case, cases, job_for

_ROOT = Path(__file__).resolve().parents[2]
_SCHEMA = Path(__file__).with_name("results.schema.json")

Key = tuple[str, int, int, str]  # row, size, step, peer


class Run:
    """All the samples of one run, and how they come to be."""

    def __init__(self, options: argparse.Namespace, environment: PeersEnvironment) -> None:
        self._options = options
        self._environment = environment
        self._versions = environment.versions()
        self.samples: dict[Key, list[Sample]] = {}

    def absent(self, peer: Peer) -> str | None:
        """Return why ``peer`` can't be measured here."""
        if peer.package and peer.package not in self._versions:
            return f"not installed: {self._environment.failed.get(peer.package, f'{peer.package} is not there')}"
        if missing := missing_programs([peer]):
            words = ", ".join(f"{program} (Debian package {package})" for program, package in missing.items())
            return f"not installed: {words}; --install as root installs it"
        if peer.connector:
            try:
                connectors.load(peer.connector)
            except (ImportError, ExecoError) as error:
                return f"connector {peer.connector}: {error}"
        return None

    def case(self, case: Case, peers: Sequence[Peer], farm: Farm, repeat: int) -> None:
        """Measure all peers, one after the other in each repetition: the machine's speed drifts."""
        row = case.row.name
        given_up: set[str] = set()
        taken = dict.fromkeys((peer.name for peer in peers), 0.0)
        for repetition in range(repeat):
            # Nobody has always the same neighbour before it.
            turn = repetition % len(peers)
            for peer in (*peers[turn:], *peers[:turn]):
                if peer.name in given_up:
                    continue
                _progress(f"{case.titles()[0]}: {peer.name}, {repetition + 1} of {repeat}")
                start = time.monotonic()
                samples = self._measure(case, peer, farm)
                taken[peer.name] += time.monotonic() - start
                for step, sample in enumerate(samples):
                    self.samples.setdefault((row, case.size, step, peer.name), []).append(sample)
                # It would take as long to fail again; and of what takes minutes, the share that is chance is small.
                if samples[-1].wall is None or taken[peer.name] > self._options.enough:
                    given_up.add(peer.name)
        _progress("")

    def _measure(self, case: Case, peer: Peer, farm: Farm) -> list[Sample]:
        python = self._environment.python if peer.package else Path(sys.executable)
        with _room_for_copies() as room:
            job = job_for(case, peer, farm, room)
            return measure(job, python, farm, steps=len(case.row.steps), timeout=self._options.timeout)

    def show(self, case: Case, peers: Sequence[Peer]) -> None:
        """Print the tables of ``case``."""
        for step, title in enumerate(case.titles()):
            rows: list[tuple[str, str, Sequence[Sample] | str]] = []
            for peer in peers:
                if case.row.function in peer.lacks:
                    rows.append((peer.name, "", f"can't: {peer.lacks[case.row.function]}"))
                elif case.row.function in peer.does:
                    taken = self.samples.get((case.row.name, case.size, step, peer.name))
                    why = self.absent(peer) or "not measured: the step before failed, or the run was ended"
                    rows.append((peer.name, peer.does[case.row.function], taken or why))
            print("", *table.lines(title, rows), sep="\n", flush=True)

    def measured(self, case: Case) -> bool:
        """Return whether there is anything to show of ``case``."""
        return any((row, size) == (case.row.name, case.size) for row, size, *_ in self.samples)

    def median(self, row: str, size: int, step: int, peer: str, figure: str) -> float | None:
        """Return a figure for :func:`targets.judge`."""
        return table.median(self.samples.get((row, size, step, peer), []), figure)


@contextlib.contextmanager
def _room_for_copies() -> Iterator[Path]:
    """A directory in memory, where there is one: disks are not what is compared."""
    memory = Path("/dev/shm")
    fits = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2e9
    with tempfile.TemporaryDirectory(prefix="process-control-", dir=memory if fits else None) as directory:
        yield Path(directory)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return names

    return parse


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.process_control",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--rows", type=_names(list(ROWS)), default=list(ROWS), metavar="ROW,…", help=", ".join(ROWS))
    add("--hosts", type=_numbers, default=None, metavar="N,…", help="for contact; default 1,10,100,300,1000")
    add("--peers", type=_names([peer.name for peer in PEERS]), default=None, metavar="PEER,…",
        help=f"{', '.join(peer.name for peer in PEERS)}; default: all")  # fmt: skip
    add("--repeat", type=int, default=3, help="the tables have medians; default 3")
    add("--enough", type=float, default=60, metavar="S", help="no repetition of what took longer; default 60 seconds")
    add("--scale", type=float, default=1.0, metavar="X", help="of all sizes but the number of hosts")
    add("--timeout", type=float, default=400, metavar="S", help="seconds for one peer, once; default 400")
    add(
        "--quick", action="store_true", help="a look, not a measurement: 1 and 10 hosts, a hundredth of all sizes, once"
    )
    add("--json", type=Path, metavar="FILE", help="write all the samples there too; results.schema.json describes it")
    add("--peers-dir", type=Path, default=_ROOT / ".run" / "peers", metavar="DIR",
        help="virtual environment of the peers, made on first use; default .run/peers")  # fmt: skip
    add("--install", action="store_true", help="as root: install the system packages of the peers with apt-get")
    add("--farm-only", action="store_true", help="start the hosts, say how to reach them, and stay until Ctrl-C")
    options = parser.parse_args()
    if options.quick:
        options.repeat, options.scale, options.timeout = 1, options.scale / 100, min(options.timeout, 30)
    if options.hosts is None:
        options.hosts = [1, 10] if options.quick else [1, 10, 100, 300, 1000]
    return options


def _farm_only() -> None:
    with farm() as hosts:
        first, *_, last = hosts.addresses(1000)
        print(f"hosts {first} to {last}, port {hosts.port}, user {hosts.user}, key {hosts.directory}/user")
        print(f"  ssh -F {hosts.directory}/ssh_config {first}")
        print(f"  Host({first!r}, user={hosts.user!r}, port={hosts.port}, keyfile='{hosts.directory}/user',")
        print(f"       host_key={hosts.host_key!r})", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()


def _write(path: Path, options: argparse.Namespace, facts: dict[str, Any], run: Run, judged: list[Any]) -> None:
    asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    results = [
        {"row": row, "size": size, "step": step, "peer": peer, "samples": [dataclasses.asdict(one) for one in samples]}
        for (row, size, step, peer), samples in run.samples.items()
    ]
    verdicts = [dataclasses.asdict(target) for target in judged]
    document = {"schema": 1, "machine": facts, "options": asked, "results": results, "targets": verdicts}
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    if wrong := _against_schema(json.loads(path.read_text())):
        sys.exit(f"{path} is not what {_SCHEMA.name} describes: {wrong}")


def _against_schema(document: Any) -> str | None:
    try:
        import jsonschema
    except ImportError:
        print("not checked against its schema: jsonschema is not installed (pip install jsonschema)", file=sys.stderr)
        return None
    try:
        jsonschema.validate(document, json.loads(_SCHEMA.read_text()))
    except jsonschema.ValidationError as error:
        return f"{error.json_path}: {error.message}"
    return None


def _interrupt(number: int, _: object) -> None:
    """A signal that asks to end is as Ctrl-C: all is cleaned up, and what was measured is not lost."""
    raise KeyboardInterrupt(signal.Signals(number).name)


def _measure(options: argparse.Namespace) -> bool:
    """Measure, print and write; return whether it came to its end."""
    peers = [peer for peer in PEERS if options.peers is None or peer.name in options.peers]
    if options.install:
        install_programs(missing_programs(peers).values())
    environment = PeersEnvironment(options.peers_dir.resolve())
    if any(peer.package for peer in peers):
        environment.make()
    facts = {"date": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **machine(environment)}
    print(*table.facts(facts), sep="\n", flush=True)
    run = Run(options, environment)
    asked = list(cases(options.rows, options.hosts, options.scale))
    shown: list[Case] = []
    complete = True
    try:
        with farm() as hosts:
            for case in asked:
                able = [peer for peer in peers if case.row.function in peer.does and run.absent(peer) is None]
                if able:
                    run.case(case, able, hosts, options.repeat)
                run.show(case, peers)
                shown.append(case)
    except KeyboardInterrupt:
        complete = False
        print("\nended before its end; what was measured so far:", file=sys.stderr)
        for case in asked:
            if run.measured(case) and case not in shown:
                run.show(case, peers)
    judged = list(targets.judge(run.median, options.hosts)) if any(peer.name == OURS for peer in peers) else []
    print("", *table.target_lines(judged), sep="\n")
    facts["load after"] = os.getloadavg()
    if options.json:
        _write(options.json, options, facts, run, judged)
    return complete


def main() -> None:
    """Do what the command line asks for."""
    options = _options()
    # SIGINT too: what a shell starts in the background has it ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    # A thousand hosts are more than the 1024 descriptors that shells give.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    trees.adopt_orphans()
    try:
        if options.farm_only:
            _farm_only()
        elif not _measure(options):
            sys.exit(130)
    except KeyboardInterrupt:  # before there was anything to measure
        sys.exit(130)


if __name__ == "__main__":
    main()
