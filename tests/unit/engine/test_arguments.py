"""The command line of a script."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from pytest_execo.engine.arguments import parse
from pytest_execo.engine.settings import Settings
from pytest_execo.engine.start import Start
from pytest_execo.errors import InvalidRequest


def nothing(parser: argparse.ArgumentParser) -> None:
    """No more options."""


def parsed(*words: str) -> tuple[Settings, Start]:
    """What these words say."""
    _, settings, start = parse(words, None, nothing, Path("/there/mine.py"))
    return settings, start


@pytest.fixture(autouse=True)
def program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script is called mine.py, and nothing is set."""
    monkeypatch.setattr(sys, "argv", ["mine.py", "--unused"])
    for name in ("EXECO_SITE", "EXECO_WAIT"):
        monkeypatch.delenv(name, raising=False)


def test_without_options_it_is_the_embedded_testbed() -> None:
    settings, start = parsed()
    assert (settings.site, settings.rebuilds, settings.keep, settings.options) == ("local", 3, "never", {})
    assert (start.root, start.directory) == (Path("/there"), Path.cwd())
    assert start.command == ["mine.py"]


def test_the_command_line_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECO_SITE", "nancy")
    monkeypatch.setenv("EXECO_WAIT", "2h")
    settings, _ = parsed("--site=lyon", "--option=user=me", "--option", "a=b", "--extend")
    assert (settings.site, settings.wait, settings.extend) == ("lyon", 7200.0, True)
    assert settings.options == {"user": "me", "a": "b"}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--no-such"], "unrecognized arguments: --no-such; --help lists the options"),
        (["--leases=2"], "unrecognized arguments: --leases=2"),
        (["--nodes=none"], "--nodes=none: write a number of nodes, 1 or more"),
        (["--keep=it"], "--keep=it: write never, on-failure or always"),
        (["--rerun=some"], "--rerun=some: write failed, changed or all"),
        (["--fresh", "--rerun=all"], "--execo-fresh with --rerun=all: a new campaign has nothing to run again"),
        (["--option=x"], "--execo-option=x: write NAME=VALUE"),
        (["--sit=lyon"], "unrecognized arguments: --sit=lyon"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(words: list[str], line: str) -> None:
    with pytest.raises(InvalidRequest, match=line):
        parsed(*words)


def test_what_goes_on_is_the_same_command_without_its_beginning() -> None:
    _, start = parsed("--site=lyon", "--fresh", "--option=password=secret")
    assert start.resume("").endswith("mine.py --site=lyon '--option=password=***'")
    _, start = parsed("--rerun", "failed", "--site", "lyon")
    assert start.resume("--execo-rerun=all").endswith("mine.py --site lyon --rerun=all")


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--help"], "What it is for.", nothing, None)
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "What it is for." in shown
    assert "--campaign DIR" in shown
    assert "--execo-" not in shown
