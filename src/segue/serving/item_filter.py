"""`ItemFilter`: the items that may be recommended: allowed and denied items, and conditions on the metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from segue.data.log import Log, Mask
from segue.errors import DataError, did_you_mean
from segue.serving.query import lookup_ids


@dataclass(frozen=True, eq=False)
class ItemFilter:
    """The items that may be recommended.

    Attributes:
        mask: (I + 1,) whether each item 0..I may be recommended; never item 0.
        unknown: names of allowed or denied items that the log does not know.
    """

    mask: Mask
    unknown: tuple[Any, ...] = ()

    def __len__(self) -> int:
        """The number of items that may be recommended."""
        return int(self.mask.sum())


def filter_items(
    log: Log,
    *,
    allow: Sequence[Any] | None = None,
    deny: Sequence[Any] = (),
    where: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
    strict: bool = False,
) -> ItemFilter:
    """The items that are allowed, are not denied, and satisfy every condition.

    Args:
        log: the items and their metadata.
        allow: names of the items that may be recommended; None for all.
        deny: names of the items that may not.
        where: columns of the item metadata with the value that an item must have there. In a column of lists, the list
            must contain it. A column may occur several times.
        strict: whether an unknown name is an error.

    Raises:
        DataError: an unknown column, a value that no item has, or no item is left; with `strict`, an unknown name.
    """
    mask = np.ones(log.num_items + 1, np.bool_)
    unknown: list[Any] = []
    for names, keep in ((allow, True), (deny, False)):
        if names is None:
            continue
        if strict:
            lookup_ids(log, "item", names)
        ids = log.items.ids(names)
        unknown += [name for name, index in zip(names, ids, strict=True) if index == 0]
        listed = np.zeros_like(mask)
        listed[ids] = True
        mask &= listed if keep else ~listed
    for column, value in where.items() if isinstance(where, Mapping) else where:
        mask[1:] &= _has_value(log, column, value)
    mask[0] = False
    if not mask.any():
        raise DataError(
            f"{log.name}: no item is left to recommend: none of its {log.num_items:,} items is allowed, is not denied "
            "and satisfies every condition"
        )
    return ItemFilter(mask, tuple(dict.fromkeys(unknown)))


def _has_value(log: Log, column: str, value: Any) -> Mask:
    """(I,) whether each item has `value` in a column of the metadata.

    Raises:
        DataError: there is no such column, or no item has the value.
    """
    table = log.item_metadata
    known = [] if table is None else table.columns
    if table is None or column not in known:
        raise DataError(
            f"where {column}={value}: the items of {log.name} have no column {column!r}{did_you_mean(column, known)}; "
            f"they have: {', '.join(known) or 'no metadata'}"
        )
    values = _comparable(table[column])
    is_list = isinstance(values.dtype, pl.List)
    single = values.explode(empty_as_null=True) if is_list else values
    wanted = _typed(value, single.dtype)
    has = np.zeros(len(values), np.bool_)
    if wanted is not None:
        has = (values.list.contains(wanted) if is_list else values == wanted).fill_null(False).to_numpy()
    if not has.any():
        distinct = single.drop_nulls().unique(maintain_order=True)
        names = [str(name) for name in distinct.head(100_000)]
        raise DataError(
            f"where {column}={value}: no item has this value{did_you_mean(str(value), names)}; the column has "
            f"{len(distinct):,} values, such as {', '.join(names[:3]) or 'none'}"
        )
    return has


def _comparable(values: pl.Series) -> pl.Series:
    """Times and categories as text, such as 2020-01-31; other columns, and lists of other values, as they are."""
    is_list = isinstance(values.dtype, pl.List)
    single = values.dtype.inner if isinstance(values.dtype, pl.List) else values.dtype
    if single in (pl.String, pl.Boolean) or single.is_numeric():
        return values
    return values.list.eval(pl.element().cast(pl.String)) if is_list else values.cast(pl.String)


def _typed(value: Any, dtype: pl.DataType) -> Any:
    """The value in the type of a column; None if it cannot have this type."""
    if not isinstance(value, str):
        return value
    if dtype == pl.Boolean:
        return {"true": True, "false": False}.get(value.lower())
    return pl.Series([value], dtype=pl.String).cast(dtype, strict=False)[0]
