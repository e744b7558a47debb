"""Which way files go when nobody says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pytest_execo import ChainPut, Host, InvalidInput, Put
from pytest_execo.processes.choosing import CHAIN_FROM, FILE, choose, make_put

HOSTS = [Host(f"10.0.0.{index}") for index in range(1, 5)]


@pytest.fixture
def big(tmp_path: Path) -> Path:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(CHAIN_FROM // len(HOSTS))
    return tmp_path / "big"


def test_by_size_and_number(big: Path, tmp_path: Path) -> None:
    assert choose(HOSTS, big, "x") == "chain"
    assert choose(HOSTS[:3], big, "x") == "sftp"
    (tmp_path / "small").touch()
    assert choose(HOSTS, tmp_path / "small") == "sftp"
    assert choose(HOSTS * 1, [tmp_path / "small", big]) == "chain"
    os.truncate(big, CHAIN_FROM)
    assert choose(HOSTS[:3], big) == "chain"
    assert choose(HOSTS[:2], big) == "sftp"
    assert choose(HOSTS[:1], big) == "sftp"


def test_many_small_files_are_much(tmp_path: Path) -> None:
    (tmp_path / "tree/deep").mkdir(parents=True)
    for index in range(CHAIN_FROM // len(HOSTS) // FILE + 1):
        (tmp_path / f"tree/deep/{index}").touch()
    assert choose(HOSTS, tmp_path / "tree") == "chain"
    assert choose(HOSTS, [tmp_path / "tree/deep/1", tmp_path / "tree/deep/2"]) == "sftp"


@pytest.mark.parametrize("name", ["missing", "big*", "fifo", "fifo-first", "big/."])
def test_what_sftp_alone_does_or_says_well(big: Path, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    source = [tmp_path / "fifo", big] if name == "fifo-first" else f"{tmp_path}/{name}"
    source = source[::-1] if isinstance(source, list) else source  # the last is looked at first
    assert choose(HOSTS, source) == "sftp"


@pytest.mark.parametrize(
    ("hosts", "options"),
    [
        ([*HOSTS, HOSTS[0]], {}),
        ([*HOSTS[:3], Host("10.0.0.9", connector="local")], {}),
        (HOSTS, {"connector": "local"}),
        (HOSTS, {"resume": True}),
        (HOSTS, {"on_progress": print}),
    ],
)
def test_what_a_chain_is_not_for(big: Path, hosts: list[Host], options: dict[str, Any]) -> None:
    assert choose(hosts, big, **options) == "sftp"


def test_sources_that_differ_from_host_to_host(big: Path, tmp_path: Path) -> None:
    (tmp_path / "x-{{{host}}}").write_bytes(b"x")
    os.truncate(tmp_path / "x-{{{host}}}", CHAIN_FROM)
    assert choose(HOSTS, tmp_path / "x-{{{host}}}") == "sftp"
    assert choose(HOSTS, big, "to-{{n}}", substitutions={"n": [1, 2]}) == "chain"


def test_two_of_one_name(big: Path, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/big").touch()
    assert choose(HOSTS, [big, tmp_path / "d/big"]) == "sftp"


def test_what_is_made(big: Path) -> None:
    def made(**options: Any) -> Put | ChainPut:
        group = make_put(HOSTS, big, "x", **options)
        assert isinstance(group, Put | ChainPut)
        assert not group.started
        return group

    assert isinstance(made(), ChainPut)
    assert isinstance(made(timeout=3, ignore_error=True, log=False), ChainPut)
    assert isinstance(made(method="sftp"), Put)
    assert isinstance(made(verify=False), Put)
    assert isinstance(made(method="chain"), ChainPut)
    assert isinstance(made(tools=["perl"]), ChainPut)
    assert isinstance(make_put(["a"], "missing", method="chain"), ChainPut)
    with pytest.raises(InvalidInput, match="one of auto, sftp, chain, taktuk"):
        made(method="rsync")
    with pytest.raises(TypeError):
        made(tools=["perl"], resume=True)


def test_taktuk_by_name_alone(big: Path) -> None:
    assert type(make_put(HOSTS, big, method="taktuk")).__name__ == "TaktukPut"
