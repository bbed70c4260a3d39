"""Finds the column of times: by its usual name, by its type, or by a part of its name together with its values.

timestamp, time, ts, ...                    used, unless its numbers are no dates and another column has dates
one of date, InvoiceDate, viewed_at, ...    used, if its values are dates and there is no other like it
several of them; or only release_date       refused with the question which one it is
year, month and day apart                   refused: the times must be in one column
none                                        no times: the order of the source counts
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time
from functools import partial
from typing import Literal

import numpy as np
import polars as pl

from segue.data.readers.roles import COLUMN_NAMES, simplify
from segue.data.readers.time_text import looks_like_date
from segue.data.readers.time_warnings import pattern_of_digits
from segue.data.time_units import SECONDS_PER_DAY, TICKS_PER_SECOND, unit_of
from segue.errors import DataError

Head = Callable[[Sequence[str]], pl.DataFrame]
Likelihood = Literal["likely", "doubtful", "no"]

# usual names that are used only if no other column is as likely
_WEAK = ("date", "createdat", "order")
_TIME = "timestamp time ts datetime date dt dat created occurred when epoch tstamp day datum datekey yyyymmdd"
_ENDINGS = ("timestamp", "datetime", "date", "time")  # of words without a gap: invoicedate
_OTHER_ENDINGS = "update candidate mandate validate lifetime runtime playtime overtime uptime downtime"
# of an item, a user or a row of the database rather than of an event
_NO_EVENT = (
    "release released birth born expiry expires expiration expire publish published publication update updated "
    "modified changed edited deleted due registration registered signup joined launch launched member since start "
    "started begin end ended last first until valid crawled scraped loaded ingested inserted exported delivery "
    "delivered shipped ship user item product movie book account profile customer id ids"
)
_DURATION = (
    "spent dwell duration elapsed watch play reading response wait length zone taken interval gap diff delta slot "
    "frame period per total avg mean remaining of type format count"
)
_PARTS = "year month day hour minute second"  # of a time in several columns
_CLOCK = "hour hr hh hourofday timeofday minute"  # what may stand beside a date without a time of day
_NUMBER = "id ids code hash phone zip isbn ean upc gtin price revenue amount number no num views count"
_EARLIEST = 788_918_400  # 1995, in seconds since 1970: numbers without a telling name are times only after it
_YEAR = 366 * SECONDS_PER_DAY
_EXACT = 2**53  # up to here every whole number is exact as a float


def find_time_column(columns: Sequence[str], head: Head, where: str) -> str | None:
    """The column of times among those that have no other role, or None if there is none.

    Args:
        columns: the names.
        head: the first rows of some columns.
        where: the source, for messages.

    Raises:
        DataError: several columns are as likely, or one looks like times and may be those of something else.
    """
    if not columns:
        return None
    head = partial(_with_numbers, head)
    usual = {simplify(column): column for column in reversed(columns)}
    strong = [usual[name] for name in COLUMN_NAMES["time"].split() if name in usual and name not in _WEAK]
    if strong:
        _check_strong(strong[0], usual, columns, head, where)
        return strong[0]
    frame = head(columns)
    likelihoods = {column: _likelihood(column, frame[column]) for column in columns}
    likely = [column for column, found in likelihoods.items() if found == "likely"]
    doubtful = [column for column, found in likelihoods.items() if found == "doubtful"]
    dated = [column for column in likely if _are_dates(frame[column])]
    if len(dated) == 1 and all(simplify(column) == "order" for column in likely if column not in dated):
        return dated[0]
    if not likely:
        _check_parts(frame, where)
    if len(likely) > 1 or (doubtful and not likely):
        raise _question(likely or doubtful, where)
    return likely[0] if likely else None


def clock_warnings(columns: Sequence[str], chosen: str, head: Head, where: str) -> list[str]:
    """A warning if the column `chosen` has days only, and another column may have the hours of the events."""
    head = partial(_with_numbers, head)
    clocks = [column for column in columns if column != chosen and simplify(column) in _CLOCK.split()]
    if not clocks or not _are_days(head([chosen])[chosen].drop_nulls()):
        return []
    return [
        f"{where}: column {chosen!r} has days without a time of day, and column {clocks[0]!r} is not read: the events "
        "of a day keep the order of the source; join the columns for the exact order"
    ]


def _with_numbers(head: Head, columns: Sequence[str]) -> pl.DataFrame:
    """The first rows, with numbers in text such as 0930 as numbers."""
    frame = head(columns)
    texts = [column for column in frame if column.dtype == pl.String]
    numbers = [column.name for column in texts if column.drop_nulls().str.contains(r"^\s*\d+(\.\d*)?\s*$").all()]
    return frame.with_columns(pl.col(numbers).str.strip_chars().cast(pl.Float64))


def _check_strong(column: str, usual: Mapping[str, str], columns: Sequence[str], head: Head, where: str) -> None:
    """Refuse a column with the usual name of a time if its numbers may be the time of a day, or how long it took."""
    pair = [usual["date"], column] if simplify(column) == "time" and "date" in usual else []
    if pair and all(dtype.is_numeric() for dtype in head(pair).dtypes):
        raise _question(pair, where)
    values = head([column])[column].drop_nulls()
    if not values.dtype.is_numeric() or not len(values) or _are_dates(values):
        return
    frame = head([other for other in columns if other != column])
    dates = [
        other.name
        for other in frame
        if (_are_dates(other) and _likelihood(other.name, other) == "likely")
        or (simplify(other.name) in ("day", "month", "hour") and other.dtype.is_numeric())
    ]
    if dates:
        raise _question([*dates, column], where)


def _check_parts(frame: pl.DataFrame, where: str) -> None:
    """Refuse times whose parts are in several columns, such as year, month and day."""
    parts = [column.name for column in frame if simplify(column.name) in _PARTS.split() and column.dtype.is_numeric()]
    if len(parts) > 1 and not any(_are_dates(frame[part]) for part in parts):
        raise DataError(
            f"{where}: columns {', '.join(map(repr, parts[:-1]))} and {parts[-1]!r} look like parts of the times. Join "
            'them in one column such as 2024-01-31 10:00:00, or read the rows in their order: time="" (--time-col "")'
        )


def _question(columns: Sequence[str], where: str) -> DataError:
    if len(columns) == 1:
        problem = f"column {columns[0]!r} looks like times, but may not be those of the events"
    else:
        listed = ", ".join(map(repr, columns[:-1]))
        problem = f"columns {listed} and {columns[-1]!r} may be the times"
    name = columns[0]
    joined = "; if one has days and another the time of day, join them in one column" if len(columns) > 1 else ""
    return DataError(
        f"{where}: {problem}. Name the column of times: time={name!r} (--time-col {shlex.quote(name)}), or read the "
        f'rows in their order: time="" (--time-col ""){joined}'
    )


def _likelihood(name: str, values: pl.Series) -> Likelihood:
    """How likely a column has the times of the events, by its name, its type and its first values."""
    if simplify(name) in _WEAK:
        return "likely"
    words, values = _words(name), values.drop_nulls()
    typed, number = values.dtype in (pl.Date, pl.Datetime), values.dtype.is_numeric()
    named, of_event = _is_named(name, words), not words & set(_NO_EVENT.split())
    duration = bool(words & set(_DURATION.split()))
    if not len(values) or not _are_dates(values):
        return "doubtful" if len(values) and number and named and of_event and not duration else "no"
    if number and (duration or not named) and (words & set(_NUMBER.split()) or not _are_recent(values)):
        return "no"
    if number and duration and not any(word.endswith(("timestamp", "date", "datetime")) for word in words):
        return "doubtful"
    return "likely" if (named or typed) and of_event else "doubtful"


def _words(name: str) -> set[str]:
    """The words of a name: InvoiceDate and invoice_date have two."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def _is_named(name: str, words: set[str]) -> bool:
    """Whether the name is that of a time: with a word such as date, an end such as -date, or a last word `at`."""
    joined = any(word.endswith(_ENDINGS) for word in words - set(_OTHER_ENDINGS.split()))
    return joined or bool(words & set(_TIME.split())) or bool(re.search(r"(?i:[a-z][\W_]at)$|[a-z]At$", name))


