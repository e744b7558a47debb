"""What a run says of itself: its plan, and at its end what came of it and how to go on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..results.quarantine import fault_lines
from ..units import format_duration, iso_date

if TYPE_CHECKING:
    from ..testbeds import Plan, Request
    from .experiment import Experiment

__all__ = ("last_lines", "plan_lines")


def plan_lines(experiment: Experiment) -> list[str]:
    """Return what will be run where, after collection."""
    workload, before, settings = experiment.workload, experiment.before, experiment.settings
    start = experiment.start
    todo, done = workload.trials, before.total()
    testbed = experiment.pool.testbed
    failed = f" ({before['failed']} of them failed)" if before["failed"] else ""
    lines = [
        f"execo: site {testbed.site} ({testbed.name}), {_count(todo + done, 'trial')}: "
        f"{done} done before{failed}, {todo} to run"
    ]
    directory = experiment.recording.directory
    if directory is not None and (directory / "campaign.json").exists():
        lines.append(f"execo: goes on with {start.shown(directory)}")
    if experiment.changed:
        lines.append(
            f"execo: {experiment.changed} done with an older version of this test; "
            f"to run again: {start.resume('--execo-rerun=changed')}"
        )
    lines += _faults(experiment)
    for group in workload.groups:
        if group.request is None:
            if settings.plan:
                lines.append(f"execo: {_count(len(group.trials), 'trial')} without nodes")
            continue
        plan = experiment.plan(group.request)
        if plan.unmet:
            which = f"{_count(len(group.trials), 'trial')} of {_names(group.tests)}"
            lines += [f"execo: {which} can't run: {reason}" for reason in plan.unmet]
        elif settings.plan:
            lines.append(f"execo: {_count(len(group.trials), 'trial')} on {_place(group.request, plan)}")
        lines += [line for line in (f"execo: note: {note}" for note in plan.notes) if line not in lines]
    if workload.planned and todo and not settings.plan:
        lines.append(f"execo: if it is interrupted, go on with: {start.resume('')}")
    return lines


def _faults(experiment: Experiment) -> list[str]:
    """Return what could not be read of the records, once."""
    faults, experiment.recording.faults = experiment.recording.faults, []
    return [f"execo: warning: {line}" for line in fault_lines(faults, experiment.start.directory)]


def _place(request: Request, plan: Plan) -> str:
    cluster = f" of cluster {request.cluster}" if request.cluster else ""
    walltime = "no walltime" if plan.walltime is None else f"walltime {format_duration(plan.walltime)}"
    start = "at a date not known" if plan.start is None else "now"
    if plan.start is not None and plan.start > time.time() + 1:
        start = f"at {iso_date(plan.start)}"
    return f"{_count(plan.nodes, 'node')}{cluster}, {walltime}, start {start}"


def last_lines(experiment: Experiment, pictures: Sequence[Path]) -> list[str]:
    """Return where the results are and what to do next. The last line is the command that goes on, if there is more."""
    recording, before, progress = experiment.recording, experiment.before, experiment.progress
    start = experiment.start
    if experiment.settings.plan or not experiment.start.writes:
        return []
    lines = _faults(experiment)
    if recording.opened:
        counts = progress.counts() or "none run"
        lines.append(f"execo: {_count(sum(progress.outcomes.values()), 'trial')} in this session: {counts}")
        lines += [f"execo: {count} pending: {why}" for why, count in progress.why_pending.most_common(5)]
        if progress.interrupted:
            lines.append(f"execo: {_count(progress.interrupted, 'attempt')} interrupted by the testbed, and run again")
        if progress.retried:
            lines.append(f"execo: {_count(progress.retried, 'failed attempt')} tried again")
        if progress.budget_spent is not None:
            lines.append(
                f"execo: the retries of the campaign are used up ({progress.budget_spent}); "
                "--execo-retry-budget=N allows more"
            )
        if experiment.spared:
            lines.append(f"execo: {_count(experiment.spared, 'trial')} not needed: the sweep's rule was met before")
        lines.append(f"execo: campaign {start.shown(recording.campaign.directory)}")
        if recording.written is not None:
            lines.append(f"execo: records  {start.shown(recording.written)}")
        lines += [f"execo: picture  {start.shown(path)}" for path in pictures]
    elif recording.directory is not None and before.total():
        lines.append(f"execo: nothing left to run; campaign {start.shown(recording.directory)}")
        lines.append("execo: --execo-rerun=all runs it again, --execo-fresh starts a new campaign")
    for name, nodes in experiment.pool.kept.items():
        lines.append(f"execo: kept: {', '.join(nodes)}; to enter: pytest-execo shell {nodes[0]}")
        lines.append(f"execo:       to give back: pytest-execo release {name}")
    failed = before["failed"] + progress.outcomes["failed"]
    if failed and experiment.workload.planned:
        lines.append(f"execo: {_count(failed, 'trial')} failed; to run again: {start.resume('--execo-rerun=failed')}")
    if experiment.left and recording.opened:
        lines.append(f"execo: {_count(experiment.left, 'trial')} left; to go on: {start.resume('')}")
    return lines


def _names(tests: Sequence[str]) -> str:
    more = f" and {len(tests) - 2} more" if len(tests) > 2 else ""
    return ", ".join(test.rpartition("::")[2] for test in tests[:2]) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
