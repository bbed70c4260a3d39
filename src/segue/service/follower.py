"""`Follower`: asks the store each second for what other processes changed: items, rules, events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

SECONDS = 1.0

_log = logging.getLogger(__name__)


class Follower:
    """Reads changes in a thread, and takes them over in the event loop, where all else happens."""

    def __init__(self, seconds: float = SECONDS) -> None:
        """Prepare to ask every so many seconds."""
        self.seconds = seconds
        self._followed: list[tuple[Callable[[], Any], Callable[[Any], object]]] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, read: Callable[[], Any], apply: Callable[[Any], object]) -> None:
        """Follow something: `read` runs in a thread, and `apply` gets what it returned."""
        self._followed.append((read, apply))

    async def poll(self) -> None:
        """Ask once. A failure is logged; the next time may be better."""
        for read, apply in self._followed:
            try:
                apply(await asyncio.to_thread(read))
            except Exception as error:
                _log.warning("the store could not be followed: %s", error)

    def start(self) -> None:
        """Begin to ask."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self.seconds)
            await self.poll()
