"""The times of a store: microseconds since 1970, UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

MICROSECONDS = 1_000_000  # in a second
MAX_AHEAD = timedelta(minutes=5)  # by which the clock that dated an event may be ahead
_START = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """The time of this machine's clock."""
    return int(time.time() * MICROSECONDS)


def to_microseconds(moment: datetime) -> int:
    """A date as a store has it.

    >>> to_microseconds(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return (moment - _START) // timedelta(microseconds=1)


def to_datetime(microseconds: int) -> datetime:
    """A time of a store as a date in UTC.

    Raises:
        OverflowError: it is outside the years 1 to 9999.
    """
    return _START + timedelta(microseconds=microseconds)
