"""`read_log`: reads events from a file, folder or data frame into a `Log`.

    ratings.csv ── Table ── names, times, ratings ── ids 1..U, 1..I ── sorted by (user, time) ── filters ── Log
                   text     columns

Users and items are numbered in the sorted order of their names. Rows with the same user and time keep the order of the
source. Without times, the order of the source or of a column called "order" is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import polars as pl

from segue.data.copies import exact_copies
from segue.data.filters import Duplicates, FilterOptions, apply_filters, without_copies
from segue.data.log import Codes, Ids, Log, Step, Vocab
from segue.data.readers.columns import as_ratings, assign_roles, simplify
from segue.data.readers.empty import complete_rows, is_empty, marker_warnings
from segue.data.readers.event_types import select_events
from segue.data.readers.metadata import find_metadata, read_metadata
from segue.data.readers.names import as_names, encode, rounding_warnings
from segue.data.readers.not_names import check_names
from segue.data.readers.parts import as_parts, check_order, order_by_part
from segue.data.readers.source import check_no_text_options, open_table
from segue.data.readers.table import ColumnKind, Table
from segue.data.readers.time_column import find_time_column
from segue.data.readers.times import Times, as_order, as_times
from segue.data.store import is_log, open_log
from segue.errors import DataError

_COLUMN_KINDS: Mapping[str, ColumnKind] = {
    **{"user": "name", "item": "name", "time": "time", "rating": "rating", "split": "any"}
}


def read_log(  # noqa: PLR0913  one keyword for each column
    source: Any,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    rating: str | None = None,
    split: str | None = None,
    time_format: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    drop_empty: bool = False,
    where: Mapping[str, Any] | None = None,
    name: str | None = None,
    users: Any = None,
    items: Any = None,
    **filters: Unpack[FilterOptions],
) -> Log:
    """Read events into a log.

    Args:
        source: a CSV, TSV or other delimited file, JSON Lines (both also compressed, .gz), a Parquet file, a folder of
            such files, a RecBole .inter file or the folder that contains it, a folder written by `save_log`, a polars
            or a pandas data frame.
        user: the column of users; by default it is guessed from its name, see `columns.COLUMN_NAMES`. In a file without
            a header the columns are called "1", "2", "3" and must be given.
        item: the column of items.
        time: the column of times; "" for none: then the order of the source is used. By default it is guessed from its
            name, its type and its first values, see `time_column`.
        rating: the column of ratings; "" for none.
        split: the column that says train, valid or test of each row; by default the one called "split". The rows of a
            user must be training, then validation, then test. With "" the log brings no split.
        time_format: the strftime pattern of times in text, such as "%d/%m/%Y %H:%M"; by default it is recognised.
        delimiter: the field separator of a text file; by default it is detected.
        header: whether the first line of a text file is a header; by default it is detected.
        drop_empty: whether rows without a user, an item or a time are left out. Otherwise they are an error.
        where: keep only rows whose value in these columns is the one given, or one of those given; see
            `segue.data.conditions`.
        name: the name of the log; by default the name of the file.
        users: a path or data frame of user metadata: one row per user and a column of user names. By default
            X.users.parquet beside X.parquet, or X.user beside X.inter.
        items: likewise for items (X.items.parquet, X.item); best with a `title` and a `year`.
        filters: the rows to keep, see `FilterOptions`: `min_rating`, `duplicates`, `user_core` and `item_core`.

    Raises:
        DataError: the source cannot be read as a log; the message says what was found, where, and what to do.
        ConfigError: a setting of a filter is out of range.
    """
    if unknown := sorted(filters.keys() - FilterOptions.__optional_keys__):
        raise TypeError(f"read_log() got an unexpected keyword argument {unknown[0]!r}")
    named = {"user": user, "item": item, "time": time, "rating": rating, "split": split}
    if is_log(source):
        if any(named.values()) or where or time_format:
            raise DataError(
                f"{source}: a saved log has its columns already; leave out "
                + ", ".join(
                    name for name, value in {**named, "where": where, "time_format": time_format}.items() if value
                )
            )
        check_no_text_options(str(source), delimiter, header)
        log = open_log(source)
    else:
        table = select_events(open_table(source, delimiter=delimiter, header=header), where or {})
        duplicates = filters.get("duplicates")
        log = _read(table, named, _stem(source), time_format, drop_empty=drop_empty, duplicates=duplicates)
        if duplicates == "exact":
            filters["duplicates"] = None  # dropped while reading, when the values of an order were at hand
        users = find_metadata(source, "user") if users is None else users
        items = find_metadata(source, "item") if items is None else items
    if name is not None:
        log = replace(log, name=name)
    log = _with_metadata(log, users, items)
    return _check_counts(apply_filters(_without_split(log) if split == "" else log, **filters))


def _without_split(log: Log) -> Log:
    """The log without the split that it brings, in its rows or in the metadata of its users."""
    table = log.user_metadata
    return replace(log, part=None, user_metadata=None if table is None else table.drop("split", strict=False))


def _check_counts(log: Log) -> Log:
    """The log; an error if it has only one user or only one item."""
    for count, noun, use in (
        (log.num_users, "user", "too few to evaluate"),
        (log.num_items, "item", "nothing to rank"),
    ):
        if count < 2:
            raise DataError(
                f"{log.name}: one {noun} only: {use} (after {log.steps[-1].rule}); is the {noun} column the right one?"
            )
    return log


def _with_metadata(log: Log, users: Any, items: Any) -> Log:
    if users is not None:
        table, warnings = read_metadata(users, log.users, "user")
        log = replace(log, user_metadata=table, warnings=(*log.warnings, *warnings))
    if items is not None:
        table, warnings = read_metadata(items, log.items, "item")
        log = replace(log, item_metadata=table, warnings=(*log.warnings, *warnings))
    return log


def _stem(source: Any) -> str:
    return Path(source).resolve().name.partition(".")[0] if isinstance(source, str | Path) else "log"


def _read(
    table: Table,
    named: Mapping[str, str | None],
    name: str,
    time_format: str | None,
    *,
    drop_empty: bool,
    duplicates: Duplicates | None,
) -> Log:
    columns = _columns(table, named)
    only_order = _is_order(columns, time_format, table.where)
    frame = table.load({column: _COLUMN_KINDS[role] for role, column in columns.items()})
    if not frame.height:
        raise DataError(f"{table.where}: no rows")
    sizes = frame.height, *(_num_names(frame[columns[role]]) if drop_empty else 0 for role in ("user", "item"))
    frame, empty = complete_rows(frame, columns, table.where, drop=drop_empty)
    where = f"{table.where} without its empty rows" if empty else table.where

    def take(role: str) -> tuple[pl.Series, str]:
        # each column is removed from the frame when it is read, so that names and ids are not in memory together
        return frame.drop_in_place(columns[role]), f"{where}, column {columns[role]!r}"

    def take_names(role: str) -> tuple[Vocab, Codes]:
        column, where_column = take(role)
        names = as_names(column, where_column)
        vocab, codes = encode(names.values)
        check_names(vocab, where_column)
        warnings.extend([*names.warnings, *rounding_warnings(vocab, where_column)])
        warnings.extend(marker_warnings(vocab, codes, where_column))
        return vocab, codes

    warnings: list[str] = []
    users, user = take_names("user")
    items, item = take_names("item")
    times = _take_times(take, only_order, time_format) if "time" in columns else None
    warnings.extend(times.warnings if times else ())
    ticks = times.ticks if times else None
    rating = as_ratings(*take("rating")) if "rating" in columns else None
    order = _order(user, ticks)
    part = None
    if "split" in columns:
        part, notes = as_parts(*take("split"), guessed=named["split"] is None)
        warnings.extend(notes)
        if part is not None:
            order = order_by_part(user, ticks, part)
            check_order(user, part, order, users, f"{where}, column {columns['split']!r}", timed=ticks is not None)
    stop = np.cumsum(np.bincount(user, minlength=len(users) + 1))
    description = _description(table.where, columns, times.unit if times else "")
    left = Step(description, len(item), len(users), len(items))
    steps = (replace(left, rule=_emptied(empty)),) if empty else ()
    log = Log(
        users=users,
        items=items,
        start=np.concatenate([[0], stop[:-1]]),
        stop=stop,
        item=item[order],
        time=None if ticks is None else ticks[order],
        rating=None if rating is None else rating[order],
        part=None if part is None else part[order],
        name=name,
        steps=(Step(description, *sizes) if empty else left, *steps),
        warnings=(*table.warnings, *warnings),
    )
    log = _with_copies_treated(log, duplicates)
    return replace(log, time=None) if only_order else log


def _is_order(columns: Mapping[str, str], time_format: str | None, where: str) -> bool:
    """Whether the column of times gives only an order; an error if a time format is given and there are no times."""
    only_order = simplify(columns.get("time", "")) == "order"
    if time_format is not None and ("time" not in columns or only_order):
        raise DataError(f'{where}: a time format needs a column of times; name it: time="..." (--time-col)')
    return only_order


def _take_times(take: Callable[[str], tuple[pl.Series, str]], only_order: bool, time_format: str | None) -> Times:
    column, where = take("time")
    return Times(as_order(column, where), "") if only_order else as_times(column, where, time_format)


def _with_copies_treated(log: Log, duplicates: Duplicates | None) -> Log:
    """The log without exact copies, or with a warning that they are kept; "first" and "last" are filters for later."""
    if duplicates == "exact" or (duplicates is None and log.time is not None):
        return without_copies(log)
    count = int(exact_copies(log).sum()) if duplicates == "keep" else 0
    if not count:
        return log
    rows = "1 row is an exact copy of another" if count == 1 else f"{count:,} rows are exact copies of others"
    return replace(log, warnings=(*log.warnings, f"{rows} (same user, item and time) and kept"))


def _num_names(column: pl.Series) -> int:
    return int(column.filter(~is_empty(column)).n_unique())


def _emptied(empty: Mapping[str, int]) -> str:
    """The rule that left out rows with empty values: "no empty user (12 rows), item (1 row)"."""
    counts = (f"{role} ({count:,} {'row' if count == 1 else 'rows'})" for role, count in empty.items())
    return f"no empty {', '.join(counts)}"


def _columns(table: Table, named: Mapping[str, str | None]) -> dict[str, str]:
    try:
        columns = assign_roles(table.columns, named, table.where)
    except DataError as error:
        raise DataError(f"{str(error).rstrip('.')}. {table.hint}" if table.hint else str(error)) from None
    if named["time"] is None:
        others = [column for column in table.columns if column not in columns.values()]
        time = find_time_column(others, lambda names: table.head(dict.fromkeys(names, "any")), table.where)
        columns |= {"time": time} if time else {}
    return columns


def _order(user: Codes, time: Ids | None) -> Ids | slice:
    """The stable order by (user, time); a slice of all rows if they are in that order already."""
    step = np.diff(user)
    if (step >= 0).all() and (time is None or ((step > 0) | (np.diff(time) >= 0)).all()):
        return slice(None)
    return np.argsort(user, kind="stable") if time is None else np.lexsort((time, user))


def _description(where: str, columns: Mapping[str, str], unit: str) -> str:
    """How the source was read, for the first entry of `Log.steps`."""
    parts = [f"{role} {column!r}" for role, column in columns.items() if role != "time"]
    if "time" not in columns:
        parts.append("in the order of the source")
    else:
        parts.append(f"time {columns['time']!r} in {unit}" if unit else f"in the order of {columns['time']!r}")
    return f"read {where}: {', '.join(parts)}"
