"""How a process is ended: signal, grace, SIGKILL, verify."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from ..errors import ConnectionLost, ConnectorError

if TYPE_CHECKING:
    from ..connectors import Channel
    from .process import Process

__all__ = ("ENDING", "GRACE", "VERIFY", "end")

#: Seconds between a signal that asks and SIGKILL. Servers that flush on SIGTERM need some; a campaign waits for it.
GRACE = 5.0
#: Seconds after SIGKILL within which a host has to confirm the end, before the process is given up as lost.
VERIFY = 10.0
#: Signals that ask a process to end; the others (SIGUSR1, SIGSTOP…) are only delivered.
ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL}
# Seconds between a signal that can't have failed and asking the host whether the process is really gone.
_SETTLE = 0.5


async def end(process: Process, channel: Channel, number: int, grace: float, *, tree: bool) -> None:
    """End a process that runs, on the I/O thread. Afterwards it has ended, one way or the other."""
    host = str(process.host or "localhost")
    try:
        await asyncio.wait_for(channel.signal(number, tree=tree), grace + VERIFY)
        if number != signal.SIGKILL and not await process._ends_within(grace):
            process.forced_kill = True
            await asyncio.wait_for(channel.signal(signal.SIGKILL, tree=tree), VERIFY)
        if not await process._ends_within(_SETTLE) and not await asyncio.wait_for(channel.alive(), VERIFY):
            # Gone, and its output is held open by something it left behind.
            process.signal = int(signal.SIGKILL if process.forced_kill else number)
            process._finish(None)
            channel.close()
            return
        if not await process._ends_within(VERIFY):
            raise ConnectionLost(host, "SIGKILL was sent and the end was not reported")
        # The process has ended; others of its group may have ignored the signal.
        await asyncio.wait_for(channel.signal(signal.SIGKILL, tree=tree), VERIFY)
    except Exception as error:  # whatever it is, nobody is to wait for ever
        if not process._finished:
            lost = error if isinstance(error, ConnectorError) else None
            process._finish(lost or ConnectionLost(host, f"no answer to a signal {error}".strip()))
            channel.close()
