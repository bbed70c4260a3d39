"""Saves a log to a folder, and opens it by mapping its columns into memory.

ml-1m/
  log.json            format, name, steps, warnings, numbers of users, items and rows, fingerprint
  users.parquet       one column `name`, in the order of ids; items.parquet likewise
  user_table.parquet  the user metadata, if there is any; item_table.parquet likewise
  stop.npy            (U + 1,) int64: the row after the last one of each user
  item.npy            (R,) int32; time.npy int64, rating.npy float32 and part.npy int8 if the log has them
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segue.data.log import Log, Step, Vocab
from segue.errors import ArtefactError
from segue.folders import atomic_folder, check_folder, recover_folder
from segue.io import reason, write_json

_FORMAT = "segue log"
VERSION = 1
_COLUMNS: Mapping[str, type[np.generic]] = {"item": np.int32, "time": np.int64, "rating": np.float32, "part": np.int8}
_TABLES = {"user_table": "users", "item_table": "items"}  # of metadata: file -> whose rows


def is_log(path: Any) -> bool:
    """Whether `path` is a folder written by `save_log`."""
    if not isinstance(path, str | Path):
        return False
    if not Path(path).exists():
        recover_folder(Path(path))
    return (Path(path) / "log.json").is_file()


def save_log(log: Log, folder: str | Path) -> Path:
    """Write `log` to `folder`. A saved log that is already there is replaced; anything else there is an error.

    Only the rows of this view are written. All names of users and items are kept, and so are their ids. The folder
    appears complete or not at all.

    Raises:
        ArtefactError: the folder holds something else, or cannot be written.
    """
    folder = Path(folder).resolve()
    check_folder(folder, "log.json", "saved log")
    try:
        with atomic_folder(folder) as temporary:
            _write(log, temporary)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ArtefactError(f"{folder}: cannot be written ({reason(error)}); nothing was changed") from error
    return folder


def _write(log: Log, folder: Path) -> None:
    pl.DataFrame({"name": log.users.tokens}).write_parquet(folder / "users.parquet")
    pl.DataFrame({"name": log.items.tokens}).write_parquet(folder / "items.parquet")
    metadata = {"user_table": log.user_metadata, "item_table": log.item_metadata}
    tables = {name: table for name, table in metadata.items() if table is not None}
    for name, table in tables.items():
        table.write_parquet(folder / f"{name}.parquet")
    np.save(folder / "stop.npy", np.cumsum(log.lengths))
    columns = {name: getattr(log, name) for name in _COLUMNS}
    for name, values in columns.items():
        if values is not None:
            np.save(folder / f"{name}.npy", log.column(values))
    about = {
        "format": _FORMAT,
        "version": VERSION,
        "name": log.name,
        "rows": len(log),
        "users": log.num_users,
        "items": log.num_items,
        "columns": [name for name, values in columns.items() if values is not None],
        "tables": list(tables),
        "steps": [asdict(step) for step in log.steps],
        "warnings": list(log.warnings),
        "fingerprint": log.fingerprint,
    }
    write_json(folder / "log.json", about)


def open_log(folder: str | Path, *, verify: bool = False) -> Log:
    """Open the log that `save_log` wrote to `folder`; its columns are mapped into memory, not read.

    With `verify`, everything is read and compared with the fingerprint.

    Raises:
        ArtefactError: a file is missing, cut short, of another version or of another log.
    """
    folder = Path(folder)
    about = _about(folder)
    try:
        log = _open(folder, about)
    except KeyError as error:
        raise ArtefactError(f"{folder}/log.json: {error} is missing; save the log again") from error
    if verify and log.fingerprint != about["fingerprint"]:
        raise ArtefactError(f"{folder}: the content is not what was saved; save the log again")
    return log


def _about(folder: Path) -> dict[str, Any]:
    path = folder / "log.json"
    if not path.is_file():
        raise ArtefactError(f"{folder}: not a saved log; there is no log.json in it")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtefactError(f"{path}: not JSON ({error}); save the log again") from error
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise ArtefactError(f"{path}: does not describe a saved log")
    if about.get("version") != VERSION:
        raise ArtefactError(
            f"{path}: version {about.get('version')}, but this segue reads version {VERSION}; save the log again"
        )
    return about


def _open(folder: Path, about: dict[str, Any]) -> Log:
    stop = _column(folder / "stop.npy", np.int64, about["users"] + 1)
    if stop[0] != 0 or (np.diff(stop) < 0).any() or stop[-1] != about["rows"]:
        raise ArtefactError(f"{folder}/stop.npy: does not cut {about['rows']:,} rows; save the log again")
    columns: dict[str, Any] = {
        name: _column(folder / f"{name}.npy", _COLUMNS[name], about["rows"]) for name in about["columns"]
    }
    tables = {name: _table(folder / f"{name}.parquet", about[_TABLES[name]]) for name in about["tables"]}
    return Log.from_columns(
        users=Vocab(_table(folder / "users.parquet", about["users"])["name"]),
        items=Vocab(_table(folder / "items.parquet", about["items"])["name"]),
        lengths=np.diff(stop, prepend=0),
        name=about["name"],
        steps=tuple(Step(**step) for step in about["steps"]),
        warnings=tuple(about.get("warnings", ())),
        user_metadata=tables.get("user_table"),
        item_metadata=tables.get("item_table"),
        **columns,
    )


def _column(path: Path, dtype: type[np.generic], rows: int) -> np.ndarray:
    try:
        values = np.load(path, mmap_mode="r" if rows else None)
    except FileNotFoundError:
        raise ArtefactError(f"{path}: missing; save the log again") from None
    except (ValueError, EOFError, OSError) as error:
        raise ArtefactError(f"{path}: damaged or cut short ({error}); save the log again") from error
    if values.shape != (rows,) or values.dtype != dtype:
        raise ArtefactError(
            f"{path}: {values.shape} of {values.dtype}, expected ({rows},) of {np.dtype(dtype)}; save the log again"
        )
    return values


def _table(path: Path, rows: int) -> pl.DataFrame:
    try:
        table = pl.read_parquet(path, glob=False)
    except FileNotFoundError:
        raise ArtefactError(f"{path}: missing; save the log again") from None
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ArtefactError(f"{path}: damaged or cut short ({reason(error)}); save the log again") from error
    if table.height != rows:
        raise ArtefactError(f"{path}: {table.height} rows, expected {rows}; save the log again")
    return table
