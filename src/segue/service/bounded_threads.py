"""`BoundedThreads`: threads for computations that take long; when very many wait already, another one is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

from segue.errors import SegueError

MAX_WAITING = 64  # computations, beside those that run
Value = TypeVar("Value")


class BusyError(SegueError):
    """So many computations wait that another one would not be done in time."""


class BoundedThreads:
    """A few threads, with a bound for what waits for them."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(threads, name)
        self._free = BoundedSemaphore(threads + MAX_WAITING)

    async def run(self, work: Callable[[], Value]) -> Value:
        """Compute something in a thread.

        Raises:
            BusyError: too much waits.
        """
        if not self._free.acquire(blocking=False):
            raise BusyError("too many long computations wait; ask again later")
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: self._free.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for what runs; what waits is cancelled."""
        self._threads.shutdown(cancel_futures=True)
