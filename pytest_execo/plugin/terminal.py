"""What a run says: the plan after collection, progress, the summary, and the command that goes on."""

from __future__ import annotations

import collections
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..units import format_duration, iso_date

if TYPE_CHECKING:
    from ..testbeds import Plan, Request
    from .session import ExperimentSession

__all__ = ("Progress", "last_lines", "plan_lines", "resume_command", "write_line")

# Seconds between two lines of progress.
_PROGRESS_PERIOD = 15.0
# Options that say how to begin, not what to run: they are not repeated when a run goes on.
_BEGINNINGS = ("--execo-fresh", "--execo-rerun", "--execo-plan")


def write_line(config: pytest.Config, line: str) -> None:
    """Write a line of our own to the terminal, on a fresh line; nothing when there is no terminal reporter."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None:
        reporter.ensure_newline()
        reporter.write_line(line)


def plan_lines(session: ExperimentSession) -> list[str]:
    """Return what will be run where, after collection."""
    recording, leases = session.recording, session.leases
    trials = len(session.items) + recording.passed_before + recording.failed_before
    lines = [f"execo: site {leases.testbed.site} ({leases.testbed.name}), {_count(trials, 'trial')}: "]
    before = recording.passed_before + recording.failed_before
    failed = f" ({recording.failed_before} of them failed)" if recording.failed_before else ""
    lines[0] += f"{before} done before{failed}, {len(session.items)} to run"
    if recording.directory is not None and (recording.directory / "campaign.json").exists():
        lines.append(f"execo: goes on with {_relative(session, recording.directory)}")
    groups = session.groups()
    without = len(session.items) - sum(map(len, groups.values()))
    if session.settings.plan and without:
        lines.append(f"execo: {_count(without, 'trial')} without nodes")
    for request, items in groups.items():
        plan = leases.plan(request)
        if plan.unmet:
            lines += [f"execo: {_count(len(items), 'trial')} can't run: {reason}" for reason in plan.unmet]
        elif session.settings.plan:
            lines.append(f"execo: {_count(len(items), 'trial')} on {_place(request, plan)}")
    if session.resumable and session.items and not session.settings.plan:
        lines.append(f"execo: if it is interrupted, go on with: {resume_command(session.config)}")
    return lines


def _place(request: Request, plan: Plan) -> str:
    cluster = f" of cluster {request.cluster}" if request.cluster else ""
    walltime = "no walltime" if plan.walltime is None else f"walltime {format_duration(plan.walltime)}"
    start = "at a date not known" if plan.start is None else "now"
    if plan.start is not None and plan.start > time.time() + 1:
        start = f"at {iso_date(plan.start)}"
    return f"{_count(plan.nodes, 'node')}{cluster}, {walltime}, start {start}"


def last_lines(session: ExperimentSession, pictures: Sequence[Path]) -> list[str]:
    """Return where the results are and what to do next. The last line is the command that goes on, if there is more."""
    recording, config = session.recording, session.config
    if session.settings.plan or config.option.collectonly:
        return []
    lines = []
    if recording.opened:
        outcomes = session.progress.outcomes
        counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()) or "none run"
        lines.append(f"execo: {_count(sum(outcomes.values()), 'trial')} in this session: {counts}")
        lines += [f"execo: {count} pending: {why}" for why, count in session.progress.why_pending.most_common(5)]
        lines.append(f"execo: campaign {_relative(session, recording.campaign.directory)}")
        if recording.written is not None:
            lines.append(f"execo: records  {_relative(session, recording.written)}")
        lines += [f"execo: picture  {_relative(session, path)}" for path in pictures]
    elif recording.directory is not None and recording.passed_before + recording.failed_before:
        lines.append(f"execo: nothing left to run; campaign {_relative(session, recording.directory)}")
        lines.append("execo: --execo-rerun=all runs it again, --execo-fresh starts a new campaign")
    failed = recording.failed_before + session.progress.outcomes["failed"]
    if failed and session.resumable:
        lines.append(
            f"execo: {_count(failed, 'trial')} failed; to run again: {resume_command(config)} --execo-rerun=failed"
        )
    if session.left and recording.opened:
        lines.append(f"execo: {_count(session.left, 'trial')} left; to go on: {resume_command(config)}")
    return lines


def resume_command(config: pytest.Config) -> str:
    """Return the command line that goes on with this run."""
    args: list[str] = []
    given = iter(map(str, config.invocation_params.args))
    for arg in given:
        name, equals, _ = arg.partition("=")
        if name not in _BEGINNINGS:
            args.append(arg)
        elif name == "--execo-rerun" and not equals:
            next(given, None)
    program = sys.argv[0]
    if os.path.basename(program) in ("pytest", "py.test"):
        return shlex.join([_short(program), *args])
    return shlex.join([sys.executable, "-m", "pytest", *args])


def _short(program: str) -> str:
    """Return the name alone when a shell would find that very program by it."""
    import shutil

    name = os.path.basename(program)
    found = shutil.which(name)
    return name if found is not None and os.path.realpath(found) == os.path.realpath(program) else program


def _relative(session: ExperimentSession, path: Path) -> str:
    relative = os.path.relpath(path, session.config.invocation_params.dir)
    return str(path) if relative.startswith("..") else relative


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


class Progress:
    """Counts outcomes, and says how far a long run is: every 15 s, with the time left at the rate so far."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.why_pending: collections.Counter[str] = collections.Counter()
        self._total = 0
        self._began = self._told = time.monotonic()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._total = len(session.items)

    def pytest_runtestloop(self) -> None:
        self._began = self._told = time.monotonic()

    def ended(self, outcome: str, reason: str | None) -> None:
        """Count a trial."""
        self.outcomes[outcome] += 1
        if outcome == "pending":
            self.why_pending[reason or "no reason known"] += 1
        now = time.monotonic()
        if now - self._told < _PROGRESS_PERIOD or getattr(self._config.option, "verbose", 0) < 0:
            return
        self._told = now
        done = sum(self.outcomes.values())
        left = (now - self._began) / done * (self._total - done)
        counts = ", ".join(f"{count} {name}" for name, count in self.outcomes.items())
        write_line(
            self._config, f"execo: {done} of {self._total} trials ({counts}), about {format_duration(left)} left"
        )
