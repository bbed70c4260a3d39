"""`Imports`: copies the events of a log into a store once, so that a new service knows its users.

The ids of the events follow from their content. A log that was imported before, or one that only has more rows, adds
nothing twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

from sqlalchemy import func, select

from segue.event_store.database import Database
from segue.event_store.event import MICROSECONDS, Event, content_id
from segue.event_store.event_log import EventLog
from segue.event_store.tables import imports

BLOCK = 20_000  # events in one transaction


class Imports:
    """The logs whose events are in a store."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def has(self, fingerprint: str) -> bool:
        """Whether a log was imported completely."""
        with self.database.read() as connection:
            statement = select(func.count()).where(imports.c.fingerprint == fingerprint)
            return connection.execute(statement).scalar_one() > 0

    def add(
        self,
        rows: Iterator[tuple[str, str, int, float | None]],
        *,
        fingerprint: str,
        name: str,
        advance: Callable[[int], object] = lambda count: None,
    ) -> int:
        """Import the rows of a log; an import that was interrupted is taken up.

        Args:
            rows: user, item, time in microseconds, and value of each event, in the order of the log.
            fingerprint: of the log.
            name: of the log.
            advance: is called with the number of rows of each block that is stored.

        Returns:
            The number of events that are new.
        """
        log, seen, added = EventLog(self.database), Counter[tuple[str, str, int]](), 0
        block: list[Event] = []

        def store() -> None:
            nonlocal added
            added += sum(log.append(block).stored)
            advance(len(block))
            block.clear()

        for user, item, moment, value in rows:
            key = (user, item, moment)
            block.append(Event(user, item, moment, value=value, id=content_id(*key, "", seen[key])))
            seen[key] += 1
            if len(block) == BLOCK:
                store()
        if block:
            store()
        row = {"fingerprint": fingerprint, "name": name, "events": added, "time": int(time.time() * MICROSECONDS)}
        with self.database.write() as connection:
            connection.execute(self.database.insert_new(imports), [row])
        return added
