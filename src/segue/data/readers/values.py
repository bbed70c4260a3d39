"""Values of columns: those that are missing or do not fit are refused, with their row; ratings become float32."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import polars as pl

from segue.data.log import BLANKS
from segue.data.time_units import SECONDS_PER_DAY
from segue.errors import DataError

WHOLE = r"^(0|-?[1-9][0-9]*)$"  # the usual form of a whole number; "007" and "-0" are text
# whole numbers below these are told apart
EXACT_BELOW: dict[type[pl.DataType], int] = {pl.Float16: 2**11, pl.Float32: 2**24, pl.Float64: 2**53}
TYPED_TICKS = {"ms": 10**3, "us": 10**6, "ns": 10**9}  # per second, of the units of a Datetime
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800  # in seconds since 1970

_WITHOUT_RATINGS = 'read without ratings: rating="" (--rating-col "")'


def first_row(mask: pl.Series) -> int:
    """The number, from 1, of the first row where `mask` is true."""
    return int(mask.arg_true()[0]) + 1


def is_empty(column: pl.Series) -> pl.Series:
    """Whether each value is missing: null, NaN, or text without a letter: empty or blank."""
    empty = column.is_null()
    if column.dtype.is_float():
        return empty | column.is_nan().fill_null(True)
    if column.dtype == pl.String:
        return empty | (column.str.strip_chars(BLANKS) == "").fill_null(True)
    return empty


def without_missing(column: pl.Series, where: str, advice: str = "fill it in or leave the row out") -> pl.Series:
    """The column, with categories as text; a missing value is an error."""
    if isinstance(column.dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    missing = is_empty(column)
    if missing.any():
        row = first_row(missing)
        value = "empty (NaN)" if column.dtype.is_float() and column[row - 1] is not None else "empty"
        raise DataError(f"{where}, row {row}: {value}; {advice}")
    return column


def check_dates(column: pl.Series, where: str) -> None:
    """Check that all dates, or those in lists, are of the years 1 to 9999; other columns pass.

    Outside of them Polars stops the process instead of raising an error (a Rust panic), and Python has no dates.

    Raises:
        DataError: a date is outside, as when its numbers are microseconds and its type says milliseconds.
    """
    dtype: Any = column.dtype.inner if isinstance(column.dtype, pl.List) else column.dtype
    if dtype not in (pl.Date, pl.Datetime):
        return
    ticks = Fraction(1, SECONDS_PER_DAY) if dtype == pl.Date else TYPED_TICKS[dtype.time_unit]
    numbers = column.explode() if isinstance(column.dtype, pl.List) else column
    numbers = numbers.to_physical().cast(pl.Int64)
    outside = (numbers < max(int(_YEAR_1 * ticks), -(2**63))) | (numbers > min(int(_YEAR_10000 * ticks), 2**63) - 1)
    if outside.any():
        row = first_row(outside)
        place = where if isinstance(column.dtype, pl.List) else f"{where}, row {row}"
        raise DataError(
            f"{place}: {numbers[row - 1]} as {dtype} is no date of the years 1 to 9999; write the column again with "
            "the unit that its numbers have"
        )


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
    column = without_missing(column, where, f"fill it in, leave the row out, or {_WITHOUT_RATINGS}")
    if not (column.dtype.is_numeric() or column.dtype in (pl.String, pl.Boolean)):
        raise DataError(f"{where}: {column.dtype} is not a rating; use numbers, or {_WITHOUT_RATINGS}")
    numbers = column.str.strip_chars() if column.dtype == pl.String else column
    ratings = numbers.cast(pl.Float32, strict=False)
    invalid = ratings.is_null() | ~ratings.is_finite().fill_null(False)
    if invalid.any():
        row = first_row(invalid)
        comma = re.match(r"[-+]?\d*,\d+$", str(column[row - 1]))
        advice = "write decimals with a point" if comma else "correct it"
        raise DataError(f"{where}, row {row}: {column[row - 1]!r} is not a number; {advice}, or {_WITHOUT_RATINGS}")
    return ratings.to_numpy()
