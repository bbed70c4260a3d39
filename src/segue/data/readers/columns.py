"""Which column of a source is which, and what its values become.

user_id  movieId  ts                    rating          guess: column names -> roles
"u7"     12       2024-01-31T10:00:00Z  4.5
  │        │        │                     │
names    names    int64 seconds         float32         as_names, as_times, as_ratings
  └─ number: sorted names get ids 1, 2, 3 ...
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import polars as pl

from segue.data.log import Ids, Vocab
from segue.errors import DataError, did_you_mean

Role = Literal["user", "item", "time", "rating"]
Codes = np.ndarray[Any, np.dtype[np.int32]]

# In order of preference; compared without case and punctuation, so "User ID" is "userid".
GUESSES = {
    "user": "user userid uid username reviewerid reviewer customerid customer visitorid visitor memberid accountid "
    "clientid session sessionid sid",
    "item": "item itemid iid asin parentasin sku productid product movieid movie bookid trackid track songid artistid "
    "videoid articleid newsid contentid businessid venueid",
    "time": "timestamp time ts datetime date eventtime createdat unixreviewtime order",
    "rating": "rating ratings stars overall score value",
    "title": "title movietitle producttitle booktitle name itemname productname",
    "year": "year releaseyear",
}
REQUIRED = ("user", "item")


def plain(name: str) -> str:
    """A column name without case and punctuation: "User ID" and user_id are both "userid"."""
    return re.sub(r"[\W_]", "", name.casefold())


def guess(role: str, columns: Sequence[str]) -> str | None:
    """The column that plays `role`: the first name in `GUESSES[role]` that is there, or None.

    >>> guess("user", ["Session ID", "userId", "sku"])
    'userId'
    """
    known = {plain(column): column for column in reversed(columns)}
    return next((known[name] for name in GUESSES[role].split() if name in known), None)


def roles(columns: Sequence[str], named: Mapping[str, str | None], where: str) -> dict[str, str]:
    """The column of each role. A name given in `named` wins over the guess; an empty name means "no such column".

    Raises:
        DataError: a named column is not there, nothing serves as user or item, or one column was named twice.
    """
    found: dict[str, str] = {}
    listed = ", ".join(columns)
    for role, name in named.items():
        if name is not None and name != "" and name not in columns:
            hint = did_you_mean(name, columns) or "."
            raise DataError(f"{where}: no column {name!r} for the {role}{hint} The columns are {listed}")
        column = guess(role, columns) if name is None else name
        if column:
            found[role] = column
        elif role in REQUIRED:
            raise DataError(
                f"{where}: no column looks like the {role}; the columns are {listed}. "
                f'Name it: {role}="..." (--{role}-col on the command line)'
            )
    for role, column in found.items():
        twin = next(other for other, same in found.items() if same == column)
        if twin != role:
            raise DataError(f"{where}: column {column!r} cannot be both the {twin} and the {role}")
    return found


def first(bad: pl.Series) -> int:
    """The number, from 1, of the first row where `bad` is true."""
    return int(bad.arg_true()[0]) + 1


def _filled(column: pl.Series, where: str) -> pl.Series:
    """The column, categories as text; an error where a value is missing."""
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    missing = column.is_null()
    if column.dtype.is_float():
        missing = missing | column.is_nan().fill_null(True)
    elif column.dtype == pl.String:
        missing = missing | (column == "").fill_null(True)
    if missing.any():
        row = first(missing)
        found = "empty (NaN)" if column.dtype.is_float() and column[row - 1] is not None else "empty"
        raise DataError(f"{where}, row {row}: {found}; fill it in or leave the row out")
    return column


def as_names(column: pl.Series, where: str) -> pl.Series:
    """Names of users or items: Int64 for whole numbers, otherwise String.

    Raises:
        DataError: a name is missing, or the type cannot be a name.
    """
    column = _filled(column, where)
    if column.dtype == pl.String:
        return column
    if column.dtype.is_integer():
        return _int64(column, where)
    if column.dtype.is_float():
        broken = ~((column == column.floor()) & (column.abs() < 2**53))
        if broken.any():
            row = first(broken)
            raise DataError(f"{where}, row {row}: {column[row - 1]} is not a whole number, so it cannot be a name")
        return column.cast(pl.Int64)
    raise DataError(f"{where}: {column.dtype} cannot be a name; turn it into text or whole numbers")


def _int64(column: pl.Series, where: str) -> pl.Series:
    wide = column.cast(pl.Int64, strict=False)
    if wide.null_count():
        row = first(wide.is_null())
        raise DataError(f"{where}, row {row}: {column[row - 1]} does not fit in 64 bits; turn the column into text")
    return wide


def number(names: pl.Series) -> tuple[Vocab, Codes]:
    """Ids 1..n for the names in sorted order, and the id of every row: the order of the rows does not matter.

    >>> vocab, codes = number(pl.Series(["b", "a", "b"]))
    >>> vocab.tokens.to_list(), codes.tolist()
    (['a', 'b'], [2, 1, 2])
    """
    tokens = names.unique().sort()
    if names.dtype == pl.String:
        codes = names.cast(pl.Enum(tokens)).to_physical().to_numpy().astype(np.int32)
        return Vocab(tokens), codes + np.int32(1)
    low, high = int(tokens[0]), int(tokens[-1])
    if high - low < 2 * len(names) + 1024:
        rank = np.zeros(high - low + 1, np.int32)
        rank[tokens.to_numpy() - low] = np.arange(1, len(tokens) + 1)
        return Vocab(tokens), rank[names.to_numpy() - low]
    ids = pl.Series(np.arange(1, len(tokens) + 1, dtype=np.int32))
    return Vocab(tokens), names.replace_strict(tokens, ids).to_numpy()


def as_ratings(column: pl.Series, where: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Ratings as float32.

    Raises:
        DataError: a rating is missing or is not a finite number.
    """
    column = _filled(column, where)
    if not (column.dtype.is_numeric() or column.dtype in (pl.String, pl.Boolean)):
        raise DataError(f'{where}: {column.dtype} is not a rating; use numbers, or read without ratings (rating="")')
    ratings = column.cast(pl.Float64, strict=False)
    broken = ratings.is_null() | ~ratings.is_finite().fill_null(False)
    if broken.any():
        row = first(broken)
        raise DataError(
            f'{where}, row {row}: {column[row - 1]!r} is not a number; mend it, or read without ratings (rating="")'
        )
    return ratings.cast(pl.Float32).to_numpy()


