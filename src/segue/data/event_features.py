"""Event features: further columns of the events of a log, such as the device, or the price that was shown.

column of the source                in `Log.event_features`, (R, F) float32
text, true, 12 as city:category     the number of its category, from 1; NaN where it is empty, or not known
9.99                                the number itself; NaN where it is empty

A model makes of both what it reads: a vector for each category, and for numbers one for each of some ranges.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from segue.errors import DataError, did_you_mean
from segue.json_files import read_strictly

if TYPE_CHECKING:
    from segue.data.log import Log

Features = np.ndarray[Any, np.dtype[np.float32]]
NOTHING = np.float32(np.nan)
LARGEST = float(np.finfo(np.float32).max)


@read_strictly
@dataclass(frozen=True)
class EventFeature:
    """A column of event features.

    Attributes:
        name: its name.
        categories: the names of categories 1 and on; empty for a column of numbers.
    """

    name: str
    categories: tuple[str, ...] = ()

    def encode(self, values: Sequence[Any]) -> Features:
        """(n,) values as they stand in `Log.event_features`. Unknown categories, and None, are NaN.

        Raises:
            DataError: this is a column of numbers, and a value is none.
        """
        if self.categories:
            known = {name: np.float32(number) for number, name in enumerate(self.categories, 1)}
            return np.array([known.get(category_name(value), NOTHING) for value in values], np.float32)
        return np.array([self._number(value) for value in values], np.float32)

    def decode(self, values: Features) -> list[str | float | None]:
        """What these values stand for; None for an empty or unknown one. Numbers have the digits of 32 bits: 0.01."""
        if not self.categories:
            return [None if np.isnan(value) else float(str(value)) for value in values]
        return [None if math.isnan(value) else self.categories[int(value) - 1] for value in values.tolist()]

    def readable(self, value: Any) -> Any:
        """The value, or None where `encode` would refuse it."""
        return None if self.problem(value) else value

    def problem(self, value: Any) -> str:
        """Why `encode` would refuse a value, in words; empty where it would not."""
        if self.categories or value is None:
            return ""
        # what Python reads as a number, and a column of texts does not: 1_000, and digits of other scripts
        is_other = isinstance(value, str) and ("_" in value or not value.isascii())
        try:
            number = math.inf if is_other or isinstance(value, bool) else abs(float(value))
        except (TypeError, ValueError, OverflowError):
            number = math.inf
        if math.isinf(number):
            return f"{value!r} is no number, and {self.name} is one"
        return f"{value!r} is too large for a number of 32 bits" if number > LARGEST else ""

    def _number(self, value: Any) -> float:
        if problem := self.problem(value):
            raise DataError(f"event feature {self.name!r}: {problem}")
        return math.nan if value is None else float(value)


def category_name(value: Any) -> str:
    """The name of the category of a value: as in a source, true and 7.0 are "true" and "7"."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def encode_features(
    columns: Sequence[EventFeature], events: Sequence[Mapping[str, Any]], *, strict: bool = True
) -> Features:
    """(n, F) the features of events that are given by name, such as {"device": "mobile"}; absent ones are unknown.

    Without `strict`, names that are no columns are left out, and what should be a number and is none is unknown.

    Raises:
        DataError: with `strict`, there is no such feature, or a value of a column of numbers is none.
    """
    if not strict:
        events = [{one.name: one.readable(event.get(one.name)) for one in columns} for event in events]
    known = [one.name for one in columns]
    for name in {name: None for event in events for name in event}:
        if name not in known:
            raise DataError(
                f"no event feature {name!r}{did_you_mean(str(name), known)}; there are: {', '.join(known) or 'none'}"
            )
    encoded = [one.encode([event.get(one.name) for event in events]) for one in columns]
    return np.stack(encoded, 1) if encoded else np.zeros((len(events), 0), np.float32)


def named_features(log: Log) -> Iterator[dict[str, str | float] | None]:
    """The features of each event by name, without those that are unknown; None for none at all."""
    if log.event_features is None:
        yield from repeat(None, len(log))
        return
    names = [one.name for one in log.event_feature_columns]
    columns = zip(log.event_feature_columns, log.column(log.event_features).T, strict=True)
    for values in zip(*(one.decode(column) for one, column in columns), strict=True):
        known = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        yield known or None


def own_categories(own: Sequence[EventFeature], other: Sequence[EventFeature]) -> list[Features | None]:
    """For each own column, the own category of category 0 and on of the other one; None for numbers.

    Raises:
        DataError: the columns are others, or categories on one side and numbers on the other.
    """
    check_same(own, other)
    return [
        np.append(NOTHING, one.encode(there.categories)) if one.categories else None
        for one, there in zip(own, other, strict=True)
    ]


def check_same(own: Sequence[EventFeature], other: Sequence[EventFeature], name: str = "the log") -> None:
    """Raise `DataError` unless both have the same columns of the same kinds."""
    if [(one.name, not one.categories) for one in own] != [(one.name, not one.categories) for one in other]:
        raise DataError(
            f"{name}: its events have the features {_listed(other)}, and those of the model {_listed(own)}; read it "
            "with the options of the training (--event-features)"
        )


def _listed(columns: Sequence[EventFeature]) -> str:
    return ", ".join(f"{one.name} ({'categories' if one.categories else 'numbers'})" for one in columns) or "none"


def check_features(log: Log) -> str:
    """What is wrong with the event features of a log, in words; empty if nothing is."""
    columns, values = log.event_feature_columns, log.event_features
    if (values is None) != (not columns):
        return "has columns without values, or values without columns"
    if values is None:
        return ""
    if values.ndim != 2 or values.shape[1] != len(columns) or len({one.name for one in columns}) < len(columns):
        return f"has {len(columns)} columns, whose names must be distinct, and another number of values"
    for one, column in zip(columns, log.column(values).T, strict=True):
        known = column[~np.isnan(column)]
        if one.categories and not np.isin(known, np.arange(1, len(one.categories) + 1)).all():
            return f"has in {one.name} a category outside 1 to {len(one.categories)}"
        if np.isinf(known).any():
            return f"has in {one.name} an infinite number"
    return ""
