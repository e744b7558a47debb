"""The files of a lease: what the ssh program, the resolver and the login shell read."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from pytest_execo.testbeds.embedded import layout
from pytest_execo.testbeds.embedded.layout import Account, Address, Paths

NODES = (
    Address("node-1.local", "127.5.0.1", 4001, "ssh-ed25519 AAAA1"),
    Address("node-2.local", "127.5.0.2", 4002, "ssh-ed25519 AAAA2"),
)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh program")
@pytest.mark.parametrize("name", ["node-2.local", "node-2"])
def test_the_ssh_program_understands_the_configuration(tmp_path: Path, name: str) -> None:
    config = tmp_path / "config"
    config.write_text(layout.ssh_config(NODES, "alice", "/odd place/100% key", "/odd place/known"))
    output = subprocess.run(["ssh", "-G", "-F", config, name], capture_output=True, text=True, check=True).stdout
    settings = dict(line.split(" ", 1) for line in output.splitlines() if " " in line)
    assert (settings["hostname"], settings["port"], settings["user"]) == ("127.5.0.2", "4002", "alice")
    # It takes one path where a user may write several, and shows the % as written.
    assert settings["identityfile"].replace("%%", "%") == "/odd place/100% key"
    assert settings["stricthostkeychecking"] == "true"


def test_known_hosts_have_addresses_and_ports() -> None:
    assert layout.known_hosts(NODES).splitlines()[1] == "[127.5.0.2]:4002 ssh-ed25519 AAAA2"


def test_hosts_keep_what_was_there() -> None:
    text = layout.hosts(NODES, "127.0.0.1 localhost\n\n")
    assert text.splitlines() == [
        "127.0.0.1 localhost",
        "127.5.0.1 node-1.local node-1",
        "127.5.0.2 node-2.local node-2",
    ]


def test_passwd_moves_one_user_and_keeps_the_others() -> None:
    owner = Account("alice", "/new/home", "/bin/sh", {})
    text = layout.passwd(
        owner, "root:x:0:0:root:/root:/bin/bash\nalice:x:5:5::/home/alice:/bin/zsh\nalicea:x:6:6::/:/b\n"
    )
    names = [line.split(":")[0] for line in text.splitlines()]
    assert sorted(names) == ["alice", "alicea", "root"]
    assert f"alice:x:{os.getuid()}:{os.getgid()}:alice:/new/home:/bin/sh" in text.splitlines()


def test_the_environment_of_commands_is_chosen_not_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PATH": "/a:/b", "LC_TIME": "C", "TZ": "UTC", "SECRET_TOKEN": "s", "PYTHONPATH": "/p"}.items():
        monkeypatch.setenv(name, value)
    environment = layout.account("/home/of/node", "node-1.local").environment
    assert environment["PATH"] == "/a:/b"
    assert environment["HOME"] == "/home/of/node"
    assert environment["HOSTNAME"] == "node-1.local"
    assert {"LC_TIME", "TZ"} <= set(environment)
    assert not {"SECRET_TOKEN", "PYTHONPATH"} & set(environment)


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/bin/false", "", "/no/such/shell"])
def test_a_service_account_gets_a_shell_that_is_one(monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    class Entry:
        pw_name, pw_shell = "daemon", shell

    monkeypatch.setattr(layout.pwd, "getpwuid", lambda _: Entry)
    assert layout.account("/h", "n").shell == "/bin/sh"


def test_a_user_whom_the_machine_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(layout.pwd, "getpwuid", unknown)
    owner = layout.account("/h", "n")
    assert owner.user == f"user{os.getuid()}"
    assert owner.shell == "/bin/sh"


def test_a_secret_file_is_never_open_to_others(tmp_path: Path) -> None:
    layout.write(str(tmp_path / "key"), "secret", 0o600)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_paths() -> None:
    paths = Paths("/x")
    assert paths.home(NODES[1]) == "/x/nodes/node-2/home"
