"""How the ssh program is called for TakTuk, and what its words mean."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pytest_execo import Host, InvalidInput
from pytest_execo.connectors.host_keys import CHANGED, host_keys
from pytest_execo.connectors.ssh_program import accepted_key
from pytest_execo.connectors.taktuk.options import (
    Settings,
    connector_words,
    helper_words,
    helps,
    reason,
    settings,
)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WINDOW", "ARITY", "SSH"):
        monkeypatch.delenv(f"EXECO_TAKTUK_{name}", raising=False)
    assert settings() == Settings() == Settings(window=20, arity=0, ssh="ssh")
    monkeypatch.setenv("EXECO_TAKTUK_WINDOW", "0")
    monkeypatch.setenv("EXECO_TAKTUK_ARITY", "-1")
    monkeypatch.setenv("EXECO_TAKTUK_SSH", "oarsh -F f")
    assert settings() == Settings(window=1, arity=-1, ssh="oarsh -F f")
    monkeypatch.setenv("EXECO_TAKTUK_ARITY", "few")
    with pytest.raises(InvalidInput, match="EXECO_TAKTUK_ARITY=few: not a whole number"):
        settings()


@pytest.mark.parametrize(
    ("host", "may"),
    [
        (Host("node-1.lyon"), True),
        (Host("10.0.0.1", user="root"), True),
        (Host("node", port=2222), False),
        (Host("node", keyfile="/k"), False),
        (Host("node", host_key="accept-new"), False),
        (Host("node[1-3]"), False),
        (Host("node", user="a b"), False),
        (Host("-oProxyCommand=x"), False),
    ],
)
def test_who_helps(host: Host, may: bool) -> None:
    assert helps(host) is may


def test_a_host_that_only_we_can_reach() -> None:
    host = Host("::1", user="me", port=22022, keyfile="/a key", host_key="ssh-ed25519 AAAA")
    (flag, line) = connector_words(host, "ssh -4", 9, Path("/keys/1"))
    assert flag == "-c"
    call = shlex.split(line.removeprefix("f() { shift; exec ").partition(" -- ")[0])
    assert call[:2] == ["ssh", "-4"]
    for pair in (
        *(["-F", "none"], ["-p", "22022"], ["-l", "me"], ["-i", "/a key"], ["-o", "ConnectTimeout=9"]),
        *(["-o", "UserKnownHostsFile=/keys/1"], ["-o", "StrictHostKeyChecking=yes"], ["-o", "BatchMode=yes"]),
        *(["-o", "IdentitiesOnly=yes"], ["-o", "IdentityAgent=none"]),
    ):
        assert pair in [call[at : at + 2] for at in range(len(call))]


def test_the_users_configuration_decides_the_rest() -> None:
    (_, line) = connector_words(Host("node"), "ssh", 20, Path("/keys/1"))
    assert "StrictHostKeyChecking" not in line
    assert "-F" not in line.split()
    assert helper_words("oarsh", 20)[1].startswith("oarsh -o BatchMode=yes")


def test_the_first_key_is_the_only_one_afterwards() -> None:
    host = Host("fresh.invalid", host_key="accept-new")
    try:
        assert accepted_key(host) is None
        assert "StrictHostKeyChecking=accept-new" in connector_words(host, "ssh", 20, Path("/k"))[1]
        host_keys.check(host, "ssh-ed25519 AAAA comment")
        assert accepted_key(host) == "ssh-ed25519 AAAA"
        assert "StrictHostKeyChecking=yes" in connector_words(host, "ssh", 20, Path("/k"))[1]
        assert reason(["Host key verification failed."], host) == CHANGED
    finally:
        host_keys.forget([host])


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (["ssh: connect to host 127.0.0.1 port 1: Connection refused"], "Connection refused"),
        (["root@h: Permission denied (publickey)."], "authentication refused (publickey)"),
        (["Connection timed out during banner exchange"], "no answer within 20 s"),
        (["timeouted"], "no answer within 20 s"),
        (["bash: line 1: perl: command not found"], "TakTuk needs perl there: bash: line 1: perl: command not found"),
        (["Host key verification failed."], "host key not verified; add it to ~/.ssh/known_hosts, or give host_key="),
        (["Warning: Permanently added", "Bye"], "Bye"),
        ([], "the ssh program said nothing"),
    ],
)
def test_reasons(said: list[str], words: str) -> None:
    assert reason(said, Host("h")) == words
    if "verification" in "".join(said):
        assert "not the one given" in reason(said, Host("h", host_key="ssh-ed25519 AAAA"))
