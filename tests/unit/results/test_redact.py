from __future__ import annotations

import pytest

from pytest_execo.results import redact


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["--db-password=hunter2", "x"], ["--db-password=***", "x"]),
        (["--db-password", "hunter2", "x"], ["--db-password", "***", "x"]),
        (["--API-Token", "a b", "x"], ["--API-Token", "***", "x"]),
        (["--db-pass=a=b c"], ["--db-pass=***"]),
        (["-o", "execo_secret=a, b"], ["-o", "execo_secret=***"]),
        (["-oexeco_token=a"], ["-oexeco_token=***"]),
        (["GITHUB_TOKEN=a"], ["GITHUB_TOKEN=***"]),
        (["--secret", "--verbose"], ["--secret", "--verbose"]),
        (["--store=postgresql://me:p@ss/word@db/x"], ["--store=postgresql://me:***@db/x"]),
        (["--store=postgresql://:pw@db/x"], ["--store=postgresql://:***@db/x"]),
        (["https://ghp_abc@github.com/x"], ["https://***@github.com/x"]),
        (["https://h/x?api_key=abc&y=1"], ["https://h/x?api_key=***"]),
        (["--header=Authorization: Basic abc"], ["--header=Authorization: ***"]),
        (["--header", "X-Auth-Token: abc"], ["--header", "X-Auth-Token: ***"]),
        (['--json={"a": 1, "password": "abc"}'], ['--json={"a": 1, "password": ***']),
    ],
)
def test_credentials_are_blanked(command: list[str], shown: list[str]) -> None:
    assert redact(command) == shown


@pytest.mark.parametrize(
    "argument",
    [
        "tests/test_password.py::test_token",
        "--execo-site=lyon",
        "--bypass=1",
        "--execo-store=ssh://alice@frontend/x",
        "http://host:8080/path",
        "-k",
        "memory and not token",
        "--execo-keyfile=/home/alice/.ssh/id",
        "--author=me",
    ],
)
def test_the_rest_is_kept(argument: str) -> None:
    assert redact(["pytest", argument, "next"]) == ["pytest", argument, "next"]
