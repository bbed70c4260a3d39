"""Reads the columns of event features: which are categories and which are numbers.

device     price   city        event_features = ["device", "price", "city:category"]
mobile     9.99    12          device and city are categories, price is numbers
desktop            7           an empty value is unknown
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from segue.data.event_features import EventFeature, Features
from segue.data.item_features import CATEGORY
from segue.data.readers.values import is_empty
from segue.errors import DataError, did_you_mean

MAX_CATEGORIES = 10_000


def check_feature_columns(
    named: Sequence[str], columns: Sequence[str], roles: Mapping[str, str], where: str
) -> dict[str, str]:
    """The column of the source of each event feature that is named.

    Raises:
        DataError: there is no such column, one is named twice, or one has another role already.
    """
    found: dict[str, str] = {}
    for name in named:
        column = name if name in columns else name.removesuffix(CATEGORY)
        if column not in columns:
            raise DataError(
                f"{where}: no column {column!r} for the event features{did_you_mean(column, columns) or '.'} The "
                f"columns are {', '.join(columns)}"
            )
        role = next((role for role, other in roles.items() if other == column), None)
        if role or column in found.values():
            what = f"the {role} already" if role else "named twice"
            raise DataError(f"{where}: event features: column {column!r} is {what}; leave it out")
        found[name] = column
    return found


def read_event_features(
    frame: pl.DataFrame, found: Mapping[str, str], where: str
) -> tuple[tuple[EventFeature, ...], Features | None]:
    """The columns of event features, and (R, F) their values; None without any.

    Raises:
        DataError: a column holds neither categories nor numbers, or texts among numbers; it is empty, or has too many
            categories.
    """
    if not found:
        return (), None
    read = [
        _read(frame[column], f"{where}, column {column!r}", as_category=name != column)
        for name, column in found.items()
    ]
    return tuple(one for one, _ in read), np.stack([values for _, values in read], 1)


def _read(column: pl.Series, where: str, *, as_category: bool) -> tuple[EventFeature, Features]:
    dtype = column.dtype
    if dtype.is_nested() or dtype.is_temporal() or dtype == pl.Binary:
        raise DataError(f"{where}: {dtype} is no event feature; event features are text, numbers, or true and false")
    empty = is_empty(column)
    if empty.all():
        raise DataError(f"{where}: all empty; leave it out of the event features")
    words = _words(column).set(empty, None)
    numbers = words.cast(pl.Float64, strict=False)
    if not as_category and dtype != pl.Boolean and numbers.null_count() == int(empty.sum()):
        values = numbers.fill_null(np.nan).to_numpy().astype(np.float32)
        if np.isinf(values).any():
            raise DataError(f"{where}: has an infinite number; give an empty value in its place")
        return EventFeature(column.name), values
    if not as_category and dtype != pl.Boolean:
        _check_mixed(column.name, words.filter(~empty), numbers.filter(~empty), where)
    names = words.drop_nulls().unique().sort().to_list()
    if len(names) > MAX_CATEGORIES:
        raise DataError(
            f"{where}: {len(names):,} different values, such as {', '.join(names[:3])}, are too many categories (at "
            f"most {MAX_CATEGORIES:,}); leave it out of the event features, or group them"
        )
    ids = words.replace_strict(names, np.arange(1, len(names) + 1), default=None, return_dtype=pl.Float32)
    return EventFeature(column.name, tuple(names)), ids.fill_null(np.nan).to_numpy()


def _check_mixed(name: str, words: pl.Series, numbers: pl.Series, where: str) -> None:
    """Raise `DataError` if most values are numbers: a single text would make categories of all of them."""
    texts = words.filter(numbers.is_null())
    if len(texts) < len(words) / 2:
        raise DataError(
            f"{where}: {len(texts):,} of {len(words):,} values are no numbers, such as {texts[0]!r}; leave them empty, "
            f"or name it {name}{CATEGORY} to read all of them as categories"
        )


def _words(column: pl.Series) -> pl.Series:
    """The values as text; whole numbers without a fraction."""
    if column.dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        fits = (whole.cast(pl.Float64) == column.cast(pl.Float64)).fill_null(value=False)
        return column.cast(pl.String).zip_with(~fits, whole.cast(pl.String))
    return column.cast(pl.String).str.strip_chars()
