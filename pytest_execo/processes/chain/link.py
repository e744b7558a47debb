"""One try to send from one hop to the next: what both sides, and who watches them, know of it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .hop import Hop

__all__ = ("Link",)


@dataclass(eq=False)
class Link:
    """One try to send from one hop to the next.

    :param number: in the handshake, so that nothing of one link is good for another.
    :param upstream: who sends; ``None``: the head.
    :param address: where the other listens, as the upstream hop is told; ``port`` is known when it does.
    :param seen: bytes that the downstream hop had when last looked at, and
    :param since: when these had become more, or nothing more could have come (the loop's clock).
    """

    number: int
    upstream: Hop | None
    address: str
    seen: int
    since: float
    port: int = 0
    linked: bool = False
    #: Fresh for each link: whoever heard an earlier handshake has heard nothing of use. Those who have no good source
    #: of chance on the host get them from here.
    caller_nonce: str = field(default_factory=lambda: secrets.token_hex(16))
    listener_nonce: str = field(default_factory=lambda: secrets.token_hex(16))
