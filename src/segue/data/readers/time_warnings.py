"""Warnings about times that cannot be: zeros, two units in one column, dates before 1990 or after today.

1600000000      the unit of most rows is that of the column
1600000050000   milliseconds among seconds
0               a missing time
12345           1970
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from segue.data.log import Ids, Mask
from segue.data.time_units import SECONDS_PER_DAY, SMALL, TICKS_PER_SECOND, YEAR_1990, day_of, unit_of


def time_warnings(ticks: Ids, where: str, *, dates: bool = False) -> tuple[str, ...]:
    """What looks wrong in the times of a column, one sentence each.

    Args:
        ticks: the times in the order of the source.
        where: the source and the column.
        dates: whether the source says that these are dates; otherwise the numbers may be anything.
    """
    tomorrow = int(datetime.now(UTC).timestamp()) + SECONDS_PER_DAY
    usual = {
        unit: (ticks >= YEAR_1990 * scale) & (ticks <= tomorrow * scale) for unit, scale in TICKS_PER_SECOND.items()
    }
    unit = max(usual, key=lambda name: int(usual[name].sum()))
    if usual[unit].all():
        return ()
    first, last = int(ticks.min()), int(ticks.max())
    if 2 * int(usual[unit].sum()) < len(ticks):
        known = unit_of(first, last)
        if known is None and not dates:
            return _no_dates(ticks, where)
        unit = known or unit
    return tuple(f"{where}: {sentence}" for sentence in _sentences(ticks, usual, unit))


def _no_dates(ticks: Ids, where: str) -> tuple[str, ...]:
    """The warning about numbers that are no dates; none for small numbers, which may count from any start."""
    first, last, pattern = int(ticks.min()), int(ticks.max()), pattern_of_digits(ticks)
    if first == last and len(ticks) > 2:
        return (f"{where}: every row has the time {first:,}, so that the order is that of the source",)
    if last < SMALL and not pattern:
        return ()
    written = f", but like dates of {len(str(last))} digits: give --time-format {pattern}" if pattern else ""
    return (f"{where}: times from {first:,} to {last:,} do not look like dates since 1970{written}",)


def pattern_of_digits(ticks: Ids) -> str:
    """The pattern of numbers whose digits are those of a date, such as 20190131 ("%Y%m%d"); empty for others."""
    for scale, pattern in ((1, "%Y%m%d"), (10**4, "%Y%m%d%H%M"), (10**6, "%Y%m%d%H%M%S")):
        days = ticks // scale
        year, month, day = days // 10_000, days // 100 % 100, days % 100
        if ((year >= 1900) & (year < 2100) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all():
            return pattern
    return ""


def _sentences(ticks: Ids, usual: dict[str, Mask], unit: str) -> Iterator[str]:
    """What is wrong with the times that are not among the usual ones of `unit`."""
    others = [name for name in usual if name != unit]
    rest = ~np.logical_or.reduce(list(usual.values()))
    zero = rest & (ticks == 0)
    if zero.any():
        yield f"{_rows(zero, ticks)} the time 0, which is 1970-01-01: these times may be missing"
    for name in others:
        if usual[name].any():
            yield f"{_rows(usual[name], ticks)} a time like {name}, among {unit}: their order is wrong"
    for mask, problem in (
        (rest & ~zero & (ticks < YEAR_1990 * TICKS_PER_SECOND[unit]), "before 1990"),
        (rest & (ticks >= YEAR_1990 * TICKS_PER_SECOND[unit]), "after today"),
    ):
        if mask.any():
            yield f"{_rows(mask, ticks, unit)} a time {problem}"


def _rows(mask: Mask, ticks: Ids, unit: str | None = None) -> str:
    """Who has such a time: the number of rows, and the first of them with its value."""
    count, row = int(mask.sum()), int(mask.argmax())
    value = day_of(int(ticks[row]), unit)
    where = f"row {row + 1}" if count == 1 else f"{count:,} of {len(ticks):,} rows (the first is row {row + 1}"
    return f"{where} ({value}) has" if count == 1 else f"{where}: {value}) have"
