"""Finds the column of times: by its usual name, by its type, or by a part of its name together with its values.

timestamp, time, ts, ...                    used, whatever else there is
one of date, InvoiceDate, viewed_at, ...    used, if its values are dates and there is no other like it
several of them; or only release_date       refused with the question which one it is
none                                        no times: the order of the source counts
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

import polars as pl

from segue.data.readers.roles import COLUMN_NAMES, simplify
from segue.data.readers.time_text import looks_like_date
from segue.data.time_units import TICKS_PER_SECOND, unit_of
from segue.errors import DataError

Head = Callable[[Sequence[str]], pl.DataFrame]
Likelihood = Literal["likely", "doubtful", "no"]

# usual names that are used only if no other column is as likely
_WEAK = ("date", "createdat", "order")
_TIME = "timestamp time ts datetime date dt dat created occurred when epoch tstamp"
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
_NUMBER = "id ids code hash phone zip isbn ean upc gtin price revenue amount number no num views count"
_EARLIEST = 788_918_400  # 1995, in seconds since 1970: numbers without a telling name are times only after it
_YEAR = 366 * 86_400


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
    usual = {simplify(column): column for column in reversed(columns)}
    strong = [usual[name] for name in COLUMN_NAMES["time"].split() if name in usual and name not in _WEAK]
    if strong:
        if simplify(strong[0]) != "time" or "date" not in usual:
            return strong[0]
        pair = [usual["date"], usual["time"]]
        if all(dtype.is_numeric() for dtype in head(pair).dtypes):
            raise _question(pair, where)
        return strong[0]
    frame = head(columns)
    likelihoods = {column: _likelihood(column, frame[column]) for column in columns}
    likely = [column for column, found in likelihoods.items() if found == "likely"]
    doubtful = [column for column, found in likelihoods.items() if found == "doubtful"]
    if len(likely) > 1 or (doubtful and not likely):
        raise _question(likely or doubtful, where)
    return likely[0] if likely else None


def _question(columns: Sequence[str], where: str) -> DataError:
    if len(columns) == 1:
        problem = f"column {columns[0]!r} looks like times, but may not be those of the events"
    else:
        listed = ", ".join(map(repr, columns[:-1]))
        problem = f"columns {listed} and {columns[-1]!r} may be the times"
    name = columns[0]
    return DataError(
        f"{where}: {problem}. Name the column of times: time={name!r} (--time-col {shlex.quote(name)}), or read the "
        'rows in their order: time="" (--time-col "")'
    )


def _likelihood(name: str, values: pl.Series) -> Likelihood:
    """How likely a column has the times of the events, by its name, its type and its first values."""
    if simplify(name) in _WEAK:
        return "likely"
    words, values = _words(name), values.drop_nulls()
    typed, number = values.dtype in (pl.Date, pl.Datetime), values.dtype.is_numeric()
    named, of_event = _is_named(name, words), not words & set(_NO_EVENT.split())
    if not len(values) or (words & set(_DURATION.split()) and not typed):
        return "no"
    if not typed and not _are_dates(values):
        return "doubtful" if number and named and of_event else "no"
    if not named and number and (words & set(_NUMBER.split()) or not _are_recent(values)):
        return "no"
    return "likely" if (named or typed) and of_event else "doubtful"


def _words(name: str) -> set[str]:
    """The words of a name: InvoiceDate and invoice_date have two."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def _is_named(name: str, words: set[str]) -> bool:
    """Whether the name is that of a time: with a word such as date, an end such as -date, or a last word `at`."""
    joined = any(word.endswith(_ENDINGS) for word in words - set(_OTHER_ENDINGS.split()))
    return joined or bool(words & set(_TIME.split())) or bool(re.search(r"(?i:[a-z][\W_]at)$|[a-z]At$", name))


def _are_dates(values: pl.Series) -> bool:
    """Whether all of the first values are dates in text, or numbers that are dates in one unit."""
    if values.dtype == pl.String:
        filled = [value for value in values.head(100) if value.strip()]
        return bool(filled) and all(map(looks_like_date, filled))
    if not values.dtype.is_numeric():
        return False
    numbers = values.cast(pl.Float64).to_numpy()
    return unit_of(numbers.min(), numbers.max()) is not None


def _are_recent(values: pl.Series) -> bool:
    """Whether numbers that are dates differ, and lie between 1995 and next year."""
    numbers = values.cast(pl.Float64).to_numpy()
    first, last = numbers.min(), numbers.max()
    ticks = TICKS_PER_SECOND[str(unit_of(first, last))]
    latest = datetime.now(UTC).timestamp() + _YEAR
    return bool(first < last and first >= _EARLIEST * ticks and last <= latest * ticks)
