"""Pictures of what is free and busy, and where a plan would be: text for a terminal, SVG for a report."""

from __future__ import annotations

import datetime as dt
import html
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ....errors import InvalidRequest
from .axis import marks
from .occupation import Interval, Occupation
from .plan import GridPlan

__all__ = ("gantt_svg", "gantt_text")

_FREE, _PARTLY, _BUSY, _UNUSABLE, _PLANNED = "·", "▒", "█", "#", "◆"
_LEVELS = "·▁▂▃▄▅▆▇█"
_LABEL = 14  # columns of a mark's text and what keeps it from the next one


@dataclass(frozen=True)
class _Row:
    """A node, or the nodes of a cluster."""

    label: str
    nodes: tuple[tuple[str, Occupation], ...]
    planned: int


def gantt_text(
    occupations: Mapping[str, Occupation],
    plan: GridPlan | None = None,
    *,
    width: int = 100,
    clusters: Mapping[str, Sequence[str]] | None = None,
    window: Interval | None = None,
    most_lines: int = 40,
    zone: dt.tzinfo | None = None,
) -> str:
    """Return lines for a terminal: a node each, or a cluster each when there are many nodes.

    :param occupations: site → what is taken there.
    :param plan: what would be reserved; its nodes are marked.
    :param width: columns, 40 or more.
    :param clusters: cluster → full names of the nodes to show; ``None``: all nodes, by the names that they have.
    :param window: the dates to show; ``None``: all that the occupations cover.
    :param most_lines: how many nodes get a line each before clusters do.
    :param zone: where dates are local; ``None``: on this machine.
    :raises InvalidRequest: when it is too narrow, or the window is none.
    """
    if width < 40:
        raise InvalidRequest(f"a width of {width} columns is too narrow; write 40 or more")
    shown = _window(occupations, window)
    if shown is None:
        return "nothing is known of these sites\n"
    rows = _rows(occupations, clusters, plan)
    single = sum(len(row.nodes) for row in rows) <= most_lines
    if single:
        rows = _one_by_one(rows, plan)
    left = min(max((len(row.label) for row in rows), default=0), width // 3)
    columns = width - left - 2
    lines = []
    for row in rows:
        label = row.label if len(row.label) <= left else row.label[: left - 1] + "…"
        cells = _cells(row, shown, columns, single)
        overlay = _overlay(plan, shown, columns) if row.planned else ""
        if single:
            cells = "".join(b if b != " " else a for a, b in zip(cells, overlay or " " * columns, strict=True))
        lines.append(f"{label:<{left}}  {cells}")
        if overlay and not single:
            lines.append(f"{f'{row.planned} planned':>{left}}"[:left] + f"  {overlay.rstrip()}")
    lines += [" " * (left + 2) + line for line in _axis(shown, columns, zone)]
    if single:
        legend = f"{_FREE} free  {_PARTLY} partly  {_BUSY} busy  {_UNUSABLE} not usable"
    else:
        legend = f"{_LEVELS[0]} all free  {_LEVELS[4]} half of the nodes busy  {_LEVELS[8]} all busy or not usable"
    planned = f"  {_PLANNED} planned" if any(row.planned for row in rows) else ""
    zone_name = dt.datetime.fromtimestamp(shown[0], zone).astimezone(zone).strftime("%Z")
    lines.append(f"{legend}{planned}  ({zone_name})")
    return "\n".join(lines) + "\n"


def gantt_svg(
    occupations: Mapping[str, Occupation],
    plan: GridPlan | None = None,
    *,
    width: int = 960,
    clusters: Mapping[str, Sequence[str]] | None = None,
    window: Interval | None = None,
    zone: dt.tzinfo | None = None,
) -> str:
    """Return a picture with a line for each node, as the text of an SVG file. It refers to nothing outside.

    :param width: pixels, 300 or more; the other parameters are those of :func:`gantt_text`.
    :raises InvalidRequest: when it is too narrow, or the window is none.
    """
    if width < 300:
        raise InvalidRequest(f"a width of {width} pixels is too narrow; write 300 or more")
    shown = _window(occupations, window) or (0.0, 1.0)
    rows = _one_by_one(_rows(occupations, clusters, plan), plan)
    left, line, top = 12 + 7 * max((min(len(row.label), 30) for row in rows), default=0), 14, 8
    scale = (width - left - 12) / (shown[1] - shown[0])
    bottom = top + line * len(rows)

    def bar(y: int, interval: Interval, kind: str) -> str:
        start, end = max(interval[0], shown[0]), min(interval[1], shown[1])
        x = left + (start - shown[0]) * scale
        return f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{(end - start) * scale:.1f}" height="{line - 3}"/>'

    parts = []
    for number, row in enumerate(rows):
        y = top + line * number
        node, taken = row.nodes[0]
        label = row.label if len(row.label) <= 30 else row.label[:29] + "…"
        parts.append(f'<text x="{left - 6}" y="{y + line - 4}" text-anchor="end">{_escaped(label)}</text>')
        parts.append(bar(y, shown, "free"))
        kind = "unusable" if _unusable(node, taken) else "busy"
        times = [time for time in taken.busy(node) if time[0] < shown[1] and time[1] > shown[0]]
        parts += [bar(y, time, kind) for time in times]
        if row.planned and plan is not None and plan.start < shown[1] and plan.end > shown[0]:
            parts.append(bar(y, (plan.start, plan.end), "planned"))
    for date, text in marks(shown, (width - left) // 90, zone):
        x = left + (date - shown[0]) * scale
        parts.append(f'<path class="mark" d="M{x:.1f} {top}V{bottom + 4}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{_escaped(text)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{bottom + 24}" '
        f'viewBox="0 0 {width} {bottom + 24}" font-family="sans-serif" font-size="11">\n'
        "<style>.free{fill:#e8f0e4}.busy{fill:#8a8f98}.unusable{fill:#d9b3ab}.planned{fill:#2b6cb0}"
        ".mark{stroke:#0003;fill:none}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _escaped(text: str) -> str:
    return html.escape(_printable(text))


def _printable(text: str) -> str:
    """Keep what could steer a terminal, or is not allowed in XML, out of names that a server told us."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _window(occupations: Mapping[str, Occupation], window: Interval | None) -> Interval | None:
    if window is None:
        if not occupations:
            return None
        windows = [taken.window for taken in occupations.values()]
        return min(start for start, _ in windows), max(end for _, end in windows)
    if not (math.isfinite(window[0]) and math.isfinite(window[1]) and window[0] < window[1]):
        raise InvalidRequest(f"a window of {window!r} is none; write two Unix dates, the first one before the second")
    return window


def _rows(
    occupations: Mapping[str, Occupation], clusters: Mapping[str, Sequence[str]] | None, plan: GridPlan | None
) -> list[_Row]:
    """Return a row for each cluster, in order of site and cluster."""
    where = {name: taken for taken in occupations.values() for name in taken.nodes}
    groups: dict[str, list[str]] = {}
    if clusters is None:
        for name, taken in where.items():
            groups.setdefault(f"{taken.site}/{name.partition('.')[0].rpartition('-')[0] or name}", []).append(name)
    else:
        for cluster, names in clusters.items():
            known = [name for name in dict.fromkeys(names) if name in where]
            if known:
                groups[f"{where[known[0]].site}/{cluster}"] = known
    planned = _planned(plan)
    return [
        _Row(
            _printable(label),
            tuple((name, where[name]) for name in sorted(names, key=_by_number)),
            sum(name in planned for name in names),
        )
        for label, names in sorted(groups.items())
    ]


def _one_by_one(rows: Sequence[_Row], plan: GridPlan | None) -> list[_Row]:
    planned = _planned(plan)
    return [
        _Row(_printable(name.removesuffix(".grid5000.fr")), ((name, taken),), int(name in planned))
        for row in rows
        for name, taken in row.nodes
    ]


def _planned(plan: GridPlan | None) -> set[str]:
    return {name for site in plan.sites for name in site.nodes} if plan else set()


def _by_number(name: str) -> tuple[str, int, str]:
    """Sort taurus-2 before taurus-10."""
    head, _, number = name.partition(".")[0].rpartition("-")
    return (head, int(number), name) if number.isdecimal() else (name, 0, name)


def _unusable(node: str, taken: Occupation) -> bool:
    return node in taken.unusable or node not in taken.nodes


def _slices(window: Interval, columns: int) -> Iterator[Interval]:
    step = (window[1] - window[0]) / columns
    for number in range(columns):
        yield window[0] + number * step, window[0] + (number + 1) * step


def _cells(row: _Row, window: Interval, columns: int, single: bool) -> str:
    shares = [0.0] * columns
    step = (window[1] - window[0]) / columns
    for node, taken in row.nodes:
        for start, end in taken.busy(node):
            first = max(0, int((start - window[0]) // step))
            for number in range(first, min(columns, math.ceil((end - window[0]) / step))):
                begin = window[0] + number * step
                shares[number] += max(0.0, min(end, begin + step) - max(start, begin)) / step
    if single:
        if _unusable(*row.nodes[0]):
            return _UNUSABLE * columns
        return "".join(_FREE if s < 1e-6 else _BUSY if s > 1 - 1e-6 else _PARTLY for s in shares)
    # Neither a little nor nearly all is rounded to none or all.
    count = len(row.nodes)
    return "".join(
        _LEVELS[0 if s < 1e-6 else 8 if s > count - 1e-6 else min(7, max(1, round(8 * s / count)))] for s in shares
    )


def _overlay(plan: GridPlan | None, window: Interval, columns: int) -> str:
    if plan is None:
        return " " * columns
    return "".join(
        _PLANNED if plan.start < end and plan.end > start else " " for start, end in _slices(window, columns)
    )


def _axis(window: Interval, columns: int, zone: dt.tzinfo | None) -> tuple[str, str]:
    ticks, texts = ["─"] * columns, [" "] * columns
    step = (window[1] - window[0]) / columns
    free_from = 0
    for date, text in marks(window, max(1, columns // _LABEL), zone):
        column = min(columns - 1, int((date - window[0]) / step))
        ticks[column] = "┬"
        if column >= free_from and column + len(text) <= columns:
            texts[column : column + len(text)] = text
            free_from = column + len(text) + 1
    return "".join(ticks), "".join(texts).rstrip()
