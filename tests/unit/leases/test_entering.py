"""Which node is meant by a name, and how the ssh program is told to enter it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_execo import Host
from pytest_execo.errors import InvalidRequest, TestbedError
from pytest_execo.leases.entering import find_node, ssh_command
from pytest_execo.leases.files import LeaseBook


@pytest.fixture
def book(tmp_path: Path) -> LeaseBook:
    return LeaseBook(tmp_path / "a 100% place")


def lease(book: LeaseBook, *nodes: Host, alive: bool = True) -> str:
    file = book.open(testbed="t", site="s", options={}, campaign=None, session="x", walltime=None)
    file.describe(nodes, None)
    if not alive:
        content = json.loads(file.path.read_text())
        file.path.write_text(json.dumps(content | {"owner": content["owner"] | {"started": 1.0}}))
    return file.id


TAURUS = Host("10.0.0.1", name="taurus-1.lyon")


def test_full_names_short_names_and_addresses(book: LeaseBook) -> None:
    name = lease(book, TAURUS, Host("taurus-11.lyon"))
    for word in ("taurus-1.lyon", "taurus-1", "10.0.0.1"):
        entry, node = find_node(book.entries(), word)
        assert (entry.id, node) == (name, TAURUS)


def test_the_nearest_name_is_told(book: LeaseBook) -> None:
    with pytest.raises(InvalidRequest, match="no lease file tells of any"):
        find_node(book.entries(), "taurus-1")
    lease(book, TAURUS)
    with pytest.raises(InvalidRequest, match=r"taurus-2: no such node; did you mean 'taurus-1\.lyon'"):
        find_node(book.entries(), "taurus-2")


def test_the_same_node_of_two_leases(book: LeaseBook) -> None:
    first, second = lease(book, TAURUS), lease(book, TAURUS)
    with pytest.raises(InvalidRequest, match="--lease=ID") as raised:
        find_node(book.entries(), "taurus-1")
    assert first in str(raised.value)
    assert second in str(raised.value)
    assert find_node(book.entries(), "taurus-1", second)[0].id == second
    with pytest.raises(InvalidRequest, match="no such lease"):
        find_node(book.entries(), "taurus-1", "x")


def test_two_nodes_of_one_short_name(book: LeaseBook) -> None:
    lease(book, Host("node-1.lyon"), Host("node-1.nancy"))
    with pytest.raises(InvalidRequest, match="write more of the name"):
        find_node(book.entries(), "node-1")
    assert find_node(book.entries(), "node-1.nancy")[1].name == "node-1.nancy"


def test_nodes_of_the_living_come_first(book: LeaseBook) -> None:
    dead = lease(book, TAURUS, alive=False)
    assert find_node(book.entries(), "taurus-1")[0].id == dead
    living = lease(book, TAURUS)
    assert find_node(book.entries(), "taurus-1")[0].id == living
    assert find_node(book.entries(), "taurus-1", dead)[0].id == dead


def test_where_nothing_is_said_the_users_configuration_decides(book: LeaseBook) -> None:
    lease(book, TAURUS)
    assert ssh_command(*find_node(book.entries(), "taurus-1"), ["uname", "-a"]) == [
        *("ssh", "-o", "ConnectTimeout=20", "--", "10.0.0.1", "uname", "-a")
    ]
    assert [path.suffix for path in book.directory.iterdir()] == [".json"]


def test_the_host_key_that_was_told_is_the_only_one(book: LeaseBook) -> None:
    name = lease(book, Host("127.1.0.1", name="n", user="me", port=2200, keyfile="/k", host_key="ssh-ed25519 AAAA"))
    entry, node = find_node(book.entries(), "n")
    for _ in range(2):
        words = ssh_command(entry, node)
    assert (book.directory / f"{name}.keys" / "n").read_text() == "execo ssh-ed25519 AAAA\n"
    assert words[-2:] == ["--", "127.1.0.1"]
    if shutil.which("ssh") is None:
        pytest.skip("no ssh program")
    said = subprocess.run([words[0], "-G", *words[1:]], capture_output=True, text=True, timeout=20, check=True).stdout
    settings = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    assert settings["user"] == "me"
    assert settings["port"] == "2200"
    assert settings["stricthostkeychecking"] == "true"
    # With its blank and its percent sign, it is one file.
    assert settings["userknownhostsfile"] == str(book.directory / f"{name}.keys" / "n")


def test_what_a_first_contact_has_shown_stays(book: LeaseBook) -> None:
    lease(book, Host("n", host_key="accept-new"))
    entry, node = find_node(book.entries(), "n")
    assert "StrictHostKeyChecking=accept-new" in ssh_command(entry, node)
    keys = entry.path.with_suffix(".keys") / "n"
    keys.write_text("execo ssh-ed25519 SEEN\n")
    ssh_command(entry, node)
    assert keys.read_text() == "execo ssh-ed25519 SEEN\n"


def test_a_place_that_cannot_be_written(book: LeaseBook) -> None:
    name = lease(book, Host("n", host_key="ssh-ed25519 AAAA"))
    (book.directory / f"{name}.keys").write_text("")
    with pytest.raises(TestbedError, match="can't be written"):
        ssh_command(*find_node(book.entries(), "n"))
