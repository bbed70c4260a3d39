"""`KeyRing`: the API keys of a store in memory. Keys made or revoked elsewhere count within two seconds."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from segue.errors import SegueError
from segue.event_store.api_keys import ApiKey, ApiKeys, find_key

POLL_SECONDS = 1.0
MAX_LENGTH = 200  # of a key

logger = logging.getLogger("segue.service")


class KeyRing:
    """The keys that a service knows."""

    def __init__(self, keys: ApiKeys) -> None:
        self.store = keys
        self.keys = keys.all()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follow the store until `close`."""
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def find(self, authorization: str) -> ApiKey | None:
        """The key of a header Authorization: "Bearer KEY"; None if it is none of the store."""
        scheme, _, key = authorization.partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key or len(key) > MAX_LENGTH:
            return None
        return find_key(self.keys, key)

    async def _follow(self) -> None:
        fails = False
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                self.keys = await asyncio.to_thread(self.store.all)
                fails = False
            except SegueError as error:
                if not fails:
                    logger.warning("API keys cannot be read, the known ones hold: %s", error)
                fails = True
