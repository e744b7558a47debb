"""Beginning and end of a run, in the process that keeps the books: SIGTERM, the exit status, the last lines."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from ..engine import signals
from ..engine.experiment import Experiment
from ..engine.lines import last_lines, plan_lines
from ..errors import CampaignError
from . import terminal
from .outcomes import PENDING_EXIT

__all__ = ("Bookkeeping",)


class Bookkeeping:
    """Registered once for each run: in pytest's own process, or in the controller of pytest-xdist."""

    def __init__(self, session: pytest.Session, experiment: Experiment) -> None:
        self._config: pytest.Config = session.config
        self._session = session
        self._experiment = experiment
        self._sigterm = signals.Sigterm(self._stop)
        self._last_lines: list[str] = []

    @property
    def plugins(self) -> tuple[object, ...]:
        """All that is to be registered with this object, itself included."""
        return (self,)

    def pytest_report_collectionfinish(self) -> list[str]:
        return plan_lines(self._experiment)

    def open(self) -> None:
        """Open the campaign, and from now on end well.

        :raises pytest.UsageError: it can't be kept where it is to be; nothing was reserved.
        """
        settings = self._experiment.settings
        try:
            self._experiment.open()
        except (CampaignError, OSError) as error:
            given = f"--execo-campaign={settings.campaign}" if settings.campaign else "execo"
            message = str(error) if str(error).startswith("--execo-") else f"{given}: {error}"
            raise pytest.UsageError(message) from None
        self._sigterm.install()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if self._experiment.settings.plan:
            return True  # the loop is done
        broken = session.testsfailed and not session.config.option.continue_on_collection_errors
        if not (session.config.option.collectonly or broken) and self._experiment.workload.trials:
            self.open()
        self._experiment.progress.begin()
        return None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        self._sigterm.ending = True
        try:
            self.set_exit_status(session)
        except KeyboardInterrupt:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
        try:
            yield
        except KeyboardInterrupt:
            # The second Ctrl-C: who sent it does not want to wait for fixtures.
            session.exitstatus = pytest.ExitCode.INTERRUPTED
            self._say("Ctrl-C again: fixtures are left as they are")
        finally:
            pictures: list[Path] = []
            try:
                with signals.unhurried(self._say):
                    pictures = self.close(session)
            except KeyboardInterrupt:
                session.exitstatus = pytest.ExitCode.INTERRUPTED
                self._say("nodes may be left; to give them back: pytest-execo release")
            self._sigterm.restore()
            self._last_lines = last_lines(self._experiment, pictures)

    def _say(self, line: str) -> None:
        self._experiment.say(line)

    def _stop(self, reason: str) -> None:
        self._session.shouldstop = reason

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self, config: pytest.Config) -> None:
        # Not earlier: after Ctrl-C or pytest.exit() pytest itself prints its last words here.
        for line in self._last_lines:
            terminal.write_line(config, line)

    def set_exit_status(self, session: pytest.Session) -> None:
        """Nothing green that is not all done and well: see the table in docs/errors.md."""
        experiment = self._experiment
        if experiment.settings.plan:
            requests = [group.request for group in experiment.workload.groups if group.request is not None]
            if any(experiment.plan(request).unmet for request in requests):
                session.exitstatus = PENDING_EXIT
            return
        if self._config.option.collectonly:
            return
        experiment.settle()
        if self._sigterm.came and session.exitstatus == pytest.ExitCode.INTERRUPTED:
            session.exitstatus = self._sigterm.STATUS
        if session.exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            return
        if experiment.left:
            session.exitstatus = PENDING_EXIT
        elif experiment.before["failed"]:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        else:
            session.exitstatus = pytest.ExitCode.OK

    def close(self, session: pytest.Session) -> list[Path]:
        """End the session on disk, and have pictures made."""
        try:
            self._experiment.close(int(session.exitstatus))
        except CampaignError as error:
            self._experiment.warn(str(error))
        if not self._experiment.recording.opened:
            return []
        self._keep_junit()
        return self._pictures()

    def _keep_junit(self) -> None:
        junit = getattr(self._config.option, "xmlpath", None)
        if junit:
            with contextlib.suppress(OSError):  # none was written, or it is there already
                shutil.copyfile(junit, self._experiment.campaign.directory / "junit.xml")

    def _pictures(self) -> list[Path]:
        try:
            made = self._config.hook.pytest_execo_report(config=self._config, campaign=self._experiment.campaign)
        except Exception as error:
            self._experiment.warn(f"no picture: {type(error).__name__}: {error}")
            return []
        return [Path(p) for paths in made for p in ([paths] if isinstance(paths, str | Path) else paths or ())]
