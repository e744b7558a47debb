"""Pictures: what is where, and that names from a server can do no harm."""

from __future__ import annotations

import datetime as dt
import xml.etree.ElementTree as ET
import zoneinfo
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_execo.errors import InvalidRequest
from pytest_execo.testbeds.grid5000.planning import GridPlan, Occupation, SitePlan, gantt_svg, gantt_text
from pytest_execo.testbeds.grid5000.planning.axis import marks

Make = Callable[..., dict[str, Occupation]]
PARIS = zoneinfo.ZoneInfo("Europe/Paris")
#: 2026-03-02 00:00 in Paris, a Monday.
MONDAY = 1_772_406_000.0
HOUR = 3600.0
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def day(occupied: Make) -> dict[str, Occupation]:
    """Four nodes on a Monday: free, busy from 6 to 12, busy for a little, dead."""
    window = (MONDAY, MONDAY + 24 * HOUR)
    nodes = {
        "taurus-10.lyon.grid5000.fr": [],
        "taurus-2.lyon.grid5000.fr": [(MONDAY + 6 * HOUR, MONDAY + 12 * HOUR)],
        "nova-1.lyon.grid5000.fr": [(MONDAY + 600, MONDAY + 1200)],
        "gros-1.nancy.grid5000.fr": [window],
    }
    made = occupied(nodes, window)
    made["nancy"] = Occupation("nancy", window, made["nancy"].nodes, unusable={"gros-1.nancy.grid5000.fr": "dead"})
    return made


def _plan(start: float, end: float, *nodes: str) -> GridPlan:
    return GridPlan(start, end, (SitePlan("lyon", nodes, {"taurus": len(nodes)}),))


# text


def test_a_line_for_each_node(day: dict[str, Occupation]) -> None:
    plan = _plan(MONDAY + 12 * HOUR, MONDAY + 18 * HOUR, "taurus-2.lyon.grid5000.fr")
    assert gantt_text(day, plan, width=16 + 48, zone=PARIS).splitlines() == [
        "nova-1.lyon     ▒···············································",
        "taurus-2.lyon   ············████████████◆◆◆◆◆◆◆◆◆◆◆◆············",
        "taurus-10.lyon  ················································",
        "gros-1.nancy    ################################################",
        "                ┬───────────────┬───────────────┬───────────────",
        "                Mon 02 00:00    Mon 02 08:00    Mon 02 16:00",
        "· free  ▒ partly  █ busy  # not usable  ◆ planned  (CET)",
    ]


def test_a_line_for_each_cluster(day: dict[str, Occupation]) -> None:
    plan = _plan(MONDAY + 18 * HOUR, MONDAY + 30 * HOUR, "taurus-2.lyon.grid5000.fr", "taurus-10.lyon.grid5000.fr")
    # In a zone where summer time begins at another date: nothing but the axis is local.
    zone = zoneinfo.ZoneInfo("Asia/Tokyo")
    assert gantt_text(day, plan, width=13 + 48, most_lines=3, zone=zone).splitlines() == [
        "lyon/nova    ▃···············································",
        "lyon/taurus  ············▄▄▄▄▄▄▄▄▄▄▄▄························",
        "  2 planned                                      ◆◆◆◆◆◆◆◆◆◆◆◆",
        "nancy/gros   ████████████████████████████████████████████████",
        "             ┬───────────────┬───────────────┬───────────────",
        "             Mon 02 08:00    Mon 02 16:00    Tue 03 00:00",
        "· all free  ▄ half of the nodes busy  █ all busy or not usable  ◆ planned  (JST)",
    ]


def test_only_some_nodes(day: dict[str, Occupation]) -> None:
    clusters = {"taurus": ["taurus-2.lyon.grid5000.fr", "taurus-99.lyon.grid5000.fr"], "nova": []}
    lines = gantt_text(day, clusters=clusters, window=(MONDAY + 6 * HOUR, MONDAY + 7 * HOUR), width=40, zone=PARIS)
    assert lines.splitlines()[0] == "taurus-2.lyon  " + "█" * 25
    assert len(lines.splitlines()) == 4
    assert "planned" not in lines


@pytest.mark.parametrize("width", [40, 57, 100, 211])
@pytest.mark.parametrize("most_lines", [0, 40])
def test_width_is_kept(day: dict[str, Occupation], width: int, most_lines: int) -> None:
    plan = _plan(MONDAY, MONDAY + HOUR, "taurus-2.lyon.grid5000.fr")
    *lines, _legend = gantt_text(day, plan, width=width, most_lines=most_lines, zone=PARIS).splitlines()
    assert max(map(len, lines)) == width


