"""`ItemFilter`: the items that may be recommended: allowed and denied items, and conditions on the metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from segue.data.conditions import as_conditions, matching_rows
from segue.data.log import Log, Mask
from segue.errors import DataError
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
    where: Mapping[str, Any] = MappingProxyType({}),
    strict: bool = False,
) -> ItemFilter:
    """The items that are allowed, are not denied, and satisfy every condition.

    Args:
        log: the items and their metadata.
        allow: names of the items that may be recommended; None for all.
        deny: names of the items that may not.
        where: columns of the item metadata with the value, or a list of alternatives, that an item must have there; see
            `segue.data.conditions`. In a column of lists, the list must contain one of them.
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
    if where:
        table = pl.DataFrame() if log.item_metadata is None else log.item_metadata
        mask[1:] &= matching_rows(table, as_conditions(where), f"the items of {log.name}").to_numpy()
    mask[0] = False
    if not mask.any():
        raise DataError(
            f"{log.name}: no item is left to recommend: none of its {log.num_items:,} items is allowed, is not denied "
            "and satisfies every condition"
        )
    return ItemFilter(mask, tuple(dict.fromkeys(unknown)))
