"""Where a host is, who we are there, and which keys are believed: from the host, the configuration, and defaults."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from pytest_execo import ConnectionFailed, Host
from pytest_execo.connectors.host_keys import host_keys
from pytest_execo.connectors.paramiko import ParamikoConnector
from pytest_execo.connectors.paramiko.login import Login, login
from pytest_execo.connectors.paramiko.opening import _host

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKxAfTzPPwgOVUT5bXwz1TJgYPSyfUkjS4nP2IxZ1jXX"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / ".ssh").mkdir()
    return tmp_path / ".ssh"


@pytest.fixture
def keyfile(tmp_path: Path) -> str:
    path = tmp_path / "key"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(path))
    return str(path)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    host_keys.forget([Host("alias")])


def test_without_any_configuration(home: Path) -> None:
    how = login(Host("somewhere"))
    assert (how.address, how.port, how.user) == ("somewhere", 22, getpass.getuser())
    assert (how.keys, how.accepted, how.jumps, how.command) == ([], (), (), None)


def test_the_configuration_fills_in_what_the_host_does_not_say(home: Path, keyfile: str) -> None:
    (home / "config").write_text(
        f"Host alias\n  HostName there.example\n  Port 2222\n  User alice\n  IdentityFile {keyfile}\n"
        "  ProxyJump bob@gateway:2200, second\nHost other\n  ProxyCommand nc %h %p\n"
    )
    how = login(Host("alias"))
    assert (how.address, how.port, how.user) == ("there.example", 2222, "alice")
    assert [key.get_name() for key in how.keys] == ["ssh-ed25519"]
    assert how.jumps == ("bob@gateway:2200", "second")
    assert login(Host("alias", user="carol", port=22)).user == "carol"
    assert login(Host("alias", port=23)).port == 23
    assert login(Host("other")).command == "nc other 22"


def test_with_both_keys_nothing_is_read(home: Path, keyfile: str) -> None:
    (home / "config").write_text("Host *\n  HostName elsewhere\n")
    how = login(Host("here", keyfile=keyfile, host_key=KEY))
    assert (how.address, len(how.keys), how.accepted) == ("here", 1, (KEY,))


def test_a_jump_is_not_reached_through_itself(home: Path) -> None:
    (home / "config").write_text("Host *\n  ProxyJump gateway\n")
    assert login(Host("node")).jumps == ("gateway",)
    assert login(Host("gateway")).jumps == ()


@pytest.mark.parametrize(
    ("jump", "host"),
    [
        ("gateway", Host("gateway")),
        ("alice@gateway:2222", Host("gateway", user="alice", port=2222)),
        ("ssh://gateway:2222", Host("gateway", port=2222)),
        ("[::1]:2222", Host("::1", port=2222)),
        ("fe80::1", Host("fe80::1")),
    ],
)
def test_jumps(jump: str, host: Host) -> None:
    assert _host(jump) == host


def test_which_host_keys_are_believed(home: Path, keyfile: str) -> None:
    (home / "known_hosts").write_text(f"known,*.example {KEY} a comment\n[odd]:2222 {KEY}\n")
    assert login(Host("known")).accepted == (KEY,)
    assert login(Host("a.example")).accepted == (KEY,)
    assert login(Host("odd", port=2222)).accepted == (KEY,)
    assert login(Host("odd")).accepted == ()
    assert login(Host("unknown", host_key="accept-new")).accepted is None
    assert login(Host("unknown", host_key=f"{KEY} a comment")).accepted == (KEY,)
    host_keys.check(Host("alias"), KEY)
    assert login(Host("alias", host_key="accept-new")).accepted == (KEY,)


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN OPENSSH PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key(home: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "bad").write_text(content)
    with pytest.raises(ConnectionFailed, match=r"bad: not a private key"):
        login(Host("x", keyfile=str(tmp_path / "bad")))
    (home / "id_rsa").write_text(content)  # what merely lies there is passed over
    assert login(Host("x")).keys == []


@pytest.mark.parametrize(("form", "how"), [("openssh", {"rounds": 50}), ("pkcs8-pem", {})])
def test_an_encrypted_key(home: Path, tmp_path: Path, form: str, how: dict[str, Any]) -> None:
    path = tmp_path / "locked"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(path), form, passphrase="secret", **how)
    with pytest.raises(ConnectionFailed, match="locked: it is encrypted"):
        login(Host("x", keyfile=str(path)))


def test_errors_name_what_is_wrong(home: Path, keyfile: str) -> None:
    with pytest.raises(ConnectionFailed, match="No such file or directory: /no/such/key"):
        login(Host("x", keyfile="/no/such/key"))
    with pytest.raises(ConnectionFailed, match="not a public key"):
        login(Host("x", host_key="nonsense"))
    (home / "config").write_text("nonsense\n")
    with pytest.raises(ConnectionFailed, match="nonsense"):
        login(Host("x"))


def test_what_a_login_says_of_a_key_that_is_not_believed(home: Path) -> None:
    assert "host key not verified" in login(Host("x")).untrusted()
    host_keys.check(Host("alias"), KEY)
    assert "has changed" in login(Host("alias")).untrusted()
    assert isinstance(login(Host("x")), Login)


def test_paramiko_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("pytest_execo.connectors.paramiko.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "paramiko", None)

    async def use() -> None:
        connector = ParamikoConnector()
        try:
            await connector.connect(Host("x"))
        finally:
            await connector.close()

    with pytest.raises(ConnectionFailed, match=r"pip install pytest-execo\[paramiko\]"):
        asyncio.run(use())
