"""The command; see the package's docstring."""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.process_control import table
from benchmarks.process_control.environment import PeersEnvironment, machine

from . import __doc__ as description
from .measure import IN_MEMORY, Sample, file_system, measure
from .targets import judge
from .workers import WORKERS

_ROOT = Path(__file__).resolve().parents[2]
_OURS = "ParamSweeper"

Samples = dict[tuple[str, int], list[Sample]]  # peer, size


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(word) for word in text.split(",")]
    except ValueError:
        numbers = []
    if not numbers or any(number < 10 or number % 10 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text}: write multiples of ten, with commas between them")
    return numbers


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return names

    return parse


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.checkpoint",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--sizes", type=_numbers, default=[1_000, 10_000, 100_000], metavar="N,…", help="default 1000,10000,100000")
    add("--peers", type=_names(list(WORKERS)), default=list(WORKERS), metavar="PEER,…", help=", ".join(WORKERS))
    add("--repeat", type=int, default=3, help="the table has medians; default 3")
    add("--whole", type=int, default=1_000, metavar="N", help="beyond this size a slice is measured; default 1000")
    add("--slice", type=int, default=500, metavar="N", help="trials of that slice; default 500")
    add("--most", type=int, default=50_000, metavar="N", help="execo is left out from this size on; default 50000")
    add("--timeout", type=float, default=600, metavar="S", help="seconds for one peer, once; default 600")
    add("--where", type=Path, default=_ROOT / ".run", metavar="DIR", help="on the disk to measure on; default .run")
    add("--quick", action="store_true", help="a look, not a measurement: 100 and 1000 trials, once")
    add("--json", type=Path, metavar="FILE", help="write all the samples there too")
    add("--peers-dir", type=Path, default=_ROOT / ".run" / "peers", metavar="DIR",
        help="virtual environment of the peers, made on first use; default .run/peers")  # fmt: skip
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.repeat = [100, 1_000], 1
    return options


def _part(peer: str, size: int, options: argparse.Namespace) -> tuple[int, int] | None:
    """Return how many trials are done before the clock starts, and how many are measured."""
    if peer == "execo" and size >= options.most:
        return None
    count = size if size <= options.whole else min(options.slice, size)
    return (size - count) // 2, count


def _size(size: int, options: argparse.Namespace, environment: PeersEnvironment, samples: Samples) -> None:
    for repetition in range(options.repeat):
        # Nobody has always the same neighbour before it: the machine's speed drifts.
        turn = repetition % len(options.peers)
        for peer in (*options.peers[turn:], *options.peers[:turn]):
            part = _part(peer, size, options)
            taken = samples.setdefault((peer, size), [])
            if part is None or (taken and taken[-1].wall is None):
                continue  # it would take as long to fail again
            print(f"{size:,}: {peer}, {repetition + 1} of {options.repeat}", file=sys.stderr, flush=True)
            python = environment.python if peer == "execo" else Path(sys.executable)
            taken.append(measure(peer, size, *part, python=python, where=options.where, timeout=options.timeout))


def _median(samples: Samples, peer: str, size: int, figure: str = "rate") -> float | None:
    found = [getattr(one, figure) for one in samples.get((peer, size), []) if one.rate is not None]
    return statistics.median(found) if found else None


def _show(size: int, options: argparse.Namespace, samples: Samples) -> None:
    ours = _median(samples, _OURS, size)
    print(f"\n{size:,} trials: taken and done, one after the other, each on the disk")
    print(f"  {'':14} {'a second':>9} {'min - max':>17} {'ours ÷':>7} {'µs':>8} {'CPU µs':>8} {'open s':>7} {'MB':>5}")
    for peer in options.peers:
        taken = samples.get((peer, size), [])
        rate = _median(samples, peer, size)
        if rate is None:
            why = next((one.error for one in taken if one.error), "left out: it would take too long")
            print(f"  {peer:14} {why}")
            continue
        rates = [one.rate for one in taken if one.rate is not None]
        spread = f"{min(rates):,.0f} - {max(rates):,.0f}" if len(rates) > 1 else ""
        cpu, opened, memory = (_median(samples, peer, size, name) or 0.0 for name in ("cpu", "opened", "memory"))
        times = f"{ours / rate:.2f}" if ours else ""
        part = taken[0]  # the same for all of them
        note = "" if part.count == size else f"  {part.count} trials, {part.before:,} being done"
        lost = next((f"  one of {len(taken)}: {one.error}" for one in taken if one.error), "")
        print(
            f"  {peer:14} {rate:9,.0f} {spread:>17} {times:>7} {1e6 / rate:8,.0f} {1e6 * cpu / part.count:8,.0f} "
            f"{opened:7.2f} {memory / 1e6:5.0f}{note}{lost}"
        )
    sys.stdout.flush()


def main() -> int:
    """Measure, print and write."""
    options = _options()
    options.where.mkdir(parents=True, exist_ok=True)
    kind = file_system(options.where)
    if kind in IN_MEMORY:
        sys.exit(f"--where {options.where} is in memory ({kind}), where nothing is durable; give a directory on a disk")
    environment = PeersEnvironment(options.peers_dir.resolve())
    if "execo" in options.peers:
        environment.make()
        if "execo" not in environment.versions():
            print(f"execo is not measured: {environment.failed.get('execo', 'not installed')}", file=sys.stderr)
            options.peers.remove("execo")
    facts = {"date": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "file system": kind, **machine(environment)}
    print(*table.facts(facts), f"{options.where}: {kind or 'an unknown file system'}", sep="\n", flush=True)
    samples: Samples = {}
    complete = True
    try:
        for size in options.sizes:
            _size(size, options, environment, samples)
            _show(size, options, samples)
    except KeyboardInterrupt:
        complete = False
        print("\nended; what was measured:", flush=True)
        _show(size, options, samples)
    judged = list(judge(lambda peer, at: _median(samples, peer, at), options.sizes))
    print("", *table.target_lines(judged), sep="\n")
    if options.json:
        asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
        results = [
            {"peer": peer, "size": size, "samples": [dataclasses.asdict(one) for one in taken]}
            for (peer, size), taken in samples.items()
            if taken
        ]
        verdicts = [dataclasses.asdict(one) for one in judged]
        document = {"schema": 1, "machine": facts, "options": asked, "results": results, "targets": verdicts}
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    return 0 if complete else 130


if __name__ == "__main__":
    sys.exit(main())
