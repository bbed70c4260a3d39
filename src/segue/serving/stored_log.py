"""The names and the histories of a saved model, as Parquet files.

users.parquet      names and metadata of users 1..U
items.parquet      names and metadata of items 1..I
history.parquet    user, item, and time, rating and part if the log has them; one row per event, user by user
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from segue.data.log import PARTS, Log, Vocab
from segue.errors import ArtefactError, DataError
from segue.io import reason

HISTORY: Mapping[str, pl.DataType] = {
    "user": pl.Int32(),
    "item": pl.Int32(),
    "time": pl.Int64(),
    "rating": pl.Float32(),
    "part": pl.Int8(),
}
REQUIRED = ("user", "item")
ROWS_PER_BYTE, SPARE_ROWS = 8, 5_000_000  # a file with more rows than these claims more than it can hold
MADE_ANEW = "save the model anew"


def write_stored_log(log: Log, folder: Path) -> None:
    """Write the names, the metadata and the rows of a log to a folder.

    Raises:
        DataError: the log is not what a log should be, and could not be read again.
    """
    tables = {"users": _names(log.users, log.user_metadata), "items": _names(log.items, log.item_metadata)}
    history = _history(log)
    problems = (*map(_names_problem, tables.values()), _history_problem(history, log.num_users, log.num_items))
    for problem in filter(None, problems):
        raise DataError(f"{log.name}: {problem}; make the log anew")
    for name, table in {**tables, "history": history}.items():
        table.write_parquet(folder / f"{name}.parquet")


def _history(log: Log) -> pl.DataFrame:
    """One row per event, user by user: user, item, and the time, the rating and the part if the log has them."""
    user, item = log.events()
    optional = {"time": log.time, "rating": log.rating, "part": log.part}
    columns = {name: log.column(values) for name, values in optional.items() if values is not None}
    return pl.DataFrame({"user": user.astype(np.int32), "item": item, **columns})


def _names(vocab: Vocab, metadata: pl.DataFrame | None) -> pl.DataFrame:
    """The names, then the metadata. The first column is `name`, or `name_` if there is metadata called `name`."""
    metadata = pl.DataFrame() if metadata is None else metadata
    return vocab.tokens.alias("name_" if "name" in metadata.columns else "name").to_frame().hstack(metadata)


def check_stored_log(folder: Path, *, num_users: int, num_items: int) -> None:
    """Compare the numbers of users and items with the tables of their names, of which only the ends are read.

    Raises:
        ArtefactError: they differ; or a table is damaged or has more rows than its bytes can hold.
    """
    for name, count in (("users", num_users), ("items", num_items)):
        path = folder / f"{name}.parquet"
        rows = _num_rows(path)
        if rows != count:
            raise ArtefactError(f"{path}: has {rows:,} names, but model.json says {count:,}; {MADE_ANEW}")
    _num_rows(folder / "history.parquet")


def read_stored_log(folder: Path, name: str) -> Log:
    """The log that `write_stored_log` wrote.

    Raises:
        ArtefactError: a table is damaged, or holds what is no log: ids without a name, rows out of order.
    """
    users, items = (_read_names(folder / f"{part}.parquet") for part in ("users", "items"))
    path = folder / "history.parquet"
    history = _read_history(path)
    problem = _history_problem(history, users.height, items.height)
    if problem:
        raise ArtefactError(f"{path}: {problem}; {MADE_ANEW}")
    columns = {column: history[column].to_numpy() for column in history.columns}
    return Log.from_columns(
        users=Vocab(users.to_series(0)),
        items=Vocab(items.to_series(0)),
        lengths=np.bincount(columns.pop("user"), minlength=users.height + 1),
        name=name,
        user_metadata=users[:, 1:] if users.width > 1 else None,
        item_metadata=items[:, 1:] if items.width > 1 else None,
        **columns,
    )


def _num_rows(path: Path) -> int:
    try:
        rows = int(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise ArtefactError(f"{path}: damaged ({reason(error)}); {MADE_ANEW}") from error
    if rows > ROWS_PER_BYTE * path.stat().st_size + SPARE_ROWS:
        raise ArtefactError(f"{path}: claims {rows:,} rows, more than its bytes can hold; {MADE_ANEW}")
    return rows


def _read_table(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise ArtefactError(f"{path}: damaged ({reason(error)}); {MADE_ANEW}") from error


def _read_names(path: Path) -> pl.DataFrame:
    """The names of users or items and their metadata."""
    table = _read_table(path)
    problem = _names_problem(table)
    if problem:
        raise ArtefactError(f"{path}: {problem}; {MADE_ANEW}")
    return table


def _names_problem(table: pl.DataFrame) -> str:
    """What is wrong with the names of users or items, in words; empty if nothing is."""
    kind = table.dtypes[0] if table.width else pl.Null()
    if not (kind == pl.String or kind.is_integer()):
        return f"names are text or whole numbers, not {kind}"
    names = table.to_series(0)
    if names.null_count() or names.n_unique() < len(names):
        return "a name is missing or is there twice"
    return ""


def _read_history(path: Path) -> pl.DataFrame:
    table = _read_table(path)
    for column, kind in table.schema.items():
        if HISTORY.get(column) != kind:
            raise ArtefactError(f"{path}: column {column} of {kind} is not one of a history; {MADE_ANEW}")
    missing = [column for column in REQUIRED if column not in table.columns]
    if missing:
        raise ArtefactError(f"{path}: has no column {missing[0]}; {MADE_ANEW}")
    return table


def _history_problem(history: pl.DataFrame, num_users: int, num_items: int) -> str:
    """What is wrong with the rows of a history, in words; empty if nothing is."""
    empty = [column.name for column in history if column.null_count()]
    if empty:
        return f"column {empty[0]} has empty cells"
    for column, last in (("user", num_users), ("item", num_items)):
        ids = history[column].to_numpy()
        if len(ids) and (ids.min() < 1 or ids.max() > last):
            return f"column {column} holds ids from {ids.min()} to {ids.max()}, but they are numbered from 1 to {last}"
    user = history["user"].to_numpy()
    if (user[1:] < user[:-1]).any():
        return "its rows are not sorted by user"
    for column in {"time", "part"} & set(history.columns):
        values = history[column].to_numpy()
        if ((user[1:] == user[:-1]) & (values[1:] < values[:-1])).any():
            return f"the rows of a user are not in the order of column {column}"
    return _value_problem(history)


def _value_problem(history: pl.DataFrame) -> str:
    if "part" in history.columns and not history["part"].is_between(0, len(PARTS) - 1).all():
        return "column part holds other values than 0, 1 and 2"
    if "rating" in history.columns and not history["rating"].is_finite().all():
        return "column rating holds values that are not numbers"
    return ""
