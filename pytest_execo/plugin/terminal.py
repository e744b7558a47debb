"""What a run says: the plan after collection, progress, the summary, and the command that goes on."""

from __future__ import annotations

import collections
import contextlib
import os
import shlex
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ..results.quarantine import fault_lines
from ..results.redaction import redact
from ..units import format_duration, iso_date

if TYPE_CHECKING:
    from ..testbeds import Plan, Request
    from .experiment import Experiment

__all__ = ("Progress", "last_lines", "plan_lines", "resume_command", "write_later_lines", "write_line")

# Seconds between two lines of progress.
_PROGRESS_PERIOD = 15.0
_LATER: collections.deque[str] = collections.deque()
# Options that say how to begin, not what to run: they are not repeated when a run goes on.
_BEGINNINGS = ("--execo-fresh", "--execo-rerun", "--execo-plan")


def write_line(config: pytest.Config, line: str) -> None:
    """Write a line of our own to the terminal, on a fresh line; nothing when there is no terminal reporter.

    From another thread than the main one it is written later: pytest's terminal is not made for two at once.
    """
    if threading.current_thread() is not threading.main_thread():
        _LATER.append(line)
        return
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is None:
        return
    # While a fixture waits for nodes, what is written is taken for output of its test.
    capturing = config.pluginmanager.getplugin("capturemanager")
    with capturing.global_and_fixture_disabled() if capturing is not None else contextlib.nullcontext():
        reporter.ensure_newline()
        if reporter._tw.width_of_current_line:  # a letter that came after a line of ours, which pytest forgets
            reporter._tw.line()
        reporter.write_line(line)


def write_later_lines(config: pytest.Config) -> None:
    """Write what other threads wanted to say."""
    while _LATER:
        write_line(config, _LATER.popleft())


def plan_lines(config: pytest.Config, experiment: Experiment) -> list[str]:
    """Return what will be run where, after collection."""
    workload, before, settings = experiment.workload, experiment.before, experiment.settings
    todo, done = workload.trials, before.total()
    testbed = experiment.pool.testbed
    failed = f" ({before['failed']} of them failed)" if before["failed"] else ""
    lines = [
        f"execo: site {testbed.site} ({testbed.name}), {_count(todo + done, 'trial')}: "
        f"{done} done before{failed}, {todo} to run"
    ]
    directory = experiment.recording.directory
    if directory is not None and (directory / "campaign.json").exists():
        lines.append(f"execo: goes on with {_relative(config, directory)}")
    if experiment.changed:
        lines.append(
            f"execo: {experiment.changed} done with an older version of this test; "
            f"to run again: {resume_command(config)} --execo-rerun=changed"
        )
    lines += _faults(config, experiment)
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
        lines.append(f"execo: if it is interrupted, go on with: {resume_command(config)}")
    return lines


def _faults(config: pytest.Config, experiment: Experiment) -> list[str]:
    """Return what could not be read of the records, once."""
    faults, experiment.recording.faults = experiment.recording.faults, []
    return [f"execo: warning: {line}" for line in fault_lines(faults, config.invocation_params.dir)]


def _place(request: Request, plan: Plan) -> str:
    cluster = f" of cluster {request.cluster}" if request.cluster else ""
    walltime = "no walltime" if plan.walltime is None else f"walltime {format_duration(plan.walltime)}"
    start = "at a date not known" if plan.start is None else "now"
    if plan.start is not None and plan.start > time.time() + 1:
        start = f"at {iso_date(plan.start)}"
    return f"{_count(plan.nodes, 'node')}{cluster}, {walltime}, start {start}"


def last_lines(config: pytest.Config, experiment: Experiment, pictures: Sequence[Path]) -> list[str]:
    """Return where the results are and what to do next. The last line is the command that goes on, if there is more."""
    recording, before, progress = experiment.recording, experiment.before, experiment.progress
    if experiment.settings.plan or config.option.collectonly:
        return []
    lines = _faults(config, experiment)
    if recording.opened:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in progress.outcomes.items()) or "none run"
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
        lines.append(f"execo: campaign {_relative(config, recording.campaign.directory)}")
        if recording.written is not None:
            lines.append(f"execo: records  {_relative(config, recording.written)}")
        lines += [f"execo: picture  {_relative(config, path)}" for path in pictures]
    elif recording.directory is not None and before.total():
        lines.append(f"execo: nothing left to run; campaign {_relative(config, recording.directory)}")
        lines.append("execo: --execo-rerun=all runs it again, --execo-fresh starts a new campaign")
    for name, nodes in experiment.pool.kept.items():
        lines.append(f"execo: kept: {', '.join(nodes)}; to enter: pytest-execo shell {nodes[0]}")
        lines.append(f"execo:       to give back: pytest-execo release {name}")
    failed = before["failed"] + progress.outcomes["failed"]
    if failed and experiment.workload.planned:
        lines.append(
            f"execo: {_count(failed, 'trial')} failed; to run again: {resume_command(config)} --execo-rerun=failed"
        )
    if experiment.left and recording.opened:
        lines.append(f"execo: {_count(experiment.left, 'trial')} left; to go on: {resume_command(config)}")
    return lines


def resume_command(config: pytest.Config) -> str:
    """Return the command line that goes on with this run. A password in it is ``***``: it has to be typed again."""
    args: list[str] = []
    given = iter(redact(list(map(str, config.invocation_params.args))))
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


def _relative(config: pytest.Config, path: Path) -> str:
    relative = os.path.relpath(path, config.invocation_params.dir)
    return str(path) if relative.startswith("..") else relative


def _names(tests: Sequence[str]) -> str:
    more = f" and {len(tests) - 2} more" if len(tests) > 2 else ""
    return ", ".join(test.rpartition("::")[2] for test in tests[:2]) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


class Progress:
    """Counts outcomes, and says how far a long run is: every 15 s, with the time left at the rate so far."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.why_pending: collections.Counter[str] = collections.Counter()
        #: Failed attempts that were followed by another one.
        self.retried: int = 0
        #: Attempts whose nodes were lost, and that were followed by another one.
        self.interrupted: int = 0
        #: The retries that the campaign may take, when a trial was not tried again for it.
        self.budget_spent: int | None = None
        #: How many trials are to be run.
        self.total: int = 0
        self._began = self._told = time.monotonic()

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
        left = (now - self._began) / done * (self.total - done)
        counts = ", ".join(f"{count} {name}" for name, count in self.outcomes.items())
        write_line(self._config, f"execo: {done} of {self.total} trials ({counts}), about {format_duration(left)} left")
