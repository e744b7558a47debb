"""What the ssh program is told, and what is understood of what it says."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_execo import ConnectionFailed, Host
from pytest_execo.connectors import ssh_program
from pytest_execo.connectors.host_keys import CHANGED, host_keys
from pytest_execo.connectors.openssh import options

HOST = Host("node.example")
SOCKET = Path("/tmp/s/1")
BLOB = base64.b64encode(b"\0\0\0\x0bssh-ed25519 a key").decode()
KEY = f"ssh-ed25519 {BLOB}"
FINGERPRINT = base64.b64encode(hashlib.sha256(base64.b64decode(BLOB)).digest()).decode().rstrip("=")


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """No test pins a key for another."""
    yield
    host_keys.forget([HOST])


def test_only_what_the_host_says_is_said() -> None:
    assert ssh_program.host_words(HOST, Path("/k")) == []
    words = ssh_program.host_words(Host("x", user="me", port=23, keyfile="/key%"), Path("/k"))
    assert words[:6] == ["-p", "23", "-l", "me", "-i", "/key%%"]
    assert "IdentitiesOnly=yes" in words
    assert not any("KnownHosts" in word for word in words)


def test_a_host_key_is_the_only_one_accepted(tmp_path: Path) -> None:
    host = dataclasses.replace(HOST, host_key=KEY)
    ssh_program.write_key(host, tmp_path / "keys")
    assert (tmp_path / "keys").read_text() == f"execo {KEY}\n"
    words = ssh_program.host_words(host, tmp_path / "keys")
    assert "StrictHostKeyChecking=yes" in words
    assert f"UserKnownHostsFile={tmp_path / 'keys'}" in words


def test_a_first_contact_is_believed_once(tmp_path: Path) -> None:
    host, keys = dataclasses.replace(HOST, host_key="accept-new"), tmp_path / "keys"
    ssh_program.write_key(host, keys)
    assert not keys.exists()
    assert "StrictHostKeyChecking=accept-new" in ssh_program.host_words(host, keys)
    keys.write_text(f"|1|hash= {KEY}\n")
    ssh_program.record_key(host, keys)
    assert host_keys.known(host) == KEY
    assert "StrictHostKeyChecking=yes" in ssh_program.host_words(host, keys)
    keys.write_text("execo ssh-ed25519 another\n")
    with pytest.raises(ConnectionFailed, match=CHANGED):
        ssh_program.record_key(host, keys)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("ssh: connect to host x port 1: Connection refused", "Connection refused"),
        ("ssh: connect to host x port 1: No route to host", "No route to host"),
        ("ssh: connect to host x port 1: Connection timed out", "no answer within 20 s"),
        ("Connection timed out during banner exchange\nConnection to 1 port 2 timed out", "no answer within 20 s"),
        ("ssh: Could not resolve hostname x: unknown", "Could not resolve hostname x: unknown"),
        ("Warning: a\nme@x: Permission denied (publickey).", "authentication refused (publickey)"),
        (
            'Load key "/k": bad permissions\nme@x: Permission denied (publickey).',
            'authentication refused (publickey); Load key "/k": bad permissions',
        ),
        ("Host key verification failed.", "host key not verified; add it to ~/.ssh/known_hosts, or give host_key="),
        ("one\nConnection closed by 1.2.3.4 port 22\n", "Connection closed by 1.2.3.4 port 22"),
        ("last\nmux_client: x\nchannel 3: open failed: y\ndebug1: z", "last"),
        ("", "the ssh program said nothing"),
    ],
)
def test_reasons(said: str, reason: str) -> None:
    assert ssh_program.reason(said.split("\n"), HOST) == reason


def test_reasons_for_a_host_key() -> None:
    said = ["@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", "Host key verification failed."]
    assert "host_key=" in ssh_program.reason(said, dataclasses.replace(HOST, host_key=KEY))
    assert ssh_program.reason(said, dataclasses.replace(HOST, host_key="accept-new")) == CHANGED
    host_keys.check(HOST, KEY)
    assert ssh_program.reason(said, HOST) == CHANGED


def test_the_key_that_was_shown(tmp_path: Path) -> None:
    known = tmp_path / "known: hosts"
    known.write_text(f"# {KEY}\njump ssh-ed25519 AAAA\n@cert-authority x\na,b {KEY} comment\n")
    shown = ssh_program.ShownKey()
    for line in (
        "debug1: Server host key: ssh-ed25519 SHA256:jump",
        f"debug1: Found key in {known}:2",
        f"debug1: Server host key: ssh-ed25519 SHA256:{FINGERPRINT}",
        f"debug1: Found key in {known}:2",
        f"debug1: Found key in {tmp_path}/missing:1",
        f"debug1: Found key in {known}:99",
        f"debug1: Found key in {known}:4",
    ):
        shown.heard(line)
    assert shown.key == KEY
    shown.heard("debug1: Server host key: ssh-ed25519 SHA256:later")
    assert shown.key is None


@given(st.binary(min_size=1, max_size=200).filter(lambda line: b"\0" not in line))
def test_a_client_gets_the_line_as_one_word(line: bytes) -> None:
    assert options.marked(line, pty=False).endswith(b"; " + line)
    words = options.client_words(HOST, SOCKET, "-T")
    assert words[-2:] == ["--", "node.example"]
    assert "ProxyCommand=false" in words, "no client opens a connection of its own"


def test_a_marked_line_for_a_terminal_says_when_there_is_none() -> None:
    line = options.marked(b'printf %s "it\'s"', pty=True)
    done = subprocess.run(["sh", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, options.OPEN + b"-\n", b"")


def test_the_program_and_its_options_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert options.client_words(HOST, SOCKET)[:3] == ["ssh", "-S", str(SOCKET)]
    monkeypatch.setenv("EXECO_OPENSSH", "ssh -F '/a b'")
    assert options.master_words(HOST, SOCKET, SOCKET, verbose=False)[:3] == ["ssh", "-F", "/a b"]


def test_a_key_file_has_to_be_there(tmp_path: Path) -> None:
    options.check_keyfile(HOST)
    with pytest.raises(ConnectionFailed, match=f"No such file or directory: {tmp_path}/none"):
        options.check_keyfile(dataclasses.replace(HOST, keyfile=f"{tmp_path}/none"))
