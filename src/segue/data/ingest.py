"""`read_log`: from whatever holds the events to a `Log`.

    ratings.csv ── Table ── names, times, ratings ── ids 1..U, 1..I ── sorted by (user, time) ── rules ── Log
                   text     columns                                                              filters

Users and items are numbered in the sorted order of their names. Rows that share a user and a time keep the order of
the source. Without times the order of the source, or a column called "order", is all that is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segue.data.columns import as_names, as_ratings, as_times, number, plain, roles
from segue.data.filters import Duplicates, filtered
from segue.data.item_table import beside, item_table
from segue.data.log import Ids, Log, Step
from segue.data.source import Kind, Table, open_table
from segue.data.store import is_log, open_log
from segue.errors import DataError

KINDS: Mapping[str, Kind] = {"user": "name", "item": "name", "time": "time", "rating": "rating"}


def read_log(  # noqa: PLR0913  one keyword a column and a rule
    source: Any,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    rating: str | None = None,
    delimiter: str | None = None,
    name: str | None = None,
    items: Any = None,
    min_rating: float | None = None,
    duplicates: Duplicates = "keep",
    user_core: int = 0,
    item_core: int = 0,
) -> Log:
    """Read events into a log.

    Args:
        source: a CSV, TSV or other delimited file (.gz too), a Parquet file or a folder of them, a RecBole .inter file
            or the folder that holds it, a folder that `save_log` wrote, a polars or a pandas frame.
        user: the column of users; guessed from its name where not given, see `segue.data.columns.GUESSES`. In a file
            without a header the columns are called "1", "2", "3" and must be given.
        item: the column of items.
        time: the column of times; "" for none: then the order of the source counts.
        rating: the column of ratings; "" for none.
        delimiter: what separates the fields of a text file; found out where not given.
        name: what to call the log; the name of the file where not given.
        items: a path or frame with one row an item: a column of item names, best a `title` and a `year`. Where not given,
            X.items.parquet beside X.parquet and X.item beside X.inter are used.
        min_rating: keep rows rated at least this.
        duplicates: of rows with the same user and item "keep" all, the "first" or the "last".
        user_core: keep users with at least this many rows, counted in what is left.
        item_core: keep items with at least this many rows, counted in what is left.

    Raises:
        DataError: the source cannot become a log; the message says what was found, where, and what to do.
        ConfigError: a rule is out of range.
    """
    named = {"user": user, "item": item, "time": time, "rating": rating}
    if is_log(source):
        if any(named.values()):
            raise DataError(f"{source}: a saved log has its columns already; leave out user, item, time and rating")
        log = open_log(source)
    else:
        table = open_table(source, delimiter=delimiter)
        log = _read(table, named, name or _stem(source))
        items = beside(source) if items is None else items
    if items is not None:
        log = log.replace(item_table=item_table(items, log.items))
    log = filtered(log, min_rating=min_rating, duplicates=duplicates, user_core=user_core, item_core=item_core)
    for count, noun, use in ((log.n_users, "user", "nobody to compare"), (log.n_items, "item", "nothing to rank")):
        if count < 2:
            raise DataError(f"{log.name}: one {noun} only: {use}; after {log.steps[-1].rule}")
    return log
