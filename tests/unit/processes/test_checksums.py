"""Checksums: what we compute is what the programs say, of any file under any name."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo.connectors.local import LocalConnector
from pytest_execo.processes import checksums
from pytest_execo.processes.checksums import Checksums, Cksum, cksum, host_checksums
from pytest_execo.processes.io_thread import io_thread


def ask(files: dict[str, int | None]) -> Checksums | None:
    async def main() -> Checksums | None:
        connector = io_thread().connector("local")
        assert isinstance(connector, LocalConnector)
        return await host_checksums(connector, None, files)

    return io_thread().submit(main()).result(30)


def test_known_values() -> None:
    # From the cksum of GNU coreutils.
    for data, expected in ((b"", 4294967295), (b"a", 1220704766), (b"123456789", 930766865), (bytes(1000), 2610763910)):
        checksum = Cksum()
        checksum.update(data)
        assert (checksum.result(), checksum.size) == (expected, len(data))


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_it_does_not_matter_how_it_comes(pieces: list[bytes]) -> None:
    async def come() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    whole = Cksum()
    whole.update(b"".join(pieces))
    assert asyncio.run(cksum(come())) == f"{whole.result()} {whole.size}"


@pytest.mark.slow
def test_what_the_program_says(tmp_path: Path) -> None:
    if shutil.which("cksum") is None:
        pytest.skip("cksum is not installed")
    for size in (0, 1, 255, 256, 70_000):
        data = hashlib.shake_128(b"x").digest(size)
        checksum = Cksum()
        checksum.update(data)
        said = subprocess.run(["cksum"], input=data, capture_output=True, check=True, timeout=10).stdout
        assert said.split()[:2] == [b"%d" % checksum.result(), b"%d" % size]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sha256", "cksum"])
def test_any_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    if method == "cksum":
        only = checksums._TOOLS.replace("command -v s", "command -v no-s")
        monkeypatch.setattr(checksums, "_TOOLS", only)
    monkeypatch.setattr(checksums, "_BATCH", 100)
    names = ["plain", "-n", "a b", "new\nline", "re\rturn", "back\\slash", "caf\udce9", "'\"$(id)*", "#1", " "]
    files: dict[str, int | None] = {}
    expected = {}
    for name in names:
        path = tmp_path / name
        data = name.encode(errors="surrogateescape") * 3
        path.write_bytes(data)
        files[str(path)] = 4 if name == "plain" else None
        part = data[: files[str(path)]]
        checksum = Cksum()
        checksum.update(part)
        expected[str(path)] = (
            hashlib.sha256(part).hexdigest() if method == "sha256" else f"{checksum.result()} {len(part)}"
        )
    files[str(tmp_path / "missing")] = None
    files[str(tmp_path / "missing\nin two lines")] = None
    found = ask(files)
    assert found is not None
    assert found.method == method
    # Of what can't be read there is none, or that of nothing.
    assert {path: of for path, of in found.of.items() if "missing" not in path} == expected
    assert str(tmp_path / "missing") not in found.of


@pytest.mark.slow
def test_a_host_that_has_none_of_the_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checksums, "_TOOLS", checksums._TOOLS.replace("command -v ", "command -v no-"))
    assert ask({str(tmp_path): None}) is None
