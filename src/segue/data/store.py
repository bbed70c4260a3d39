"""A log as a folder: opened without reading, by mapping its columns into memory.

    ml-1m/
      log.json            format, name, steps, sizes, fingerprint
      users.parquet       one column `name`, in the order of ids; items.parquet likewise
      item_table.parquet  what is known about the items, where something is
      stop.npy            (U + 1,) int64: where each user's rows end
      item.npy            (R,) int32; time.npy int64 and rating.npy float32 where the log has them
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segue.data.log import Log, Step, Vocab
from segue.errors import ArtefactError

FORMAT = "segue log"
VERSION = 1
COLUMNS = {"item": np.int32, "time": np.int64, "rating": np.float32}


def is_log(path: Any) -> bool:
    """Whether `path` is a folder that `save_log` wrote."""
    return isinstance(path, str | Path) and (Path(path) / "log.json").is_file()


def save_log(log: Log, folder: str | Path) -> Path:
    """Write `log` to `folder`; a saved log that is there already is replaced, anything else is refused.

    Only the rows of this view are written; the names of users and items stay, so ids do too. The folder appears whole
    or not at all.

    Raises:
        ArtefactError: the folder holds something else, or cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not is_log(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise ArtefactError(f"{folder}: is there and is not a saved log; choose another name")
    partial = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        _write(log, partial)
        _put(partial, folder)
    except OSError as error:
        raise ArtefactError(f"{folder}: cannot be written ({error.strerror or error}); nothing was changed") from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def _write(log: Log, folder: Path) -> None:
    pl.DataFrame({"name": log.users.tokens}).write_parquet(folder / "users.parquet")
    pl.DataFrame({"name": log.items.tokens}).write_parquet(folder / "items.parquet")
    if log.item_table is not None:
        log.item_table.write_parquet(folder / "item_table.parquet")
    np.save(folder / "stop.npy", np.cumsum(log.sizes))
    columns = {name: getattr(log, name) for name in COLUMNS}
    for name, values in columns.items():
        if values is not None:
            np.save(folder / f"{name}.npy", log.column(values))
    about = {
        "format": FORMAT,
        "version": VERSION,
        "name": log.name,
        "rows": len(log),
        "users": log.n_users,
        "items": log.n_items,
        "columns": [name for name, values in columns.items() if values is not None],
        "item_table": log.item_table is not None,
        "steps": [asdict(step) for step in log.steps],
        "fingerprint": log.fingerprint,
    }
    (folder / "log.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _put(new: Path, folder: Path) -> None:
    """Rename `new` to `folder`; what is there steps aside first and comes back if that fails."""
    if not folder.exists():
        os.chmod(new, 0o755)  # mkdtemp makes it private
        os.replace(new, folder)
        return
