"""Calls that block, in the few threads that all hosts share."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ("in_thread",)

T = TypeVar("T")


async def in_thread(executor: concurrent.futures.Executor, function: Callable[[], T]) -> T:
    """Call ``function`` in a thread. Cancelled, what it still opens is closed.

    :raises OSError: when the interpreter ends, and starts no calls any more.
    """
    try:
        called = executor.submit(function)
    except RuntimeError as error:
        raise ConnectionAbortedError(str(error)) from error
    try:
        return await asyncio.wrap_future(called)
    except asyncio.CancelledError:
        called.add_done_callback(_close_unwanted)
        raise


def _close_unwanted(called: concurrent.futures.Future[Any]) -> None:
    if not called.cancelled() and called.exception() is None:
        called.result().close()
