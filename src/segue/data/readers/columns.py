"""Finds the user, item, time and rating columns of a table, and converts times and ratings.

user_id  movieId  ts                    rating          guess_column: column name -> role
"u7"     12       2024-01-31T10:00:00Z  4.5
  │        │        │                     │
names    names    int64 seconds         float32         as_times, as_ratings, and as_names of `names`
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import polars as pl

from segue.data.log import Ids
from segue.data.readers.empty import is_empty
from segue.data.time_units import unit_by_size
from segue.errors import DataError, did_you_mean

Role = Literal["user", "item", "time", "rating", "split"]

# Usual column names in order of preference, compared without case and punctuation: "User ID" is "userid".
COLUMN_NAMES = {
    "user": "user userid uid username reviewerid reviewer customerid customer visitorid visitor memberid accountid "
    "clientid session sessionid sid",
    "item": "item itemid iid asin parentasin sku productid product movieid movie bookid trackid track songid artistid "
    "videoid articleid newsid contentid businessid venueid",
    "time": "timestamp time ts datetime date eventtime createdat unixreviewtime order",
    "rating": "rating ratings stars overall score value",
    "split": "split",
    "title": "title movietitle producttitle booktitle name itemname productname",
    "year": "year releaseyear",
}
REQUIRED = ("user", "item")


def simplify(name: str) -> str:
    """A column name in lower case without punctuation: "User ID" and user_id both become "userid"."""
    return re.sub(r"[\W_]", "", name.casefold())


def guess_column(role: str, columns: Sequence[str]) -> str | None:
    """The column for `role`: the first name in `COLUMN_NAMES[role]` that is among the columns, or None.

    >>> guess_column("user", ["Session ID", "userId", "sku"])
    'userId'
    """
    known = {simplify(column): column for column in reversed(columns)}
    return next((known[name] for name in COLUMN_NAMES[role].split() if name in known), None)


def assign_roles(columns: Sequence[str], named: Mapping[str, str | None], where: str) -> dict[str, str]:
    """The column of each role. A name in `named` is preferred to a guess; an empty name means "no such column".

    Raises:
        DataError: a named column is missing, no column fits user or item, or one column was named twice.
    """
    assigned: dict[str, str] = {}
    listed = ", ".join(columns)
    for role, name in named.items():
        if name is not None and name != "" and name not in columns:
            hint = did_you_mean(name, columns) or "."
            raise DataError(f"{where}: no column {name!r} for the {role}{hint} The columns are {listed}")
        column = guess_column(role, columns) if name is None else name
        if column:
            assigned[role] = column
        elif role in REQUIRED:
            raise DataError(
                f"{where}: no column looks like the {role}; the columns are {listed}. "
                f'Name it: {role}="..." (--{role}-col on the command line)'
            )
    for role, column in assigned.items():
        first = next(other for other, same in assigned.items() if same == column)
        if first != role:
            raise DataError(f"{where}: column {column!r} cannot be both the {first} and the {role}")
    return assigned


def first_row(mask: pl.Series) -> int:
    """The number, from 1, of the first row where `mask` is true."""
    return int(mask.arg_true()[0]) + 1


def without_missing(column: pl.Series, where: str) -> pl.Series:
    """The column, with categories as text; a missing value is an error."""
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    missing = is_empty(column)
    if missing.any():
        row = first_row(missing)
        value = "empty (NaN)" if column.dtype.is_float() and column[row - 1] is not None else "empty"
        raise DataError(f"{where}, row {row}: {value}; fill it in or leave the row out")
    return column


def _int64(column: pl.Series, where: str) -> pl.Series:
    converted = column.cast(pl.Int64, strict=False)
    if converted.null_count():
        row = first_row(converted.is_null())
        raise DataError(f"{where}, row {row}: {column[row - 1]} does not fit in 64 bits; turn the column into text")
    return converted


def as_ratings(column: pl.Series, where: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Convert a column to ratings as float32.

    Raises:
        DataError: a rating is missing or is not a finite number.
    """
    column = without_missing(column, where)
    if not (column.dtype.is_numeric() or column.dtype in (pl.String, pl.Boolean)):
        raise DataError(f'{where}: {column.dtype} is not a rating; use numbers, or read without ratings (rating="")')
    numbers = column.str.strip_chars() if column.dtype == pl.String else column
    ratings = numbers.cast(pl.Float64, strict=False)
    invalid = ratings.is_null() | ~ratings.is_finite().fill_null(False)
    if invalid.any():
        row = first_row(invalid)
        comma = re.match(r"[-+]?\d*,\d+$", str(column[row - 1]))
        advice = "write decimals with a point" if comma else "correct it"
        raise DataError(
            f'{where}, row {row}: {column[row - 1]!r} is not a number; {advice}, or read without ratings (rating="")'
        )
    return ratings.cast(pl.Float32).to_numpy()


