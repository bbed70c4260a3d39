"""`read_log`: reads events from a file, folder or data frame into a `Log`.

    ratings.csv ── Table ── Log ── filters ── Log
                   text     events

Users and items are numbered in the sorted order of their names. Rows with the same user and time keep the order of the
source. Without times, the order of the source or of a column called "order" is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from segue.data.filters import FilterOptions, apply_filters
from segue.data.log import Log
from segue.data.readers.column_options import ColumnOptions
from segue.data.readers.metadata import find_metadata, read_metadata
from segue.data.readers.source import check_no_text_options
from segue.data.readers.store_items import read_store_items, with_store_items
from segue.data.store import is_log, open_log
from segue.errors import DataError
from segue.event_store.address import is_store_url


def read_log(  # noqa: PLR0913  one keyword for each column
    source: Any,
    *,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    rating: str | None = None,
    split: str | None = None,
    event: str | None = None,
    events: Sequence[str] | None = None,
    session: str | None = None,
    event_features: Sequence[str] | None = None,
    impressions: str | None = None,
    time_format: str | None = None,
    delimiter: str | None = None,
    header: bool | None = None,
    drop_empty: bool = False,
    verify: bool = False,
    where: Mapping[str, Any] | None = None,
    name: str | None = None,
    users: Any = None,
    items: Any = None,
    all_items: bool = False,
    **filters: Unpack[FilterOptions],
) -> Log:
    """Read events into a log.

    Args:
        source: a CSV, TSV or other delimited file, JSON Lines (both also compressed, .gz), a Parquet file, a folder of
            such files, a RecBole .inter file or the folder that contains it, a folder written by `save_log`, a polars
            or a pandas data frame.
        user: the column of users; by default it is guessed from its name, see `roles.COLUMN_NAMES`. In a file without
            a header the columns are called "1", "2", "3" and must be given.
        item: the column of items.
        time: the column of times; "" for none: then the order of the source is used. By default it is guessed from its
            name, its type and its first values, see `time_column`.
        rating: the column of ratings; "" for none.
        split: the column that says train, valid or test of each row; by default the one called "split". The rows of a
            user must be training, then validation, then test. With "" the log brings no split.
        event: the column that says of what type an event is, such as a view or a purchase. Without it and `events`,
            all rows are events of one type.
        events: the types of events that are read; by default all of them. Without `event`, the column is the one whose
            name says that it holds types, such as `event_type` or `action`.
        session: the column that says in which session of the user an event was. A session ends where another value
            begins.
        event_features: columns with further facts of an event, such as the device or the price that was shown, for
            models that read them: text is categories, and numbers are numbers unless the name of their column is
            followed by ":category".
        impressions: the column of the items that were shown at an event: lists, or text with | between them; see
            `segue.data.impressions`.
        time_format: the strftime pattern of times in text, such as "%d/%m/%Y %H:%M"; by default it is recognised.
        delimiter: the field separator of a text file; by default it is detected.
        header: whether the first line of a text file is a header; by default it is detected.
        drop_empty: whether rows without a user, an item or a time are left out. Otherwise they are an error.
        verify: whether the hashes of a saved log and its fingerprint are computed again and compared, see `open_log`.
        where: keep only rows whose value in these columns is the one given, or one of those given; see
            `segue.data.conditions`.
        name: the name of the log; by default the name of the file.
        users: a path or data frame of user metadata: one row per user and a column of user names. By default
            X.users.parquet beside X.parquet, or X.user beside X.inter.
        items: likewise for items (X.items.parquet, X.item); best with a `title` and a `year`.
        all_items: whether items of the table `items` without an event are part of the log. They are added after the
            filters, with the last ids.
        filters: the rows to keep, see `FilterOptions`: `min_rating`, `duplicates`, `user_core` and `item_core`.

    Raises:
        DataError: the source cannot be read as a log; the message says what was found, where, and what to do.
        ConfigError: a setting of a filter is out of range.
    """
    if unknown := sorted(filters.keys() - FilterOptions.__optional_keys__):
        raise TypeError(f"read_log() got an unexpected keyword argument {unknown[0]!r}")
    roles = {"user": user, "item": item, "time": time, "rating": rating, "split": split, "session": session}
    roles |= {"impressions": impressions}
    columns = ColumnOptions(
        roles={role: _column_name(column) for role, column in roles.items()},
        event=_column_name(event),
        events=events,
        event_features=_column_names(event_features),
        time_format=time_format,
        drop_empty=drop_empty,
        where=where or {},
    )
    if is_log(source):
        columns.check_none(source)
        check_no_text_options(str(source), delimiter, header)
        log, timed = open_log(source, verify=verify), True
    else:
        needs_ratings = filters.get("min_rating") is not None
        log, timed = columns.read(
            source, delimiter=delimiter, header=header, needs_ratings=needs_ratings, verify=verify
        )
        if filters.get("duplicates") is None and log.time is not None:
            filters["duplicates"] = "exact"
        users = find_metadata(source, "user") if users is None else users
        if items is None and is_store_url(source):
            known = with_store_items(log.items.tokens, None, read_store_items(source))
            log = replace(log, item_metadata=known)
        items = find_metadata(source, "item") if items is None else items
    if name is not None:
        log = replace(log, name=name)
    log = _with_metadata(log, users, None if all_items else items)
    log = apply_filters(_without_split(log) if split == "" else log, **filters)
    log = _with_all_items(log, items) if all_items else log
    # the values of an order tell copies apart, but they are no times
    return _check_counts(log if timed else replace(log, time=None))


def _column_name(column: Any) -> str | None:
    """A name as text, since a pandas frame may call a column 0; None for none."""
    return None if column is None else str(column)


def _column_names(columns: Any) -> tuple[str, ...]:
    """The names of one column, or of several, as text; of none nothing."""
    several = columns if isinstance(columns, Iterable) and not isinstance(columns, str) else [columns]
    return tuple(str(column) for column in several if column is not None)


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
        _, table, warnings = read_metadata(users, log.users, "user")
        log = replace(log, user_metadata=table, warnings=(*log.warnings, *warnings))
    if items is not None:
        _, table, warnings = read_metadata(items, log.items, "item")
        log = replace(log, item_metadata=table, warnings=(*log.warnings, *warnings))
    return log


def _with_all_items(log: Log, items: Any) -> Log:
    """The log with the table of its items, of which those without an event get the last ids."""
    if items is None:
        raise DataError(f"{log.name}: all_items (--all-items) needs a table of items; give one with items (--items)")
    names, table, warnings = read_metadata(items, log.items, "item", add_names=True)
    return replace(log, items=names, item_metadata=table, warnings=(*log.warnings, *warnings))
