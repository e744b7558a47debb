"""``pytest-execo`` from the shell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_execo.cli import main

pytestmark = pytest.mark.integration


def test_nodes_are_held_until_the_end_of_input() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pytest_execo", "nodes", "--nodes=2"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as held:  # fmt: skip
        assert held.stdin is not None
        assert held.stdout is not None
        first = held.stdout.readline()
        config = Path(first.split()[2])
        assert first == f"ssh -F {config} node-1.local\n"
        assert config.exists()
        held.stdin.close()
        assert held.wait(30) == 0
    assert not config.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nodes_are_given_back_after_a_signal(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pytest_execo", "nodes"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as held:
        assert held.stdout is not None
        config = Path(held.stdout.readline().split()[2])
        held.stdout.readline()
        os.kill(held.pid, number)
        assert held.wait(30) == (0 if number == signal.SIGINT else 128 + signal.SIGTERM)
    assert not config.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nodes", "--nodes=0"], "1 or more"),
        (["nodes", "--nodes=999"], "asks for 999 nodes, local has 256"),
        (["nodes", "--site=mars"], "mars"),
    ],
)
def test_errors_are_one_line(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("pytest-execo: ")
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1
