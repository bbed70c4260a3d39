"""Times of a column as int64, with their unit and what was assumed or looks wrong.

whole numbers            as they are; the unit is guessed from their size       time_numbers
fractions                the coarsest unit that is exact                        time_numbers
dates, date-times        seconds since 1970 in UTC, or finer
text                     numbers or dates of one format                         time_text
"""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from segue.data.log import Ids
from segue.data.readers.time_numbers import NUMBER, ParsedNumbers, from_floats, from_number_text, unit_of_numbers
from segue.data.readers.time_text import ADVICE, parse_text
from segue.data.readers.time_warnings import time_warnings
from segue.data.readers.values import TYPED_TICKS, check_dates, int64, without_missing
from segue.data.time_units import SECONDS_PER_DAY, TICKS_PER_SECOND
from segue.errors import DataError


class Times(NamedTuple):
    """Times as int64, the name of their unit, and what was assumed or looks wrong, one sentence each."""

    ticks: Ids
    unit: str
    warnings: tuple[str, ...] = ()


def as_times(column: pl.Series, where: str, time_format: str | None = None) -> Times:
    """Convert a column to times, keeping apart all that the column keeps apart.

    Whole numbers keep the unit of the source. Dates and text become seconds since 1970 in UTC; text without a time zone
    is taken as UTC. If there are fractions of a second, the unit is the coarsest of milliseconds, microseconds and
    nanoseconds that is exact.

    Args:
        column: the values.
        where: the source and the column, for messages.
        time_format: the strftime pattern of text; by default the format is recognised.

    Raises:
        DataError: a time is missing, before 1970, not a time, or finer than can be kept.
        ConfigError: `time_format` is not the pattern of a date.
    """
    times = _ticks(column, where, time_format)
    early, dates = times.ticks < 0, _are_dates(column, time_format)
    if early.any():
        row = int(early.argmax())
        if dates:
            text = column.slice(row, 1).cast(pl.String).str.replace(r"\.0+\b", "")[0]
            raise DataError(f"{where}, row {row + 1}: {text!r} is before 1970, from where times count")
        raise DataError(f"{where}, row {row + 1}: {column[row]} is negative; times count from 1970")
    return times._replace(warnings=times.warnings or time_warnings(times.ticks, where, dates=dates))


def as_order(column: pl.Series, where: str) -> Ids:
    """Convert a column of positions, of which only the order counts: they may be negative, and they have no unit.

    Raises:
        DataError: a value is missing or is neither a number nor a date.
    """
    return _ticks(column, where, None).ticks


def _are_dates(column: pl.Series, time_format: str | None) -> bool:
    """Whether a column has dates, not numbers that may be anything."""
    text = column.dtype == pl.String and not column.head(1).str.contains(NUMBER).any()
    return text or time_format is not None or column.dtype in (pl.Date, pl.Datetime)


def _ticks(column: pl.Series, where: str, time_format: str | None) -> Times:
    column = without_missing(column, where)
    if time_format is not None:
        return _formatted(column, where, time_format)
    if column.dtype == pl.String:
        return _from_text(column, where)
    if column.dtype.is_float():
        return _with_note(from_floats(column, where))
    if column.dtype.is_decimal():
        return _from_text(column.cast(pl.String), where)
    if column.dtype in (pl.Date, pl.Datetime):
        return _from_dates(column, where)
    if column.dtype.is_integer():
        numbers = int64(column, where).to_numpy()
        return Times(numbers, unit_of_numbers(int(numbers.min()), int(numbers.max())))
    if column.dtype == pl.Time:
        raise DataError(f"{where}: holds times of a day without a date; join them with their dates in one column")
    raise DataError(f"{where}: {column.dtype} is not a time; use whole numbers or dates")


def _with_note(numbers: ParsedNumbers) -> Times:
    return Times(numbers.ticks, numbers.unit, (numbers.note,) if numbers.note else ())


def _formatted(column: pl.Series, where: str, time_format: str) -> Times:
    if column.dtype.is_float() and (column == column.cast(pl.Int64, strict=False)).all():
        column = column.cast(pl.Int64)
    if column.dtype.is_integer():
        column = column.cast(pl.String)
    elif column.dtype != pl.String:
        raise DataError(f"{where}: {column.dtype} needs no time format; leave out time_format (--time-format)")
    ticks, unit, _ = parse_text(column, where, time_format)
    return Times(ticks.to_numpy(), unit)


def _from_text(column: pl.Series, where: str) -> Times:
    text = column.str.strip_chars()
    if text.head(1).str.contains(NUMBER).all():
        numbers = from_number_text(text, where)
        if numbers is None:
            raise _not_a_number(text, where)
        return _with_note(numbers)
    ticks, unit, note = parse_text(text, where)
    return Times(ticks.to_numpy(), unit, (note,) if note else ())


def _not_a_number(text: pl.Series, where: str) -> DataError:
    """The error for the first row that is not a number, with the number of such rows."""
    rows = (~text.str.contains(NUMBER)).arg_true()
    others = f" ({len(rows):,} such rows of {len(text):,})" if len(rows) > 1 else ""
    return DataError(
        f"{where}, row {int(rows[0]) + 1}: {text[int(rows[0])]!r} is not a time like those before it; {ADVICE}, "
        f"the same format in every row{others}"
    )


def _from_dates(column: pl.Series, where: str) -> Times:
    check_dates(column, where)
    if column.dtype == pl.Date:
        return Times(column.to_physical().cast(pl.Int64).to_numpy() * SECONDS_PER_DAY, "seconds")
    dtype: Any = column.dtype
    ticks_per_second, ticks = TYPED_TICKS[dtype.time_unit], column.to_physical().to_numpy()
    divisors = {
        unit: ticks_per_second // ticks for unit, ticks in TICKS_PER_SECOND.items() if ticks <= ticks_per_second
    }
    unit = next(unit for unit, divisor in divisors.items() if (ticks % divisor == 0).all())
    return Times(ticks // divisors[unit], unit)
