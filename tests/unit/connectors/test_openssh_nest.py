"""Where sockets live: a private, short-lived place, and what lives there ends with us."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path

import pytest

from pytest_execo.connectors.openssh.nest import Nest


def test_a_private_directory_that_goes_with_the_nest() -> None:
    async def main() -> Path:
        nest = Nest()
        await nest.open()
        await nest.open()
        first, second = nest.place(), nest.place()
        assert first != second
        assert first.parent == second.parent
        assert first.parent.stat().st_mode & 0o777 == 0o700
        await nest.close()
        return first.parent

    assert not asyncio.run(main()).exists()


@pytest.mark.slow
def test_what_it_guards_is_ended_with_it() -> None:
    async def main(guarded: subprocess.Popen[bytes], released: subprocess.Popen[bytes]) -> None:
        nest = Nest()
        await nest.open()
        nest.add(guarded.pid)
        nest.add(released.pid)
        nest.remove(released.pid)
        closing = asyncio.ensure_future(nest.close())
        assert await asyncio.to_thread(guarded.wait, 10) == -signal.SIGTERM
        await closing

    processes = [subprocess.Popen(["sleep", "100"], start_new_session=True) for _ in range(2)]
    try:
        asyncio.run(main(*processes))
        assert processes[1].poll() is None
    finally:
        for process in processes:
            process.kill()
            process.wait(10)


@pytest.mark.parametrize("name", ["with blanks", "x" * 100])
def test_a_place_that_ssh_can_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / name))

    async def main() -> Path:
        nest = Nest()
        await nest.open()
        place = nest.place()
        await nest.close()
        return place

    place = asyncio.run(main())
    assert name not in str(place)
    assert len(str(place)) < 108 - 17
