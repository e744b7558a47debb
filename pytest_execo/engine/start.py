"""How a run was started, and from where: by pytest, or as a script."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ("Start",)


@dataclass(frozen=True)
class Start:
    """How a run was started.

    :param root: the project: campaigns without a name are made in ``execo-results`` there.
    :param directory: where relative paths of the options begin.
    :param command: program and arguments.
    :param resume: returns the command line that goes on with this run, with more options or none.
    :param writes: whether it writes anything; otherwise it only looks.
    :param cache: returns a directory for what can be made again, ``None``: there is none.
    :param quiet: say no more than has to be said.
    :param side_by_side: whether several processes may run trials at the same time.
    """

    root: Path
    directory: Path
    command: Sequence[str]
    resume: Callable[[str], str]
    writes: bool = True
    cache: Callable[[], Path | None] = lambda: None
    quiet: bool = False
    side_by_side: bool = False

    def shown(self, path: Path) -> str:
        """Return a path as people would write it where they started."""
        relative = os.path.relpath(path, self.directory)
        return str(path) if relative.startswith("..") else relative
