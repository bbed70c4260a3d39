"""Saves a log to a folder, and opens it by mapping its columns into memory.

ml-1m/
  log.json            format, name, steps, warnings, numbers of users, items and rows, fingerprint, hashes of the files
  users.parquet       one column `name`, in the order of ids; items.parquet likewise
  user_table.parquet  the user metadata, if there is any; item_table.parquet likewise
  stop.npy            (U + 1,) int64: the row after the last one of each user
  item.npy            (R,) int32; if the log has them, time.npy int64, rating.npy float32, part.npy int8,
                      event_type.npy int8, session.npy int32, event_features.npy float32 (R F,) and impressions.npy
                      int32 (R M,)

Nothing in the folder is believed. Whenever a log is opened, sizes are compared before memory is taken, and every value
is checked (`log_checks`). The hashes are compared when it is opened on a machine for the first time (`verified`), after
it has changed, and with `verify`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import StringConstraints

from segue.data.event_features import EventFeature
from segue.data.log import Ids, Log, Step, Vocab
from segue.data.log_checks import check_savable, log_problem
from segue.data.verified import files_state, is_verified, remember_verified
from segue.errors import ArtefactError
from segue.folders import atomic_folder, check_folder, interrupted_folder, is_folder_of, recover_folder
from segue.io import file_hash, json_hash, plain_values, reason, write_json
from segue.json_files import Count, Stored, Whole, read_versioned
from segue.stored_files import TOO_REPETITIVE, StoredTables, check_hashes, file_size, map_column

_FORMAT = "segue log"
VERSION = 2  # version 1 had no hashes
REPAIR = "copy the whole folder again, or save the log again"
_COLUMNS: Mapping[str, type[np.generic]] = {
    **{
        "item": np.int32,
        "time": np.int64,
        "rating": np.float32,
        "part": np.int8,
        "event_type": np.int8,
        "session": np.int32,
        "event_features": np.float32,
        "impressions": np.int32,
    }
}
_TABLES = {"user_table": "users", "item_table": "items"}  # of metadata: file -> whose rows
FILES = (
    *("log.json", "users.parquet", "items.parquet", "stop.npy"),
    *(f"{name}.npy" for name in _COLUMNS),
    *(f"{name}.parquet" for name in _TABLES),
)
_ColumnName = Literal["item", "time", "rating", "part", "event_type", "session", "event_features", "impressions"]
_Hash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_ShortHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class _About(Stored):
    """The content of `log.json`."""

    format: Literal["segue log"]
    version: Literal[2]
    name: str
    rows: Whole
    users: Count
    items: Count
    columns: tuple[_ColumnName, ...]
    event_types: tuple[str, ...] = ()
    event_features: tuple[EventFeature, ...] = ()
    impressions: Whole = 0  # M, how many an event has at most
    tables: tuple[Literal["user_table", "item_table"], ...]
    steps: tuple[Step, ...]
    warnings: tuple[str, ...]
    fingerprint: _ShortHash
    files: dict[str, _Hash]
    hash: _ShortHash  # of all other values


def is_log(path: Any) -> bool:
    """Whether `path` is a folder written by `save_log`, or one whose replacement was interrupted."""
    if not isinstance(path, str | Path):
        return False
    folder = Path(path) if Path(path).exists() else interrupted_folder(Path(path))
    return folder is not None and is_folder_of("saved log", folder)


def save_log(log: Log, folder: str | Path) -> Path:
    """Write `log` to `folder`. A saved log that is already there is replaced; anything else there is an error.

    Only the rows of this view are written. All names of users and items are kept, and so are their ids. The folder
    appears complete or not at all.

    Raises:
        ArtefactError: the folder holds something else, cannot be written, or has tables so repetitive that they would
            not be opened again.
        DataError: the log is not as `Log` describes it, so that it could not be opened again.
    """
    folder = Path(folder).resolve()
    check_folder(folder, "saved log", FILES)
    check_savable(log)
    try:
        with atomic_folder(folder) as temporary:
            _write(log, temporary)
            StoredTables(temporary, repair=TOO_REPETITIVE).check(folder)
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
            np.save(folder / f"{name}.npy", log.column(values).reshape(-1))
    facts = {
        "format": _FORMAT,
        "version": VERSION,
        "name": log.name,
        "rows": len(log),
        "users": log.num_users,
        "items": log.num_items,
        "columns": [name for name, values in columns.items() if values is not None],
        **({"event_types": list(log.event_types)} if log.event_types else {}),
        **({"event_features": [asdict(one) for one in log.event_feature_columns]} if log.event_feature_columns else {}),
        **({} if log.impressions is None else {"impressions": log.impressions.shape[1]}),
        "tables": list(tables),
        "steps": [asdict(step) for step in log.steps],
        "warnings": list(log.warnings),
        "fingerprint": log.fingerprint,
        "files": {path.name: file_hash(path) for path in sorted(folder.iterdir())},
    }
    facts = plain_values(facts)  # before the hash
    write_json(folder / "log.json", {**facts, "hash": json_hash(facts)})


def open_log(folder: str | Path, *, verify: bool = False) -> Log:
    """Open the log that `save_log` wrote to `folder`; its columns are mapped into memory, not copied.

    With `verify`, the hashes of all files are compared even if they were before, and the fingerprint is computed.

    Raises:
        ArtefactError: a file is missing, damaged, of another version or of another log; the message says which.
    """
    folder = Path(folder)
    if not folder.exists():
        recover_folder(folder)
    about = _about(folder)
    _verify_files(folder, about, again=verify)
    log = _open(folder, about)
    if problem := log_problem(log):
        raise ArtefactError(f"{folder}: its {problem}; {REPAIR}")
    if verify and log.fingerprint != about.fingerprint:
        raise ArtefactError(f"{folder}: the content is not that of its fingerprint; {REPAIR}")
    return log


def _about(folder: Path) -> _About:
    path = folder / "log.json"
    if not path.is_file():
        raise ArtefactError(f"{folder}: not a saved log; there is no log.json in it")
    about, _ = read_versioned(
        path,
        _About,
        version=("version", VERSION),
        own_hash=json_hash,
        newer="save the log again, from its source",
        repair=REPAIR,
    )
    files = ["users.parquet", "items.parquet", "stop.npy"]
    files += [f"{name}.npy" for name in about.columns] + [f"{name}.parquet" for name in about.tables]
    if sorted(files) != sorted(about.files) or "item" not in about.columns:
        raise ArtefactError(f"{path}: files: must be those of its columns and tables; {REPAIR}")
    for name in ("event_features", "impressions"):
        if (name in about.columns) != bool(getattr(about, name)):
            raise ArtefactError(f"{path}: {name}: must be there with their column; {REPAIR}")
    return about


def _verify_files(folder: Path, about: _About, *, again: bool) -> None:
    """Compare the hashes of all files, unless they are known to be unchanged since that was done."""
    for name in about.files:
        file_size(folder / name, repair=REPAIR)
    state = files_state((folder / name for name in about.files), about.files)
    if again or not is_verified(folder, state):
        check_hashes(folder, about.files, repair=REPAIR)
        remember_verified(folder, state)


def _open(folder: Path, about: _About) -> Log:
    width = {"event_features": len(about.event_features), "impressions": about.impressions}
    columns: dict[str, Any] = {
        name: map_column(folder / f"{name}.npy", _COLUMNS[name], about.rows * width.get(name, 1), repair=REPAIR)
        for name in about.columns
    }
    for name in width.keys() & columns.keys():
        columns[name] = columns[name].reshape(about.rows, width[name])
    stop = map_column(folder / "stop.npy", np.int64, about.users + 1, repair=REPAIR)
    lengths: Ids = np.diff(stop, prepend=0)
    if stop[0] != 0 or stop[-1] != about.rows or (lengths < 0).any():
        raise ArtefactError(f"{folder}/stop.npy: does not cut {about.rows:,} rows; {REPAIR}")
    tables = StoredTables(folder, repair=REPAIR)

    def table(name: str, owners: str) -> pl.DataFrame:
        return tables.read(f"{name}.parquet", about.users if owners == "users" else about.items)

    def vocab(name: str) -> Vocab:
        names = table(name, name)
        if names.columns != ["name"]:
            raise ArtefactError(f"{folder}/{name}.parquet: must have one column, name; {REPAIR}")
        return Vocab(names["name"])

    metadata = {name: table(name, _TABLES[name]) for name in about.tables}
    return Log.from_columns(
        users=vocab("users"),
        items=vocab("items"),
        lengths=lengths,
        name=about.name,
        steps=about.steps,
        warnings=about.warnings,
        event_types=about.event_types,
        event_feature_columns=about.event_features,
        user_metadata=metadata.get("user_table"),
        item_metadata=metadata.get("item_table"),
        **columns,
    )
