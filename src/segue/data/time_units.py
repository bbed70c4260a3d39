"""The unit of a log's times (seconds, milliseconds, ...), inferred from their size."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

import numpy as np

SECONDS_PER_DAY = 86_400
TICKS_PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
YEAR_1985, YEAR_1990, YEAR_2100 = 473_385_600, 631_152_000, 4_102_444_800  # in seconds since 1970
YEAR_9999 = 253_370_764_800
SMALL = 10**8  # numbers below it may count from any start, in any unit
Times = TypeVar("Times", int, np.ndarray)
UNITS_BELOW = ((SMALL, "an unknown unit"), (10**11, "seconds"), (10**14, "milliseconds"), (10**17, "microseconds"))


def unit_of(first: float, last: float) -> str | None:
    """The unit since 1970 in which both times are dates between 1985 and 2100, or None if there is none."""
    units = TICKS_PER_SECOND.items()
    return next((unit for unit, ticks in units if YEAR_1985 * ticks <= first and last <= YEAR_2100 * ticks), None)


def in_microseconds(times: Times, unit: str | None) -> Times:
    """Whole-number times since 1970 in microseconds; those without a unit stay as they are.

    >>> in_microseconds(889_393_978, "seconds"), in_microseconds(164_434, None)
    (889393978000000, 164434)
    """
    ticks, wanted = TICKS_PER_SECOND[unit or "microseconds"], TICKS_PER_SECOND["microseconds"]
    return times * (wanted // ticks) if ticks <= wanted else times // (ticks // wanted)


def from_microseconds(times: Times, unit: str) -> Times:
    """Times since 1970 in microseconds as whole numbers of another unit.

    >>> from_microseconds(889_393_978_000_000, "seconds")
    889393978
    """
    ticks, own = TICKS_PER_SECOND[unit], TICKS_PER_SECOND["microseconds"]
    return times * (ticks // own) if ticks >= own else times // (own // ticks)


def unit_by_size(largest: float) -> str:
    """The unit of whole-number times, guessed from the largest alone: for a description, not for computing dates.

    >>> unit_by_size(1_577_836_800), unit_by_size(42)
    ('seconds', 'an unknown unit')
    """
    return next((unit for limit, unit in UNITS_BELOW if largest < limit), "nanoseconds")


def time_text(time: int, unit: str | None) -> str:
    """A time for people: date and time in UTC, or the number itself if it is no date.

    >>> time_text(889_393_978, "seconds"), time_text(164_434, None)
    ('1998-03-08 21:52:58 UTC', 'time 164,434')
    """
    if unit is None or time >= YEAR_9999 * TICKS_PER_SECOND[unit]:
        return f"time {time:,}"
    return f"{datetime.fromtimestamp(time // TICKS_PER_SECOND[unit], UTC):%Y-%m-%d %H:%M:%S} UTC"


def day_of(time: int, unit: str | None) -> str:
    """The day of a time, or the number itself if it is no date.

    >>> day_of(889_393_978, "seconds"), day_of(164_434, None)
    ('1998-03-08', '164,434')
    """
    if unit is None or time >= YEAR_9999 * TICKS_PER_SECOND[unit]:
        return f"{time:,}"
    return datetime.fromtimestamp(time / TICKS_PER_SECOND[unit], UTC).date().isoformat()