_DAY = "%Y-%m-%d"
_DATE_TIMES = [
    f"{_DAY}{gap}%H:%M{seconds}{zone}" for gap in "T " for seconds in ("", ":%S%.f") for zone in ("", "%#z", " %#z")
]


def as_times(column: pl.Series, where: str) -> tuple[Ids, str]:
    """Convert a column to times as int64, and name their unit.

    Whole numbers keep the unit of the source, which is guessed from the largest number. Dates and ISO 8601 text become
    seconds since 1970 in UTC; text without a time zone is taken as UTC. If there are fractions of a second, the unit
    is the coarsest of milliseconds, microseconds and nanoseconds that represents them exactly.

    Raises:
        DataError: a time is missing, before 1970, or not a time; or the column is float32, which cannot hold seconds.
    """
    column = without_missing(column, where)
    if column.dtype == pl.String:
        column = _parsed(column, where)
    unit = None
    if column.dtype.is_float():
        column = _from_floats(column, where)
    elif column.dtype in (pl.Date, pl.Datetime):
        column, unit = _from_dates(column)
    elif not column.dtype.is_integer():
        raise DataError(f"{where}: {column.dtype} is not a time; use whole numbers or dates")
    times = _int64(column, where)
    if (times < 0).any():
        row = first_row(times < 0)
        raise DataError(f"{where}, row {row}: {times[row - 1]} is negative; times count from 1970")
    numbers = times.to_numpy()
    return numbers, unit or unit_by_size(int(numbers.max(initial=0)))


def _parsed(column: pl.Series, where: str) -> pl.Series:
    """Parse text as whole numbers, numbers or dates; all rows must have the format of the first one."""
    text = column.str.strip_chars()
    parsers: list[Callable[[pl.Series], pl.Series]] = [
        lambda s: s.cast(pl.Int64, strict=False),
        lambda s: s.cast(pl.Float64, strict=False),
        *(partial(_parse_dates, pattern=pattern) for pattern in (_DAY, *_DATE_TIMES)),
    ]
    parsed = [parse(text) for parse in parsers if parse(text.head(1)).null_count() == 0]
    best = min(parsed, key=pl.Series.null_count, default=None)
    if best is not None and not best.null_count():
        return best
    row = 1 if best is None else first_row(best.is_null())
    raise DataError(
        f"{where}, row {row}: {column[row - 1]!r} is not a time like those before it; use whole numbers of seconds, "
        "2024-01-31 or 2024-01-31T10:00:00Z, the same format in every row"
    )


def _parse_dates(text: pl.Series, pattern: str) -> pl.Series:
    return text.str.to_datetime(pattern, strict=False, time_unit="us")


def _from_floats(column: pl.Series, where: str) -> pl.Series:
    """Whole floats as they are; fractions as thousandths, or as millionths if thousandths would round them."""
    invalid = ~column.is_finite()
    if invalid.any():
        row = first_row(invalid)
        raise DataError(f"{where}, row {row}: {column[row - 1]} is not a time")
    if column.dtype == pl.Float32 and (column.abs() >= 2**24).any():
        raise DataError(f"{where}: float32 cannot hold seconds since 1970; write the column as int64 or float64")
    column = column.cast(pl.Float64)
    for scale, tolerance in ((1, 0.0), (1000, 1e-3)):
        scaled = column * scale
        if ((scaled - scaled.round()).abs() <= tolerance).all():
            return scaled.round().cast(pl.Int64, strict=False)
    return (column * 10**6).round().cast(pl.Int64, strict=False)


def _from_dates(column: pl.Series) -> tuple[pl.Series, str]:
    ticks = column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column
    ticks_per_second = {"ms": 10**3, "us": 10**6, "ns": 10**9}[ticks.dtype.time_unit]  # type: ignore[attr-defined]
    ticks = ticks.to_physical()
    for power, unit in enumerate(("seconds", "milliseconds", "microseconds")):
        divisor = ticks_per_second // 1000**power
        if (ticks % divisor == 0).all():
            return ticks // divisor, unit
    return ticks, "nanoseconds"
