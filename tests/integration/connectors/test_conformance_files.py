"""The definition of “transparent”: the same files, whatever carries them, or a refusal that says what does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_execo import Get, Host, ProcessFailed, Put, TransferFailed

from .conftest import REMOTE, far_end

pytestmark = pytest.mark.integration


@pytest.fixture(params=["local", *REMOTE])
def host(request: pytest.FixtureRequest) -> Host:
    """The far end."""
    if request.param == "local":
        return Host("localhost", connector="local")
    return far_end(request, request.param, "openssh")


@pytest.fixture
def there(host: Host) -> Iterator[str]:
    """A fresh directory there."""
    path = host.run("mktemp -d").stdout.strip()
    yield path
    host.run(["rm", "-rf", path])


def test_files_there_and_back(host: Host, tmp_path: Path, there: str) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "data").write_bytes(bytes(range(256)))
    (source / "empty").touch()
    (source / "link").symlink_to("deep/data")
    script = source / "script.sh"
    script.write_text("#!/bin/sh\necho ran\n")
    script.chmod(0o750)
    os.utime(script, (1_000_000_000, 1_000_000_000))
    host.put(source, there)
    assert host.run([f"{there}/source/script.sh"]).stdout == "ran\n"
    host.get(f"{there}/source", tmp_path / "copy")
    copy = tmp_path / "copy"
    assert (copy / "deep" / "data").read_bytes() == bytes(range(256))
    assert (copy / "empty").read_bytes() == b""
    assert os.readlink(copy / "link") == "deep/data"
    assert (copy / "script.sh").stat().st_mode & 0o777 == 0o750
    assert (copy / "script.sh").stat().st_mtime == 1_000_000_000


def test_thirty_megabytes_and_a_resume(host: Host, tmp_path: Path, there: str) -> None:
    data = os.urandom(30_000_000)
    (tmp_path / "data").write_bytes(data)
    host.run(f"head -c 1000000 /dev/zero > {there}/data")
    copy = Put([host], tmp_path / "data", there, resume=True).run()[0]
    assert copy.verified == "sha256"
    (tmp_path / "back").write_bytes(data[:10_000_000])
    back = Get([host], f"{there}/data", tmp_path / "back", resume=True).run()[0]
    assert back.bytes_kept == 10_000_000
    assert (tmp_path / "back").read_bytes() == data


def test_names_that_are_not_words(host: Host, tmp_path: Path, there: str) -> None:
    names = ["-dash", " blank ", "new\nline", "*", "'quote\"", os.fsdecode(b"latin-\xe9")]
    (tmp_path / "source").mkdir()
    for name in names:
        (tmp_path / "source" / name).write_text(name, errors="surrogateescape")
    host.put(tmp_path / "source", there)
    host.get(f"{there}/source", tmp_path / "copy")
    assert sorted(os.listdir(tmp_path / "copy")) == sorted(names)


def test_a_copy_that_fails_says_why(host: Host, tmp_path: Path) -> None:
    with pytest.raises(ProcessFailed) as caught:
        Put([host], tmp_path / "missing", "/tmp").run()
    assert isinstance(caught.value.process.error, TransferFailed)
    assert "missing" in str(caught.value)
    with pytest.raises(ProcessFailed, match="no-such-file"):
        Get([host], "/no-such-file", tmp_path).run()