def test_an_occupation_of_nothing() -> None:
    assert "nothing is known" in gantt_text({})
    ET.fromstring(gantt_svg({}))


@pytest.mark.parametrize(
    ("options", "message"), [({"width": 10}, "width of 10"), ({"window": (5.0, 5.0)}, "two Unix dates")]
)
def test_input(options: dict[str, Any], message: str, day: dict[str, Occupation]) -> None:
    for draw in (gantt_text, gantt_svg):
        with pytest.raises(InvalidRequest, match=message):
            draw(day, **options)


# picture


def _rects(picture: str, kind: str) -> list[tuple[float, float, float]]:
    """Return x, y and width of the bars of a kind."""
    found = ET.fromstring(picture).iter(f"{SVG}rect")
    return [
        (float(r.get("x", "")), float(r.get("y", "")), float(r.get("width", "")))
        for r in found
        if r.get("class") == kind
    ]


def test_svg(day: dict[str, Occupation]) -> None:
    plan = _plan(MONDAY + 12 * HOUR, MONDAY + 30 * HOUR, "taurus-2.lyon.grid5000.fr")
    picture = gantt_svg(day, plan, zone=PARIS)
    free, busy, planned = (_rects(picture, kind) for kind in ("free", "busy", "planned"))
    assert len(free) == 4
    left, _, whole = free[0]
    assert len({x for x, _, _ in free}) == 1
    assert sorted(width / whole for _, _, width in busy) == pytest.approx([1 / 144, 1 / 4], abs=1e-3)
    [(x, y, width)] = planned  # cut at the end of the window
    assert ((x - left) / whole, width / whole) == pytest.approx((0.5, 0.5), abs=1e-3)
    assert y == next(y for _, y, width in busy if width > whole / 10)  # on the line of taurus-2
    assert len(_rects(picture, "unusable")) == 1
    texts = [text.text for text in ET.fromstring(picture).iter(f"{SVG}text")]
    assert texts[:4] == ["nova-1.lyon", "taurus-2.lyon", "taurus-10.lyon", "gros-1.nancy"]
    assert "Mon 02 06:00" in texts
    assert "href" not in picture


EVIL = "<script>alert('\x1b[2J')</script>&\"\x00.lyon.grid5000.fr"


def test_names_can_do_no_harm(occupied: Make) -> None:
    day = occupied({EVIL: [(0, 10)]})
    for most_lines in (0, 40):
        text = gantt_text(day, width=200, most_lines=most_lines, zone=PARIS)
        assert all(c.isprintable() for c in text if c != "\n")
        assert "<script>alert('?[2J')" in text
    picture = gantt_svg(day, zone=PARIS)
    assert "<script" not in picture
    assert "\x1b" not in picture
    [label] = (t.text or "" for t in ET.fromstring(picture).iter(f"{SVG}text") if t.get("text-anchor") == "end")
    assert label.startswith("<script>alert('?[2J')")


# axis


@settings(max_examples=30)
@given(st.integers(0, 4_000_000_000), st.integers(60, 60 * 86400), st.integers(1, 20))
def test_marks(start: int, length: int, most: int) -> None:
    found = marks((start, start + length), most, PARIS)
    dates = [date for date, _ in found]
    assert dates == sorted(set(dates))
    assert all(start <= date < start + length for date in dates)
    # One more for the fence post, and one for the hour that comes twice in autumn.
    assert len(found) <= most + 2
    for date, text in found:
        local = dt.datetime.fromtimestamp(date, PARIS)
        assert local.second == 0
        assert text == local.strftime("%a %d %H:%M")[: len(text)]


def test_marks_are_round_in_local_time_when_the_clock_changes() -> None:
    """On 2026-03-29 Paris has 23 hours."""
    start = dt.datetime(2026, 3, 28, tzinfo=PARIS).timestamp()
    found = marks((start, start + 3 * 86400), 6, PARIS)
    assert [text for _, text in found] == [
        "Sat 28 00:00", "Sat 28 12:00", "Sun 29 00:00", "Sun 29 12:00", "Mon 30 00:00", "Mon 30 12:00",
        "Tue 31 00:00",
    ]  # fmt: skip
    assert found[3][0] - found[2][0] == 11 * 3600
    night = marks((start + 86400, start + 86400 + 4 * 3600), 8, PARIS)
    assert [text[-5:] for _, text in night] == ["00:00", "00:30", "01:00", "01:30", "03:00", "03:30", "04:00", "04:30"]
