"""`read_log`: from whatever holds the events to a `Log`.

    ratings.csv ── Table ── names, times, ratings ── ids 1..U, 1..I ── sorted by (user, time) ── rules ── Log
                   text     columns                                                              filters

Users and items are numbered in the sorted order of their names. Rows that share a user and a time keep the order of
the source. Without times the order of the source, or a column called "order", is all that is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segue.data.filters import Duplicates, apply_filters
from segue.data.log import Ids, Log, Step
from segue.data.readers.columns import Codes, as_names, as_ratings, as_times, number, plain, roles
from segue.data.readers.metadata import beside, metadata
from segue.data.readers.table import Kind, Table, open_table
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
    users: Any = None,
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
        user: the column of users; guessed from its name where not given, see `columns.GUESSES`. In a file without
            a header the columns are called "1", "2", "3" and must be given.
        item: the column of items.
        time: the column of times; "" for none: then the order of the source counts.
        rating: the column of ratings; "" for none.
        delimiter: what separates the fields of a text file; found out where not given.
        name: what to call the log; the name of the file where not given.
        users: a path or frame with one row a user and a column of user names. Where not given, X.users.parquet
            beside X.parquet and X.user beside X.inter are used.
        items: likewise with one row an item (X.items.parquet, X.item); best with a `title` and a `year`.
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
        log = _read(table, named, _stem(source))
        users = beside(source, "user") if users is None else users
        items = beside(source, "item") if items is None else items
    if name is not None:
        log = replace(log, name=name)
    log = _with_tables(log, users, items)
    log = apply_filters(log, min_rating=min_rating, duplicates=duplicates, user_core=user_core, item_core=item_core)
    for count, noun, use in ((log.num_users, "user", "nobody to compare"), (log.num_items, "item", "nothing to rank")):
        if count < 2:
            raise DataError(
                f"{log.name}: one {noun} only: {use} (after {log.steps[-1].rule}); is the {noun} column the right one?"
            )
    return log


def _with_tables(log: Log, users: Any, items: Any) -> Log:
    if users is not None:
        log = replace(log, user_metadata=metadata(users, log.users, "user"))
    if items is not None:
        log = replace(log, item_metadata=metadata(items, log.items, "item"))
    return log


def _stem(source: Any) -> str:
    return Path(source).resolve().name.partition(".")[0] if isinstance(source, str | Path) else "log"


def _read(table: Table, named: Mapping[str, str | None], name: str) -> Log:
    columns = _columns(table, named)
    frame = table.load({column: KINDS[role] for role, column in columns.items()})
    if not frame.height:
        raise DataError(f"{table.where}: no rows")

    def take(role: str) -> tuple[pl.Series, str]:
        # each column leaves the frame as it is read, so that names and ids need not fit side by side
        return frame.drop_in_place(columns[role]), f"{table.where}, column {columns[role]!r}"

    users, user = number(as_names(*take("user")))
    items, item = number(as_names(*take("item")))
    time, unit = as_times(*take("time")) if "time" in columns else (None, "")
    rating = as_ratings(*take("rating")) if "rating" in columns else None
    order = _order(user, time)
    counted = plain(columns.get("time", "")) == "order"
    stop = np.cumsum(np.bincount(user, minlength=len(users) + 1))
    return Log(
        users=users,
        items=items,
        start=np.concatenate([[0], stop[:-1]]),
        stop=stop,
        item=item[order],
        time=None if counted or time is None else time[order],
        rating=None if rating is None else rating[order],
        name=name,
        steps=(Step(_told(table.where, columns, "" if counted else unit), len(item), len(users), len(items)),),
    )


def _columns(table: Table, named: Mapping[str, str | None]) -> dict[str, str]:
    try:
        return roles(table.columns, named, table.where)
    except DataError as error:
        if not table.headless:
            raise
        raise DataError(
            f'{error}. The first line looks like data: without a header, columns go by number, user="1"'
        ) from None


def _order(user: Codes, time: Ids | None) -> Ids | slice:
    """The stable order by (user, time); nothing is moved where the rows are in it already."""
    step = np.diff(user)
    if (step >= 0).all() and (time is None or ((step > 0) | (np.diff(time) >= 0)).all()):
        return slice(None)
    return np.argsort(user, kind="stable") if time is None else np.lexsort((time, user))


def _told(where: str, columns: Mapping[str, str], unit: str) -> str:
    told = [f"{role} {column!r}" for role, column in columns.items() if role != "time"]
    if "time" not in columns:
        told.append("in the order of the source")
    else:
        told.append(f"time {columns['time']!r} in {unit}" if unit else f"in the order of {columns['time']!r}")
    return f"read {where}: {', '.join(told)}"