def _are_dates(values: pl.Series) -> bool:
    """Whether all of the first values are dates by type or in text, or numbers that are dates in one unit."""
    values = values.drop_nulls()
    if values.dtype == pl.String:
        filled = [value for value in values.head(100) if value.strip()]
        return bool(filled) and all(map(looks_like_date, filled))
    if not values.dtype.is_numeric() or not len(values):
        return values.dtype in (pl.Date, pl.Datetime)
    numbers = values.cast(pl.Float64).to_numpy()
    return unit_of(numbers.min(), numbers.max()) is not None or bool(_digits(values))


def _digits(values: pl.Series) -> str:
    """The pattern of numbers such as 20240131 ("%Y%m%d"); empty for others."""
    numbers = values.cast(pl.Float64).to_numpy()
    if not np.isfinite(numbers).all() or (numbers != np.floor(numbers)).any() or np.abs(numbers).max() >= _EXACT:
        return ""
    return pattern_of_digits(numbers.astype(np.int64))


def _are_recent(values: pl.Series) -> bool:
    """Whether numbers that are dates differ, and lie between 1995 and next year."""
    numbers = values.cast(pl.Float64).to_numpy()
    first, last = numbers.min(), numbers.max()
    if _digits(values):
        years = [int(f"{number:.0f}"[:4]) for number in (first, last)]
        return bool(first < last and years[0] >= 1995 and years[1] <= datetime.now(UTC).year + 1)
    ticks = TICKS_PER_SECOND[str(unit_of(first, last))]
    latest = datetime.now(UTC).timestamp() + _YEAR
    return bool(first < last and first >= _EARLIEST * ticks and last <= latest * ticks)


def _are_days(values: pl.Series) -> bool:
    """Whether dates have no time of day."""
    if values.dtype == pl.String:
        return not values.str.contains(r"\d[:T]\d").any()
    if values.dtype == pl.Datetime:
        return bool((values.dt.time() == time()).all())
    if not values.dtype.is_numeric() or not len(values):
        return values.dtype == pl.Date
    numbers = values.cast(pl.Float64).to_numpy()
    unit = unit_of(numbers.min(), numbers.max())
    if unit is None:
        return _digits(values) == "%Y%m%d"
    return bool((numbers % (SECONDS_PER_DAY * TICKS_PER_SECOND[unit]) == 0).all())
