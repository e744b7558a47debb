"""What a chain carries: one file as it is, anything else as an archive."""

from __future__ import annotations

import hashlib
import os
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from pytest_execo.processes.chain.source import PackingStopped, Source
from pytest_execo.processes.checksums import Cksum


def content(source: Source) -> bytes:
    return b"".join(source.read(offset) for offset in source.blocks())


def test_a_file_is_sent_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "f"
    data = bytes(range(256)) * 8000
    path.write_bytes(data)
    path.chmod(0o641)
    os.utime(path, (1, 1_600_000_000.9))
    source = Source([str(path)])
    try:
        assert (source.kind, source.name, source.mode, source.size) == ("file", "f", 0o641, len(data))
        assert source.stamp == "202009131226.40"
        assert content(source) == data
        assert source.read(10, 3) == data[10:13]
        assert source.sum("sha256sum") == hashlib.sha256(data).hexdigest()
        checksum = Cksum()
        checksum.update(data)
        assert source.sum("cksum") == str(checksum.result())
    finally:
        source.close()
        source.close()


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    source = Source([str(tmp_path / "f")])
    assert (list(source.blocks()), source.read(0), source.sum("cksum")) == ([], b"", "4294967295")
    source.close()


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    source = Source([str(tmp_path / "f")])
    os.truncate(tmp_path / "f", 2)
    assert source.read(0) == b"12"
    with pytest.raises(OSError, match="shorter"):
        source.read(2)
    source.close()


def test_what_is_packed(tmp_path: Path) -> None:
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "d/e/caf\udce9").write_text("x")
    (tmp_path / "l").symlink_to("d")
    for paths, kind, name, members in (
        (["d"], "tar", "d", ["d", "d/e", "d/e/caf\udce9"]),
        (["d/"], "tar", "d", ["d", "d/e", "d/e/caf\udce9"]),
        (["l"], "tar", "l", ["l"]),
        (["l", "d/e"], "tars", "", ["l", "e", "e/caf\udce9"]),
    ):
        source = Source([f"{tmp_path}/{path}" for path in paths])
        assert (source.kind, source.name) == (kind, name)
        with tarfile.open(fileobj=BytesIO(content(source))) as archive:
            assert archive.getnames() == members
            assert archive.getmember(members[0]).issym() == (members[0] == "l")
        source.close()


def test_packing_ends_when_nobody_wants_it(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(PackingStopped):
        Source([str(tmp_path)], lambda: False)
    with pytest.raises(FileNotFoundError):
        Source([str(tmp_path / "missing")])
    assert len(os.listdir("/proc/self/fd")) == before
