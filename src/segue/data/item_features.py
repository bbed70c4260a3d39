"""Item features: columns of the item metadata as arrays over the items 0..I.

column of the metadata                    read as
["Action", "War"]   list                  category ids 1..n in sorted order of names, 0 for none: 2 6 0; in the order
"Home > Bed"        path, or text         of the list, for a path the root first: 4 1 0
19.99, true         number                its distance from the mean in standard deviations, and whether it is missing
[0.1, -0.7, ...]    list of decimals      a vector; all of a column have the same length
null, NaN                                 none: ids of 0, a number of 0 that is missing, a vector of zeros
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from segue.data.log import Ids, Log
from segue.errors import DataError, did_you_mean

Kind = Literal["categories", "number", "vector"]
Values = np.ndarray[Any, np.dtype[np.float32]]
CATEGORY = ":category"  # at the end of the name of a column of numbers that are names, such as brand:category


@dataclass(frozen=True, eq=False)
class FeatureArrays:
    """The features of items 0..I, of several columns side by side.

    Attributes:
        category: (I + 1, F) category ids from 1; 0 for none. Columns have ids of their own.
        weight: (I + 1, F) 1 / number of categories that the item has in the column; 0 for none.
        value: (I + 1, W) numbers and vectors; 0 for none.
        num_categories: the number of different category ids.
    """

    category: Ids
    weight: Values
    value: Values
    num_categories: int

    @property
    def sizes(self) -> dict[str, int]:
        """The numbers that a model is built for, by their names in `segue.models.base.model.Sizes`."""
        return {
            "num_features": self.num_categories,
            "categories_per_item": self.category.shape[1],
            "values_per_item": self.value.shape[1],
        }


def feature_arrays(log: Log, columns: Sequence[str]) -> FeatureArrays:
    """The features of each item in some columns of the item metadata.

    Args:
        log: the log.
        columns: names of columns. Numbers that are names, such as those of brands, are read as categories if the name
            of the column is followed by ":category".

    Raises:
        DataError: the log has no such column, or the column holds none of these kinds.
    """
    count, num_categories = log.num_items + 1, 0
    categories, weights, values = [np.zeros((count, 0), np.int64)], [_floats(count, 0)], [_floats(count, 0)]
    for name in columns:
        column, as_category = _column(log, name), name.endswith(CATEGORY)
        kind = "categories" if as_category else feature_kind(log, column)
        if kind == "categories":
            ids, names = feature_ids(log, column.name)
            if len(names) == np.count_nonzero(ids):
                why = "no two items share a value, so it says nothing about other items" if names else "is all empty"
                raise DataError(f"{_where(log, column)}: {why}; leave it out, or give vectors of its texts instead")
            categories.append(np.where(ids > 0, ids + num_categories, 0))
            number = (ids > 0).sum(1, keepdims=True)
            weights.append(((ids > 0) / np.maximum(number, 1)).astype(np.float32))
            num_categories += len(names)
        else:
            values.append(_numbers(log, column) if kind == "number" else _vectors(log, column))
    return FeatureArrays(np.hstack(categories), np.hstack(weights), np.hstack(values), num_categories)


def feature_kind(log: Log, column: pl.Series) -> Kind:
    """How a column of the item metadata is read as features.

    Raises:
        DataError: it holds neither categories, nor numbers, nor vectors.
    """
    dtype: Any = column.dtype
    if isinstance(dtype, (pl.List, pl.Array)):
        inner: Any = dtype.inner
        if inner.is_float():
            return "vector"
        if inner in (pl.String, pl.Categorical, pl.Enum) or inner.is_integer():
            return "categories"
    elif dtype in (pl.String, pl.Categorical, pl.Enum):
        return "categories"
    elif dtype.is_numeric() or dtype == pl.Boolean:
        return "number"
    raise DataError(
        f"{_where(log, column)}: {dtype} is no feature; features are text, numbers, lists of text or of whole numbers "
        "(categories), and lists of decimals (vectors)"
    )


def feature_ids(log: Log, column: str) -> tuple[Ids, list[str]]:
    """The category ids of each item, (I + 1, F) with 0 on the right, and the n names of ids 1..n.

    Raises:
        DataError: the log has no such column.
    """
    values = _column(log, column)
    if isinstance(values.dtype, pl.Array):
        values = values.arr.to_list()
    if not isinstance(values.dtype, pl.List):
        values = values.cast(pl.String).str.split(">")
    listed = values.cast(pl.List(pl.String)).list.eval(pl.element().str.strip_chars()).to_list()
    listed = [[name for name in row or [] if name] for row in listed]
    names = sorted({name for row in listed for name in row})
    id_of = {name: number for number, name in enumerate(names, 1)}
    ids = np.zeros((log.num_items + 1, max(map(len, listed), default=0)), np.int64)
    for item, row in enumerate(listed, 1):
        ids[item, : len(row)] = [id_of[name] for name in row]
    return ids, names


def first_list_column(log: Log) -> str:
    """The first column of the item metadata that holds lists.

    Raises:
        DataError: there is none.
    """
    known = {} if log.item_metadata is None else log.item_metadata.schema
    for name, dtype in known.items():
        if isinstance(dtype, pl.List):
            return name
    raise DataError(
        f"{log.name}: its items have no column of lists to take features from; name one of another kind "
        f"(--set feature_column=...); they have: {', '.join(known) or 'none'}"
    )


def _column(log: Log, name: str) -> pl.Series:
    """A column of the item metadata; the ending ":category" is no part of its name, unless a column has that name."""
    table = log.item_metadata
    known = [] if table is None else table.columns
    column = name if name in known else name.removesuffix(CATEGORY)
    if table is None:
        raise DataError(
            f"{log.name}: has no table of its items, which would have the column {column!r}; give one with --items "
            "(items=... in Python)"
        )
    if column not in known:
        raise DataError(
            f"{log.name}: its items have no column {column!r}{did_you_mean(column, known)}; "
            f"they have: {', '.join(known)}"
        )
    return table[column]


def _numbers(log: Log, column: pl.Series) -> Values:
    """(I + 1, 2) the numbers with mean 0 and variance 1, and 1 where there is none."""
    number = column.cast(pl.Float64).to_numpy().astype(np.float64)
    missing = np.isnan(number)
    if missing.all():
        raise DataError(f"{_where(log, column)}: all empty; leave it out")
    if np.isinf(number).any():
        item = log.items.names([int(np.flatnonzero(np.isinf(number))[0]) + 1])[0]
        raise DataError(f"{_where(log, column)}: the number of item {item!r} is infinite; correct it or leave it empty")
    known = number[~missing]
    deviation = known.std()
    if deviation == 0 and not missing.any():
        raise DataError(f"{_where(log, column)}: all items have {known[0]:g}; leave it out")
    scaled = np.where(missing, 0, (number - known.mean()) / (deviation or 1))
    found = _floats(log.num_items + 1, 2)
    found[1:, 0], found[1:, 1] = scaled, missing
    return found


def _vectors(log: Log, column: pl.Series) -> Values:
    """(I + 1, D) the vectors, scaled to a mean square length of 1."""
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    lengths = column.list.len().drop_nulls().unique().sort()
    if len(lengths) != 1 or not lengths[0]:
        found = "all empty" if not len(lengths) or lengths[-1] == 0 else f"vectors of {lengths[0]} to {lengths[-1]}"
        raise DataError(f"{_where(log, column)}: {found} numbers; all items with a vector need one of the same length")
    has = column.is_not_null().to_numpy()
    flat = column.drop_nulls().explode().cast(pl.Float64).to_numpy()
    if not np.isfinite(flat).all():
        item = log.items.names([int(np.flatnonzero(has)[np.flatnonzero(~np.isfinite(flat))[0] // lengths[0]]) + 1])[0]
        raise DataError(f"{_where(log, column)}: the vector of item {item!r} has an empty or infinite number")
    rows = flat.reshape(-1, lengths[0])
    length = np.sqrt(np.square(rows).sum(1).mean())
    vectors = _floats(log.num_items + 1, int(lengths[0]))
    vectors[1:][has] = rows / (length or 1)
    return vectors


def _where(log: Log, column: pl.Series) -> str:
    return f"{log.name}: column {column.name!r} of its items"


def _floats(rows: int, columns: int) -> Values:
    return np.zeros((rows, columns), np.float32)
