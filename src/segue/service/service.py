"""`Service`: the store, the histories, the models and all that a running service shares between its requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from segue.event_store.store import Store
from segue.service.deployments import Deployment
from segue.service.event_writer import EventWriter
from segue.service.histories import Histories, History
from segue.service.micro_batches import MicroBatches

Value = TypeVar("Value")


@dataclass
class Service:
    """What the requests of one process share.

    Attributes:
        store: events and items.
        deployment: the models that answer; replaced as a whole when a model is activated.
    """

    store: Store
    deployment: Deployment

    def __post_init__(self) -> None:
        self.histories = Histories(self.store.events)
        self._history_batches = MicroBatches(self.histories.get_all)
        self.writer = EventWriter(self.store.events, self.histories.apply)

    async def history(self, user: str) -> History:
        """The history of a user as the store holds it now."""
        if self.store.database.embedded:
            return await self._history_batches.ask(user)
        return await asyncio.to_thread(self.histories.get, user)

    async def read(self, ask: Callable[[], Value]) -> Value:
        """Read from the store: at once if it is a file, in a thread if it is a server."""
        return ask() if self.store.database.embedded else await asyncio.to_thread(ask)

    async def close(self) -> None:
        """Store what waits, and close the store."""
        await self.writer.close()
        self.store.close()
