"""What the processes of a trial have said that failed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable

from ..processes import Activity, Process
from ..results import Trial

__all__ = ("keep_logs",)


def keep_logs(trial: Trial, failed: Iterable[Activity]) -> None:
    """Write the whole output of the processes that failed into the trial's directory."""
    for number, activity in enumerate(failed, 1):
        where = re.sub(r"[^\w.-]", "_", str(activity.host or "localhost"))
        text = activity.report() if isinstance(activity, Process) else activity.describe()
        with contextlib.suppress(OSError):  # a log is never worth a trial
            directory = trial.directory / f"attempt-{trial.attempt}"
            directory.mkdir(exist_ok=True)
            log = directory / f"process-{number:02d}-{where}.log"
            log.write_text(f"{text}\n", encoding="utf-8", errors="backslashreplace")
