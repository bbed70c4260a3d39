"""`Follower`: asks the store each second for what other processes changed: items, rules, events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

SECONDS = 1.0

_log = logging.getLogger(__name__)


class Follower:
    """Reads changes in a thread, and takes them over in the event loop, where all else happens."""

    def __init__(self, seconds: float = SECONDS) -> None:
        """Prepare to ask every so many seconds."""
        self.seconds = seconds
        self._failed = False
        self._followed: list[tuple[Callable[[], Any], Callable[[Any], object]]] = []
        self._task: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    def add(self, read: Callable[[], Any], apply: Callable[[Any], object]) -> None:
        """Follow something: `read` runs in a thread, and `apply` gets what it returned."""
        self._followed.append((read, apply))

    async def poll(self) -> None:
        """Ask once. The first failure is logged, and that the store can be followed again."""
        fails = False
        for read, apply in self._followed:
            try:
                apply(await asyncio.to_thread(read))
            except Exception as error:
                fails = True
                if not self._failed:
                    _log.warning("the store cannot be followed: %s", error)
        if self._failed and not fails:
            _log.warning("the store can be followed again")
        self._failed = fails

    def start(self) -> None:
        """Begin to ask."""
        self._closed = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Ask no more. What is being read is read to its end, so that the store can be closed."""
        self._closed.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while not self._closed.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), self.seconds)
                return
            await self.poll()
