"""`EventWriter`: stores the events of all requests that wait, in one transaction, and answers each after the commit.

A commit waits for the disk. While one is under way, the events of further requests gather, and the next commit takes
all of them: many small requests cost as many commits as the disk allows, not as many as there are requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from segue.event_store.event import Event
from segue.event_store.event_ids import UsedIdError
from segue.event_store.event_log import Appended, Change, EventLog
from segue.service.deadline import in_time
from segue.service.log_text import log_text

MAX_EVENTS = 10_000  # in one transaction
ADVICE = "the events may be stored or not: send them again with the same ids"
Request = tuple[asyncio.Future[list[bool]], Sequence[Event]]

logger = logging.getLogger("segue.service")


class EventWriter:
    """Stores events, one transaction after the other."""

    def __init__(
        self,
        log: EventLog,
        on_change: Callable[[dict[str, Change]], None],
        learn: Callable[[dict[str, Change]], Awaitable[None]] | None = None,
    ) -> None:
        """Prepare for a store.

        Args:
            log: the events of the store.
            on_change: is called with the changed histories after each commit, before the requests are answered.
            learn: is called with the same changes after that, and awaited, also before the requests are answered and
                before the next commit.
        """
        self.log, self.on_change, self.learn = log, on_change, learn
        self.stored = self.duplicates = self.conflicts = 0  # events since the start
        self._waiting: dict[asyncio.Future[list[bool]], Sequence[Event]] = {}
        self._thread = ThreadPoolExecutor(1, "segue-events")
        self._task: asyncio.Task[None] | None = None

    async def write(self, events: Sequence[Event]) -> list[bool]:
        """Store events; they are on the disk when this returns. For each, whether it is new.

        Raises:
            DataError: the store cannot be written; none of the events is stored. Or there was no answer in time: then
                they may be stored if their transaction had begun, and are dropped if it had not.
            UsedIdError: an event has the id of one of another user or item; none of the events is stored.
        """
        future: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()
        self._waiting[future] = events
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            return await in_time(future, ADVICE)
        finally:
            self._waiting.pop(future, None)

    async def close(self) -> None:
        """Store what waits, and end the thread."""
        if self._task is not None:
            await self._task
        self._thread.shutdown()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            requests = self._next_requests()
            events = [event for _, wanted in requests for event in wanted]
            try:
                appended: Appended = await loop.run_in_executor(self._thread, self.log.append, events)
            except UsedIdError as error:
                self._waiting = dict(self._refuse(requests, error.places)) | self._waiting
                continue
            except Exception as error:
                for future, _ in requests:
                    if not future.done():
                        future.set_exception(error)
                continue
            try:
                self.on_change(appended.changes)
                if self.learn is not None:
                    await self.learn(appended.changes)
            except Exception as error:  # the events are stored all the same, and their senders are told so
                logger.error("what follows from stored events failed: %s", log_text(error))
            self.stored += sum(appended.stored)
            self.duplicates += len(events) - sum(appended.stored)
            first = 0
            for future, wanted in requests:
                if not future.done():
                    future.set_result(appended.stored[first : first + len(wanted)])
                first += len(wanted)

    def _refuse(self, requests: Sequence[Request], places: Mapping[int, int | None]) -> list[Request]:
        """Answer the requests with used ids; the others. A request does not suffer from one that is refused itself."""
        origin = [(number, place) for number, (_, events) in enumerate(requests) for place in range(len(events))]
        used: dict[int, dict[int, int | None]] = {}
        for one, other in sorted(places.items()):
            number, place = origin[one]
            if other is None or origin[other][0] == number or origin[other][0] not in used:
                used.setdefault(number, {})[place] = other
        for number, found in used.items():
            self.conflicts += len(found)
            future = requests[number][0]
            if not future.done():
                future.set_exception(UsedIdError(found))
        others = (request for number, request in enumerate(requests) if number not in used)
        return [(future, events) for future, events in others if not future.done()]  # without those that wait no more

    def _next_requests(self) -> list[Request]:
        """The requests of the next transaction, in the order of arrival."""
        total = 0
        requests: list[Request] = []
        for future, events in self._waiting.items():
            if requests and total + len(events) > MAX_EVENTS:
                break
            requests.append((future, events))
            total += len(events)
        for future, _ in requests:
            del self._waiting[future]
        return requests
