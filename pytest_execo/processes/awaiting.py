"""Awaiting an action, under whichever of asyncio and trio runs. Neither trio nor anyio is imported for it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import ProcessError
from .io_thread import io_thread

if TYPE_CHECKING:
    from .action import Action

__all__ = ("until_ended",)


async def until_ended(action: Action) -> None:
    """Wait until ``action`` has ended. Cancelled, it leaves nothing behind: not here, not at the action.

    :raises ProcessError: when neither asyncio nor trio runs this.
    """
    loop = asyncio._get_running_loop()
    # Each can run inside the other (trio's guest mode, trio-asyncio): the one whose task this is counts.
    if loop is not None and asyncio.current_task(loop) is not None:
        await _under_asyncio(action, loop)
        return
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_task():
        await _under_trio(action, trio)
        return
    raise ProcessError(f"{action}: await is for a task of asyncio or trio; elsewhere there is wait()")


async def _under_asyncio(action: Action, loop: asyncio.AbstractEventLoop) -> None:
    if action._done.done():
        await asyncio.sleep(0)
        return
    over = loop.create_future()

    def set_over() -> None:
        if not over.done():
            over.set_result(None)

    def told(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(set_over)

    await _watching(action, told, over)


async def _under_trio(action: Action, trio: Any) -> None:
    if action._done.done():
        await trio.lowlevel.checkpoint()
        return
    over = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def told(_: object) -> None:
        with contextlib.suppress(trio.RunFinishedError):
            token.run_sync_soon(over.set)

    await _watching(action, told, over.wait())


async def _watching(action: Action, told: Callable[[Any], None], over: Any) -> None:
    thread = io_thread()
    thread.call(action._watch, told)
    try:
        await over
    except BaseException:
        # Not io_thread(), which takes a lock: a coroutine that is thrown away comes here from the garbage collector.
        thread.call(action._unwatch, told)
        raise
