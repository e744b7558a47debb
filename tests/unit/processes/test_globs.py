"""Patterns of file names stand for what they do in a shell."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from pytest_execo.connectors.local_files import LocalFiles
from pytest_execo.errors import TransferFailed
from pytest_execo.processes.globs import expand, is_pattern, join, matches

NAMES = ["a", "b", "ab", ".a", "-a", "sub/a", "sub/.a", "sub/b/a", ".hid/a", "[x]", "caf\udce9", "a b"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalFiles:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "to sub").symlink_to("sub")
    (tmp_path / "broken").symlink_to("nothing")
    monkeypatch.chdir(tmp_path)
    return LocalFiles()


def expanded(files: LocalFiles, pattern: str) -> list[str]:
    return asyncio.run(expand(files, pattern))


def test_is_pattern() -> None:
    assert [path for path in ("a", "a*", "a?", "[a]", "a]", "\\") if is_pattern(path)] == ["a*", "a?", "[a]"]


def test_matches() -> None:
    assert matches("*", "a")
    assert not matches("*", ".a")
    assert matches(".*", ".a")
    assert matches("[!b]?", "ab")
    assert not matches("[!b]?", "ba")
    assert not matches("A", "a")


def test_join() -> None:
    assert [join("", "a"), join("/", "a"), join("b", "a"), join("b/", "a")] == ["a", "/a", "b/a", "b/a"]


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["*", "a*", "?", "[ab]", ".*a", "*/a", "sub/*", "*/*/a", "*/", "s*b/./b/a", "x*"])
def test_as_bash_does(files: LocalFiles, pattern: str) -> None:
    script = f"shopt -s nullglob; printf '%s\\0' {pattern}"
    said = subprocess.run(["bash", "-c", script], env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
                          capture_output=True, check=True, timeout=10).stdout  # fmt: skip
    expected = [os.fsdecode(name) for name in said.split(b"\0") if name]
    assert sorted(expanded(files, pattern)) == sorted(expected)


def test_two_stars_stand_for_directories_that_are_not_hidden(files: LocalFiles) -> None:
    assert sorted(expanded(files, "**/a")) == ["a", "sub/a", "sub/b/a"]
    assert sorted(expanded(files, "**/**/a")) == ["a", "sub/a", "sub/b/a"]
    assert sorted(expanded(files, "sub/**")) == ["sub/a", "sub/b"]
    assert sorted(expanded(files, "**/")) == sorted(expanded(files, "*/"))


def test_a_name_that_exists_is_no_pattern(files: LocalFiles) -> None:
    assert expanded(files, "[x]") == ["[x]"]
    assert expanded(files, "[x]*") == []
    assert expanded(files, "sub/a") == ["sub/a"]
    assert expanded(files, "nothing*") == []


def test_absolute_patterns(files: LocalFiles, tmp_path: Path) -> None:
    assert expanded(files, f"{tmp_path}/su?/a") == [f"{tmp_path}/sub/a"]
    assert expanded(files, f"{tmp_path}/nothing*/a") == []


def test_a_directory_that_cant_be_listed(files: LocalFiles) -> None:
    async def refuse(path: str) -> dict[str, object]:
        raise TransferFailed("localhost", f"{path}: Permission denied")

    files.entries = refuse  # type: ignore[method-assign, assignment]
    with pytest.raises(TransferFailed, match="Permission denied"):
        expanded(files, "s*")
