"""A copy between two file channels: what is kept, what is found out, what is left when it is given up."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_execo.connectors.local_files import LocalFiles
from pytest_execo.errors import TransferFailed
from pytest_execo.processes.checksums import Checksums, Cksum
from pytest_execo.processes.copying import Copy, Progress
from pytest_execo.processes.planning import Side


class Host:
    """The far side, on this machine: its checksums are computed by whom they are asked of."""

    def __init__(self, method: str | None = "sha256") -> None:
        self.method = method
        self.asked: list[list[str]] = []

    async def checksums(self, files: Mapping[str, int | None]) -> Checksums | None:
        self.asked.append(sorted(files))
        if self.method is None:
            return None
        found = {}
        for path, length in files.items():
            data = Path(path).read_bytes()[:length]  # noqa: ASYNC240
            checksum = Cksum()
            checksum.update(data)
            sha256 = hashlib.sha256(data).hexdigest()
            found[path] = sha256 if self.method == "sha256" else f"{checksum.result()} {len(data)}"
        return Checksums(self.method, found)  # type: ignore[arg-type]


def copy(
    source: Path | str, target: Path, host: Host | None = None, *, files: LocalFiles | None = None, **options: Any
) -> Progress:
    progress = Progress()
    options.setdefault("put", True)
    sides = Side(LocalFiles(), "here"), Side(files or LocalFiles(), "there")
    task = Copy(*sides, (host or Host()).checksums, progress=progress, **options)
    asyncio.run(task.run([str(source)], str(target)))
    return progress


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "s/deep").mkdir(parents=True)
    (tmp_path / "s/deep/big").write_bytes(os.urandom(1 << 20) * 2 + b"end")
    (tmp_path / "s/secret").write_bytes(b"key")
    (tmp_path / "s/secret").chmod(0o600)
    (tmp_path / "s/link").symlink_to("secret")
    (tmp_path / "s/deep").chmod(0o555)
    os.utime(tmp_path / "s/deep", (1, 2))
    return tmp_path / "s"


@pytest.mark.parametrize("put", [True, False])
@pytest.mark.parametrize("method", ["sha256", "cksum", None])
def test_all_of_it(source: Path, tmp_path: Path, method: str | None, put: bool) -> None:
    progress = copy(source, tmp_path / "t", Host(method), put=put)
    assert (tmp_path / "t/deep/big").read_bytes() == (source / "deep/big").read_bytes()
    assert [(tmp_path / "t" / name).stat().st_mode & 0o777 for name in ("deep", "secret")] == [0o555, 0o600]
    assert (tmp_path / "t/deep").stat().st_mtime == 2
    assert (tmp_path / "t/link").readlink() == Path("secret")
    assert progress.verified == (method or "size")
    assert (progress.files_done, progress.files_total, progress.bytes_done) == (3, 3, progress.bytes_total)


def test_not_verified(source: Path, tmp_path: Path) -> None:
    host = Host()
    assert copy(source, tmp_path / "t", host, verify=False).verified is None
    assert host.asked == []


@pytest.mark.parametrize("put", [True, False])
def test_what_is_kept(source: Path, tmp_path: Path, put: bool) -> None:
    (tmp_path / "t/deep").mkdir(parents=True)
    (tmp_path / "t/deep/big").write_bytes((source / "deep/big").read_bytes()[:1_500_000])
    (tmp_path / "t/secret").write_bytes(b"bad")  # of the right size, and wrong
    progress = copy(f"{source}/.", tmp_path / "t", put=put, resume=True)
    assert progress.bytes_kept == 1_500_000
    assert (tmp_path / "t/deep/big").read_bytes() == (source / "deep/big").read_bytes()
    assert (tmp_path / "t/secret").read_bytes() == b"key"
    assert progress.bytes_done == progress.bytes_total


def test_what_is_wrong_all_the_time_is_told(source: Path, tmp_path: Path) -> None:
    class Bad(LocalFiles):
        async def write(self, path: str, pieces: AsyncIterator[bytes], offset: int = 0) -> None:
            async def damaged() -> AsyncIterator[bytes]:
                async for piece in pieces:
                    yield piece[:-1] + bytes([piece[-1] ^ 1]) if path.endswith("secret") and piece else piece

            await super().write(path, damaged(), offset)

    for options in ({}, {"resume": True}):
        with pytest.raises(TransferFailed, match=r"there: .*secret: its sha256 is not the source's"):
            copy(source, tmp_path / "t", files=Bad(), **options)


def test_what_is_lost_on_the_way_is_told_without_checksums(source: Path, tmp_path: Path) -> None:
    class Short(LocalFiles):
        async def write(self, path: str, pieces: AsyncIterator[bytes], offset: int = 0) -> None:
            await super().write(path, pieces, offset)
            if path.endswith("secret"):
                os.truncate(path, 1)

    with pytest.raises(TransferFailed, match="1 bytes were written of the source's 3"):
        copy(source, tmp_path / "t", Host(None), files=Short())


def test_the_first_error_ends_it(source: Path, tmp_path: Path) -> None:
    class Full(LocalFiles):
        async def write(self, path: str, pieces: AsyncIterator[bytes], offset: int = 0) -> None:
            if path.endswith("big"):
                raise TransferFailed("there", f"{path}: No space left on device")
            await super().write(path, pieces, offset)

    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(TransferFailed, match="No space left"):
        copy(source, tmp_path / "t", files=Full())
    assert len(os.listdir("/proc/self/fd")) <= before


def test_given_up(source: Path, tmp_path: Path) -> None:
    class Endless(LocalFiles):
        def __init__(self) -> None:
            self.writing = asyncio.Event()

        async def write(self, path: str, pieces: AsyncIterator[bytes], offset: int = 0) -> None:
            await super().write(path, pieces, offset)
            if path.endswith("big"):
                self.writing.set()
                await asyncio.Event().wait()

    async def main() -> None:
        target = Endless()
        sides = Side(LocalFiles(), "here"), Side(target, "there")
        task = asyncio.create_task(Copy(*sides, Host().checksums, put=True).run([str(source)], str(tmp_path / "t")))
        await target.writing.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    before = len(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_file_is_hidden_until_it_has_its_mode(source: Path, tmp_path: Path) -> None:
    seen: list[int] = []

    class Watching(LocalFiles):
        async def write(self, path: str, pieces: AsyncIterator[bytes], offset: int = 0) -> None:
            if os.path.exists(path):  # noqa: ASYNC240
                seen.append(os.stat(path).st_mode & 0o777)
            await super().write(path, pieces, offset)

    copy(source / "secret", tmp_path / "t", files=Watching())
    assert seen == [0o600]


def test_a_file_that_says_that_it_is_empty(tmp_path: Path) -> None:
    progress = copy(Path("/proc/version"), tmp_path / "t")
    assert (tmp_path / "t").read_bytes() == Path("/proc/version").read_bytes()
    assert progress.bytes_done == progress.bytes_total == len(Path("/proc/version").read_bytes())


def test_reports() -> None:
    told: list[int] = []
    progress = Progress(lambda: told.append(1))
    for _ in range(1000):
        progress.add(1)
    assert progress.bytes_done == 1000
    assert 1 <= len(told) < 5
    assert progress.rate == 0.0
