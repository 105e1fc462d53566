"""How a pass is run from a coroutine: at once, or beside the event loop where a disk may be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


async def at_once(call: Callable[[], _T]) -> _T:
    """What waits for nothing needs no thread."""
    return call()


async def in_thread(call: Callable[[], _T]) -> _T:
    """Run a call that may wait for a disk in a thread; a cancelled caller still waits for it, then is cancelled."""
    task = asyncio.create_task(asyncio.to_thread(call))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
