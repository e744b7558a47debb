"""Experiments as scripts: the workflow of the paper (sweep, reserve, deploy, loop until the job ends) as a class."""

from __future__ import annotations

import argparse
import inspect
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ..errors import CampaignError, ExecoError
from ..sweeps import Space
from .arguments import parse
from .experiment import Experiment, Group, Workload
from .lines import last_lines, plan_lines
from .loop import Loop, PreparationFailed
from .signals import Sigterm, unhurried
from .work import Work, file_of, work_of

if TYPE_CHECKING:
    from ..hosts import Hosts
    from ..leases.events import Event
    from ..results import Campaign
    from ..testbeds import Lease

__all__ = ("Engine",)

# Exit statuses, those of a pytest run: docs/errors.md.
_OK, _FAILED, _BROKEN, _WRONG_USE, _PENDING = 0, 1, 3, 4, 75


class Engine:
    """An experiment without pytest. A subclass says what is to be run; :meth:`main` runs it, from the command line.

    ::

        class Migration(Engine):
            space = Space(memory=["2GiB", "4GiB"], dirty=[0, 25, 50], repeat=5)
            request = {"nodes": 2, "walltime": "2:00:00", "environment": "debian12-min"}

            def prepare(self, nodes):
                nodes.run("apt-get install -y stress-ng")

            def run_trial(self, nodes, trial, memory, dirty):
                trial.record(duration=migrate(nodes, memory, dirty))

        if __name__ == "__main__":
            sys.exit(Migration().main())

    Nodes are taken before the first trial. When their lease ends or one of them dies, the trial under way is neither
    failed nor lost: nodes are taken anew, :meth:`prepare` runs on them, and the trial runs again. What was done is
    not done again by the next run. The campaign directory is the one that pytest writes: ``load()``,
    ``pytest-execo status`` and reports work on it.

    Life cycle: :meth:`main` begins and ends it; what an attempt starts (processes) ends with the attempt, what
    :meth:`prepare` starts ends when the nodes go. The first Ctrl-C, or SIGTERM, ends the trial under way, which stays
    pending, and gives the nodes back; the second Ctrl-C leaves them for ``pytest-execo release``.
    """

    #: The parameters of the trials. May be a property that looks at :attr:`args`.
    space: Space
    #: What a lease has to have: the keywords of the marker ``execo``, ``{"nodes": 2, "walltime": "2h"}``. May be a
    #: property that looks at :attr:`args`. By default what the testbed gives to those who don't say.
    request: Mapping[str, Any] = {}
    #: The trial itself: a method that takes by name what it needs of ``nodes`` (:class:`~pytest_execo.Hosts`),
    #: ``trial`` (:class:`~pytest_execo.Trial`) and the factors of the space. What it raises is the trial's failure,
    #: unless nodes were lost: then it is run again. :class:`unittest.SkipTest` skips it.
    run_trial: Callable[..., object]

    #: The options as given, those of :meth:`add_options` included; there since :meth:`main` has read them.
    args: argparse.Namespace
    #: The nodes' lease, with its end, networks and the like; while :meth:`prepare` and :attr:`run_trial` run.
    lease: Lease
    #: Where records go; while trials run.
    campaign: Campaign
    #: How exit statuses are called.
    STATUSES: ClassVar[Mapping[int, str]] = {
        _OK: "all trials are done and well",
        _FAILED: "a trial has failed, or prepare() has",
        _BROKEN: "what was measured can't be written down",
        _WRONG_USE: "an option, the space or the request is wrong; nothing was reserved",
        _PENDING: "trials are left: the same command goes on",
        128 + signal.SIGINT: "Ctrl-C",
        128 + signal.SIGTERM: "SIGTERM",
    }

    # what a subclass may say

    def prepare(self, nodes: Hosts) -> Iterator[None] | None:
        """Make nodes ready, once for each lease, after they were deployed. With a ``yield`` in it, the rest is run
        before they go back; not to be relied on, since nodes may be dead by then.

        What it raises ends the run, unless nodes were lost: a trial on nodes that are not ready would mean nothing.
        """
        return None

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare options of the script's own; their values are in :attr:`args`."""

    def told(self, event: Event) -> None:
        """Hear of what happens: started, lease-taken, lease-lost, node-lost, needs-help, finished."""

    # the run

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run what is left of the campaign; return the exit status, see :attr:`STATUSES`.

        :param arguments: options, without the name of the program; ``None``: those of the process.
        :raises SystemExit: after ``--help``.
        """
        try:
            description = inspect.getdoc(type(self)) if type(self).__doc__ else None
            self.args, settings, start = parse(arguments, description, self.add_options, file_of(type(self)))
            work = work_of(self)
            experiment = Experiment(start, settings, say=_write, call=self.told)
            _load(experiment, work)
            unmet = experiment.plan(work.request).unmet
        except ExecoError as error:
            _write(f"execo: {error}")
            return _WRONG_USE
        for line in plan_lines(experiment):
            _write(line)
        if settings.plan:
            status = _PENDING if unmet else _OK
            experiment.close(status)
            return status
        return self._run(experiment, work)

    def _run(self, experiment: Experiment, work: Work) -> int:
        loop = Loop(self, experiment, work)
        sigterm = Sigterm(loop.stop)
        status: int | None = None
        try:
            if experiment.workload.trials:
                experiment.open()
                self.campaign = experiment.campaign
                sigterm.install()
                experiment.progress.begin()
                loop.run()
        except KeyboardInterrupt:
            status = Sigterm.STATUS if sigterm.came else 128 + signal.SIGINT
        except PreparationFailed as failure:
            loop.told(failure)
            status = _FAILED
        except (CampaignError, OSError) as error:
            _write(f"execo: {error}")
            status = _BROKEN if experiment.recording.opened else _WRONG_USE
        finally:
            sigterm.ending = True
            status = _end(experiment, loop, status)
            sigterm.restore()
        return status


def _load(experiment: Experiment, work: Work) -> None:
    """Tell the books what is to be run: what is not done, in order.

    :raises CampaignError: the campaign can't be read.
    """
    planned = [trial.planned() for trial, _ in work.trials.values()]
    selection = experiment.select(planned, {work.test: work.source})
    todo = [trial for trial, _ in work.trials.values() if trial.id not in selection.done]
    if experiment.settings.order == "random":
        todo.sort(key=lambda trial: trial.drawn(selection.seed))
    places = tuple(range(len(todo)))
    group = Group(work.request, tuple(trial.id for trial in todo), (work.test,), places, places, 1)
    experiment.load(Workload(tuple(planned), (group,) if todo else ()))


def _end(experiment: Experiment, loop: Loop, status: int | None) -> int:
    """Give the nodes back, close the books, say what came of it; return the exit status.

    :param status: what is known of it; ``None``: nothing went wrong with the run itself.
    """
    result = _BROKEN if status is None else status
    try:
        loop.end()
    except KeyboardInterrupt:  # the second Ctrl-C: who sent it does not want to wait
        experiment.say("Ctrl-C again: what was prepared is left as it is")
        status = result = 128 + signal.SIGINT
    try:
        with unhurried(experiment.say):
            experiment.settle()
            if status is None:
                result = _status(experiment)
            experiment.close(result)
    except KeyboardInterrupt:
        result = 128 + signal.SIGINT
        experiment.say("nodes may be left; to give them back: pytest-execo release")
    except ExecoError as error:
        experiment.warn(str(error))
    for line in last_lines(experiment, ()):
        _write(line)
    return result


def _status(experiment: Experiment) -> int:
    if experiment.progress.outcomes["failed"]:
        return _FAILED
    if experiment.left:
        return _PENDING
    return _FAILED if experiment.before["failed"] else _OK


def _write(line: str) -> None:
    """Write a line for people. Messages speak of pytest's options; here they have no prefix."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    text = f"{line}\n".replace("--execo-", "--").encode(encoding, "backslashreplace").decode(encoding)
    # In one piece: other threads write too.
    sys.stdout.write(text)
    sys.stdout.flush()
