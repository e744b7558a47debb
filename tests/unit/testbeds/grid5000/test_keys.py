"""Public keys for deployed nodes: read, and told from what is none, before anything is deployed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_execo.errors import InvalidRequest
from pytest_execo.testbeds.grid5000.keys import public_keys

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@laptop"


def test_a_file_may_hold_several(tmp_path: Path) -> None:
    file = tmp_path / "keys.pub"
    file.write_text(f"{KEY}\nsk-ssh-ed25519@openssh.com AAAA= two words\n")
    assert public_keys(str(file)).splitlines() == [KEY, "sk-ssh-ed25519@openssh.com AAAA= two words"]


@pytest.mark.parametrize("text", ["", "hello", "ssh-ed25519", "ssh-ed25519 not/base64!", f"{KEY}\nand more"])
def test_what_is_no_key_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "id.pub"
    file.write_text(text)
    with pytest.raises(InvalidRequest, match="is no public key of OpenSSH"):
        public_keys(str(file))
