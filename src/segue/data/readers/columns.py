"""Finds the user, item, time and rating columns of a table, and converts ratings.

user_id  movieId  ts                    rating          guess_column: column name -> role
"u7"     12       2024-01-31T10:00:00Z  4.5
  │        │        │                     │
names    names    int64 seconds         float32         as_ratings; as_names of `names`, as_times of `times`
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl

from segue.data.readers.empty import is_empty
from segue.errors import DataError, did_you_mean

Role = Literal["user", "item", "time", "rating", "split"]

# Usual column names in order of preference, compared without case and punctuation: "User ID" is "userid".
COLUMN_NAMES = {
    "user": "user userid uid username reviewerid reviewer customerid customer visitorid visitor memberid accountid "
    "clientid session sessionid sid",
    "item": "item itemid iid asin parentasin sku productid product movieid movie bookid trackid track songid artistid "
    "videoid articleid newsid contentid businessid venueid",
    "time": "timestamp time ts datetime eventtime eventtimestamp unixreviewtime unixtime date createdat order",
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

    A column of times is not guessed here, but by `time_column`, which looks at the values too.

    Raises:
        DataError: a named column is missing, no column fits user or item, or one column was named twice.
    """
    assigned: dict[str, str] = {}
    listed = ", ".join(columns)
    for role, name in named.items():
        if name is not None and name != "" and name not in columns:
            hint = did_you_mean(name, columns) or "."
            raise DataError(f"{where}: no column {name!r} for the {role}{hint} The columns are {listed}")
        column = name if name is not None else None if role == "time" else guess_column(role, columns)
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


def int64(column: pl.Series, where: str) -> pl.Series:
    """Whole numbers as Int64; a number that does not fit is an error."""
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
