"""`LogLimit`: keeps clients from filling the log: what any of their requests can cause is logged once a minute.

A line is limited that was logged with `extra=LIMITED`; lines of one text before its values are filled in are of a kind.

10:00:00  Invalid HTTP request received.
10:00:01  (the same, nine times: left out)
10:01:00  Invalid HTTP request received. (9 more since the last such line)
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

SECONDS = 60.0  # between two lines of a kind
LIMITED = {"limited": True}
OF_UVICORN = ("Invalid HTTP request", "Unsupported upgrade request", "No supported WebSocket library")  # beginnings


class LogLimit(logging.Filter):
    """A filter of loggers that lets a line of each kind through once a minute, with the number of those left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.clock = clock
        self._next: dict[str, float] = {}
        self._left_out = Counter[str]()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is logged."""
        kind = str(record.msg)
        if not getattr(record, "limited", False) and not kind.startswith(OF_UVICORN):
            return True
        if self.clock() < self._next.get(kind, 0.0):
            self._left_out[kind] += 1
            return False
        self._next[kind] = self.clock() + SECONDS
        if left_out := self._left_out.pop(kind, 0):
            record.msg = f"{kind} ({left_out:,} more since the last such line)"
        return True


def limit_logs() -> None:
    """Limit the lines of the service and of uvicorn."""
    for name in ("segue.service", "uvicorn.error"):
        logging.getLogger(name).addFilter(_LIMIT)


_LIMIT = LogLimit()
