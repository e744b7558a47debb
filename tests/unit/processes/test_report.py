"""What is counted, when, and how it is shown."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from pytest_execo import Host, InvalidInput, Process, Remote
from pytest_execo.errors import ExpectFailed
from pytest_execo.processes import Local, ParallelActions, Report, SequentialActions

COUNTERS = [
    "total",
    "started",
    "ended",
    "errors",
    "timeouts",
    "forced_kills",
    "non_zero_exits",
    "expect_failures",
    "write_errors",
    "ok",
    "finished_ok",
]


def counts(report: Report) -> dict[str, int]:
    """Those that are not 0."""
    return {counter: count for counter in COUNTERS if (count := getattr(report, counter))}


def test_it_is_live() -> None:
    process = Process("read x; exit 3", log=False)
    report = Report(process)
    assert counts(report) == {"total": 1, "ok": 1}
    assert (report.start_date, report.end_date, report.duration) == (None, None, None)
    process.start()
    assert counts(report) == {"total": 1, "started": 1, "ok": 1}
    assert report.start_date == process.start_date
    assert report.end_date is None
    assert report.duration is not None
    process.close_stdin().wait(10)
    assert counts(report) == {"total": 1, "started": 1, "ended": 1, "non_zero_exits": 1}
    assert (report.end_date, report.duration) == (process.end_date, process.duration)


@pytest.mark.parametrize(
    ("command", "options", "counted"),
    [
        ("true", {}, {"ok": 1, "finished_ok": 1}),
        ("exit 3", {}, {"non_zero_exits": 1}),
        ("exit 3", {"ignore_exit_code": True}, {"non_zero_exits": 1, "ok": 1, "finished_ok": 1}),
        ("kill -9 $$", {}, {"non_zero_exits": 1}),
        # An error is not a non-zero exit.
        ("true", {"cwd": "/no/such"}, {"errors": 1}),
        ("true", {"cwd": "/no/such", "ignore_error": True}, {"errors": 1, "ok": 1, "finished_ok": 1}),
        ("sleep 1000", {"timeout": 0.05}, {"timeouts": 1}),
        ("sleep 1000", {"timeout": 0.05, "ignore_timeout": True}, {"timeouts": 1, "ok": 1, "finished_ok": 1}),
    ],
)
def test_what_is_counted_as_what(command: str, options: dict[str, Any], counted: dict[str, int]) -> None:
    process = Process(command, log=False, **options).run(check=False)
    assert counts(Report(process)) == {"total": 1, "started": 1, "ended": 1, **counted}


def test_what_was_killed_is_ok() -> None:
    gentle, stubborn = Process("read x").start(), Process("trap '' TERM; echo up; while :; do read x; done").start()
    stubborn.expect("up\n", timeout=10)
    gentle.kill()
    stubborn.kill(grace=0)
    everything = {"total": 2, "started": 2, "ended": 2, "ok": 2, "finished_ok": 2}
    assert counts(Report(gentle, stubborn)) == {**everything, "forced_kills": 1}


def test_what_was_expected_in_vain_and_what_could_not_be_written() -> None:
    silent, deaf = Process("true", log=False).start(), Process("read x; echo up; sleep 0.1", log=False)
    with pytest.raises(ExpectFailed):
        silent.expect("x", timeout=10)
    deaf.start().write("\n" + "x" * 3_000_000).wait(10)
    report = Report(silent.wait(10), deaf)
    assert (report.expect_failures, report.write_errors, report.ok) == (1, 1, 0)


def test_a_tree_is_counted_once() -> None:
    group = Local(["true", "exit 2"], log=False)
    sequence = SequentialActions([group, Process("true")], name="steps")
    inner = Report(sequence, name="inner")
    report = Report(inner, group, sequence, name="outer")
    report.add(group)
    sequence.run(check=False)
    assert counts(report) == counts(inner)
    assert counts(report) == {"total": 3, "started": 2, "ended": 2, "non_zero_exits": 1, "ok": 2, "finished_ok": 1}
    assert report.end_date == sequence.end_date  # what was never started does not keep it open
    tree = report.to_dict()
    assert [part["name"] for part in tree["parts"]] == ["inner", group.name, "steps"]
    assert [part["name"] for part in tree["parts"][0]["parts"][0]["parts"]] == [group.name, "true"]


def test_as_json() -> None:
    group = Remote("exit {{code}}", [Host(f"n{i}", connector="local") for i in range(3)],
                   substitutions={"code": [0, 2, 2]}, log=False)  # fmt: skip
    single = Process("true", Host("n9", connector="local"))
    report = Report(ParallelActions([group, single], name="both"), name="all")
    report.to_dict()
    report._entries[0].run(check=False)  # type: ignore[union-attr]
    tree = json.loads(json.dumps(report.to_dict()))
    assert set(tree) == {"name", "host", "start_date", "end_date", "duration", *COUNTERS, "outcomes", "parts"}
    assert (tree["name"], tree["total"], tree["non_zero_exits"]) == ("all", 4, 2)
    assert tree["outcomes"] == {"ok": 2, "exit 2": 2}
    both = tree["parts"][0]
    assert [(part["name"], part["host"], part["total"]) for part in both["parts"]] == [
        ("exit {{code}}", None, 3),
        ("true", "n9", 1),
    ]
    assert both["duration"] == both["end_date"] - both["start_date"]


def test_as_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    process = Process("exit 2", log=False).run(check=False)
    process.start_date, process.end_date = 1_700_000_000.0, 1_700_000_200.0
    waiting = Process("make   -j8\nmake install", Host("frontend.lyon.grid5000.fr"))
    report = Report(Report(process, name="bring-up"), ParallelActions([waiting]), name="all")
    head, *lines = str(report).splitlines()
    assert head.split() == (
        ["name", "start", "end", "length", "started", "ended", "errors", "timeouts", "fkills", "exits≠0", "ok", "total"]
    )
    assert [line[:20].rstrip() for line in lines] == [
        "all",
        "  bring-up",
        "    exit 2",
        "  parallel",
        "    make -j8 make i…",
    ]
    assert lines[2][20:].split() == [
        "11-14",
        "22:13:20",
        "11-14",
        "22:16:40",
        "3",
        "min",
        "20",
        "s",
        "1",
        "1",
        "0",
        "0",
        "0",
        "1",
        "0",
        "1",
    ]
    assert lines[4][20:].split() == ["-", "-", "-", "0", "0", "0", "0", "0", "0", "1", "1"]
    for line in (head, *lines):
        assert len(line) <= 120
        assert line.endswith(("total", "1", "2"))
    time.tzset()


def test_a_table_of_anything_is_narrow() -> None:
    report = Report(Process("x" * 500), name="y" * 500)
    for depth in range(20):
        report = Report(report, name=f"level {depth}")
    assert max(map(len, str(report).splitlines())) <= 120
    assert "total" in str(Report())
    assert repr(Report(name="none")) == "<Report 'none': 0 of 0 finished ok>"


def test_a_report_is_not_in_itself() -> None:
    inner = Report(name="inner")
    outer = Report(Report(inner), name="outer")
    for wrong in (inner, outer):
        with pytest.raises(InvalidInput, match="inner"):
            inner.add(wrong)
