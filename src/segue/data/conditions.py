"""Conditions on columns, such as those of `--where`: which rows of a table have the wanted values.

{"event": ["view", "cart"], "shop": ["uk"]}     several values of one column are alternatives; all columns must fit

Values are compared in the type of the column, so that the text "2" finds the number 2.0. If no text is "2", it finds
the text "2.0". Times and categories are compared as text, such as 2020-01-31. A list fits if it contains one of the
values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from segue.data.readers.values import check_dates
from segue.errors import ConfigError, DataError, did_you_mean

Conditions = Mapping[str, Sequence[Any]]
SHOWN = 10
_ZEROS = r"^(-?\d+)\.0+$"  # after a whole number


def as_conditions(where: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The wanted values of each column; a value that stands alone becomes a list.

    >>> as_conditions({"event": "view", "shop": ["uk", "fr"]})
    {'event': ['view'], 'shop': ['uk', 'fr']}

    Raises:
        ConfigError: the conditions are no mapping.
    """
    if not isinstance(where, Mapping):
        raise ConfigError(f"where={where!r}: give a mapping of columns to values, such as {{'event': 'purchase'}}")
    return {
        str(column): list(wanted) if isinstance(wanted, (list, tuple, set, frozenset)) else [wanted]
        for column, wanted in where.items()
    }


def describe(where: Conditions) -> str:
    """The conditions in words.

    >>> describe({"event": ["view", "purchase"], "shop": ["uk"]})
    "event = 'view' or 'purchase', shop = 'uk'"
    """
    return ", ".join(f"{name} = {' or '.join(map(repr, values))}" for name, values in where.items())


def check_columns(where: Conditions, columns: Sequence[str], source: str) -> None:
    """Raise `DataError` if a condition is on a column that does not exist."""
    for name in where:
        if name not in columns:
            hint = did_you_mean(name, columns) or "."
            known = f"The columns are {', '.join(columns)}" if columns else "There are no columns"
            raise DataError(f"{source}: no column {name!r} to select by{hint} {known}")


def matching_rows(frame: pl.DataFrame, where: Conditions, source: str) -> pl.Series:
    """(N,) whether each row of a table satisfies all conditions.

    Raises:
        DataError: a column does not exist, or no row has one of the values.
    """
    check_columns(where, frame.columns, source)
    mask = pl.Series([True], dtype=pl.Boolean).new_from_index(0, frame.height)
    for column, wanted in where.items():
        check_dates(frame[column], f"{source}, column {column!r}")
        fits = pl.Series([False], dtype=pl.Boolean).new_from_index(0, frame.height)
        for value in wanted:
            has = has_value(frame[column], value)
            if not has.any():
                raise DataError(f"{source}: {_never(frame[column], value)}")
            fits |= has
        mask &= fits
    return mask


def has_value(values: pl.Series, value: Any) -> pl.Series:
    """(N,) whether each entry is the value, or is a list with it, as conditions compare them."""
    values = _comparable(values)
    if isinstance(values.dtype, pl.List):
        wanted = _typed(value, values.dtype.inner)
        has = None if wanted is None else values.list.contains(wanted)
    else:
        wanted = _typed(value, values.dtype)
        has = None if wanted is None else values == wanted
    if values.dtype == pl.String and has is not None and not has.any():
        has = _whole(values) == re.sub(_ZEROS, r"\1", str(value))
    return pl.Series([False]).new_from_index(0, len(values)) if has is None else has.fill_null(False)


def _whole(texts: pl.Series) -> pl.Series:
    """Whole numbers in text without their decimal point: "101.0" becomes "101"."""
    return texts.str.replace(_ZEROS, "${1}")


def _comparable(values: pl.Series) -> pl.Series:
    """Times and categories as text, such as 2020-01-31; other columns, and lists of other values, as they are."""
    is_list = isinstance(values.dtype, pl.List)
    single = values.dtype.inner if isinstance(values.dtype, pl.List) else values.dtype
    if single in (pl.String, pl.Boolean) or single.is_numeric():
        return values
    return values.list.eval(pl.element().cast(pl.String)) if is_list else values.cast(pl.String)


def _typed(value: Any, dtype: Any) -> Any:
    """The value in the type of a column; None if it cannot have this type."""
    if dtype.is_numeric() and isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if dtype == pl.Boolean:
        return {"true": True, "false": False}.get(str(value).lower())
    return pl.Series([str(value)], dtype=pl.String).cast(dtype, strict=False)[0]


def _never(values: pl.Series, value: Any) -> str:
    """What to say of a value that does not occur: similar values, and some that do occur."""
    single = _comparable(values)
    single = single.explode(empty_as_null=True) if isinstance(single.dtype, pl.List) else single
    distinct = single.drop_nulls().unique().sort()
    as_text = distinct.head(100_000).cast(pl.String)
    texts = (_whole(as_text) if distinct.dtype.is_float() else as_text).to_list()
    more = f" and {len(distinct) - SHOWN:,} more" if len(distinct) > SHOWN else ""
    listed = ", ".join(map(repr, texts[:SHOWN])) + more
    return (
        f"column {values.name!r} never has the value {str(value)!r}{did_you_mean(str(value), texts)}; it has "
        f"{listed or 'no values'}"
    )
