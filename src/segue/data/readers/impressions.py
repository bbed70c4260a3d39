"""Reads the column of impressions: the items that were shown at each event.

7|3|9            text, with | between the items
["7", "3"]       a list, in Parquet, JSON Lines or a data frame
                 an empty value: nothing is known to have been shown
"""

from __future__ import annotations

import numpy as np
import polars as pl

from segue.data.impressions import MAX_IMPRESSIONS
from segue.data.log import Codes, Vocab
from segue.data.readers.values import first_row
from segue.errors import DataError

SEPARATOR = "|"
_WITHOUT = 'read the log without impressions: leave out impressions="..." (--impressions-col)'


def read_impressions(column: pl.Series, items: Vocab, where: str) -> tuple[Codes, list[str]]:
    """(R, M) the ids of the items that were shown at each row, each once, and a warning if some are unknown.

    Args:
        column: the values of the source.
        items: the items of the log; others cannot be ranked, and are left out.
        where: the source and the column, for messages.

    Raises:
        DataError: the column holds neither lists nor texts, nothing, no item of the log, or too many at one event.
    """
    empty = DataError(f"{where}: all empty; {_WITHOUT}")
    if column.null_count() == len(column):
        raise empty
    lists = _lists(column, where)
    shown = (
        pl.DataFrame({"row": np.arange(len(lists)), "name": lists})
        .explode("name")
        .filter(pl.col("name").is_not_null() & (pl.col("name") != ""))
        .unique(["row", "name"], keep="first", maintain_order=True)
    )
    if not shown.height:
        raise empty
    names = shown["name"].unique()
    known = pl.DataFrame({"name": names, "id": pl.Series(items.ids(names.to_list()), dtype=pl.Int32)})
    of_items = shown.join(known.filter(pl.col("id") > 0), on="name", maintain_order="left")
    if not of_items.height:
        raise DataError(
            f"{where}: none of its {len(names):,} names, such as {names.sort()[0]!r}, is an item of the log; write the "
            f"items of an event as a list, or as text with {SEPARATOR} between them"
        )
    place = of_items.select(pl.int_range(pl.len()).over("row")).to_series().to_numpy()
    width = int(place.max()) + 1
    if width > MAX_IMPRESSIONS:
        row = int(of_items["row"][int(place.argmax())]) + 1
        raise DataError(
            f"{where}, row {row}: {width:,} items, and at most {MAX_IMPRESSIONS:,} are read; leave out those that were "
            "not seen"
        )
    table = np.zeros((len(column), width), np.int32)
    table[of_items["row"].to_numpy(), place] = of_items["id"].to_numpy()
    unknown = shown.height - of_items.height
    warnings = [f"{where}: {unknown:,} of {shown.height:,} items shown have no event, and are left out"]
    return table, warnings if unknown else []


def _lists(column: pl.Series, where: str) -> pl.Series:
    """The names of the items of each row, as text without blanks around them."""
    if column.dtype == pl.String:
        if (is_json := column.str.starts_with("[").fill_null(value=False)).any():
            raise DataError(
                f"{where}, row {first_row(is_json)}: looks like a JSON list, and a text has {SEPARATOR} between the "
                "items"
            )
        column = column.str.split(SEPARATOR)
    elif column.dtype.is_integer():
        column = column.cast(pl.String).reshape((-1, 1)).arr.to_list()  # one item each
    inner = column.dtype.inner if isinstance(column.dtype, pl.List | pl.Array) else None
    if not isinstance(inner, pl.DataType) or not (inner == pl.String or inner.is_integer()):
        raise DataError(
            f"{where}: {column.dtype} is no list of items; impressions are lists of names, or text with {SEPARATOR} "
            "between them"
        )
    lists = column.arr.to_list() if isinstance(column.dtype, pl.Array) else column
    return lists.cast(pl.List(pl.String)).list.eval(pl.element().str.strip_chars())
