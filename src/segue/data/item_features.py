"""Item features: a column of the item metadata as feature ids.

column of the metadata         feature ids 1..n in the sorted order of names, 0 for none
["Action", "War"]   a list     2 6 0      in the order of the list; for a hierarchy the root first
"Home > Bed"        a path     4 1 0
null                           0 0 0
"""

from __future__ import annotations

import numpy as np
import polars as pl

from segue.data.log import Ids, Log
from segue.errors import DataError, did_you_mean


def feature_ids(log: Log, column: str) -> tuple[Ids, list[str]]:
    """The feature ids of each item, (I + 1, F) with 0 on the right, and the n names of ids 1..n.

    Raises:
        DataError: the log has no such column.
    """
    table = log.item_metadata
    known = [] if table is None else table.columns
    if table is None or column not in known:
        raise DataError(
            f"{log.name}: its items have no column {column!r}{did_you_mean(column, known)}; "
            f"they have: {', '.join(known) or 'none'}"
        )
    values = table[column]
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
