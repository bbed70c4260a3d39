"""The names and the histories of a saved model, as Parquet files.

users.parquet      names and metadata of users 1..U
items.parquet      names and metadata of items 1..I
history.parquet    user, item, and time, rating, part, session, event_type, feature:NAME for each event feature and
                   impressions (lists), if there are any; one row per event
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segue.data.event_features import EventFeature, Features
from segue.data.impressions import MAX_IMPRESSIONS
from segue.data.log import Codes, Log, Vocab
from segue.data.log_checks import check_savable, log_problem
from segue.errors import ArtefactError
from segue.models.base.model import Sizes
from segue.stored_files import StoredTables

COLUMNS: Mapping[str, pl.DataType] = {
    "user": pl.Int32(),
    "item": pl.Int32(),
    "time": pl.Int64(),
    "rating": pl.Float32(),
    "part": pl.Int8(),
    "session": pl.Int32(),
    "impressions": pl.List(pl.Int32()),
}
TYPES = "event_type"  # a column of names, in the order of their ids
FEATURE = "feature:"  # how the name of a column of event features begins; categories are stored as types are


def write_stored_log(log: Log, folder: Path) -> None:
    """Write the names, the metadata and the rows of a log to a folder.

    Raises:
        DataError: the log is not as `Log` describes it, so that it could not be read again.
    """
    check_savable(log)
    _names(log.users, log.user_metadata).write_parquet(folder / "users.parquet")
    _names(log.items, log.item_metadata).write_parquet(folder / "items.parquet")
    _history(log).write_parquet(folder / "history.parquet")


def _history(log: Log) -> pl.DataFrame:
    """One row per event, user by user: user, item, and further columns that the log has."""
    user, item = log.events()
    optional = {"time": log.time, "rating": log.rating, "part": log.part, "session": log.session}
    columns = {name: log.column(values) for name, values in optional.items() if values is not None}
    history = pl.DataFrame({"user": user.astype(np.int32), "item": item, **columns, **_features(log), **_shown(log)})
    if log.event_type is None:
        return history
    names = pl.Series(TYPES, log.event_types, dtype=pl.Enum(log.event_types))
    return history.with_columns(names.gather(log.column(log.event_type).astype(np.int64) - 1))


def _shown(log: Log) -> dict[str, pl.Series]:
    """A column of the items that were shown at each event."""
    if log.impressions is None:
        return {}
    table = log.column(log.impressions)
    lists = pl.Series(table, dtype=pl.Array(pl.Int32, table.shape[1])).arr.to_list()
    return {"impressions": lists.list.eval(pl.element().filter(pl.element() > 0))}


def _features(log: Log) -> dict[str, pl.Series]:
    """A column for each event feature; empty cells where it is unknown."""
    if log.event_features is None:
        return {}
    values = log.column(log.event_features).T
    return {
        FEATURE + one.name: pl.Series(
            one.decode(column), dtype=pl.Enum(one.categories) if one.categories else pl.Float32, strict=False
        )
        for one, column in zip(log.event_feature_columns, values, strict=True)
    }


def _names(vocab: Vocab, metadata: pl.DataFrame | None) -> pl.DataFrame:
    """The names, then the metadata. The first column is `name`, or `name_` and so on if metadata are called that."""
    metadata, column = pl.DataFrame() if metadata is None else metadata, "name"
    while column in metadata.columns:
        column += "_"
    return vocab.tokens.alias(column).to_frame().hstack(metadata)


def read_stored_log(folder: Path, name: str, sizes: Sizes, events: int | None, *, repair: str) -> Log:
    """The log that `write_stored_log` wrote. Its sizes are compared before memory is taken.

    Args:
        folder: of the saved model.
        name: of the log.
        sizes: the numbers of users and items that the model is built for.
        events: the number of rows; None if it is not known.
        repair: what the user can do about a damaged file, the end of the error message.

    Raises:
        ArtefactError: a table is damaged, of another size, or holds what is no log.
    """
    tables = StoredTables(folder, repair=repair)
    users = tables.read("users.parquet", sizes.num_users)
    items = tables.read("items.parquet", sizes.num_items)
    if not (users.width and items.width):
        raise ArtefactError(f"{folder}: its users or items have no names; {repair}")
    path = folder / "history.parquet"
    history = tables.read(path.name, tables.num_rows(path.name) if events is None else events)
    if problem := _history_problem(history, sizes.num_users):
        raise ArtefactError(f"{path}: {problem}; {repair}")
    features = [name for name in history.columns if name.startswith(FEATURE)]
    plain = (name for name in history.columns if name != TYPES and name not in features)
    columns: dict[str, Any] = {name: history[name].to_numpy() for name in plain if name != "impressions"}
    if "impressions" in history.columns:
        columns["impressions"] = _impressions(history["impressions"])
    if features:
        read = [_event_feature(history[name]) for name in features]
        columns["event_feature_columns"] = tuple(one for one, _ in read)
        columns["event_features"] = np.stack([values for _, values in read], 1)
    if TYPES in history.columns:
        types = history[TYPES]
        assert isinstance(types.dtype, pl.Enum)
        columns["event_types"] = tuple(types.dtype.categories)
        columns[TYPES] = types.to_physical().to_numpy().astype(np.int8) + np.int8(1)
    log = Log.from_columns(
        users=Vocab(users.to_series(0)),
        items=Vocab(items.to_series(0)),
        lengths=np.bincount(columns.pop("user"), minlength=sizes.num_users + 1),
        name=name,
        user_metadata=users[:, 1:] if users.width > 1 else None,
        item_metadata=items[:, 1:] if items.width > 1 else None,
        **columns,
    )
    if problem := log_problem(log):
        raise ArtefactError(f"{folder}: its {problem}; {repair}")
    return log


def _impressions(lists: pl.Series) -> Codes:
    """(R, M) the items of a column that `_shown` wrote."""
    lengths = lists.list.len().to_numpy()
    table = np.zeros((len(lists), int(lengths.max(initial=1))), np.int32)
    table[np.arange(table.shape[1]) < lengths[:, None]] = lists.explode().drop_nulls().to_numpy()
    return table


def _event_feature(column: pl.Series) -> tuple[EventFeature, Features]:
    """A column that `_features` wrote."""
    dtype, name = column.dtype, column.name.removeprefix(FEATURE)
    if not isinstance(dtype, pl.Enum):
        return EventFeature(name), column.fill_null(np.nan).to_numpy()
    ids = column.to_physical().cast(pl.Float32) + 1
    return EventFeature(name, tuple(dtype.categories)), ids.fill_null(np.nan).to_numpy()


def _history_problem(history: pl.DataFrame, num_users: int) -> str:
    """What is wrong with the columns and the users of a history, in words; empty if nothing is."""
    for column in history:
        types = column.name == TYPES and isinstance(column.dtype, pl.Enum)
        if column.name.startswith(FEATURE) and (column.dtype == pl.Float32 or isinstance(column.dtype, pl.Enum)):
            continue
        if COLUMNS.get(column.name) != column.dtype and not types:
            return f"its column {column.name} of {column.dtype} is not one of a history"
        if column.has_nulls():
            return f"its column {column.name} has empty cells"
    shown = history.get_column("impressions", default=pl.Series(dtype=COLUMNS["impressions"])).list
    if (shown.len() > MAX_IMPRESSIONS).any() or shown.eval(pl.element().is_null()).list.any().any():
        return f"its column impressions has more than {MAX_IMPRESSIONS:,} items at an event, or empty cells in a list"
    missing = [name for name in ("user", "item") if name not in history.columns]
    if missing:
        return f"has no column {missing[0]}"
    user = history["user"].to_numpy()
    if len(user) and (user.min() < 1 or user.max() > num_users):
        return f"its column user has an id outside 1 to {num_users:,}, the users"
    return "its rows are not sorted by user" if (user[1:] < user[:-1]).any() else ""
