"""`Periodic`: background work that is done again and again, such as reading what other processes changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from segue.service.log_text import log_text

SECONDS = 1.0
LONGEST = 5.0  # seconds between two attempts of work that fails

logger = logging.getLogger("segue.service")


class Periodic:
    """Some work, done every so many seconds until `close`. What fails is tried again, later and later.

    A failure is logged when it begins, and when it is over.

    Attributes:
        name: of the work, for the log.
        problem: why the last attempt failed; None if it did not.
    """

    def __init__(
        self, name: str, work: Callable[[], Awaitable[object]], seconds: float = SECONDS, longest: float = LONGEST
    ) -> None:
        """Prepare.

        Args:
            name: of the work, for the log.
            work: what is done.
            seconds: between two times.
            longest: seconds between two attempts after failures.
        """
        self.name, self.work, self.seconds, self.longest = name, work, seconds, longest
        self.problem: str | None = None
        self._closed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def once(self) -> None:
        """Do the work now."""
        before, self.problem = self.problem, None
        try:
            await self.work()
        except Exception as error:
            self.problem = log_text(error)
            if self.problem != before:
                logger.warning("%s fails, and is tried again: %s", self.name, self.problem)
            return
        if before is not None:
            logger.warning("%s works again", self.name)

    def start(self) -> None:
        """Do it now, and again until `close`; in the event loop."""
        self._closed = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Do it no more. What is under way is done to its end, so that the store can be closed."""
        self._closed.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        wait = self.seconds
        while not self._closed.is_set():
            await self.once()
            wait = self.seconds if self.problem is None else max(self.seconds, min(2 * wait, self.longest))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), wait)


async def follow(read: Callable[[], Any], apply: Callable[[Any], object]) -> None:
    """Read something in a thread, and take it over in the event loop, where all else happens."""
    apply(await asyncio.to_thread(read))
