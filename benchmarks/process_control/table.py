"""The figures as text."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from .measure import Sample
from .peers import OURS
from .targets import Target

__all__ = ("facts", "lines", "median", "target_lines")


def median(samples: Sequence[Sample], figure: str) -> float | None:
    """Return the median over the samples that have it and were complete; ``None`` when none was."""
    if figure == "given_up":
        return max((sample.given_up for sample in samples if sample.given_up), default=None)
    values = [getattr(sample, figure) for sample in samples if complete(sample)]
    return statistics.median(values) if values else None


def complete(sample: Sample) -> bool:
    """Whether it did all that was asked for."""
    return sample.wall is not None and sample.ok == sample.of


def lines(title: str, peers: Sequence[tuple[str, str, Sequence[Sample] | str]]) -> list[str]:
    """Return the table of one step.

    :param peers: name, what it does, and its samples, or why there are none.
    """
    ours = next((samples for name, _, samples in peers if name == OURS and not isinstance(samples, str)), [])
    head = f"  {'':22} {'ok':>9} {'wall s':>8} {'min - max':>15} {'÷ ours':>7} {'CPU s':>8} {'÷ ours':>7} {'MB':>6}"
    rows = [title, head]
    notes: list[str] = []
    for name, does, samples in peers:
        if isinstance(samples, str):
            rows.append(f"  {name:22} {samples}")
            continue
        measured = [sample for sample in samples if sample.wall is not None]
        # One that did not reach all is shown as it is, and takes no part in comparisons.
        shown = [sample for sample in measured if complete(sample)] or measured
        why = next((sample.error for sample in samples if sample.error), None)
        if shown:
            rows.append(f"  {name:22} {_figures(shown, samples, ours)}  {does}")
        else:
            rows.append(f"  {name:22} {'failed':>9}  {_short(why or 'no reason given')}")
        if why and shown:
            notes.append(f"  {name}: {_short(why)}")
        if left := max((sample.left for sample in samples), default=0):
            notes.append(f"  {name}: left {left} processes behind, which were ended")
    return [*rows, *notes]


def _figures(shown: Sequence[Sample], samples: Sequence[Sample], ours: Sequence[Sample]) -> str:
    wall, cpu, memory = (statistics.median(getattr(s, name) for s in shown) for name in ("wall", "cpu", "memory"))
    walls = [sample.wall for sample in shown if sample.wall is not None]
    worst = min(samples, key=lambda sample: sample.ok if sample.wall is not None else sample.of)
    count = f"{worst.ok}/{worst.of}" if worst.of < 10**6 else ("all" if worst.ok == worst.of else "not all")
    spread = f"{_seconds(min(walls))} - {_seconds(max(walls))}" if len(walls) > 1 else ""
    ratios = [
        _ratio(value, median(ours, name)) if complete(shown[0]) else ""
        for name, value in (("wall", wall), ("cpu", cpu))
    ]
    times = f"{_seconds(wall):>8} {spread:>15} {ratios[0]:>7} {_seconds(cpu):>8} {ratios[1]:>7}"
    return f"{count:>9} {times} {memory / 1e6:6.0f}"


def _seconds(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _ratio(value: float, ours: float | None) -> str:
    return f"{value / ours:.2f}" if ours else ""


def _short(text: str) -> str:
    return text if len(text) <= 150 else f"{text[:149]}…"


def target_lines(targets: Iterable[Target]) -> list[str]:
    """Return the targets and whether they are reached."""
    rows = ["targets"]
    for target in targets:
        if target.reached is None:
            rows.append(f"  {'not measured':12}  {target.what}  (needs {target.needs})")
        else:
            rows.append(f"  {'reached' if target.reached else 'NOT REACHED':12}  {target.what}: {target.measured}")
    return rows


def facts(machine: dict[str, Any]) -> list[str]:
    """Return the machine and the versions, in lines."""
    versions = {**machine["versions"], **{f"{k} (peers)": v for k, v in machine["peers"].items() if k in _SHOWN}}
    programs = [machine[name] for name in ("ssh", "pdsh", "taktuk") if machine[name]]
    return [
        f"{machine['platform']}, Python {machine['python']}, {machine['commit'] or 'no commit'}",
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory'] / 1e9:.1f} GB,"
        f" load {machine['load'][0]:.2f}",
        ", ".join(f"{name} {version}" for name, version in versions.items()),
        ", ".join(programs),
    ]


_SHOWN = ("execo", "parallel-ssh", "ClusterShell", "fabric", "paramiko")
