"""What a store says of items, over a table of what was known of them before.

known before        the store says                        table
kind  size          i1  kind: none                              kind  size  colour
tea   7             i2  colour: red, nothing else         i1    null  7     null
tea   8                                                   i2    null  null  red
tea   9                                                   i3    tea   9     null
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from segue.data.item_values import common_column

if TYPE_CHECKING:
    from segue.event_store.item_table import Item


def read_store_items(url: str) -> dict[str, Item]:
    """The items of the table of a store, by their names."""
    from segue.event_store.store import open_store

    store = open_store(url, create=False)
    try:
        return store.items.by_name()
    finally:
        store.close()


def with_store_items(names: pl.Series, known: pl.DataFrame | None, items: Mapping[str, Item]) -> pl.DataFrame | None:
    """What is known of items: row i belongs to name i, and an item without a title has its name as the title.

    Args:
        names: of the items.
        known: what was known of them before; None for nothing.
        items: what the store says, by name.

    Returns:
        The table; None if nothing is known.
    """
    tokens = names.cast(pl.String).to_list()
    said = [items.get(token) for token in tokens]
    columns = {} if known is None else {column.name: column for column in known.get_columns()}
    titled = ["title"] if any(item is not None and item.title for item in said) else []
    added = [name for item in said if item is not None for name, value in item.columns.items() if value is not None]
    table = {name: _column(name, columns.get(name), said) for name in dict.fromkeys([*titled, *columns, *added])}
    if "title" in table:
        titles = zip(table["title"].to_list(), tokens, strict=True)
        table["title"] = pl.Series([title or token for title, token in titles], dtype=pl.String)
    return pl.DataFrame(table) if table else None


def _column(name: str, known: pl.Series | None, said: Sequence[Item | None]) -> pl.Series:
    """The values of a column; one from which the store only takes values away keeps its type."""
    is_said = [item is not None and item.says(name) for item in said]
    values = [None if item is None else item.value(name) for item in said]
    if known is None:
        return common_column(values)
    if all(value is None for value in values):
        return pl.select(pl.when(~pl.Series(is_said, dtype=pl.Boolean)).then(known)).to_series()
    before = known.to_list()
    return common_column([new if says else old for says, new, old in zip(is_said, values, before, strict=True)])
