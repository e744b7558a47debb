"""The keys that let us in where we deploy."""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import InvalidRequest

__all__ = ("public_keys",)

# A kind, the key in base64, a remark.
_LINE = re.compile(r"(ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/]+=*( .*)?")


def public_keys(given: str | None) -> str:
    """Return the public keys for root, a line each.

    :param given: a file; ``None``: those in ``~/.ssh``.
    :raises InvalidRequest: when there are none.
    """
    paths = [Path(given)] if given else sorted((Path.home() / ".ssh").glob("id_*.pub"))
    try:
        keys = [path.read_text(encoding="utf-8").strip() for path in paths]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"--execo-option=key={given}: can't be read: {error}") from None
    if not keys:
        raise InvalidRequest("no public key in ~/.ssh; make one with ssh-keygen, or give --execo-option=key=FILE.pub")
    for path, key in zip(paths, keys, strict=True):
        if "PRIVATE KEY" in key:
            raise InvalidRequest(f"{path}: is a private key; give the public one, {path}.pub")
        if not key or not all(_LINE.fullmatch(line) for line in key.splitlines()):
            raise InvalidRequest(f"{path}: is no public key of OpenSSH, 'ssh-ed25519 AAAA… name'")
    return "\n".join(keys)