_DAY = "%Y-%m-%d"
_CLOCKS = [
    f"{_DAY}{gap}%H:%M{seconds}{zone}" for gap in "T " for seconds in ("", ":%S%.f") for zone in ("", "%#z", " %#z")
]
UNITS = ((10**8, "an unknown unit"), (10**11, "seconds"), (10**14, "milliseconds"), (10**17, "microseconds"))


def as_times(column: pl.Series, where: str) -> tuple[Ids, str]:
    """Times as int64 and the name of their unit.

    Whole numbers keep the unit of the source; its name is guessed from the largest. Dates and ISO 8601 text become
    seconds since 1970 in UTC (UTC where no zone is given). Where there are fractions of a second the unit is the
    coarsest of milliseconds, microseconds and nanoseconds that keeps them.

    Raises:
        DataError: a time is missing, before 1970, or no time at all; or the column is float32, too coarse for seconds.
    """
    column = _filled(column, where)
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
        row = first(times < 0)
        raise DataError(f"{where}, row {row}: {times[row - 1]} is negative; times count from 1970")
    numbers = times.to_numpy()
    top = numbers.max(initial=0)
    return numbers, unit or next((word for limit, word in UNITS if top < limit), "nanoseconds")


def _parsed(column: pl.Series, where: str) -> pl.Series:
    """Text as whole numbers, as numbers or as dates: what the first row is, every row must be."""
    text = column.str.strip_chars()
    readers: list[Callable[[pl.Series], pl.Series]] = [
        lambda s: s.cast(pl.Int64, strict=False),
        lambda s: s.cast(pl.Float64, strict=False),
        *(partial(_dated, form=form) for form in (_DAY, *_CLOCKS)),
    ]
    read = [reader(text) for reader in readers if reader(text.head(1)).null_count() == 0]
    best = min(read, key=pl.Series.null_count, default=None)
    if best is not None and not best.null_count():
        return best
    row = 1 if best is None else first(best.is_null())
    raise DataError(
        f"{where}, row {row}: {column[row - 1]!r} is not a time like those before it; use whole numbers of seconds, "
        "2024-01-31 or 2024-01-31T10:00:00Z, one form in every row"
    )


def _dated(text: pl.Series, form: str) -> pl.Series:
    return text.str.to_datetime(form, strict=False, time_unit="us")


def _from_floats(column: pl.Series, where: str) -> pl.Series:
    """Whole floats as they are; fractions as thousandths, or as millionths where thousandths would round them."""
    broken = ~column.is_finite()
    if broken.any():
        row = first(broken)
        raise DataError(f"{where}, row {row}: {column[row - 1]} is not a time")
    if column.dtype == pl.Float32 and (column.abs() >= 2**24).any():
        raise DataError(f"{where}: float32 cannot hold seconds since 1970; write the column as int64 or float64")
    column = column.cast(pl.Float64)
    for scale, slack in ((1, 0.0), (1000, 1e-3)):
        scaled = column * scale
        if ((scaled - scaled.round()).abs() <= slack).all():
            return scaled.round().cast(pl.Int64, strict=False)
    return (column * 10**6).round().cast(pl.Int64, strict=False)


def _from_dates(column: pl.Series) -> tuple[pl.Series, str]:
    ticks = column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column
    second = {"ms": 10**3, "us": 10**6, "ns": 10**9}[ticks.dtype.time_unit]  # type: ignore[attr-defined]
    ticks = ticks.to_physical()
    for power, unit in enumerate(("seconds", "milliseconds", "microseconds")):
        step = second // 1000**power
        if (ticks % step == 0).all():
            return ticks // step, unit
    return ticks, "nanoseconds"
