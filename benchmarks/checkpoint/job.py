"""What one peer is to do, once; the file that tells its interpreter."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

__all__ = ("LEVELS", "Job")

#: The second factor's levels: a sweep of N trials has N / 10 levels of the first.
LEVELS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s", "crc32", "adler32")


@dataclass(frozen=True)
class Job:
    """So many trials of a sweep, taken and done one after the other.

    :param size: trials of the sweep, a multiple of ten.
    :param before: how many are done at once before the clock starts.
    :param count: how many are measured.
    :param directory: empty, on the disk that is to keep them.
    """

    peer: str
    size: int
    before: int
    count: int
    directory: str

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Job:
        return cls(**json.loads(path.read_text()))

    @property
    def factors(self) -> dict[str, list[object]]:
        """The sweep, as all of the sweepers take it."""
        return {"size": list(range(self.size // len(LEVELS))), "tool": list(LEVELS)}
