"""What this package is meant to reach, judged by the medians of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .peers import OURS

__all__ = ("Figures", "Target", "judge")

#: (row, size, step, peer, figure) → the median; ``None`` where the peer did not do all of it, or was not measured.
#: Figures: ``wall``, ``cpu``, ``memory``, and ``given_up``: seconds after which it was not done.
Figures = Callable[[str, int, int, str, str], float | None]

_FIRST, _SECOND = 0, 1
_UNITS = {"contact": ", {} hosts", "local": ", {} commands", "lines": ", {} MB"}


@dataclass(frozen=True)
class Target:
    """One sentence, what was measured (``None``: nothing, and ``needs`` says what would), and whether it is reached."""

    what: str
    measured: str | None
    reached: bool | None
    needs: str = ""


def _ratio(
    what: str,
    figures: Figures,
    row: str,
    size: int,
    step: int,
    figure: str,
    peer: str,
    *,
    least: float = 0,
    most: float = 0,
) -> Target:
    """Judge peer ÷ ours against ``least``, or ours ÷ peer against ``most``."""
    ours, theirs = (figures(row, size, step, name, figure) for name in (OURS, peer))
    given_up = figures(row, size, step, peer, "given_up") if figure == "wall" else None
    if ours and given_up and given_up / ours >= least > 0:
        return Target(what, f"more than {given_up / ours:.0f} times", True)
    if not ours or not theirs:
        return Target(what, None, None, f"{row}{_UNITS[row].format(size)}, {peer}")
    if least:
        return Target(what, f"{theirs / ours:.1f} times", theirs / ours >= least)
    return Target(what, f"{ours / theirs:.2f} times", ours / theirs <= most)


def judge(figures: Figures, hosts: list[int]) -> Iterator[Target]:
    """Return every target; ``hosts`` are the numbers of hosts that were asked for."""

    def ratio(what: str, row: str, size: int, step: int, figure: str, peer: str, **bound: float) -> Target:
        return _ratio(what, figures, row, size, step, figure, peer, **bound)

    yield ratio(
        "first contact, 300 hosts: at least 1.8 times faster than execo",
        "contact",
        300,
        _FIRST,
        "wall",
        "execo",
        least=1.8,
    )
    yield ratio(
        "first contact, 300 hosts: at most a quarter of execo's controller CPU",
        "contact",
        300,
        _FIRST,
        "cpu",
        "execo",
        least=4,
    )
    for size, least in ((300, 10), (1000, 14)):
        yield ratio(
            f"second command, {size} hosts: at least {least} times faster than execo",
            "contact", size, _SECOND, "wall", "execo", least=least,
        )  # fmt: skip
    # A command on a few hosts takes milliseconds, which are the machine's as much as the program's.
    for size in [size for size in hosts if size >= 100] or [300]:
        yield ratio(
            f"second command, {size} hosts: not slower than parallel-ssh",
            "contact", size, _SECOND, "wall", "parallel-ssh", most=1,
        )  # fmt: skip
        for step, name in ((_FIRST, "first contact"), (_SECOND, "second command")):
            yield ratio(
                f"{name}, {size} hosts: controller CPU at most 1.3 times asyncssh's",
                "contact", size, step, "cpu", "asyncssh", most=1.3,
            )  # fmt: skip
    held = figures("contact", 1000, _SECOND, OURS, "memory")
    what = "1000 hosts held by one controller: < 300 MB"
    yield Target(what, held and f"{held / 1e6:.0f} MB", None if held is None else held < 300e6, "contact, 1000 hosts")
    # At their full size: a tenth of it says as much of the start of an interpreter as of these.
    yield ratio("1000 times true: at least 8 times faster than execo", "local", 1000, 0, "wall", "execo", least=8)
    yield ratio("1000 times true: at most 1.3 times asyncio's time", "local", 1000, 0, "wall", "asyncio", most=1.3)
    what = "line handler, 1000 MB: at least 5 times execo's throughput"
    yield ratio(what, "lines", 1000, 0, "wall", "execo", least=5)
