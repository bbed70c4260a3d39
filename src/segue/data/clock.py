"""What the numbers of a log's clock count, told from their size."""

from __future__ import annotations

UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
YEAR_1985, YEAR_2100 = 473_385_600, 4_102_444_800


def unit_of(first: int, last: int) -> str | None:
    """The unit since 1970 in which both times are dates between 1985 and 2100; None where there is none."""
    fits = [unit for unit, size in UNITS.items() if YEAR_1985 * size <= first and last <= YEAR_2100 * size]
    return fits[0] if fits else None
