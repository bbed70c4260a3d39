"""Vectors of items from `.npy` files beside the table of the items: one row of numbers for each row of the table.

items.csv              4 rows
items.image.npy        (4, 512)  ──►  column `image`, a list of 512 decimals for each item
"""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from segue.data.readers.folder_files import table_suffix
from segue.errors import DataError
from segue.event_store.address import is_store_url
from segue.io import reason


def with_vectors(frame: pl.DataFrame, source: Any) -> pl.DataFrame:
    """The rows of a table with a column for each file of vectors, TABLE.COLUMN.npy, beside it.

    Args:
        frame: all rows of the table, in their order.
        source: what the table was read from; data frames, folders and stores have no files beside them.

    Raises:
        DataError: a file holds no numbers, or not one row for each row of the table, or its column is there already.
    """
    if not isinstance(source, str | Path) or is_store_url(source) or Path(source).is_dir():
        return frame
    path = Path(source)
    stem = path.name[: path.name.lower().rindex(table_suffix(path))] if table_suffix(path) else path.name
    for file in sorted(path.parent.glob(f"{glob.escape(stem)}.*.npy")):
        column = file.name[len(stem) + 1 : -len(".npy")]
        if column in frame.columns:
            raise DataError(f"{file}: {path.name} has a column {column!r}, too; rename one of them")
        vectors = _read(file)
        if len(vectors) != frame.height:
            raise DataError(
                f"{file}: {len(vectors):,} rows for the {frame.height:,} of {path.name}; each needs its vector, in the "
                "same order"
            )
        dtype = pl.Array(pl.Float32, vectors.shape[1])
        frame = frame.with_columns(pl.Series(column, vectors.astype(np.float32), dtype))
    return frame


def _read(file: Path) -> np.ndarray[Any, np.dtype[Any]]:
    try:
        vectors: np.ndarray[Any, np.dtype[Any]] = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file}: no array of NumPy ({reason(error)}); write it with numpy.save") from error
    if vectors.ndim != 2 or not vectors.size or vectors.dtype.kind not in "fiu":
        raise DataError(f"{file}: an array of {vectors.dtype}, {vectors.shape}; give one row of numbers for each item")
    return vectors
